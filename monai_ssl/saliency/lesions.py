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

"""Where the lesions of a data set's images are, from boxes and from masks."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from monai_ssl.data.boxes import box_mask, read_boxes
from monai_ssl.data.labels import matching_names
from monai_ssl.data.labels.columns import first_of

__all__ = ["Lesions"]

logger = logging.getLogger(__name__)

_HALF = 0.5


class Lesions:
    """
    The lesions of some images; a mask counts where there are both a mask and boxes.

    Args:
        images: names of the images, as predictions.csv has them.
        labels: of the model.
        dataset_dir: the images' folder or store.
        boxes: a file, see :py:func:`monai_ssl.data.read_boxes`; boxes of other labels are left out with a warning.
        masks: a folder of PNG, named as the images, not 0 within the lesion; of several labels a folder each, named as
            the label.

    Raises:
        ValueError: naming all that is wrong.
    """

    def __init__(
        self,
        images: pd.Series,
        labels: list[str],
        dataset_dir: str | os.PathLike,
        boxes: Path | None = None,
        masks: Path | None = None,
    ) -> None:
        self._boxes: dict[tuple[str, str], pd.DataFrame] = {}
        self._masks: dict[tuple[str, str], Path] = {}
        problems: list[str] = []
        for add, path in ((self._add_boxes, boxes), (self._add_masks, masks)):
            try:
                if path is not None:
                    add(path, images.drop_duplicates(), labels, dataset_dir)
            except (OSError, ValueError) as error:
                problems.append(str(error))
        if problems:
            raise ValueError("\n".join(problems))

    def known(self, image: str, label: str) -> bool:
        """Whether the lesion of an image is known."""
        return (image, label) in self._masks or (image, label) in self._boxes

    def mask(self, image: str, label: str, size: tuple[int, int], source: tuple[int, int]) -> np.ndarray:
        """
        The lesion of an image scaled to `size`.

        Args:
            image, label: known ones.
            size: (H, W).
            source: (H, W) of the image file.

        Returns:
            (H, W) bool, one pixel at least.
        """
        path = self._masks.get((image, label))
        return box_mask(self._boxes[image, label], size, source) if path is None else _read_mask(path, size)

    def _add_boxes(self, path: Path, images: pd.Series, labels: list[str], dataset_dir: str | os.PathLike) -> None:
        table = read_boxes(path, dataset_dir)
        others = sorted(set(table["label"]) - set(labels))
        if others:
            logger.warning("%s: boxes of %s are left out, since the model knows %s", path, ", ".join(others),
                           ", ".join(labels))  # fmt: skip
        table = table[table["label"].isin(labels)]
        if table.empty:
            raise ValueError(f"{path}: no boxes of the model's labels {labels}, only of {others}")
        ours = dict(zip(matching_names(images, table["image"], dataset_dir), images, strict=True))
        table = table.assign(image=table["image"].map(ours))
        if table["image"].isna().all():
            raise ValueError(
                f"{path}: none of its boxes is of one of the {len(images)} images of the split, such as "
                f"{first_of(images)}; give --split, or the boxes of these images"
            )
        self._boxes = dict(list(table.dropna(subset="image").groupby(["image", "label"])))

    def _add_masks(self, path: Path, images: pd.Series, labels: list[str], dataset_dir: str | os.PathLike) -> None:
        if not path.is_dir():
            raise ValueError(f"{path}: no such folder of masks")
        folders = {label: path / label for label in labels if (path / label).is_dir()}
        if not folders and len(labels) == 1:
            folders = {labels[0]: path}
        if not folders:
            raise ValueError(f"{path}: needs a folder of PNG masks for each label, called {' or '.join(labels)}")
        for label, folder in folders.items():
            files = {
                file.relative_to(folder).with_suffix("").as_posix(): file for file in sorted(folder.rglob("*.png"))
            }
            if files:
                names = matching_names(images, pd.Series(list(files)), dataset_dir)
                self._masks |= {
                    (image, label): files[name] for image, name in zip(images, names, strict=True) if name in files
                }
        if not self._masks:
            raise ValueError(
                f"{path}: no PNG below it is named as one of the {len(images)} images of the split, such as "
                f"{first_of(images)}"
            )
        unfit = [str(file) for file in self._masks.values() if (mask := _grey(file)) is None or not mask.any()]
        if unfit:
            raise ValueError(
                f"{len(unfit)} masks cannot be read or are 0 everywhere, such as {first_of(unfit)}; remove them"
            )


def _grey(path: Path) -> np.ndarray | None:
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)


def _read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    mask = np.asarray(_grey(path)) > 0
    covered = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    # of a lesion smaller than a pixel, the pixel that it covers most
    return covered >= min(_HALF, covered.max())
