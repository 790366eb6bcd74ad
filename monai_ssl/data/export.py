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

"""The kept slices of a store as 8-bit PNG through a window, for whatever reads pictures; the store keeps its HU."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from monai_ssl.data.parallel import WORTH_A_PROCESS, make_executor, run_all
from monai_ssl.data.slice_store import SliceStore
from monai_ssl.data.windows import WINDOWS, window_limits
from monai_ssl.files import atomic_path, file_checksum, folder_problem, lock_folder, write_json, write_table

__all__ = ["MIN_MAX", "export_png", "to_8_bit"]

logger = logging.getLogger(__name__)

MIN_MAX = "minmax"
_SETTINGS = "export.json"
_FORMAT = "monai_ssl png export"
_IMAGES_PER_TASK = 64


class _Task(NamedTuple):
    """Slices of one volume: their rows in `file` and the pictures they become."""

    file: Path
    rows: list[int]
    pictures: list[Path]
    low: float
    high: float


def export_png(
    store: SliceStore | str | os.PathLike,
    output_dir: str | os.PathLike,
    window: str | tuple[float, float],
    *,
    workers: int | None = None,
) -> Path:
    """
    Write the kept slices of a store as `<slice>.png`, 8-bit grey, and `labels.csv` for them.

    The folder is a `dataset_dir` of the bundles. Its `labels.csv` has the columns `image`, `patient` (pseudonyms) and
    those of the store's labels, with a row for dropped slices too, so that the patients of this folder and of the store
    are split alike; without labels, a row per picture. `export.json` has the window. A run that was stopped goes on
    where it was, and equal arguments give equal bytes.

    Args:
        store: a slice store, or its folder.
        output_dir: a new or empty folder outside the store, or that of a stopped run with the same arguments.
        window: a name in `WINDOWS` (lung, mediastinum, abdomen, bone, brain), or (lowest, highest) in the units of the
            store, HU for CT; or "minmax" for images without units: each volume from its smallest to its largest valid
            value. See `to_8_bit` for the rounding.
        workers: processes; None for one per CPU, 1 for this process. More than one are started by "spawn", so a script
            that calls this needs `if __name__ == "__main__":`.

    Returns:
        `output_dir`.

    Raises:
        ValueError: for a bad window, a store that is not finished, or an output folder that holds anything else.
        OSError: when a picture cannot be written, such as on a full disk.

    Example:
        >>> export_png("slices", "pictures", "lung")  # doctest: +SKIP
    """
    store = store if isinstance(store, SliceStore) else SliceStore.open(store)
    if not store.settings.get("complete", True):
        raise ValueError(f"{store.path}: slicing it is not finished; repeat the command that began it, and export then")
    output = Path(output_dir)
    limits = _limits(store, window)
    settings = {
        "format": _FORMAT,
        "window": window if isinstance(window, str) else list(window_limits(window)),
        "slices_sha256": file_checksum(store.path / "slices.csv"),
    }
    _check_output(output, store.path, settings)
    with lock_folder(output):
        write_json(output / _SETTINGS, settings)
        tasks = list(_tasks(store, output, limits))
        here = workers is None and sum(map(_pixels, tasks)) < WORTH_A_PROCESS
        try:
            with (
                make_executor(1 if here else workers, tasks=len(tasks)) as (executor, width),
                tqdm(total=len(store), unit="image", desc="exporting", disable=None) as bar,
            ):
                for count in run_all(executor, width, _write, tasks):
                    bar.update(count)
            write_table(output / "labels.csv", _labels(store))
        except OSError as error:
            reason = error.strerror or error
            raise OSError(f"{output}: {reason}; mend that, and the same command goes on where it stopped") from error
    return output


def to_8_bit(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """
    Values through a window, as a screen shows them: `255 (value - low) / (high - low)`, rounded to the nearest whole
    number (halves up) and cut off at 0 and 255.

    DICOM calls this `LINEAR_EXACT`, https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.11.2.html.

    Args:
        image: of any shape and real type.
        low, high: the window; where both are equal, as in a constant volume, all is 0.

    Returns:
        uint8 of the same shape.

    Example:
        >>> to_8_bit(np.array([-2000, -1350, -600, 150, 900]), -1350, 150)
        array([  0,   0, 128, 255, 255], dtype=uint8)
    """
    scaled = image.astype(np.float64)
    # Multiplied before it is divided, a half stays exactly a half for whole numbers.
    scaled -= low
    scaled *= 255
    scaled /= (high - low) or 1
    scaled += 0.5
    return np.floor(scaled).clip(0, 255).astype(np.uint8)


def _limits(store: SliceStore, window: str | tuple[float, float]) -> pd.DataFrame:
    """The lowest and highest value of each volume's window, by volume."""
    if window == MIN_MAX:
        return store.table.groupby("volume").agg(low=("min", "min"), high=("max", "max"))
    if isinstance(window, str) and window not in WINDOWS:
        raise ValueError(
            f"window must be one of {', '.join(WINDOWS)}, a pair lowest,highest in HU, or {MIN_MAX}, got {window!r}"
        )
    low, high = window_limits(window)
    return pd.DataFrame({"low": low, "high": high}, index=store.table["volume"].unique())


