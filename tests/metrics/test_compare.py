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
from scipy.stats import false_discovery_control
from sklearn.metrics import roc_auc_score

from monai_ssl.metrics import (
    MACRO,
    MICRO,
    align_predictions,
    bootstrap_auc,
    compare,
    compare_auc,
    pair_table,
    redraw_models,
)


def _table(seed: int, labels: int = 2, images: int = 60, patients: bool = True) -> pd.DataFrame:
    truth = np.random.default_rng(99).random((images, labels)) < 0.4
    scores = np.random.default_rng(seed).random((images, labels)) + 0.1 * seed * truth
    table = pd.DataFrame({"image": [f"{i:03d}" for i in range(images)], "split": "test"})
    table["patient"] = [f"{i // 3:02d}" for i in range(images)] if patients else ""
    for label in range(labels):
        table[f"L{label}_true"], table[f"L{label}_score"] = truth[:, label].astype(int), scores[:, label]
    validation = table.assign(split="val", image="v" + table["image"], patient="v" + table["patient"])
    return pd.concat([validation, table])


def test_rows_equal_the_single_calls() -> None:
    tables = {"a": _table(1), "b": _table(2), "c": _table(3)}
    frame = compare(tables, redraws=120, seed=5)
    assert len(frame) == 3 * 4  # pairs, and two labels with their macro and micro mean
    test = {name: table[table["split"] == "test"] for name, table in tables.items()}
    truth = test["a"][["L0_true", "L1_true"]]
    scores = {name: table[["L0_score", "L1_score"]] for name, table in test.items()}
    patients = test["a"]["patient"].to_numpy()
    pair = compare_auc(truth, scores["a"], scores["c"], redraws=120, groups=patients, seed=5)
    alone = bootstrap_auc(truth, scores["a"], redraws=120, groups=patients, seed=5)
    rows = frame[(frame["model_a"] == "a") & (frame["model_b"] == "c")].set_index("label")
    for i, label in enumerate(["L0", "L1"]):
        row = rows.loc[label]
        assert (row["difference"], row["low"], row["high"], row["p_value"]) == pytest.approx(
            (pair.difference[i], pair.low[i], pair.high[i], pair.p_value[i])
        )
        assert (row["value_a"], row["low_a"], row["high_a"]) == pytest.approx(
            (alone.auc[i], alone.low[i], alone.high[i])
        )
        assert (row["images"], row["patients"], row["positives"]) == (60, 20, truth.iloc[:, i].sum())
        assert row["unit"] == "patient"
    assert rows.loc[MACRO, "difference"] == pytest.approx(pair.difference.mean())
    assert rows.loc[MACRO, "low"] == pytest.approx(np.percentile(pair.samples.mean(axis=1), 2.5))
    np.testing.assert_allclose(frame["q_value"], false_discovery_control(frame["p_value"]))


def test_row_order_does_not_matter() -> None:
    shuffled = {"a": _table(1).sample(frac=1, random_state=0), "b": _table(2).sample(frac=1, random_state=1)}
    pd.testing.assert_frame_equal(compare(shuffled, redraws=50), compare({"a": _table(1), "b": _table(2)}, redraws=50))


def test_without_patients_images_are_redrawn_and_a_single_label_has_no_macro() -> None:
    tables = {"a": _table(1, 1, patients=False), "b": _table(2, 1, patients=False).drop(columns="patient")}
    frame = compare(tables, redraws=50)
    assert frame["unit"].tolist() == ["image"]
    assert frame["patients"].isna().all()
    assert frame["label"].tolist() == ["L0"]


