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

"""What `python -m monai_ssl saliency` left in a run folder: example images with maps, and how well they localise."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from monai_ssl.files import read_table
from monai_ssl.report.page import Picture, embed_image
from monai_ssl.report.words import counted, listed
from monai_ssl.visualize import saliency_figure

__all__ = ["Looked", "localisation_numbers", "read_looked", "saliency_pictures"]

_ARRAYS = ("image", "saliency", "mask", "label", "kind", "score", "threshold")
_DPI = 80


@dataclass(frozen=True, eq=False)
class Looked:
    """
    Where a run's model looks.

    Attributes:
        examples: the arrays of `saliency.npz`, see :py:func:`monai_ssl.visualize.saliency_figure`.
        scores: the table `saliency_summary.csv`; empty where no lesions were known.
    """

    examples: Mapping[str, np.ndarray]
    scores: pd.DataFrame


def read_looked(folder: Path) -> Looked | None:
    """
    Read `saliency.npz` and `saliency_summary.csv` of a run folder; None without them.

    Raises:
        ValueError: when one is damaged, naming it.
    """
    file, summary = folder / "saliency.npz", folder / "saliency_summary.csv"
    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as arrays:
            examples = {name: arrays[name] for name in _ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file}: not the examples of a saliency run ({error}); run it again, or remove it") from error
    return Looked(examples, read_table(summary) if summary.is_file() else pd.DataFrame())


def localisation_numbers(looked: Mapping[str, Looked | None]) -> list[dict[str, Any]]:
    """
    What the report says of each run that has maps.

    Args:
        looked: by run.
    """
    return [
        {
            "run": run,
            "examples": len(each.examples["label"]),
            "empty": int((each.examples["saliency"].reshape(len(each.examples["label"]), -1).max(axis=1) == 0).sum()),
            "kinds": pd.Series(each.examples["kind"].astype(str)).value_counts(sort=False).to_dict(),
            "scores": each.scores.to_dict("records"),
        }
        for run, each in looked.items()
        if each is not None and len(each.examples["label"])
    ]


def saliency_pictures(looked: Mapping[str, Looked | None]) -> list[Picture]:
    """A picture per run, its examples with their maps."""
    pictures = []
    for numbers in localisation_numbers(looked):
        each = looked[numbers["run"]]
        assert each is not None
        kinds = listed([counted(number, kind).replace("misss", "misses") for kind, number in numbers["kinds"].items()])
        labels = listed(list(dict.fromkeys(each.examples["label"].astype(str).tolist())))
        alt = f"Examples of {labels} with the maps of {numbers['run']}: {kinds}"
        pictures.append(Picture(numbers["run"], image=_drawn(each.examples), alt=alt))
    return pictures


def _drawn(examples: Mapping[str, np.ndarray]) -> str:
    buffer = io.BytesIO()
    saliency_figure(examples).savefig(buffer, format="png", dpi=_DPI)
    with Image.open(buffer) as image:
        return embed_image(np.asarray(image.convert("RGB")))
