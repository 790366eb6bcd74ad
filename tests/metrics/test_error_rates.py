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

"""The tests hold their level where there is no difference; `benchmarks/error_rates.py` is the longer look at it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, kstest

from monai_ssl.metrics import compare_auc, delong_test, mcnemar_test

SIMULATIONS, TOGETHER, PATIENTS, REDRAWS = 300, 20, 200, 400
LOW, HIGH = binom.ppf([0.005, 0.995], SIMULATIONS, 0.05)


def _found(p_values: list[float]) -> int:
    return sum(p <= 0.05 for p in p_values)


@pytest.mark.parametrize(("most_images", "mixed"), [(1, False), (5, False), (5, True)])
def test_two_models_of_equal_auc_differ_in_a_twentieth_of_simulations(most_images: int, mixed: bool) -> None:
    random = np.random.default_rng(most_images + mixed)
    bootstrap, delong, mcnemar, images_alone = [], [], [], []
    for _ in range(SIMULATIONS // TOGETHER):
        patients = np.repeat(np.arange(PATIENTS), random.integers(1, most_images + 1, PATIENTS))
        positive = patients < PATIENTS // 2
        if mixed:
            positive &= random.random(len(patients)) < 0.5
        # what the models have in common, and what the images of a patient have
        noise = random.normal(size=(3, PATIENTS, TOGETHER))[:, patients]
        noise += random.normal(size=noise.shape) / 2
        scores = np.round(noise[:2] + noise[2] + 1.5 * positive[:, None], 1)
        labels = np.repeat(positive[:, None], TOGETHER, axis=1)
        seed = int(random.integers(2**32))
        bootstrap += compare_auc(labels, *scores, redraws=REDRAWS, groups=patients, seed=seed).p_value.tolist()
        for pair in np.moveaxis(scores, 2, 0):
            delong.append(delong_test(positive, *pair, groups=patients))
            mcnemar.append(mcnemar_test(*((pair > 0.75) == positive), groups=patients))
            if most_images > 1:
                images_alone.append(delong_test(positive, *pair))
    assert LOW <= _found(bootstrap) <= HIGH
    assert LOW <= _found(delong) <= HIGH
    assert _found(mcnemar) <= HIGH  # exact, so less often than it might
    assert kstest(bootstrap, "uniform").pvalue > 0.001
    assert kstest(delong, "uniform").pvalue > 0.001
    # and this test would see a test that takes a patient's images for independent
    assert (_found(images_alone) > HIGH) == (most_images > 1)