def test_one_class_label_is_empty_and_left_out_of_the_macro_and_of_q() -> None:
    tables = {name: _table(seed, 3).assign(L1_true=0) for name, seed in (("a", 1), ("b", 2))}
    with pytest.warns(UserWarning, match="label L1: one class only"):
        frame = compare(tables, redraws=80).set_index("label")
    assert frame.loc["L1", ["value_a", "difference", "low", "p_value", "q_value"]].isna().all()
    assert frame.loc["L1", "left_out"] == 80
    tested = frame.drop("L1")
    assert frame.loc[MACRO, "value_a"] == pytest.approx(frame.loc[["L0", "L2"], "value_a"].mean())
    np.testing.assert_allclose(tested["q_value"], false_discovery_control(tested["p_value"]))


def test_images_with_an_empty_truth_are_left_out_for_that_label_and_the_counts_say_so() -> None:
    tables = {"a": _table(1), "b": _table(2)}
    for table in tables.values():
        table["L1_true"] = table["L1_true"].astype("Int64")  # as empty cells of whole numbers may be read
        table.loc[table["image"].str.lstrip("v").isin(["000", "001", "002", "010"]), "L1_true"] = pd.NA
    rows = compare(tables, redraws=40).set_index("label")
    test = tables["a"][(tables["a"]["split"] == "test") & tables["a"]["L1_true"].notna()]
    assert rows.loc[["L0", "L1", MACRO], "images"].tolist() == [60, 56, 60]
    assert rows.loc[["L0", "L1", MACRO], "patients"].tolist() == [20, 19, 20]
    assert rows.loc["L1", "positives"] == test["L1_true"].sum()
    assert rows.loc["L1", "value_a"] == pytest.approx(roc_auc_score(test["L1_true"].astype(int), test["L1_score"]))
    assert rows.loc["L0", "value_a"] == compare({"a": _table(1), "b": _table(2)}, redraws=40)["value_a"][0]
    tables["b"].loc[tables["b"]["image"] == "010", "L1_true"] = 1
    with pytest.raises(ValueError, match="label L1 of 1 images differs between a and b, such as 010"):
        compare(tables)


def test_one_model_alone_has_intervals_and_no_pairs() -> None:
    result = redraw_models({"a": _table(1)}, redraws=30)
    assert result.intervals()["label"].tolist() == ["L0", "L1", MACRO, MICRO]
    assert pair_table([result]).empty
    with pytest.raises(ValueError, match="two models at least, got 1: a"):
        compare({"a": _table(1)})


def test_all_problems_of_all_tables_are_named_at_once() -> None:
    broken = _table(2)
    broken.loc[(broken["image"] == "007"), "patient"] = ""
    broken.loc[(broken["image"] == "008"), "L0_score"] = np.nan
    twice = pd.concat([_table(3), _table(3).tail(1)])
    with pytest.raises(ValueError, match="cannot be used") as caught:
        align_predictions({"a": _table(1), "b": broken, "c": twice, "d": _table(1).drop(columns="L1_score")})
    text = str(caught.value)
    for part in (
        "b: 1 of 60 images have no patient, such as 007",
        "b: label L0: 1 of 60 scores are NaN",
        "c: 1 images occur more than once, such as 059",
        "d: column missing: L1_score",
    ):
        assert part in text
    with pytest.raises(ValueError, match="no rows of split 'train', only of test, val"):
        align_predictions({"a": _table(1)}, split="train")


def test_differences_between_models_are_named_with_counts_and_examples() -> None:
    other = _table(2).replace({"image": {"000": "x0", "001": "x1"}})
    other.loc[other["image"].isin(["010", "011", "012"]), "L1_true"] ^= 1
    other.loc[other["image"] == "020", "patient"] = "someone"
    with pytest.raises(ValueError, match="cannot be used") as caught:
        compare({"a": _table(1), "b": other.rename(columns={"L0_true": "Z_true", "L0_score": "Z_score"})})
    text = str(caught.value)
    for part in (
        "1 labels of a are not in b, such as L0",
        "2 images of a are not in b, such as 000, 001",
        "2 images of b are not in a, such as x0, x1",
        "label L1 of 3 images differs between a and b, such as 010, 011, 012",
        "1 images have other patients in a than in b, such as 020",
    ):
        assert part in text
