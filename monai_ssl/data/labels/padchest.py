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

"""PadChest (Bustos et al., Med. Image Anal. 66:101797 (2020), arXiv 1901.07441)."""

from __future__ import annotations

import ast
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from monai_ssl.data.labels.columns import first_of, read_columns

__all__ = ["read_padchest"]

logger = logging.getLogger(__name__)


def read_padchest(path: Path, problems: list[str]) -> pd.DataFrame:
    """
    Read `PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv` (or `.gz`), or its folder.

    The column `Labels` holds a list; each of its words becomes a column, `normal`, `exclude` and `unchanged` too. The
    official file has rows with an empty list or none at all: what they show is not known, so they are left out, with a
    warning.
    """
    if path.is_dir():
        files = sorted(path.glob("PADCHEST_chest_x_ray_images_labels*.csv*"))
        if not files:
            raise FileNotFoundError(f"{path}: no PADCHEST_chest_x_ray_images_labels*.csv is in this folder")
        path = files[-1]
    columns = ("ImageID", "PatientID", "Labels")
    table = read_columns(path, columns, text=columns)
    lists = {text: _words(text) for text in table["Labels"].unique()}
    words = table["Labels"].map(lists)
    if (wrong := words.isna()).any():
        problems.append(
            f"{path}: {int(wrong.sum())} rows have Labels that are no list of words, such as "
            f"{table['Labels'][wrong].iloc[0]!r} of {first_of(table['ImageID'][wrong])}"
        )
    silent = words.map(lambda found: found == ())
    if silent.any():
        logger.warning("%s: %d of %d rows have no label and are left out, such as %s", path, silent.sum(), len(table),
                       first_of(table["ImageID"][silent]))  # fmt: skip
    kept = ~silent & ~wrong
    table, words = table[kept].reset_index(drop=True), words[kept].reset_index(drop=True)
    keys = pd.DataFrame({"image": table["ImageID"], "patient": table["PatientID"]})
    return keys.join(_columns(words))


def _words(text: str) -> tuple[str, ...] | None:
    if text in ("", "nan"):
        return ()
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        return None
    # as published, some words have spaces around them and some lists hold an empty one
    return tuple(word.strip() for word in found if word.strip())


def _columns(words: pd.Series) -> pd.DataFrame:
    found = words.explode()
    codes, names = pd.factorize(found, sort=True)
    columns = np.zeros((len(words), len(names)), np.int8)
    columns[found.index.to_numpy(), codes] = 1
    return pd.DataFrame(columns, columns=names)
