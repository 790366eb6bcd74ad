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

"""
How often the tests find a difference where there is none, and the intervals hold what they are of, by simulation.

Two models of equal AUC score the same images, with noise in common and, where patients have several images, noise that
these share. Tests on at least 100 positive images, 50 patients with and 50 without any, are gated: one outside the 99 %
binomial band of its level makes this end with 1. McNemar's exact test finds less than its level, and corrections for
several labels and tests of what moves in steps may: they are gated from above alone. Intervals, small test sets, the
lack of a correction, and average precision, which finds nearly 6 % at 100 positives, are shown and not gated. The
expected calibration error is left out: chance makes it larger, in each redraw once more, so that its redraws scatter
around another value. Seeds are fixed: two runs print the same table.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.special import expit, logit, ndtri
from scipy.stats import binom

from monai_ssl.metrics import (
    bca_interval,
    benjamini_hochberg,
    bootstrap_auc,
    compare_auc,
    delong_test,
    holm,
    mcnemar_test,
    paired_p_value,
    percentile_interval,
    redraw_counts,
)
from monai_ssl.metrics.names import AT_THRESHOLD
from monai_ssl.metrics.statistics import Decisions, leave_out_auc, redraw_metrics

LEVEL = 0.05
# Simulations of one set of labels share their redraws, since drawing takes most of the time. Their means scatter as
# those of independent simulations do.
TOGETHER = 20
LABELS = 14
STEPPED = ("sensitivity_at_specificity:0.9", *AT_THRESHOLD)
METRICS = ("average_precision", "brier", *STEPPED)
SHOWN = ("average_precision", "any false discovery, uncorrected")
POPULATION = 100  # test sets


@dataclass(frozen=True)
class Design:
    """
    A test set of `patients`, the first `sick` of whom have positive images, each with 1 to `most` images.

    Where `mixed`, half of a sick patient's images are negative. `step` rounds scores to its multiples; `spread` is the
    SD of the second model's scores of positive images, which bends its ROC curve; `auc` is that of both models. In a
    `cohort` each patient is sick by chance, `sick` of them on average; where `stratify`, redraws have as many.
    """

    name: str
    patients: int
    sick: int
    most: int = 1
    mixed: bool = False
    step: float = 0
    spread: float = 1
    auc: float = 0.8
    cohort: bool = False
    stratify: bool = False

    @property
    def gated(self) -> bool:
        positives = self.sick * (1 + self.most) / 2 * (0.5 if self.mixed else 1)
        return positives >= 100 and self.sick >= 50 and self.patients - self.sick >= 50


DESIGNS = (
    Design("200 images, 100 positive", 200, 100),
    Design("... many ties", 200, 100, step=0.5),
    Design("... ROC curves unlike", 200, 100, spread=2),
    Design("... AUC 0.95", 200, 100, auc=0.95),
    Design("1000 images, 100 positive", 1000, 100),
    Design("200 patients, 1 to 5 images, 100 sick", 200, 100, most=5),
    Design("... half of their images positive", 200, 100, most=5, mixed=True),
    Design("... many ties", 200, 100, most=5, mixed=True, step=0.5),
    Design("100 patients, 1 to 9 images, 50 sick", 100, 50, most=9),
    Design("100 patients, 1 to 9 images, 20 sick", 100, 20, most=9),
    Design("100 patients, 1 to 19 images, 10 sick", 100, 10, most=19),
    Design("100 patients, 1 to 39 images, 5 sick", 100, 5, most=39),
    Design("200 images, 20 positive", 200, 20),
    Design("40 images, 20 positive", 40, 20),
    Design("40 patients, 1 to 5 images, 20 sick", 40, 20, most=5),
)
OTHER_METRICS = (
    Design("other metrics: cohort of 300 images, 100 positive", 300, 100, cohort=True),
    Design("... of 1000 images, 100 positive", 1000, 100, cohort=True),
    Design("... of 300 patients, 1 to 5 images, 100 sick", 300, 100, most=5, cohort=True),
    Design("other metrics: 1000 images, 100 chosen to be positive", 1000, 100),
    Design("... stratified", 1000, 100, stratify=True),
)
FAMILY = Design("", 300, 100, most=3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000, help="of each line; default %(default)s")
    parser.add_argument("--redraws", type=int, default=1000, help="of each bootstrap; default %(default)s")
    arguments = parser.parse_args()
    start = time.process_time()
    print(
        f"{arguments.simulations} simulations a line, {arguments.redraws} redraws, tests at {LEVEL}, intervals of 95 %"
    )
    out_of_band = 0
    for simulate, designs in ((_two_models, DESIGNS), (_other_metrics, OTHER_METRICS)):
        for number, design in enumerate(designs):
            random = np.random.default_rng(number)
            chunks = [simulate(design, random, arguments.redraws) for _ in range(0, arguments.simulations, TOGETHER)]
            out_of_band += _report(design.name, chunks, design.gated)
    for nulls in (LABELS, LABELS // 2):
        random = np.random.default_rng(nulls)
        chunks = [_family(nulls, random, arguments.redraws) for _ in range(arguments.simulations)]
        name = f"{LABELS} labels of {FAMILY.patients} patients, {nulls} without difference"
        out_of_band += _report(name, chunks, True)
    print(f"\n{out_of_band} gated lines out of their bands; {time.process_time() - start:.0f} s of CPU time")
    sys.exit(out_of_band > 0)


def _two_models(design: Design, random: np.random.Generator, redraws: int) -> dict[str, np.ndarray]:
    """Of each simulation, whether a test found a difference, and whether an interval held the truth."""
    groups, positive, scores, shift = _scores(design, random)
    labels = np.repeat(positive, TOGETHER, axis=1)
    patients = groups if design.most > 1 else None
    seed = int(random.integers(2**32))

    pair = compare_auc(labels, scores[0], scores[1], redraws, patients, seed)
    stratified = compare_auc(labels, scores[0], scores[1], redraws, patients, seed, stratify=True)
    single = bootstrap_auc(labels, scores[0], redraws, patients, seed)
    left_out = leave_out_auc(labels, scores, patients)
    ends = {
        "difference, percentile": (pair.low, pair.high, 0),
        "difference, BCa": (*bca_interval(pair.samples, pair.difference, left_out[:, 0] - left_out[:, 1]), 0),
        "AUC, percentile": (single.low, single.high, design.auc),
        "AUC, BCa": (*bca_interval(single.samples, single.auc, left_out[:, 0]), design.auc),
    }
    p_values = {
        "bootstrap": pair.p_value,
        "bootstrap, stratified": stratified.p_value,
        "DeLong": [delong_test(positive[:, 0], a, b, patients) for a, b in np.moveaxis(scores, 2, 0)],
    }
    if design.spread == 1:
        right = (scores > shift / 2) == positive
        p_values["McNemar"] = [mcnemar_test(a, b, patients) for a, b in np.moveaxis(right, 2, 0)]
    if design.step:  # rounding moves the AUC
        ends = {name: end for name, end in ends.items() if name.startswith("difference")}
    found = {name: np.asarray(p_value) <= LEVEL for name, p_value in p_values.items()}
    return found | {name: (low <= truth) & (truth <= high) for name, (low, high, truth) in ends.items()}


def _other_metrics(design: Design, random: np.random.Generator, redraws: int) -> dict[str, np.ndarray]:
    """As `_two_models`, of what is not the AUC; thresholds are fixed."""
    groups, columns = _probabilities(design, random)
    patients = groups if design.most > 1 else None
    strata = groups < design.sick if design.stratify else None
    counts = redraw_counts(len(groups), redraws, patients, int(random.integers(2**32)), strata)
    samples = redraw_metrics(columns, METRICS, counts).reshape(redraws, 2, TOGETHER, len(METRICS))
    values = _values(len(groups), columns).reshape(2, TOGETHER, len(METRICS))

    differences = samples[:, 0] - samples[:, 1]
    truth, own, paired = _truth(design), percentile_interval(samples[:, 0]), percentile_interval(differences)
    lines = {
        "": paired_p_value(differences, values[0] - values[1]) <= LEVEL,
        ", percentile": (own[0] <= truth) & (truth <= own[1]),
        ", difference, percentile": (paired[0] <= 0) & (paired[1] >= 0),
    }
    return {metric + line: each[:, k] for line, each in lines.items() for k, metric in enumerate(METRICS)}


@cache
def _truth(design: Design) -> np.ndarray:
    """(K,) the metrics of so many test sets in one that chance hardly counts."""
    population = replace(design, patients=POPULATION * design.patients, sick=POPULATION * design.sick)
    groups, columns = _probabilities(population, np.random.default_rng(0))
    return _values(len(groups), columns).mean(axis=0)


def _values(images: int, columns: list[Decisions]) -> np.ndarray:
    return redraw_metrics(columns, METRICS, [np.ones((images, 1), np.int32)])[0]


def _probabilities(design: Design, random: np.random.Generator) -> tuple[np.ndarray, list[Decisions]]:
    """The patient of each image; of both models, scores as calibrated probabilities, positive from the prior on."""
    groups, positive, scores, shift = _scores(design, random)
    prior = design.sick / design.patients
    probabilities = expit(shift * (scores - shift / 2) + logit(prior))
    truth = np.broadcast_to(positive, scores[0].shape).T
    return groups, [Decisions(*each, prior) for model in probabilities for each in zip(truth, model.T, strict=True)]


def _family(nulls: int, random: np.random.Generator, redraws: int) -> dict[str, np.ndarray]:
    """Of one simulation of several labels: the share of the discoveries, or any, that are none, by each correction."""
    groups = _groups(FAMILY, random)
    sick = random.random((FAMILY.patients, LABELS)).argsort(axis=0) < FAMILY.sick
    labels = sick[groups]
    worse = np.where(np.arange(LABELS) < nulls, 0.8, 0.72)
    shift = np.sqrt(2) * ndtri([np.full(LABELS, 0.8), worse])[:, None]
    noise = (_noise(groups, LABELS, random) + _noise(groups, 1, random)) / np.sqrt(2)
    scores, seed = noise + shift * labels, int(random.integers(2**32))
    pair = compare_auc(labels, scores[0], scores[1], redraws, groups, seed)

    found = {
        "false among discoveries, Benjamini-Hochberg": benjamini_hochberg(pair.p_value) <= LEVEL,
        "any false discovery, Holm": holm(pair.p_value) <= LEVEL,
        "any false discovery, uncorrected": pair.p_value <= LEVEL,
    }
    shares = {
        name: rejected[:nulls].sum() / max(1, rejected.sum()) if "among" in name else rejected[:nulls].any()
        for name, rejected in found.items()
    }
    if nulls == LABELS:
        shares["macro, bootstrap"] = paired_p_value(pair.samples.mean(axis=1), pair.difference.mean()) <= LEVEL
    return {name: np.atleast_1d(share).astype(float) for name, share in shares.items()}


def _scores(design: Design, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The patient of each image; (N, 1 or TOGETHER) positive, (2, N, TOGETHER) scores, how far positive ones are up."""
    groups = _groups(design, random)
    sick = np.arange(design.patients)[:, None] < design.sick
    if design.cohort:
        sick = random.random((design.patients, TOGETHER)) < design.sick / design.patients
    positive = sick[groups] & (not design.mixed or random.random((len(groups), 1)) < 0.5)
    spread = np.array([1, design.spread])[:, None, None]
    shift = ndtri(design.auc) * np.sqrt(1 + spread**2)
    scores = _noise(groups, TOGETHER, random) * np.where(positive, spread, 1) + shift * positive
    if design.step:
        scores = np.round(scores / design.step) * design.step
    return groups, positive, scores, shift


