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
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_ssl.data.splits import fold_by_patient, split_by_patient, training_subset


def table_of(patients, seed=0, share=0.3):
    generator = np.random.default_rng(seed)
    rows = generator.integers(1, 6, patients)
    patient = np.repeat([f"{i:03d}" for i in range(patients)], rows)
    image = [f"image{i}" for i in range(len(patient))]
    return pd.DataFrame({"image": image, "patient": patient, "nodule": generator.random(len(patient)) < share}).astype(
        {"nodule": int}
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 60), st.integers(0, 5), st.sampled_from([(0.6, 0.15, 0.25), (0.8, 0.2, 0.0), (0.0, 0.0, 1.0)]))
def test_no_patient_on_two_sides_and_shares_as_asked(patients, seed, fractions):
    table = table_of(patients, seed)
    split = split_by_patient(table, fractions, seed)
    assert (split.groupby("patient")["split"].nunique() == 1).all()
    counts = split.groupby("patient")["split"].first().value_counts()
    for side, fraction in zip(("train", "val", "test"), fractions, strict=True):
        assert abs(counts.get(side, 0) - fraction * patients) < 1 + 1e-9


def test_the_order_and_number_of_rows_do_not_matter():
    table = table_of(40)
    split = split_by_patient(table, (0.6, 0.2, 0.2), seed=3).set_index("image")["split"]
    shuffled = split_by_patient(table.sample(frac=1, random_state=1), (0.6, 0.2, 0.2), seed=3)
    assert shuffled.set_index("image")["split"].reindex(split.index).equals(split)


def test_seeds_differ_and_repeat():
    table = table_of(40)
    one, again, other = (split_by_patient(table, (0.6, 0.2, 0.2), seed)["split"] for seed in (1, 1, 2))
    assert one.equals(again)
    assert not one.equals(other)


def test_patients_with_the_label_are_spread_over_all_sides():
    patient = [f"{i:02d}" for i in range(20)]
    table = pd.DataFrame({"image": patient, "patient": patient, "rare": [1] * 4 + [0] * 16})
    for seed in range(20):
        split = split_by_patient(table, (0.5, 0.25, 0.25), seed)
        assert split[split["rare"] == 1]["split"].value_counts().to_dict() == {"train": 2, "val": 1, "test": 1}


def test_bad_input_is_named():
    table = table_of(5)
    with pytest.raises(ValueError, match="sum to 1"):
        split_by_patient(table, (0.5, 0.1, 0.1), 0)
    with pytest.raises(ValueError, match="rows have no patient"):
        split_by_patient(table.assign(patient=""), (0.6, 0.2, 0.2), 0)


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 60), st.integers(2, 5), st.integers(0, 5))
def test_each_patient_is_tested_in_one_fold_and_trained_or_validated_on_in_the_others(patients, folds, seed):
    table = table_of(patients, seed)
    rounds = [fold_by_patient(table, folds, fold, (0.6, 0.15, 0.25), seed) for fold in range(folds)]
    sides = pd.DataFrame([each.groupby("patient")["split"].agg(lambda side: "/".join(set(side))) for each in rounds])
    assert set(np.unique(sides.to_numpy())) <= {"train", "val", "test"}
    assert ((sides == "test").sum() == 1).all()
    tested = (sides == "test").sum(axis=1)
    assert tested.max() - tested.min() <= 1
    for fold in range(folds):
        rest = patients - tested.iloc[fold]
        assert abs((sides.iloc[fold] == "val").sum() - rest * 0.2) < 1 + 1e-9


def test_folds_share_a_rare_label_evenly():
    patient = [f"{i:02d}" for i in range(50)]
    table = pd.DataFrame({"image": patient, "patient": patient, "rare": [1] * 10 + [0] * 40})
    for fold in range(5):
        split = fold_by_patient(table, 5, fold, seed=3)
        assert split.groupby("split")["rare"].sum()["test"] == 2


@pytest.mark.parametrize(
    ("folds", "fold", "message"),
    [(1, 0, "at least 2"), (3, 3, "0 to folds - 1"), (3, -1, "0 to folds - 1"), (2.0, 0, "whole"), (9, 0, "9 folds")],
)
def test_folds_out_of_range_are_refused(folds, fold, message):
    with pytest.raises(ValueError, match=message):
        fold_by_patient(table_of(5), folds, fold)


def many_labels(patients=400, seed=0):
    generator = np.random.default_rng(seed)
    shares = {"common": 0.5, "some": 0.2, "few": 0.06, "rare": 0.02}
    labels = {name: (generator.random(patients) < share).astype(int) for name, share in shares.items()}
    names = [f"{i:04d}" for i in range(patients)]
    side = np.where(np.arange(patients) % 4 == 3, "test", "train")
    return pd.DataFrame({"image": names, "patient": names, "split": side, **labels})


@pytest.mark.parametrize("seed", range(5))
def test_a_subset_keeps_the_shares_of_labels_and_leaves_the_test_alone(seed):
    table = many_labels()
    train = table[table["split"] == "train"]
    for fraction in (0.05, 0.1, 0.25, 0.5):
        subset = training_subset(table, fraction, seed)
        assert subset[subset["split"] == "test"].equals(table[table["split"] == "test"])
        kept = subset[subset["split"] == "train"]
        assert len(kept) == round(fraction * len(train))
        for label, slack in {"rare": 1, "few": 3, "some": 6, "common": 8}.items():
            assert abs(kept[label].sum() - fraction * train[label].sum()) <= slack


def test_subsets_of_one_seed_lie_in_one_another_and_take_whole_patients():
    table = table_of(40).assign(split="train")
    smaller = training_subset(table, 0.01, seed=2)
    assert smaller["patient"].nunique() == 1
    for fraction in (0.05, 0.1, 0.3, 0.5, 1.0):
        larger = training_subset(table.sample(frac=1, random_state=4), fraction, seed=2)
        assert set(smaller["image"]) <= set(larger["image"])
        whole = table[table["patient"].isin(larger["patient"])]
        assert set(whole["image"]) == set(larger["image"])
        smaller = larger
    assert len(smaller) == len(table)
    others = [set(training_subset(table, 0.3, seed)["patient"]) for seed in range(4)]
    assert len(set(map(frozenset, others))) > 1
    with pytest.raises(ValueError, match="above 0 to 1"):
        training_subset(table, 0)
