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

"""What frozen features are good for: nearest neighbours and a linear classifier."""

from __future__ import annotations

import numpy as np

from monai_ssl.metrics.auc import roc_auc

# scikit-learn takes a second to import, and the report needs this room without it.

__all__ = ["knn_auc", "linear_auc"]


def knn_auc(
    train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray, neighbours: int = 20
) -> float:
    """
    AUC of the share of positives among the nearest training images by cosine similarity, averaged over labels.

    Args:
        train, test: (N, D), (M, D) features.
        train_labels, test_labels: (N, L), (M, L), 0 or 1; where NaN, the image is left out for that label.
        neighbours: how many vote, at most N.

    Returns:
        0 to 1; NaN where no label has both classes in `test` and is known in `train`.

    Example:
        >>> features, labels = np.eye(2).repeat(5, axis=0), np.array([[0], [1]]).repeat(5, axis=0)
        >>> knn_auc(features, labels, features, labels, neighbours=3)
        1.0

    Reference: Wu et al., Unsupervised feature learning via non-parametric instance discrimination, CVPR 2018.
    """
    from sklearn.neighbors import NearestNeighbors

    learnt, truth = np.asarray(train_labels, np.float64), np.asarray(test_labels, np.float64)
    known = ~np.isnan(learnt)
    values = []
    for images in np.unique(known[:, known.any(axis=0)], axis=1).T:  # labels known for the same images share a search
        labels = (known == images[:, None]).all(axis=0)
        search = NearestNeighbors(n_neighbors=min(neighbours, images.sum()), metric="cosine").fit(train[images])
        nearest = search.kneighbors(test, return_distance=False)
        values.append(roc_auc(truth[:, labels], learnt[images][:, labels][nearest].mean(axis=1)))
    return _macro(np.concatenate([[], *values]))


def linear_auc(train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray) -> float:
    """
    AUC of a logistic regression on standardised features, averaged over labels.

    Args:
        train, test, train_labels, test_labels: as in :py:func:`knn_auc`.

    Returns:
        0 to 1; NaN where no label has both classes in `train` and in `test`.

    Example:
        >>> features, labels = np.eye(2).repeat(5, axis=0), np.array([[0], [1]]).repeat(5, axis=0)
        >>> linear_auc(features, labels, features, labels)
        1.0

    Reference: Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2016,
    https://arxiv.org/abs/1610.01644.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values = []
    for learnt, truth in zip(np.transpose(train_labels), np.transpose(test_labels), strict=True):
        known = ~np.isnan(learnt)
        if len(set(learnt[known])) > 1:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train[known], learnt[known])
            values.append(float(roc_auc(truth, model.decision_function(test))[0]))
    return _macro(np.array(values))


def _macro(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
