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

"""Metrics with honest intervals: exact AUC, bootstrap by patient, paired comparison; thresholds, calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monai_ssl.metrics.auc import roc_auc
from monai_ssl.metrics.bootstrap import BootstrapResult, Comparison, bootstrap_auc, compare_auc
from monai_ssl.metrics.calibration import calibration_error, calibration_line, reliability_curve
from monai_ssl.metrics.compare import compare, pair_table, redraw_data_sets
from monai_ssl.metrics.curves import Band, precision_recall_bands, roc_bands
from monai_ssl.metrics.delong import delong_covariance, delong_test
from monai_ssl.metrics.evaluation import evaluate_predictions, validation_thresholds
from monai_ssl.metrics.intervals import bca_interval, paired_p_value, percentile_interval
from monai_ssl.metrics.localisation import centred_gaussian, dice, iou, localisation_scores, pointing_game
from monai_ssl.metrics.localisation_summary import localisation_summary
from monai_ssl.metrics.mcnemar import mcnemar_test
from monai_ssl.metrics.model_redraws import MACRO, MEAN, MICRO, ModelRedraws, redraw_models
from monai_ssl.metrics.multiple_testing import benjamini_hochberg, holm
from monai_ssl.metrics.names import METRICS
from monai_ssl.metrics.predictions import AlignedPredictions, align_predictions
from monai_ssl.metrics.probe_auc import knn_auc, linear_auc
from monai_ssl.metrics.redraws import redraw_counts
from monai_ssl.metrics.reliability import reliability_bands
from monai_ssl.metrics.spread import Spread, spread
from monai_ssl.metrics.thresholds import youden_thresholds

if TYPE_CHECKING:
    from monai_ssl.metrics.bootstrap_metric import BootstrapMetric
    from monai_ssl.metrics.macro_auc import MacroROCAUC
    from monai_ssl.metrics.selection import MeanAccuracy, MeanLoss

__all__ = [
    "MACRO",
    "MEAN",
    "METRICS",
    "MICRO",
    "AlignedPredictions",
    "Band",
    "BootstrapMetric",
    "BootstrapResult",
    "Comparison",
    "MacroROCAUC",
    "MeanAccuracy",
    "MeanLoss",
    "ModelRedraws",
    "Spread",
    "align_predictions",
    "bca_interval",
    "benjamini_hochberg",
    "bootstrap_auc",
    "calibration_error",
    "calibration_line",
    "centred_gaussian",
    "compare",
    "compare_auc",
    "delong_covariance",
    "delong_test",
    "dice",
    "evaluate_predictions",
    "holm",
    "iou",
    "knn_auc",
    "linear_auc",
    "localisation_scores",
    "localisation_summary",
    "mcnemar_test",
    "pair_table",
    "paired_p_value",
    "percentile_interval",
    "pointing_game",
    "precision_recall_bands",
    "redraw_counts",
    "redraw_data_sets",
    "redraw_models",
    "reliability_bands",
    "reliability_curve",
    "roc_auc",
    "roc_bands",
    "spread",
    "validation_thresholds",
    "youden_thresholds",
]


def __getattr__(name: str) -> Any:
    # of MONAI and ignite, which take seconds to import, and no table of predictions needs them
    if name == "BootstrapMetric":
        from monai_ssl.metrics.bootstrap_metric import BootstrapMetric

        return BootstrapMetric
    if name == "MacroROCAUC":
        from monai_ssl.metrics.macro_auc import MacroROCAUC

        return MacroROCAUC
    if name in ("MeanAccuracy", "MeanLoss"):
        from monai_ssl.metrics import selection

        return getattr(selection, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