def _check_output(output: Path, store: Path, settings: dict[str, Any]) -> None:
    held = _held_settings(output) if output.is_dir() else {}
    if held and held != settings:
        which = f"window {held['window']}" if held["window"] != settings["window"] else "another store"
        raise ValueError(f"{output}: holds an export with {which}; choose another folder")
    if problem := folder_problem(output, apart_from=store, ours=os.listdir(output) if held else ()):
        raise ValueError(problem)


def _held_settings(output: Path) -> dict[str, Any]:
    """The settings of the export that is in a folder; empty when none is."""
    try:
        held = json.loads((output / _SETTINGS).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return held if isinstance(held, dict) and held.get("format") == _FORMAT else {}


def _tasks(store: SliceStore, output: Path, limits: pd.DataFrame) -> Iterator[_Task]:
    for (volume, file), rows in store.kept.groupby(["volume", "file"], sort=False):
        low, high = limits.loc[volume, ["low", "high"]]
        for start in range(0, len(rows), _IMAGES_PER_TASK):
            part = rows.iloc[start : start + _IMAGES_PER_TASK]
            pictures = [output / f"{name}.png" for name in part["slice"]]
            yield _Task(store.path / file, part["row"].astype(int).tolist(), pictures, float(low), float(high))


def _pixels(task: _Task) -> int:
    _, height, width = np.load(task.file, mmap_mode="r", allow_pickle=False).shape
    return len(task.rows) * height * width


def _write(task: _Task) -> int:
    volume = np.load(task.file, mmap_mode="r", allow_pickle=False)
    for row, picture in zip(task.rows, task.pictures, strict=True):
        if picture.exists() and picture.stat().st_size:
            continue  # whole, since it got its name only when it was
        encoded = cv2.imencode(".png", to_8_bit(volume[row], task.low, task.high))[1]
        with atomic_path(picture) as partial:
            partial.write_bytes(encoded.tobytes())
    return len(task.rows)


def _labels(store: SliceStore) -> pd.DataFrame:
    patients = store.table.set_index("slice")["patient"]
    names = store.kept["slice"] if store.labels is None else store.labels.index
    table = pd.DataFrame({"image": names + ".png", "patient": patients.loc[names].to_numpy()})
    if store.labels is None:
        return table
    unlabelled = (~store.kept["slice"].isin(names)).sum()
    if unlabelled:
        logger.warning(
            "%d of %d images have no label, so labels.csv does not tell whose they are; to pre-train without the "
            "patients of the test split, use the store itself",
            unlabelled,
            len(store),
        )
    return pd.concat([table, store.labels.reset_index(drop=True)], axis=1)
