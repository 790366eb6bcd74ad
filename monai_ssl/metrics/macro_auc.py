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

"""MONAI's AUC metric, for labels that lack a class in small splits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics import ROCAUCMetric
from monai.utils import Average

from monai_ssl.metrics.auc import roc_auc

__all__ = ["MacroROCAUC"]


class MacroROCAUC(ROCAUCMetric):
    """
    ROC AUC averaged over those labels that have both classes; NaN when none has.

    MONAI's macro average is NaN as soon as one label lacks a class, which happens in every small validation split with
    rare labels, and then no model is ever "the best". A NaN label is unknown, and left out for that label. Everything
    else is :py:class:`monai.metrics.ROCAUCMetric`.

    Example:
        >>> metric = MacroROCAUC()
        >>> _ = metric(torch.tensor([[0.2, 0.5], [0.9, 0.5]]), torch.tensor([[0, 0], [1, 0]]))
        >>> metric.aggregate()  # the second label has no positives
        1.0
    """

    def aggregate(self, average: Average | str | None = None) -> np.ndarray | float | npt.ArrayLike:
        """
        The mean AUC over the labels with both classes among all that was seen since the last reset.

        Args:
            average: another of MONAI's averages gives MONAI's own result; by default "macro".
        """
        if str(average or self.average) != Average.MACRO.value:
            return super().aggregate(average)
        scores, labels = self.get_buffer()
        # No numpy type holds bfloat16, in which autocast may leave the scores.
        auc = roc_auc(_as_table(labels), _as_table(scores.float()))
        return float(np.nanmean(auc)) if np.isfinite(auc).any() else float("nan")


def _as_table(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().reshape(len(tensor), -1).numpy()
