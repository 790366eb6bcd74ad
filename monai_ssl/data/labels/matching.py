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

"""Images that a label file and a data set name differently."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pandas as pd

__all__ = ["ambiguous_names", "item_names", "matching_names"]

_SLICE = r"(?<=\.npy)#\d+$"


def matching_names(images: pd.Series, wanted: pd.Series, folder: str | os.PathLike = "/") -> pd.Series:
    """
    The names by which a label file knows the images of a data set, and their own where it does not know them.

    A name is known as it is; or when one of the two is the end of the other (`a/1.png` and `1.png`), as where a folder
    more or less is given; or without its suffix, where the label file has ids (`1`); and a slice by its volume
    (`a/1.npy#12`, `a/1.npy`). What fits two images or two rows of the label file is not matched, unless the last two
    folders of the data set's own path tell which: in `train/axial`, `1.npy` is `train/axial/1.npy`.

    Args:
        images: of the data set, paths relative to its folder.
        wanted: as the label file names them.
        folder: the data set, whose path is looked at only.

    Example:
        >>> matching_names(pd.Series(["a/1.png", "a/2.png", "b/3.dcm"]), pd.Series(["a/1.png", "2.png", "3"])).tolist()
        ['a/1.png', '2.png', '3']
        >>> matching_names(pd.Series(["1.npy"]), pd.Series(["axial/1.npy", "coronal/1.npy"]), "train/axial").tolist()
        ['axial/1.npy']
    """
    listed = pd.Series(wanted.unique())
    known = images.where(images.isin(listed))
    volumes = images.str.replace(_SLICE, "", regex=True)
    for ours, theirs in chain(_forms(volumes, listed), _within(folder, volumes, listed)):
        if known.notna().all():
            break
        found = _matched(volumes, ours, listed, theirs)
        known = known.fillna(found.where(~found.isin(known.dropna())))
    return known.fillna(images)


def ambiguous_names(images: pd.Series, wanted: pd.Series) -> dict[str, list[str]]:
    """
    Those of the names `wanted`, none of which :py:func:`matching_names` has found, that fit several images, and which.

    Example:
        >>> ambiguous_names(pd.Series(["a/1.png", "b/1.png", "b/2.png"]), pd.Series(["1.png", "3.png"]))
        {'1.png': ['a/1.png', 'b/1.png']}
    """
    listed = pd.Series(wanted.unique())
    volumes = images.str.replace(_SLICE, "", regex=True).drop_duplicates()
    found: dict[str, list[str]] = {}
    for ours, theirs in _forms(volumes, listed):
        several = ours[ours.duplicated(keep=False) & ours.isin(theirs)]
        fitting = volumes[several.index].groupby(several).agg(list)
        hit = theirs.isin(several)
        found = dict(zip(listed[hit], fitting[theirs[hit]], strict=True)) | found
    return found


def item_names(images: pd.Series, matched: pd.Series) -> pd.Series:
    """The ids of items: as the label file names them, but slices of one volume keep their own names."""
    return matched.where(~images.str.contains(_SLICE), images)


def _forms(volumes: pd.Series, listed: pd.Series) -> Iterator[tuple[pd.Series, pd.Series]]:
    """Both names in all forms that may be equal, the most telling first."""
    for files in _with_and_without_suffix(volumes):
        yield from _ends(files, listed)


def _within(folder: str | os.PathLike, volumes: pd.Series, listed: pd.Series) -> Iterator[tuple[pd.Series, pd.Series]]:
    parents = Path(os.path.abspath(folder)).parts[1:]
    for parts in (parents[-2:], parents[-1:]):
        for files in _with_and_without_suffix("/".join([*parts, ""]) + volumes):
            yield files, listed


def _with_and_without_suffix(files: pd.Series) -> tuple[pd.Series, pd.Series]:
    return files, files.str.replace(r"(?<=[^/])\.[^./]+$", "", regex=True)


def _ends(files: pd.Series, listed: pd.Series) -> Iterator[tuple[pd.Series, pd.Series]]:
    yield files, listed
    ours, theirs = files, listed
    while ours.str.contains("/", regex=False).any():
        ours = _without_first_folder(ours)
        yield ours, listed
    while theirs.str.contains("/", regex=False).any():
        theirs = _without_first_folder(theirs)
        yield files, theirs


def _without_first_folder(names: pd.Series) -> pd.Series:
    return pd.Series([name[name.find("/") + 1 :] for name in names], index=names.index, dtype=str)


def _matched(volumes: pd.Series, ours: pd.Series, listed: pd.Series, theirs: pd.Series) -> pd.Series:
    ends = pd.DataFrame({"volume": volumes, "end": ours}).drop_duplicates("volume")["end"]
    ambiguous = ends[ends.duplicated()]
    once = ~theirs.duplicated(keep=False)
    return ours.where(~ours.isin(ambiguous)).map(pd.Series(listed[once].to_numpy(), index=theirs[once]))
