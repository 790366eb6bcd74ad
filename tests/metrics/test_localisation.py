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

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, jaccard_score, roc_auc_score

from monai_ssl.metrics import (
    centred_gaussian,
    dice,
    iou,
    localisation_scores,
    localisation_summary,
    pointing_game,
    redraw_counts,
)
from monai_ssl.metrics.localisation_summary import SCORES


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def some(rng):
    height, width = rng.integers(3, 12, 2)
    mask = rng.random((height, width)) < 0.3
    mask[0, 0] = True
    mask[-1, -1] = False
    return rng.integers(0, 6, (height, width)) / 5, mask


def test_overlap_is_that_of_scikit_learn(rng):
    for _ in range(30):
        saliency, mask = some(rng)
        for threshold in (0.2, 0.5, 1.0):
            marked = (saliency >= threshold * saliency.max()) & (saliency > 0)
            assert dice(saliency, mask, threshold) == pytest.approx(f1_score(mask.ravel(), marked.ravel()))
            assert iou(saliency, mask, threshold) == pytest.approx(jaccard_score(mask.ravel(), marked.ravel()))


def test_pointing_game_is_that_of_a_loop_over_the_highest_points(rng):
    for _ in range(30):
        saliency, mask = some(rng)
        lesion = list(zip(*np.nonzero(mask), strict=True))
        for tolerance in (0, 1, 1.5, 3):
            hits = [
                any((row - y) ** 2 + (column - x) ** 2 <= tolerance**2 for y, x in lesion)
                for row in range(mask.shape[0])
                for column in range(mask.shape[1])
                if saliency[row, column] == saliency.max()
            ]
            assert pointing_game(saliency, mask, tolerance) == pytest.approx(np.mean(hits))


def test_a_constant_map_scores_what_chance_does_and_an_empty_one_marks_nothing(rng):
    _, mask = some(rng)
    for value in (0.0, 1.0):
        scores = localisation_scores(np.full(mask.shape, value), mask)
        assert scores["hit"] == pytest.approx(mask.mean())
        assert scores["pixel_auc"] == 0.5
    assert dice(np.zeros(mask.shape), mask) == 0
    assert dice(np.ones(mask.shape), mask) == pytest.approx(2 * mask.sum() / (mask.size + mask.sum()))


def test_all_scores_of_one_map(rng):
    saliency, mask = some(rng)
    scores = localisation_scores(saliency, mask)
    assert list(scores) == list(SCORES)
    assert scores["pixel_auc"] == pytest.approx(roc_auc_score(mask.ravel(), saliency.ravel()))
    assert set(localisation_scores(mask.astype(float), mask).values()) == {1.0}
    assert np.isnan(localisation_scores(np.ones((2, 2)), np.ones((2, 2), bool))["pixel_auc"])


def test_the_middle_is_highest_and_symmetric():
    shown = centred_gaussian(7, 11)
    assert shown[3, 5] == shown.max() == 1
    np.testing.assert_allclose(shown, shown[::-1, ::-1])
    assert centred_gaussian(400, 400)[199, 299] == pytest.approx(np.exp(-0.5), abs=5e-3)  # a standard deviation off


@pytest.mark.parametrize(
    ("saliency", "mask", "said"),
    [
        (np.ones((2, 2)), np.zeros((2, 2), bool), "mask is empty"),
        (np.ones((2, 2)), np.ones((2, 3), bool), "of one shape"),
        (-np.ones((2, 2)), np.ones((2, 2), bool), "0 or above"),
        (np.full((2, 2), np.nan), np.ones((2, 2), bool), "finite"),
    ],
)
def test_what_cannot_be_scored_is_refused(saliency, mask, said):
    for function in (dice, iou, pointing_game, localisation_scores):
        with pytest.raises(ValueError, match=said):
            function(saliency, mask)


def test_thresholds_and_tolerances_out_of_range_are_refused():
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        dice(np.ones((2, 2)), np.ones((2, 2), bool), 0)
    with pytest.raises(ValueError, match="0 px or above"):
        pointing_game(np.ones((2, 2)), np.ones((2, 2), bool), -1)


def scored(rng, images=40, labels=("mass", "nodule")):
    rows = []
    for image in range(images):
        for label in labels:
            row = {"image": f"{image}.png", "patient": f"{image // 2}", "label": label, "truth_share": rng.random()}
            row |= {prefix + name: rng.random() for name in SCORES for prefix in ("", "centre_")}
            rows.append(row)
    table = pd.DataFrame(rows)
    table.loc[rng.random(len(table)) < 0.3, [*SCORES, "truth_share"]] = np.nan
    return table


