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

from __future__ import annotations

from typing import Any

import pytest

from monai_ssl.report.caveats import caveats
from monai_ssl.report.words import decimals, dropped_text, p_text, summary

_LABEL = {
    "label": "nodule",
    "positives": 400,
    "negatives": 600,
    "unknown": 0,
    "patients_with": 90,
    "patients_without": 110,
}
_MODEL = {"data_set": "", "metric": "auc", "label": "nodule", "model": "a"} | {
    "value": 0.85,
    "low": 0.82,
    "high": 0.88,
    "left_out": 0,
}
_PAIR = {
    **{"data_set": "", "metric": "auc", "model_a": "a", "model_b": "b", "label": "nodule"},
    **{"difference": 0.05, "low": 0.01, "high": 0.09, "p_value": 0.02, "q_value": 0.02},
}
_RUN: dict[str, Any] = {"name": "a", "data_set": "", "finished": True, "settings": {}, "checksums": {}}


def _data_set(**changes: Any) -> dict[str, Any]:
    return {
        **{"name": "", "models": ["a", "b"], "unit": "patient", "images": 1000, "patients": 200, "labels": [_LABEL]},
        **{"patients_in_other_splits": 0, "no_threshold": [], "no_probabilities": []},
    } | changes


def _numbers(**changes: Any) -> dict[str, Any]:
    return {
        **{
            "split": "test",
            "redraws": 1000,
            "stratified": False,
            "metrics": ["auc"],
            "shared_patients": 0,
            "data_sets": [_data_set()],
        },
        **{"headline": {"data_set": "", "label": "nodule", "metric": "auc"}, "comparisons": [_PAIR]},
        **{"models": [_MODEL, _MODEL | {"model": "b"}], "differing_settings": ["checkpoint"]},
        **{"runs": [_RUN, _RUN | {"name": "b", "checksums": {"predictions.csv": "5e"}}]},
    } | changes


def test_numbers_as_text() -> None:
    assert [decimals(x, True) for x in (0.1, -0.1, -0.0001, None)] == ["+0.100", "\u22120.100", "0.000", "\u2013"]
    assert [p_text(x) for x in (0.0004, 0.05, 1.0, None)] == ["< 0.001", "0.050", "1.000", "\u2013"]


def test_the_verdict_follows_p_and_the_direction() -> None:
    text = " ".join(summary(_numbers()))
    assert "nodule is positive in 400 images of 90 patients" in text
    assert "0.850 (95 % interval 0.820 to 0.880) for a and" in text
    assert "a minus b: +0.050 (95 % interval +0.010 to +0.090), p = 0.020. a ranks these images better than b" in text
    reverse, unclear = _PAIR | {"difference": -0.05}, _PAIR | {"p_value": 0.05, "q_value": 0.05}
    assert "b ranks these images better than a" in " ".join(summary(_numbers(comparisons=[reverse])))
    assert "do not show that either" in " ".join(summary(_numbers(comparisons=[unclear])))


def test_of_errors_less_is_better() -> None:
    numbers = _numbers(
        headline={"data_set": "", "label": "nodule", "metric": "brier"},
        comparisons=[_PAIR | {"metric": "brier", "difference": -0.05}],
        models=[_MODEL | {"metric": "brier"}],
    )
    text = " ".join(summary(numbers))
    assert "The Brier score for nodule is 0.850" in text
    assert "a does better on these images than b" in text


def test_with_several_labels_the_corrected_value_decides() -> None:
    pairs = [("nodule", 0.04), ("mass", 0.2), ("macro", 0.06)]
    numbers = _numbers(
        headline={"data_set": "", "label": "macro", "metric": "auc"},
        data_sets=[_data_set(labels=[_LABEL, _LABEL | {"label": "mass"}])],
        models=[_MODEL | {"label": label} for label in ("nodule", "mass", "macro")],
        comparisons=[_PAIR | {"label": label, "q_value": q} for label, q in pairs] + [_PAIR | {"metric": "brier"}],
    )
    text = " ".join(summary(numbers))
    assert "The mean AUC over 2 labels is 0.850" in text
    assert "p = 0.020, q = 0.060 corrected for 3 comparisons. These data do not show" in text
    assert "1 of 2 differences is below q = 0.05: a is better than b for nodule." in text


