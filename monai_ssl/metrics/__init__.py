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

"""Metrics with honest intervals: exact AUC, bootstrap by patient, paired comparison, correction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monai_ssl.metrics.auc import roc_auc
from monai_ssl.metrics.bootstrap import BootstrapResult, Comparison, bootstrap_auc, compare_auc, paired_p_value
from monai_ssl.metrics.compare import MACRO, ModelRedraws, compare, redraw_models
from monai_ssl.metrics.predictions import AlignedPredictions, align_predictions
from monai_ssl.metrics.probe_auc import knn_auc, linear_auc
from monai_ssl.metrics.redraws import redraw_counts
from monai_ssl.metrics.roc import RocBand, roc_bands

if TYPE_CHECKING:
    from monai_ssl.metrics.macro_auc import MacroROCAUC

__all__ = [
    "MACRO",
    "AlignedPredictions",
    "BootstrapResult",
    "Comparison",
    "MacroROCAUC",
    "ModelRedraws",
    "RocBand",
    "align_predictions",
    "bootstrap_auc",
    "compare",
    "compare_auc",
    "knn_auc",
    "linear_auc",
    "paired_p_value",
    "redraw_counts",
    "redraw_models",
    "roc_auc",
    "roc_bands",
]


def __getattr__(name: str) -> Any:
    if name == "MacroROCAUC":  # of MONAI, which takes seconds to import, and no table of predictions needs it
        from monai_ssl.metrics.macro_auc import MacroROCAUC

        return MacroROCAUC
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
