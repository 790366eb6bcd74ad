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

"""The losses of fine-tuning, with class weights that no rare class can blow up, and labels that may be unknown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["KnownLabelsBCE", "class_weights", "classification_loss"]


class KnownLabelsBCE(nn.Module):
    """
    Binary cross-entropy with logits, averaged over the labels that are known.

    Where all are known it is `torch.nn.BCEWithLogitsLoss`.

    Args:
        pos_weight: (L,) weight of the positives of each label, or None.

    Example:
        >>> loss = KnownLabelsBCE()
        >>> float(loss(torch.tensor([[0.0, 9.0]]), torch.tensor([[1.0, float("nan")]])))  # ln 2
        0.6931471824645996

    See U-Ignore in Irvin et al., CheXpert, AAAI 2019, https://arxiv.org/abs/1901.07031.
    """

    pos_weight: Tensor | None

    def __init__(self, pos_weight: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """
        Args:
            input: (B, L) logits.
            target: (B, L) 0 or 1, NaN where unknown.

        Returns:
            scalar; 0 when nothing is known.
        """
        known = ~target.isnan()
        losses = F.binary_cross_entropy_with_logits(
            _whole(input), target.nan_to_num(0.0), pos_weight=self.pos_weight, reduction="none"
        )
        return (losses * known).sum() / known.sum().clamp_min(1)


class _CrossEntropy(nn.CrossEntropyLoss):
    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return super().forward(_whole(input), target)


def classification_loss(labels: np.ndarray, task: str, weights: str | Sequence[float] = "balanced") -> nn.Module:
    """
    The loss of a task, weighted by the training labels.

    Args:
        labels: (N, L) of the training images, 0 or 1, NaN where unknown.
        task: `multilabel` for :py:class:`KnownLabelsBCE`, `multiclass` for `torch.nn.CrossEntropyLoss`.
        weights: "none", "balanced" (see :py:func:`class_weights`), or L positive numbers: of the positives of each
            label, or of each class.

    Raises:
        ValueError: for another task, or weights that are not L numbers above 0.
    """
    if task not in ("multilabel", "multiclass"):
        raise ValueError(f"task must be multilabel or multiclass, got {task!r}")
    found = class_weights(labels, task, weights)
    tensor = None if found is None else torch.from_numpy(found.astype(np.float32))
    return KnownLabelsBCE(tensor) if task == "multilabel" else _CrossEntropy(weight=tensor)


def class_weights(labels: np.ndarray, task: str, weights: str | Sequence[float] = "balanced") -> np.ndarray | None:
    """
    The weights of labels or classes.

    "balanced" is negatives / positives of each label (Tayebi Arasteh et al., Eur. Radiol. Exp. 8:10, 2024), or images
    / (classes * images of the class), as scikit-learn has it. A label without positives or negatives, or a class
    without images, has nothing to balance: its weight is 1.

    Args:
        labels: (N, L) 0 or 1, NaN where unknown.
        task: `multilabel` or `multiclass`.
        weights: "none", "balanced", or L numbers above 0.

    Returns:
        (L,) float64; None for "none".

    Raises:
        ValueError: for other weights.

    Example:
        >>> class_weights(np.array([[1, 0], [0, 0], [0, 0]]), "multilabel")
        array([2., 1.])
    """
    columns = labels.shape[1]
    if isinstance(weights, str):
        if weights not in ("none", "balanced"):
            raise ValueError(f'class_weights must be "none", "balanced" or {columns} numbers above 0, got {weights!r}')
        if weights == "none":
            return None
        positives, negatives = (labels == 1).sum(0), (labels == 0).sum(0)
        if task == "multilabel":
            both = (positives > 0) & (negatives > 0)
            return np.where(both, negatives / np.maximum(positives, 1), 1.0)
        return np.where(positives > 0, len(labels) / (columns * np.maximum(positives, 1)), 1.0)
    try:
        found = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape != (columns,) or not (found > 0).all() or not np.isfinite(found).all():
        raise ValueError(f"class_weights must be {columns} numbers above 0, one a label, got {weights}")
    return found


def _whole(logits: Tensor) -> Tensor:
    # autocast leaves half precision, in which an exponential is coarse
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
