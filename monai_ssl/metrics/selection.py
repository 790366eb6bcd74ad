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

"""Validation metrics by which a model can be chosen, beside the AUC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.metrics import CumulativeIterationMetric

__all__ = ["MeanAccuracy", "MeanLoss"]


class _WholeSplit(CumulativeIterationMetric):
    """Keep all predictions and labels, of all processes, and compute on them at once."""

    def _compute_tensor(  # type: ignore[override]
        self, y_pred: torch.Tensor, y: torch.Tensor, **_: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return y_pred, y


class MeanAccuracy(_WholeSplit):
    """
    Share of right answers: of images with the right class, or of a label at a score of 0.5, averaged over labels.

    Args:
        task: `multilabel` or `multiclass`. A NaN label is unknown: its image is left out for that label, of a
            multi-class task altogether.

    Example:
        >>> metric = MeanAccuracy()
        >>> _ = metric(torch.tensor([[0.2, 0.5], [0.9, 0.5]]), torch.tensor([[0, 0], [1, torch.nan]]))
        >>> metric.aggregate()  # the first label 2 of 2, the second 0 of 1
        0.5
    """

    def __init__(self, task: str = "multilabel") -> None:
        super().__init__()
        if task not in ("multilabel", "multiclass"):
            raise ValueError(f"unknown task {task!r}; known: multilabel, multiclass")
        self.task = task

    def aggregate(self) -> float:
        """The accuracy of all that was seen since the last reset, 0 to 1; NaN when no label was known."""
        scores, labels = (tensor.reshape(len(tensor), -1).double() for tensor in self.get_buffer())
        known = ~labels.isnan()
        if self.task == "multiclass":
            whole = known.all(dim=1)
            return (scores[whole].argmax(dim=1) == labels[whole].argmax(dim=1)).double().mean().item()
        right = ((scores >= 0.5) == (labels == 1)) & known
        return (right.sum(dim=0).double() / known.sum(dim=0)).nanmean().item()


class MeanLoss(_WholeSplit):
    """
    A loss of the whole split, computed at once: no mean of batch means, which weights the images of a small batch more.

    Args:
        loss: takes (N, L) float32 logits and labels, and gives their mean; it decides what a NaN label means.

    Example:
        >>> metric = MeanLoss(torch.nn.BCEWithLogitsLoss())
        >>> _ = metric(torch.tensor([[0.0], [0.0]]), torch.tensor([[0.0], [1.0]]))
        >>> round(metric.aggregate(), 4)
        0.6931
    """

    def __init__(self, loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.loss = loss

    def aggregate(self) -> float:
        """The loss of all that was seen since the last reset."""
        logits, labels = self.get_buffer()
        with torch.no_grad():
            return float(self.loss(logits.float(), labels.float()))