def test_with_several_pairs_each_finding_names_the_better_model() -> None:
    pairs = [("a", "b", 0.04), ("a", "c", -0.04), ("b", "c", -0.05)]
    rows = [_PAIR | {"model_a": a, "model_b": b, "difference": d, "q_value": 0.01} for a, b, d in pairs]
    found = [text for text in summary(_numbers(comparisons=rows)) if text.startswith("Label by label")]
    assert found == [
        "Label by label, 3 of 3 differences are below q = 0.05: nodule (a over b), nodule (c over a) and nodule "
        "(c over b)."
    ]


def test_what_is_not_defined_is_said_to_be_so() -> None:
    ends = {"low": None, "high": None}
    empty = _PAIR | ends | {"difference": None, "p_value": None, "q_value": None}
    text = " ".join(
        summary(_numbers(models=[_MODEL, _MODEL | ends | {"model": "b", "value": None}], comparisons=[empty]))
    )
    assert "The AUC for nodule is 0.850 (95 % interval 0.820 to 0.880) for a and not defined for b." in text
    assert "a and b cannot be compared by AUC: at least one of them has no value." in text
    no_redraw = " ".join(summary(_numbers(comparisons=[_PAIR | {"p_value": None, "q_value": None}])))
    assert "a and b cannot be compared by AUC: no redraw holds both classes of every label." in no_redraw


def test_a_pair_that_is_not_in_the_mean_is_told_by_data_set() -> None:
    numbers = _numbers(
        headline={"data_set": "mean", "label": "nodule", "metric": "auc"},
        data_sets=[_data_set(name="here"), _data_set(name="there", models=["a"])],
        models=[_MODEL | {"data_set": "mean"}],
        comparisons=[_PAIR | {"data_set": "here"}],
    )
    assert "a minus b on here: +0.050 (95 % interval +0.010 to +0.090), p = 0.020. a ranks" in " ".join(
        summary(numbers)
    )


def test_several_data_sets_are_named_and_their_mean_comes_first() -> None:
    numbers = _numbers(
        headline={"data_set": "mean", "label": "nodule", "metric": "auc"},
        data_sets=[_data_set(name="here"), _data_set(name="there", images=50, patients=20)],
        models=[_MODEL | {"data_set": "mean"}],
        comparisons=[_PAIR | {"data_set": name} for name in ("here", "there", "mean")],
        shared_patients=3,
    )
    text = " ".join(summary(numbers))
    assert "The test split of there holds 50 images of 20 patients" in text
    assert "The AUC for nodule, averaged over 2 data sets, is 0.850" in text
    assert "2 of 2 differences are below q = 0.05: a is better than b for nodule on here and nodule on there." in text
    assert "there: Only 20 patients in the test split" in " ".join(caveats(numbers))
    assert "3 patients occur in several data sets" in " ".join(caveats(numbers))


def test_the_thresholds_of_validation_are_told_with_what_they_give() -> None:
    values = {"sensitivity": 0.9, "specificity": 0.75}
    rows = [_MODEL | {"metric": metric, "value": value} for metric, value in values.items()]
    text = " ".join(summary(_numbers(models=[_MODEL, *rows])))
    assert "At the thresholds chosen on validation, sensitivity and specificity are 0.900 and 0.750 for a." in text