def _groups(design: Design, random: np.random.Generator) -> np.ndarray:
    return np.repeat(np.arange(design.patients), random.integers(1, design.most + 1, design.patients))


def _noise(groups: np.ndarray, columns: int, random: np.random.Generator) -> np.ndarray:
    """(2, N, columns) of SD 1: half of the variance is common to both models, half to the images of a patient."""
    of_patients = random.normal(size=(3, groups.max() + 1, columns))[:, groups]
    each = (of_patients + random.normal(size=of_patients.shape)) / 2
    return each[:2] + each[2]


def _report(name: str, chunks: list[dict[str, np.ndarray]], gated: bool) -> int:
    """Print a line per test and interval; how many are out of their bands."""
    print(f"\n{name}")
    out_of_band = 0
    for line in chunks[0]:
        values = np.concatenate([chunk[line] for chunk in chunks])
        interval = line.endswith(("percentile", "BCa"))
        low, high = binom.ppf([0.005, 0.995], len(values), 1 - LEVEL if interval else LEVEL) / len(values)
        if "McNemar" in line or "discover" in line or line in STEPPED:
            low = 0
        inside = low <= values.mean() <= high
        counts = gated and not interval and line not in SHOWN
        out_of_band += counts and not inside
        verdict = f"{'in' if inside else 'OUT' if counts else 'out'}{'' if counts else ', not gated'}"
        print(f"  {line:<55} {values.mean():.4f}   {low:.4f} to {high:.4f}   {verdict}", flush=True)
    return out_of_band


if __name__ == "__main__":
    main()
