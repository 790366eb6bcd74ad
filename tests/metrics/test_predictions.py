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

import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from monai_ssl.metrics import align_predictions, compare, youden_thresholds


def _table(seed: int = 1, images: int = 60, prefix: str = "") -> pd.DataFrame:
    truth = np.random.default_rng(99).random((images, 2)) < 0.4
    table = pd.DataFrame({"image": [f"{prefix}{i:03d}" for i in range(images)], "split": "test"})
    table["patient"] = [f"{prefix}{i // 3:02d}" for i in range(images)]
    for column, label in enumerate(("L0", "L1")):
        table[f"{label}_true"] = truth[:, column].astype(int)
        table[f"{label}_score"] = np.random.default_rng([seed, column]).random(images)
    return table


def _with_val(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table.assign(split="val", image="v" + table["image"]), table], ignore_index=True)


def _constant(table: pd.DataFrame) -> None:
    # one image whose truth is unknown has another score: it is left out, and so is its score
    table["L1_true"] = table["L1_true"].astype(float)
    table.loc[0, "L1_true"] = np.nan
    table.loc[1:, "L1_score"] = 0.25


def _changed(column: str, rows: slice, value: object):
    def change(table: pd.DataFrame) -> None:
        table[column] = table[column].astype(object)
        table.loc[rows, column] = value

    return change


def _set(column: str, values) -> Callable[[pd.DataFrame], None]:
    return lambda table: table.__setitem__(column, values(table[column]))


WRONG_ALONE = {
    "constant": (_constant, "b: label L1: all 59 scores in split 'test' are 0.25: the model tells no image from"),
    "nan": (
        _changed("L0_score", slice(8, 9), np.nan),
        "b: label L0: 2 of 60 scores are NaN or infinite in split 'test', such as of image 008, 009; did the training",
    ),
    "infinite": (_changed("L0_score", slice(8, 8), -np.inf), "b: label L0: 1 of 60 scores are NaN or infinite"),
    "diverged": (
        lambda table: table.__setitem__(["L0_score", "L1_score"], np.nan),
        "b: labels L0, L1: 60 of 60 scores are NaN",
    ),
    "score as text": (
        _changed("L0_score", slice(0, 3), "0,5"),
        "b: label L0: 4 of 60 scores in split 'test' are no numbers (such as 0,5); write numbers with a decimal point",
    ),
    "truth as text": (
        _changed("L0_true", slice(0, 1), "yes"),
        "b: label L0: 2 of 60 labels in split 'test' are neither 0, 1 nor empty (such as yes); write 1 for",
    ),
    "truth of 2": (_changed("L1_true", slice(5, 5), 2), "are neither 0, 1 nor empty (such as 2)"),
    "patient without id": (
        _changed("patient", slice(0, 2), " "),
        "b: 3 of 60 images have no patient, such as 000, 001",
    ),
    "image without id": (_changed("image", slice(3, 3), ""), "b: 1 of 60 rows have no image; give each its id"),
    "image twice": (_changed("image", slice(4, 5), "003"), "b: 1 images occur more than once, such as 003; keep one"),
    "other split": (_changed("split", slice(0, 99), "train"), "b: no rows of split 'test', only of train; evaluate"),
    "no rows": (lambda table: table.drop(index=table.index, inplace=True), "b: the table has no rows; has the run"),
}

WRONG_TOGETHER = {
    "truth": (
        _changed("L1_true", slice(10, 13), np.nan),
        "label L1 of 4 images differs between a and b, such as 010, 011, 012 and 1 more; evaluate all",
    ),
    "patients": (_changed("patient", slice(20, 20), "x"), "1 images have other patients in a than in b, such as 020;"),
    "no patients": (_changed("patient", slice(0, 99), ""), "a names patients, b does not; give all tables"),
    "images": (_changed("image", slice(0, 1), ["x0", "x1"]), "2 images of b are not in a, such as x0, x1; evaluate"),
    "missing": (lambda table: table.drop(index=range(2), inplace=True), "2 images of a are not in b, such as 000, 001"),
    "labels": (
        lambda table: table.rename(columns={"L0_true": "Z_true", "L0_score": "Z_score"}, inplace=True),
        "1 labels of b are not in a, such as Z; keep the columns",
    ),
    "spreadsheet": (_set("image", lambda ids: ids.astype(int).astype(str)), "agree but for leading zeros, which"),
    "another data set": (
        _set("image", lambda ids: "x" + ids),
        "predictions of 2 data sets seem to be mixed, since they share no images or hardly any: a (60 images, such as "
        "000); b (60 images, such as x000); say which go together: a@SET_1=PATH b@SET_2=PATH",
    ),
}


