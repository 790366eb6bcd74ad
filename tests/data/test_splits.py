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

from monai_ssl.data.splits import split_by_patient


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
