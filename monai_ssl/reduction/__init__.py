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

"""Near-duplicate slices and the exemplars that stand for them."""

from __future__ import annotations

from monai_ssl.reduction.difference_hash import difference_hash, hash_slices, to_uint8
from monai_ssl.reduction.embedding import cosine_distance, select_by_cosine
from monai_ssl.reduction.exemplars import hamming_distance, select_exemplars
from monai_ssl.reduction.reduce import ORDERS, check_order, check_seed, reduce_slices, select_in_order
from monai_ssl.reduction.slices import Embed, Slices, embed_slices
from monai_ssl.reduction.strategies import (
    SCOPES,
    STRATEGIES,
    Reduction,
    Strategy,
    find_strategy,
    parse_strategy,
)

__all__ = [
    "ORDERS",
    "SCOPES",
    "STRATEGIES",
    "Embed",
    "Reduction",
    "Slices",
    "Strategy",
    "check_order",
    "check_seed",
    "cosine_distance",
    "difference_hash",
    "embed_slices",
    "find_strategy",
    "hamming_distance",
    "hash_slices",
    "parse_strategy",
    "reduce_slices",
    "select_by_cosine",
    "select_exemplars",
    "select_in_order",
    "to_uint8",
]