def test_good_data_get_only_the_caveat_that_always_holds() -> None:
    assert [text.split(".")[0] for text in caveats(_numbers())] == ["Each result is of one training run"]
    without = {"settings": {"test_patients": "left out"}}
    assert caveats(_numbers(pretraining=without)) == caveats(_numbers())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data_sets": [_data_set(patients=99)]}, "Only 99 patients in the test split"),
        ({"data_sets": [_data_set(unit="image", patients=None)]}, "The tables name no patients"),
        (
            {"data_sets": [_data_set(patients_in_other_splits=3)]},
            "3 patients of the test split also occur in another split",
        ),
        (
            {"data_sets": [_data_set(labels=[_LABEL | {"positives": 29}])]},
            "Few cases: nodule has 29 positive images of 90 patients",
        ),
        (
            {"data_sets": [_data_set(labels=[_LABEL | {"unknown": 7}])]},
            "Unknown in some images, which are left out for that label alone: nodule (7)",
        ),
        ({"data_sets": [_data_set(labels=[_LABEL | {"negatives": 5}])]}, "Few cases: nodule has 5 negative images"),
        ({"data_sets": [_data_set(labels=[_LABEL | {"positives": 0}])]}, "nodule has one class only in the test split"),
        ({"models": [_MODEL | {"high": 0.93}]}, "Wide intervals: up to 0.110"),
        ({"models": [_MODEL | {"left_out": 7}]}, "were left out: 7 for nodule"),
        ({"differing_settings": ["checkpoint", "seed"]}, "differ in 2 settings (checkpoint and seed)"),
        ({"runs": [_RUN | {"finished": False}]}, "Not trained to the end: a."),
        (
            {"data_sets": [_data_set(labels=[_LABEL | {"patients_with": 5}])]},
            "nodule has 400 positive images of 5 patients",
        ),
        (
            {"stratified": True, "data_sets": [_data_set(labels=[_LABEL | {"positives": 20}])]},
            "Redraws were stratified: with few cases",
        ),
        ({"split": "val"}, "These are the validation images"),
        ({"models": [_MODEL, _MODEL | {"metric": "f1"}]}, "Validation was used twice"),
        (
            {"metrics": ["f1"], "data_sets": [_data_set(no_threshold=["b"])]},
            "No threshold is known for b (no thresholds.json beside the predictions and no rows of split val), so F1",
        ),
        (
            {"metrics": ["brier"], "data_sets": [_data_set(no_probabilities=["a"])]},
            "no probabilities, and Brier score is not given for them.",
        ),
        (
            {"metrics": ["brier"], "runs": [_RUN | {"settings": {"class_weights": "balanced"}}]},
            "Trained with class weights: a.",
        ),
        ({"redraws": 20}, "Only 20 redraws: the ends of the intervals are uncertain, and no p can be below 0.048."),
        (
            {"comparisons": [_PAIR] * 60},
            "With 60 tests and 1,000 redraws no p corrected by Holm can be below 0.06",
        ),
        (
            {"runs": [_RUN | {"checksums": {"predictions.csv": "5e"}, "name": name} for name in "ab"]},
            "a and b are the same",
        ),
        (
            {
                "data_sets": [_data_set(name="here"), _data_set(name="there", models=["a"])],
                "headline": {"data_set": "mean", "label": "nodule", "metric": "auc"},
            },
            "b has no predictions on there, so it is in no mean over data sets.",
        ),
        (
            {
                "data_sets": [
                    _data_set(name="here"),
                    _data_set(name="there", labels=[_LABEL, _LABEL | {"label": "mass"}]),
                ],
                "headline": {"data_set": "mean", "label": "macro", "metric": "auc"},
            },
            "The data sets differ in their labels: the average over them is of nodule alone",
        ),
        (
            {
                "data_sets": [_data_set(name="here"), _data_set(name="there", labels=[_LABEL | {"label": "mass"}])],
                "headline": {"data_set": "there", "label": "mass", "metric": "auc"},
            },
            "so there is no mean over them: the summary is of there alone.",
        ),
        ({"pretraining": {"settings": {"test_patients": "included"}}}, "saw the images of the test patients"),
        (
            {"pretraining": {"settings": {"test_patients": "unknown"}}},
            "could not leave out the images of test patients",
        ),
    ],
)
def test_each_caveat_appears_when_the_data_demand_it(changes: dict[str, Any], expected: str) -> None:
    found = [text for text in caveats(_numbers(**changes)) if expected in text]
    assert len(found) == 1


def test_the_text_on_dropped_slices_follows_what_is_shown() -> None:
    exemplars = [{"replaced": 7, "elsewhere": 0}, {"replaced": 2, "elsewhere": 0}]
    pictures = {"shown": 5, "each": 3, "missing_because": None}
    some = dropped_text({"exemplars": exemplars, "dropped_pictures": pictures})
    assert "stand at most 3, evenly picked, of the slices dropped for it" in some
    every = dropped_text({"exemplars": exemplars, "dropped_pictures": pictures | {"shown": 9, "each": 8}})
    assert "stand the slices dropped for it" in every
    none = {"exemplars": [{"replaced": 0, "elsewhere": 0}], "dropped_pictures": pictures | {"shown": 0}}
    assert dropped_text(none) == ""
    missing = pictures | {"shown": 0, "missing_because": "the moon was full"}
    text = dropped_text({"exemplars": exemplars, "dropped_pictures": missing})
    assert text.startswith("Dropped slices have no picture: a reduced store does not hold them, and the moon was full.")
    assert "slice the same volumes once more" in text
