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

"""Label files of public data sets, one module a layout, one table out."""

from __future__ import annotations

from monai_ssl.data.labels.matching import ambiguous_names, item_names, matching_names
from monai_ssl.data.labels.read import LAYOUTS, UNCERTAIN, label_columns, read_labels, read_unsettled, settle

__all__ = [
    "LAYOUTS",
    "UNCERTAIN",
    "ambiguous_names",
    "item_names",
    "label_columns",
    "matching_names",
    "read_labels",
    "read_unsettled",
    "settle",
]
