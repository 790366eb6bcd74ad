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

from __future__ import annotations

from monai_ssl.transforms.load_slice import LoadSlice, LoadSliceD, LoadSliced, LoadSliceDict
from monai_ssl.transforms.multi_crop import MultiCrop, MultiCropD, MultiCropd, MultiCropDict
from monai_ssl.transforms.reduce_slices import ReduceSlices, ReduceSlicesD, ReduceSlicesd, ReduceSlicesDict
from monai_ssl.transforms.resize_antialias import (
    ResizeAntialias,
    ResizeAntialiasD,
    ResizeAntialiasd,
    ResizeAntialiasDict,
)
from monai_ssl.transforms.slice_volume import SliceVolume, SliceVolumeD, SliceVolumed, SliceVolumeDict
from monai_ssl.transforms.windows import (
    WINDOWS,
    RandScaleWindow,
    RandScaleWindowD,
    RandScaleWindowd,
    RandScaleWindowDict,
    ScaleWindow,
    ScaleWindowD,
    ScaleWindowd,
    ScaleWindowDict,
)

__all__ = [
    "WINDOWS",
    "LoadSlice",
    "LoadSliceD",
    "LoadSliceDict",
    "LoadSliced",
    "MultiCrop",
    "MultiCropD",
    "MultiCropDict",
    "MultiCropd",
    "RandScaleWindow",
    "RandScaleWindowD",
    "RandScaleWindowDict",
    "RandScaleWindowd",
    "ReduceSlices",
    "ReduceSlicesD",
    "ReduceSlicesDict",
    "ReduceSlicesd",
    "ResizeAntialias",
    "ResizeAntialiasD",
    "ResizeAntialiasDict",
    "ResizeAntialiasd",
    "ScaleWindow",
    "ScaleWindowD",
    "ScaleWindowDict",
    "ScaleWindowd",
    "SliceVolume",
    "SliceVolumeD",
    "SliceVolumeDict",
    "SliceVolumed",
]
