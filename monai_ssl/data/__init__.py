# Copyright (c) monai_ssl contributors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.


"""From volumes to slices, labels and splits."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monai_ssl.data.boxes import box_mask, read_boxes
    from monai_ssl.data.check import check_volumes
    from monai_ssl.data.checksum import data_checksum
    from monai_ssl.data.dicom.reader import DicomSeriesReader
    from monai_ssl.data.export import export_png
    from monai_ssl.data.finetuning_data import FinetuningData
    from monai_ssl.data.images import ImageData, list_images
    from monai_ssl.data.labels import label_columns, read_labels
    from monai_ssl.data.phantoms import make_phantoms
    from monai_ssl.data.pretraining_data import PretrainingData
    from monai_ssl.data.probe_data import ProbeData
    from monai_ssl.data.properties import slice_properties
    from monai_ssl.data.reducing import reduce_store
    from monai_ssl.data.sampling import EpochBatchSampler, SeededDataset
    from monai_ssl.data.selection import SLICE_PRESETS
    from monai_ssl.data.slice_store import SliceStore
    from monai_ssl.data.slicing import slice_volumes
    from monai_ssl.data.splits import split_by_patient
    from monai_ssl.data.volume import Volume
    from monai_ssl.data.volumes import find_volumes
    from monai_ssl.data.voxels import RejectedVolumeError, Rejection, Voxels

__all__ = [
    "SLICE_PRESETS",
    "DicomSeriesReader",
    "EpochBatchSampler",
    "FinetuningData",
    "ImageData",
    "PretrainingData",
    "ProbeData",
    "RejectedVolumeError",
    "Rejection",
    "SeededDataset",
    "SliceStore",
    "Volume",
    "Voxels",
    "box_mask",
    "check_volumes",
    "data_checksum",
    "export_png",
    "find_volumes",
    "label_columns",
    "list_images",
    "make_phantoms",
    "read_boxes",
    "read_labels",
    "reduce_store",
    "slice_properties",
    "slice_volumes",
    "split_by_patient",
]

# Importing torch, MONAI or pandas takes seconds, and every worker process that slices imports this package.
_ON_DEMAND = {
    **dict.fromkeys(("ImageData", "list_images"), "images"),
    **dict.fromkeys(("EpochBatchSampler", "SeededDataset"), "sampling"),
    **dict.fromkeys(("RejectedVolumeError", "Rejection", "Voxels"), "voxels"),
    **dict.fromkeys(("box_mask", "read_boxes"), "boxes"),
    **dict.fromkeys(("label_columns", "read_labels"), "labels"),
    "FinetuningData": "finetuning_data",
    "PretrainingData": "pretraining_data",
    "ProbeData": "probe_data",
    "SLICE_PRESETS": "selection",
    "DicomSeriesReader": "dicom.reader",
    "SliceStore": "slice_store",
    "Volume": "volume",
    "check_volumes": "check",
    "data_checksum": "checksum",
    "export_png": "export",
    "find_volumes": "volumes",
    "make_phantoms": "phantoms",
    "reduce_store": "reducing",
    "slice_properties": "properties",
    "slice_volumes": "slicing",
    "split_by_patient": "splits",
}


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return getattr(importlib.import_module(f"monai_ssl.data.{_ON_DEMAND[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
