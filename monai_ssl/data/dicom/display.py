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

"""A DICOM radiograph as a viewer shows it, in the numbers of a PNG."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import apply_windowing

from monai_ssl.data.dicom.tags import UnreadableTagError, first_number_of, number_of, text_of, value_of
from monai_ssl.data.dicom.values import encoding_of

__all__ = ["DISPLAY_TAGS", "check_display", "displayed_values"]

DISPLAY_TAGS = (
    *("BitsAllocated", "BitsStored", "HighBit", "ModalityLUTSequence", "PerFrameFunctionalGroupsSequence"),
    *("PhotometricInterpretation", "PixelPaddingRangeLimit", "PixelPaddingValue", "PixelRepresentation"),
    *("RescaleIntercept", "RescaleSlope", "SharedFunctionalGroupsSequence", "VOILUTFunction", "VOILUTSequence"),
    *("WindowCenter", "WindowWidth"),
)
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_BITS = 16


def displayed_values(
    values: np.ndarray, padding: np.ndarray | None, dataset: Dataset, frame: int | None = None
) -> np.ndarray:
    """
    Modality values through the first VOI look-up table or window of the file; without one, the whole range of up to 8
    stored bits, and of more the image's own range, as viewers do. MONOCHROME1 is inverted, so that bright is dense
    always; padding is black.

    Args:
        values: (rows, columns), as `modality_values` gives them.
        padding: (rows, columns) bool, True where padded, or None.
        dataset: with `DISPLAY_TAGS`.
        frame: of a multi-frame image, counted from 0.

    Returns:
        (rows, columns) uint8 from up to 8 stored bits, else uint16; black is 0 and white the largest value of the type.

    Raises:
        UnreadableTagError: when a tag is none of its kind.

    See:
        https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.11.2.html
    """
    few_bits = _few_bits(dataset)
    if value_of(dataset, "VOILUTSequence"):
        shares = _looked_up(values, dataset)
    elif window := _window(dataset, frame):
        shares = apply_windowing(values, window) / (2**_BITS - 1)
    else:
        low, high = _range(dataset, frame) if few_bits else _own_range(values, padding)
        shares = (np.clip(values, low, high) - low) / max(high - low, np.finfo(float).tiny)
    if text_of(dataset, "PhotometricInterpretation") == "MONOCHROME1":
        shares = 1 - shares
    shown = np.rint(shares * (255 if few_bits else 65535)).astype(np.uint8 if few_bits else np.uint16)
    if padding is not None:
        shown[padding] = 0
    return shown


def check_display(dataset: Dataset, frame: int | None = None) -> bool:
    """
    Look at the tags without the pixels.

    Returns:
        Whether they tell how bright the image is; else its own range decides.

    Raises:
        UnreadableTagError: as `displayed_values` would.
    """
    displayed_values(np.zeros((1, 1), np.int16), None, dataset, frame)
    told = bool(value_of(dataset, "VOILUTSequence")) or _window(dataset, frame) is not None
    return told or _few_bits(dataset)


def _few_bits(dataset: Dataset) -> bool:
    return (number_of(dataset, "BitsStored") or _BITS) <= 8


def _window(dataset: Dataset, frame: int | None) -> Dataset | None:
    """A data set that tells of the window alone, for unsigned values of `_BITS`: its range of output is known."""
    center, width = (first_number_of(dataset, tag, frame) for tag in ("WindowCenter", "WindowWidth"))
    if center is None or width is None:
        return None
    function = text_of(dataset, "VOILUTFunction", frame).upper() or "LINEAR"
    if function not in _FUNCTIONS:
        raise UnreadableTagError(f"VOILUTFunction is none of {', '.join(_FUNCTIONS)}")
    least = 1 if function == "LINEAR" else 0
    if width < least or width == 0:
        raise UnreadableTagError("WindowWidth is below 1" if least else "WindowWidth is not above 0")
    window = Dataset()
    window.PhotometricInterpretation, window.BitsStored, window.PixelRepresentation = "MONOCHROME2", _BITS, 0
    window.VOILUTFunction, window.WindowCenter, window.WindowWidth = function, center, width
    return window


def _looked_up(values: np.ndarray, dataset: Dataset) -> np.ndarray:
    # pydicom's apply_voi wraps indices around where the table's values have 8 bits
    table, first, bits = _table(dataset, "VOILUTSequence")
    places = np.clip(np.rint(values).astype(np.int64) - first, 0, len(table) - 1)
    return np.minimum(table[places] / (2**bits - 1), 1.0)


def _table(dataset: Dataset, tag: str) -> tuple[np.ndarray, int, int]:
    """A look-up table, the value that its first entry stands for, and the bits of its entries."""
    try:
        item = value_of(dataset, tag)[0]
        entries, first, bits = (int(number) for number in item.LUTDescriptor)
        data = item.LUTData
        entries = entries or 1 << 16
        if isinstance(data, bytes):
            kind = "u1" if len(data) < 2 * entries else "<u2" if dataset.original_encoding[1] else ">u2"
            data = np.frombuffer(data, kind)
        table = np.atleast_1d(np.asarray(data, np.int64))[:entries]
    except Exception as error:  # pydicom raises whatever its conversion stumbled over
        raise UnreadableTagError(f"{tag} is unreadable") from error
    if len(table) < entries or not 0 < bits <= 16:
        raise UnreadableTagError(f"{tag} has not the entries or bits that it tells of")
    return table, first, bits


def _own_range(values: np.ndarray, padding: np.ndarray | None) -> tuple[float, float]:
    valid = values if padding is None or padding.all() else values[~padding]
    return float(valid.min()), float(valid.max())


def _range(dataset: Dataset, frame: int | None) -> tuple[float, float]:
    """What the stored bits can hold, as modality values."""
    if value_of(dataset, "ModalityLUTSequence"):
        return 0.0, 2.0 ** _table(dataset, "ModalityLUTSequence")[2] - 1
    encoding = encoding_of(dataset, frame)
    bits = int(encoding.bits or number_of(dataset, "BitsAllocated") or _BITS)
    lowest = -(1 << bits - 1) if number_of(dataset, "PixelRepresentation") == 1 else 0
    ends = (end * encoding.slope + encoding.intercept for end in (lowest, lowest + (1 << bits) - 1))
    low, high = sorted(ends)
    return low, high
