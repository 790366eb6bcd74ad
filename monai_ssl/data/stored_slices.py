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

"""What a slice store has for comparing its slices: hashes, features, and the pixels of those that are stored."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from monai_ssl.files import atomic_path, file_checksum
from monai_ssl.reduction import Slices, to_uint8

if TYPE_CHECKING:
    from monai_ssl.networks import Embedder

__all__ = ["StoredSlices", "feature_file", "make_embedder", "seed_of", "write_features"]

logger = logging.getLogger(__name__)


class StoredSlices(Slices):
    """
    Slices of a store, compared by what is in it.

    Args:
        folders: of the store, and before it one whose files are newer, where there is one.
        settings: of the store.
        rows: those of the slices in its table.
        seed: of `random`.

    Attributes:
        places: (N,) int, of the rows in the table.
    """

    def __init__(self, folders: Sequence[Path], settings: dict[str, Any], rows: pd.DataFrame, seed: int = 0) -> None:
        self._folders = folders
        self._settings = settings
        self._rows = rows
        hashes = _parse_hashes(rows, folders[0])
        window = settings["arguments"].get("window")
        own_seed = seed_of(rows["volume"].iloc[0], seed)
        self.places = rows.index.to_numpy()
        super().__init__(self.places, window=window and tuple(window), hashes=hashes, seed=own_seed)

    @cached_property
    def features(self) -> np.ndarray:
        """(N, D) float32."""
        parts, places = [], []
        for volume, rows in self._rows["index"].groupby(self._rows["volume"], sort=False).indices.items():
            file = feature_file(Path(), self._settings["features"], str(volume))
            features = np.load(self._newest(file), mmap_mode="r", allow_pickle=False)
            parts.append(features[self._rows["index"].to_numpy()[rows]])
            places.append(rows)
        # Slices of several volumes may alternate.
        return np.concatenate(parts)[np.argsort(np.concatenate(places))]

    def eight_bit(self) -> Iterator[np.ndarray]:
        """The 8-bit image of each slice, (H, W) uint8, one at a time."""
        for file, rows in self._rows.groupby("file", sort=False):
            volume = np.load(self._newest(Path(str(file))), mmap_mode="r", allow_pickle=False)
            for row in rows["row"]:
                yield to_uint8(volume[int(row)][None], self._window)[0]

    def _newest(self, file: Path) -> Path:
        files = [folder / file for folder in self._folders]
        return next((each for each in files if each.exists()), files[-1])


def _parse_hashes(rows: pd.DataFrame, path: Path) -> np.ndarray:
    valid = rows["hash"].str.fullmatch("[0-9a-f]{16}")
    if not valid.all():
        wrong = rows[~valid].iloc[0]
        raise ValueError(
            f"{path / 'slices.csv'}: hash must be 16 hexadecimal digits, got {wrong['hash']!r} for {wrong['slice']}; "
            "copy the store again, or make it anew with: python -m monai_ssl slice"
        )
    return np.frombuffer(bytes.fromhex("".join(rows["hash"])), ">u8").astype(np.uint64)


def seed_of(volume: str, seed: int) -> tuple[int, int]:
    """The seed of what is random in a volume: the user's, and its pseudonym, so that each has one of its own."""
    return seed, int(volume, 16)


def make_embedder(
    needed: bool, backbone: str | None, checkpoint: str | os.PathLike | None
) -> tuple[Embedder | None, dict[str, Any] | None]:
    """
    What makes features, loaded once to see that it can be, and its description for the settings of a store: the weights
    by their checksum, not by a path of one machine.

    Args:
        needed: whether the strategy compares features.
        backbone: architecture.
        checkpoint: its weights.

    Raises:
        ValueError: when only one of the two is given, or one for a strategy that does not compare features, or the
            checkpoint is none of the backbone.
        FileNotFoundError: when the checkpoint is absent.
    """
    if (backbone is None) != (checkpoint is None):
        raise ValueError("backbone and checkpoint go together, got only one of them")
    if backbone is None or checkpoint is None:
        return None, None
    if not needed:
        raise ValueError("backbone and checkpoint are for embedding alone; leave them out, or reduce by embedding:T")
    from monai_ssl.networks import Embedder  # importing torch takes seconds

    embedder = Embedder(backbone, os.path.abspath(checkpoint))
    embedder(np.zeros((1, 32, 32), np.uint8))
    description = {"backbone": backbone, "checkpoint_sha256": file_checksum(checkpoint)}
    expected = embedder.normalisation
    if expected.guess:
        logger.warning("%s does not tell how its images were normalised; taken for features: %s", checkpoint, expected)
    return embedder, {
        **description,
        "image_size": embedder.image_size,
        "mean": expected.mean[0],
        "std": expected.std[0],
    }


def feature_file(store: Path, made_by: dict[str, Any], volume: str) -> Path:
    """Where the features of a volume lie, (N, D) float32 in order of `index`; those of each maker in a folder."""
    maker = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:12]
    return store / "features" / maker / f"{volume}.npy"


def write_features(file: Path, features: np.ndarray) -> None:
    """Write (N, D) features to a `feature_file`, atomically."""
    with atomic_path(file) as partial, open(partial, "wb") as stream:
        np.save(stream, features, allow_pickle=False)
