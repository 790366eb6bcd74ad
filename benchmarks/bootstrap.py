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

"""Paired bootstrap, 25,000 images x 14 labels x 2 models x 1000 redraws: ours against a scikit-learn loop."""

from __future__ import annotations

import resource
import time

import numpy as np
from sklearn.metrics import roc_auc_score

from monai_ssl.metrics.redraws import redraw_counts
from monai_ssl.metrics.statistics import leave_out_auc, redraw_auc

IMAGES, LABELS, MODELS, REDRAWS = 25_000, 14, 2, 1000
PEER_REDRAWS = 3  # of REDRAWS; each costs LABELS x MODELS calls, all alike, so the loop's time is proportional
REACH = 100


def main() -> None:
    random = np.random.default_rng(0)
    labels = random.random((IMAGES, LABELS)) < random.uniform(0.01, 0.2, LABELS)
    scores = np.round(random.random((MODELS, IMAGES, LABELS)) + 0.2 * labels, 4)  # a score in 12,000: ties everywhere
    redraw_auc(labels[:50], scores[:, :50], 1)  # compile

    start = time.process_time()
    samples = redraw_auc(labels, scores, REDRAWS)
    ours = time.process_time() - start

    start = time.process_time()
    leave_out_auc(labels, scores)
    jackknife = time.process_time() - start

    counts = next(redraw_counts(IMAGES, REDRAWS))[:, :PEER_REDRAWS]
    start = time.process_time()
    peer = np.array([_peer_redraw(labels, scores, np.repeat(np.arange(IMAGES), count)) for count in counts.T])
    measured = time.process_time() - start
    extrapolated = measured * REDRAWS / PEER_REDRAWS

    error = np.abs(peer - samples[:PEER_REDRAWS]).max()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{IMAGES} images x {LABELS} labels x {MODELS} models, CPU time, one thread")
    print(f"ours, {REDRAWS} redraws               {ours:8.2f} s   peak memory of the process {peak:.2f} GiB")
    print(f"ours, jackknife for BCa on top     {jackknife:8.2f} s   (1000 blocks)")
    print(f"scikit-learn loop, {PEER_REDRAWS} redraws     {measured:8.2f} s")
    print(f"  extrapolated to {REDRAWS}           {extrapolated:8.1f} s   (not run: x {REDRAWS / PEER_REDRAWS:.0f})")
    print(
        f"ratio {extrapolated / ours:.0f}x (reach >= {REACH}x); largest difference in AUC {error:.1e} (reach <= 1e-12)"
    )


def _peer_redraw(labels: np.ndarray, scores: np.ndarray, drawn: np.ndarray) -> list[list[float]]:
    return [[roc_auc_score(labels[drawn, i], model[drawn, i]) for i in range(LABELS)] for model in scores]


if __name__ == "__main__":
    main()
