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

import pandas as pd

__all__ = ["matching_names"]


def matching_names(images: pd.Series, wanted: pd.Series) -> pd.Series:
    """
    Label files name images by path or by bare file name; take the bare name where only that is known.

    Args:
        images: of the data set, paths relative to its folder.
        wanted: as the label file names them.

    Example:
        >>> matching_names(pd.Series(["a/1.png", "a/2.png"]), pd.Series(["a/1.png", "2.png"])).tolist()
        ['a/1.png', '2.png']
    """
    bare = images.str.rsplit("/", n=1).str[-1]
    known = set(wanted)
    return images.where(images.isin(known) | ~bare.isin(known) | bare.duplicated(keep=False), bare)