@pytest.mark.parametrize("case", WRONG_ALONE | WRONG_TOGETHER)
def test_what_is_wrong_is_told_with_counts_and_examples(case: str) -> None:
    change, told = (WRONG_ALONE | WRONG_TOGETHER)[case]
    table = _table(2)
    change(table)
    with pytest.raises(ValueError, match="the predictions cannot be used") as caught:
        align_predictions({"a": _table(1), "b": table})
    assert told in str(caught.value)


def test_everything_is_told_in_one_error() -> None:
    tables = {"a": _table(1)}
    for case, (change, _) in (WRONG_ALONE | WRONG_TOGETHER).items():
        tables[case] = _table(2)
        change(tables[case])
    with pytest.raises(ValueError, match="cannot be used") as caught:
        compare(tables)
    text = str(caught.value)
    for case, (_, told) in WRONG_ALONE.items():
        assert told.replace("b: ", f"{case}: ") in text
    for case in set(WRONG_TOGETHER) - {"another data set"}:
        assert any(case in line for line in text.splitlines()), case
    assert "another data set@SET_2=PATH" in text


def test_one_wrong_table_among_many_is_named_alone() -> None:
    tables = {name: _table(seed) for seed, name in enumerate("abcde")}
    tables["a"].loc[7, "L0_true"] ^= 1
    with pytest.raises(ValueError, match="cannot be used") as caught:
        align_predictions(tables)
    [line] = str(caught.value).splitlines()[1:]
    assert "label L0 of 1 images differs between b, c, d and 1 more and a, such as 007" in line


def test_a_truth_of_true_and_false_and_columns_in_another_order_are_the_same() -> None:
    table = _table(1)
    table["L0_true"] = table["L0_true"].astype(object)
    table.loc[3, "L0_true"] = np.nan
    text = table.replace({"L0_true": {0: "False", 1: "True"}}).to_csv(index=False)
    booleans = pd.read_csv(io.StringIO(text), dtype={"image": str, "patient": str})
    data = align_predictions({"a": table, "b": booleans[booleans.columns[::-1]]})
    assert data.labels == ["L0", "L1"]
    np.testing.assert_array_equal(data.truth, table[["L0_true", "L1_true"]].to_numpy(float))
    np.testing.assert_array_equal(data.scores[0], data.scores[1])


def test_unknown_and_one_class_labels_are_taken() -> None:
    table = _table(1).assign(L0_true=np.nan)
    data = align_predictions({"a": table, "b": table.assign(L1_score=0.5 * table["L1_score"])})
    assert np.isnan(data.truth[:, 0]).all()
    # constant where nothing is known of the label is no result that could mislead
    align_predictions({"a": table.assign(L0_score=0.5)})
    assert align_predictions({"a": _table(1).assign(L1_score=0.5)}, allow_constant=True).scores[0, 0, 1] == 0.5


def test_thresholds_are_the_recorded_ones_else_those_of_validation() -> None:
    tables = {"a": _with_val(_table(1)), "b": _with_val(_table(2)), "c": _table(3)}
    val = {name: table[table["split"] == "val"] for name, table in tables.items()}
    own = [youden_thresholds(*(val[name][[f"L0_{x}", f"L1_{x}"]] for x in ("true", "score"))) for name in "ab"]
    np.testing.assert_array_equal(align_predictions(tables).thresholds, [*own, [np.nan] * 2])
    recorded = {"a": {"L1": 0.3, "other": 0.1}, "b": None, "c": {"L0": np.nan, "L1": 0.7}}
    np.testing.assert_array_equal(
        align_predictions(tables, thresholds=recorded).thresholds, [[np.nan, 0.3], own[1], [np.nan, 0.7]]
    )
    broken = _with_val(_table(2))
    broken.loc[:4, "L1_score"] = np.nan
    with pytest.raises(ValueError, match="b: label L1: 5 of 60 scores are NaN or infinite in split 'val'"):
        align_predictions({"a": tables["a"], "b": broken})


def test_logits_are_no_probabilities() -> None:
    logits = _table(2)
    logits.loc[5, "L0_score"] = -0.1
    data = align_predictions({"a": _table(1), "b": logits})
    assert data.probabilities.tolist() == [True, False]


def test_a_table_with_bad_scores_is_held_against_the_others_too() -> None:
    bad = _table(2)
    bad["L0_score"] = 0.5
    bad["L1_true"] = 1 - bad["L1_true"]
    with pytest.raises(ValueError, match="cannot be used") as caught:
        align_predictions({"a": _table(1), "b": bad})
    assert "b: label L0" in str(caught.value)
    assert "label L1 of 60 images differs between" in str(caught.value)