def test_means_are_plain_and_intervals_those_of_a_loop_over_patients(rng):
    table = scored(rng)
    summary = localisation_summary(table, redraws=1000, seed=1).set_index(["label", "metric"])
    known = table.dropna(subset="dice")
    plain = known.groupby("label")[[*SCORES, "truth_share"]].mean()
    for label in plain.index:
        rows = known[known["label"] == label]
        for metric in SCORES:
            row = summary.loc[(label, metric)]
            assert row["value"] == pytest.approx(plain.loc[label, metric])
            assert row["difference"] == pytest.approx((rows[metric] - rows[f"centre_{metric}"]).mean())
            assert row["low"] < row["value"] < row["high"]
            assert row["difference_low"] < row["difference"] < row["difference_high"]
            assert (row["images"], row["patients"]) == (len(rows), rows["patient"].nunique())
        assert summary.loc[(label, "hit"), "chance"] == pytest.approx(plain.loc[label, "truth_share"])
    assert summary.loc[("macro", "dice"), "value"] == pytest.approx(plain["dice"].mean())
    mass = known[known["label"] == "mass"]
    by_patient = {name: part["dice"].to_numpy() for name, part in mass.groupby("patient")}
    names, means = known["patient"].unique(), []
    for _ in range(2000):
        drawn = [by_patient.get(name, np.empty(0)) for name in rng.choice(names, len(names))]
        means.append(np.concatenate(drawn).mean())
    found = summary.loc[("mass", "dice"), ["low", "high"]].tolist()
    assert found == pytest.approx(np.percentile(means, (2.5, 97.5)).tolist(), abs=0.02)


def test_intervals_are_those_of_a_plain_loop_over_the_same_patients(rng):
    table = scored(rng, images=60).assign(patient=lambda rows: (rows["image"].str[:-4].astype(int) // 6).astype(str))
    # images of one patient are alike, so that redrawing images would give other, narrower intervals
    table[list(SCORES)] = 0.1 * table[list(SCORES)] + 0.09 * table[["patient"]].astype(float).to_numpy()
    table.loc[(table["label"] == "nodule") & ~table["patient"].isin(["1", "4"]), "dice"] = np.nan
    summary = localisation_summary(table, redraws=200, seed=4).set_index(["label", "metric"])
    known = table.dropna(subset="dice")
    images = known.drop_duplicates("image").set_index("image")["patient"]
    counts = np.concatenate(list(redraw_counts(len(images), 200, images.to_numpy(), 4)), axis=1)
    for metric in SCORES:
        redrawn = {"mass": [], "nodule": [], "macro": []}
        for count in counts.T:
            drawn = known.loc[known.index.repeat(known["image"].map(dict(zip(images.index, count, strict=True))))]
            pairs = [(metric_of[metric], metric_of[metric] - metric_of[f"centre_{metric}"])
                     for metric_of in (drawn[drawn["label"] == label] for label in ("mass", "nodule"))]  # fmt: skip
            means = np.array([[part.mean() for part in pair] for pair in pairs])
            for label, values in zip(redrawn, [*means, means.mean(axis=0)], strict=True):
                redrawn[label].append(values)
        for label, values in redrawn.items():
            row = summary.loc[(label, metric)]
            found = row[["low", "high", "difference_low", "difference_high"]].to_numpy(float)
            np.testing.assert_allclose(found, np.nanpercentile(values, (2.5, 97.5), axis=0).T.ravel(), atol=1e-12)
            assert row["left_out"] == np.isnan(np.array(values)[:, 0]).sum()
    assert (summary.loc["mass", "left_out"] == 0).all()
    assert (summary.loc["macro", "left_out"] > 0).all()
    single = localisation_summary(table.assign(patient=""), redraws=200, seed=4).set_index(["label", "metric"])
    width = [rows["high"] - rows["low"] for rows in (summary.loc["mass"], single.loc["mass"])]
    assert (width[0] > 1.5 * width[1]).all()


def test_rows_that_have_no_summary_are_refused_all_at_once(rng):
    table = scored(rng, images=9).fillna(0.5)
    table.loc[table["image"].isin(["3.png", "5.png"]), "patient"] = ["", " ", None, ""]
    doubled = pd.concat([table, table.iloc[[0, 0, 4]]]).replace({"label": {"nodule": "macro"}})
    with pytest.raises(ValueError, match="cannot be summed up") as error:
        localisation_summary(doubled)
    assert str(error.value).splitlines()[1:] == [
        "  2 images have a label twice, such as 0.png with mass, 2.png with mass; keep one row for each",
        "  2 of 9 images have no patient, such as 3.png, 5.png; give every image its patient, or none, which redraws "
        "images",
        "  a label is named 'macro', which stands for the mean over labels; rename it",
    ]
    one = localisation_summary(scored(rng, labels=("macro",)), redraws=20)
    assert one["label"].tolist() == ["macro"] * len(SCORES)


def test_units_few_patients_and_no_scores(rng):
    table = scored(rng, labels=("mass",))
    nameless = localisation_summary(table.assign(patient=""), redraws=50)
    assert set(nameless["unit"]) == {"image"}
    assert set(nameless["label"]) == {"mass"}
    lone = localisation_summary(table.assign(patient="7"), redraws=50)
    assert lone[["low", "high"]].isna().all(axis=None)
    assert lone["value"].notna().all()
    with pytest.raises(ValueError, match="no image has scores"):
        localisation_summary(table.assign(dice=np.nan))
