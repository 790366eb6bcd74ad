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

"""Boxes around lesions: ChestX-ray14's file, a csv of one's own, and what the phantoms come with."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from monai_ssl.data.labels.chestxray14 import FINDINGS
from monai_ssl.data.labels.columns import read_columns
from monai_ssl.data.pseudonyms import KEY_FILE, Pseudonyms, read_key
from monai_ssl.data.slice_store import SliceStore

__all__ = ["box_mask", "read_boxes"]

_CORNER = ["x", "y", "width", "height"]
_SIZE = ["image_width", "image_height"]
_OFFICIAL_SIZE = 1024
_OFFICIAL_NAMES = {"Infiltrate": "Infiltration"}  # the box file's word, and that of the label table
_NEAREST_MM = 0.1


def read_boxes(path: str | os.PathLike, dataset_dir: str | os.PathLike | None = None) -> pd.DataFrame:
    """
    Boxes around lesions, all faults of the file told at once.

    Args:
        path: ChestX-ray14's `BBox_List_2017.csv`, in pixels of the original 1024 px images; or a csv with `image`,
            `label`, `x`, `y` (the upper left corner, pixels from the upper left), `width`, `height`, and, where the
            pixels are not those of the image files, `image_width`, `image_height`. Instead of `image` it may have
            `series` and `position_mm`, as the label csv of `slice` and the phantoms' `boxes.csv`.
        dataset_dir: of a file with `series`, the axial store that was sliced from them; its `.pseudonym_key` is read.

    Returns:
        `image, label, x, y, width, height, image_width, image_height`, the last two NaN where not told; a row per box.

    Raises:
        FileNotFoundError: when the file is absent.
        ValueError: naming all that is wrong.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "boxes.csv")
        >>> _ = path.write_text("image,label,x,y,width,height\\na.png,mass,2,3,10,20\\n")
        >>> read_boxes(path)[["image", "x", "image_width"]].values.tolist()
        [['a.png', 2.0, nan]]

    See Wang et al., CVPR 2017, doi 10.1109/CVPR.2017.369.
    """
    path = Path(path)
    problems: list[str] = []
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        official = file.readline().startswith("Image Index")
    if official:
        table = _official(path, problems)
    else:
        table = read_columns(path, ("label", *_CORNER), text=("image", "series", "label"))
        if "image" not in table.columns and not {"series", "position_mm"} <= set(table.columns):
            raise ValueError(
                f"{path}: needs the column 'image', or 'series' and 'position_mm', got {list(table.columns)}"
            )
    numbers = table.reindex(columns=[*_CORNER, *_SIZE]).apply(pd.to_numeric, errors="coerce").astype(np.float64)
    problems += _box_problems(path, table, numbers)
    if problems:
        raise ValueError("\n".join(problems))
    if "image" not in table.columns:
        table = table.assign(image=_slices(path, table, dataset_dir))
    return table[["image", "label"]].join(numbers)[table["image"] != ""].reset_index(drop=True)


def box_mask(boxes: pd.DataFrame, size: tuple[int, int], source: tuple[int, int]) -> np.ndarray:
    """
    The pixels whose centres lie in any of the boxes of one image; of a box that holds no centre the nearest pixel.

    Args:
        boxes: rows of :py:func:`read_boxes`.
        size: (H, W) of the mask, to which the whole image was scaled.
        source: (H, W) of the image file, whose pixels count where a box does not tell the image's size.

    Returns:
        (H, W) bool.

    Example:
        >>> boxes = pd.DataFrame([{"x": 0, "y": 2, "width": 2, "height": 2, "image_width": 4, "image_height": 4}])
        >>> box_mask(boxes, (2, 2), (8, 8)).astype(int).tolist()
        [[0, 0], [1, 0]]
    """
    mask = np.zeros(size, bool)
    for box in boxes.itertuples():
        width = source[1] if np.isnan(box.image_width) else box.image_width
        height = source[0] if np.isnan(box.image_height) else box.image_height
        if box.x + box.width > width + 1 or box.y + box.height > height + 1:
            raise ValueError(
                f"a box at x {box.x:g}, y {box.y:g} of {box.width:g} x {box.height:g} reaches beyond its image of "
                f"{width:g} x {height:g} pixels; if it is in pixels of another size, give image_width and image_height"
            )
        rows = _within(box.y / height, box.height / height, size[0])
        columns = _within(box.x / width, box.width / width, size[1])
        mask |= rows[:, None] & columns[None]
    return mask


def _within(start: float, length: float, pixels: int) -> np.ndarray:
    centres = (np.arange(pixels) + 0.5) / pixels
    inside = (centres >= start) & (centres < start + length)
    if not inside.any():
        inside[np.argmin(abs(centres - (start + length / 2)))] = True
    return inside


def _official(path: Path, problems: list[str]) -> pd.DataFrame:
    # the header has one name for four columns, and commas behind it
    try:
        table = pd.read_csv(path, header=None, skiprows=1, usecols=range(6), dtype=str, keep_default_na=False)
    except ValueError as error:
        raise ValueError(f"{path}: not ChestX-ray14's box file ({error}); fetch it again") from error
    table.columns = ["image", "label", *_CORNER]
    table["label"] = table["label"].str.strip().replace(_OFFICIAL_NAMES)
    unknown = sorted(set(table["label"]) - set(FINDINGS))
    if unknown:
        problems.append(f"{path}: findings {unknown} are not among ChestX-ray14's {list(FINDINGS)}")
    return table.assign(image_width=_OFFICIAL_SIZE, image_height=_OFFICIAL_SIZE)


def _box_problems(path: Path, table: pd.DataFrame, numbers: pd.DataFrame) -> list[str]:
    lines = table.index + 2
    given = table.reindex(columns=_SIZE)
    told = given.notna() & (given.astype(str) != "")
    wrong = {
        "have no label": table["label"].str.strip() == "",
        "have no number in x, y, width or height": ~np.isfinite(numbers[_CORNER]).all(axis=1),
        "have a width or height that is not above 0": (numbers[["width", "height"]] <= 0).any(axis=1),
        "have an image_width or image_height that is no number above 0": (told & ~(numbers[_SIZE] > 0)).any(axis=1),
        "tell only one of image_width and image_height": told.sum(axis=1) == 1,
        "lie outside the image": (numbers["x"] >= numbers["image_width"])
        | (numbers["y"] >= numbers["image_height"])
        | (numbers["x"] + numbers["width"] <= 0)
        | (numbers["y"] + numbers["height"] <= 0),
    }
    if "image" in table.columns:
        wrong["name no image"] = table["image"].str.strip() == ""
    found = [(what, lines[rows]) for what, rows in wrong.items() if rows.any()]
    if table.empty:
        return [f"{path}: has no boxes"]
    return [f"{path}: {len(rows)} boxes {what}, such as line {rows[0]}; mend or remove them" for what, rows in found]


def _slices(path: Path, table: pd.DataFrame, dataset_dir: str | os.PathLike | None) -> pd.Series:
    """The slice that each row is about; empty for those that are not in the store."""
    root = None if dataset_dir is None else Path(dataset_dir)
    if root is None or not (root / "store.json").is_file() or not (root / KEY_FILE).is_file():
        raise ValueError(f"{path}: names series, which only a slice store with its {KEY_FILE} knows, got {root}")
    store = SliceStore.open(root)
    if (axis := store.settings["arguments"].get("axis", "axial")) != "axial":
        raise ValueError(f"{path}: has boxes in axial slices, and {root} has {axis} ones; slice with --axis axial")
    pseudonyms, slices = Pseudonyms(read_key(root / KEY_FILE) or b""), store.table
    volumes = {name: pseudonyms("volume", name) for name in table["series"].unique()}
    if set(volumes.values()).isdisjoint(slices["volume"]):
        raise ValueError(
            f"{path}: none of its {len(volumes)} series is in {root}; give the boxes of what it was sliced from"
        )
    by_volume = dict(list(slices.groupby("volume")))
    names = []
    for series, position in zip(table["series"], pd.to_numeric(table["position_mm"], errors="coerce"), strict=True):
        rows = by_volume.get(volumes[series])
        apart = np.array([np.inf]) if rows is None else (rows["position_mm"] - position).abs().fillna(np.inf).to_numpy()
        near = int(np.argmin(apart))
        names.append(rows["slice"].iloc[near] if rows is not None and apart[near] <= _NEAREST_MM else "")
    return pd.Series(names, index=table.index)
