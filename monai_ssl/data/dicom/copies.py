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


"""The same image twice in one series."""

from __future__ import annotations

from collections import defaultdict
from hashlib import blake2b
from pathlib import Path

import numpy as np

from monai_ssl.data.dicom.geometry import find_places
from monai_ssl.data.dicom.image import ImageHeader
from monai_ssl.data.dicom.volume import read_images
from monai_ssl.data.voxels import RejectedVolumeError

__all__ = ["without_copies"]


def without_copies(
    headers: list[ImageHeader], root: Path, max_gib: float, *, renamed: bool
) -> tuple[list[ImageHeader], list[ImageHeader]]:
    """
    Leave out images that lie where another one lies and are equal to it, pixel for pixel.

    Args:
        headers: alike in geometry.
        root: the folder that names in errors are relative to.
        max_gib: see `open_dicom`.
        renamed: whether images of two SOPInstanceUIDs can be copies. Blank images of two time points are equal too, so
            that this is the last resort.

    Returns:
        What is left, and the copies.

    Raises:
        ValueError: when the pixels of one of them cannot be read.
    """
    together: dict[tuple, list[int]] = defaultdict(list)
    for k, (header, place) in enumerate(zip(headers, find_places(headers), strict=True)):
        own = (header.instance, header.frame, tuple(sorted(header.sets.items())))
        together[(place,) if renamed else (place, *own)].append(k)
    copies = set()
    for group in together.values():
        seen = set()
        for k in group if len(group) > 1 else ():
            values = _fingerprint(headers[k], root, max_gib)
            if values in seen:
                copies.add(k)
            seen.add(values)
    left = [header for k, header in enumerate(headers) if k not in copies]
    return left, [headers[k] for k in sorted(copies)]


def _fingerprint(header: ImageHeader, root: Path, max_gib: float) -> bytes:
    try:
        ((_, values, padding),) = read_images([(header.path, header.frame, header.plain)], root, max_gib)
    except RejectedVolumeError as error:
        raise ValueError(str(error)) from error
    content = blake2b((values.astype(np.float64) + 0.0).tobytes())  # one type, and one zero
    if padding is not None:
        content.update(padding.tobytes())
    return content.digest()
