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

"""Every case of the corpus gets its wanted outcome: nothing silently wrong, no traceback, no good file refused."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from corpus import (
    bombs,
    dicom_coding,
    dicom_damage,
    dicom_frames,
    dicom_groups,
    dicom_order,
    dicom_values,
    folder_cases,
    itk_cases,
    nifti_cases,
    nifti_damage,
    nifti_places,
    people_cases,
)
from corpus.common import SECRETS
from corpus.judge import judge, judge_store, look
from corpus.nifti_cases import Nifti
from corpus.scans import Scan
from monai.transforms import LoadImage

from monai_ssl.data import DicomSeriesReader, slice_volumes

DICOM = (dicom_order, dicom_groups, dicom_values, dicom_coding, dicom_frames, dicom_damage, folder_cases, people_cases)
OTHERS = (nifti_cases, nifti_places, nifti_damage, itk_cases)
DICOM_CASES = [case for module in DICOM for case in module.CASES]
CASES = DICOM_CASES + [case for module in OTHERS for case in module.CASES]


def by_name(cases, start=0, step=1):
    return pytest.mark.parametrize("case", cases[start::step], ids=lambda case: case.name)


@by_name(CASES)
def test_outcome(case, tmp_path):
    outcomes = case.outcomes(tmp_path / "in")
    verdict = judge(tmp_path / "in", outcomes, **case.options)
    assert verdict.good, f"{verdict.word}: {verdict.detail}"


@by_name(CASES, start=2, step=8)
def test_store_shows_the_truth_and_tells_no_secret(case, tmp_path):
    outcomes = case.outcomes(tmp_path / "in")
    outside = sorted(tmp_path.iterdir())
    try:
        store = slice_volumes(
            tmp_path / "in", tmp_path / "out", reduce="all", pseudonym_key="k", workers=1, **case.options
        )
    except ValueError:
        if all(outcome.volumes for outcome in outcomes):
            raise
    else:
        assert not judge_store(store, outcomes)
    assert sorted(tmp_path.iterdir()) == sorted([*outside, tmp_path / "out"])
    assert not secrets_in(tmp_path / "out", SECRETS)


@by_name(DICOM_CASES, start=1, step=7)
def test_reader_is_as_careful(case, tmp_path):
    case.outcomes(tmp_path / "in")
    found = look(tmp_path / "in")
    load = LoadImage(reader=DicomSeriesReader(), image_only=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if len(found.volumes) != 1:
            with pytest.raises(ValueError, match=r"\bin\b|dcm") as error:
                load(tmp_path / "in")
            assert "Traceback" not in str(error.value)
            return
        image = load(tmp_path / "in")
    voxels = found.volumes[0][1]
    np.testing.assert_array_equal(image.numpy(), voxels.array)
    np.testing.assert_allclose(image.affine.numpy(), voxels.affine)
    told = [str(warning.message) for warning in caught]
    assert all(any(line in text for text in told) for line in found.warnings)


@pytest.fixture(scope="module")
def bomb_rows(tmp_path_factory):
    return bombs.judge_all(tmp_path_factory.mktemp("bombs"))


@by_name(bombs.BOMBS)
def test_bomb_is_refused_before_it_bursts(case, bomb_rows):
    _, word, detail, peak, seconds = bomb_rows[case.name]
    assert word in ("right", "right with warning", "refused"), f"{word}: {detail}"
    assert peak < bombs.MOST_BYTES
    assert seconds < bombs.MOST_SECONDS


@pytest.mark.parametrize("kind", ["dicom", "implicit", "nifti", "nifti_gz", "nrrd", "mha"])
def test_no_flipped_bits_end_in_a_traceback_or_a_leak(kind, tmp_path):
    path = tmp_path / "file"
    if kind in ("dicom", "implicit"):
        syntax = "1.2.840.10008.1.2.1" if kind == "dicom" else "1.2.840.10008.1.2"
        Scan(shape=(12, 10, 1)).save(tmp_path, "file", syntax=syntax)
    elif kind in ("nrrd", "mha"):
        getattr(itk_cases, kind)(tmp_path, file="file")
    else:
        Nifti().save(tmp_path, "file.gz" if kind == "nifti_gz" else "file")
        path = next(tmp_path.iterdir())
    content = path.read_bytes()
    rng = np.random.default_rng(7)
    for _ in range(60):
        flipped = bytearray(content)
        for at in rng.integers(0, min(len(content), 1200), rng.integers(1, 4)):
            flipped[at] ^= 1 << rng.integers(0, 8)
        path.write_bytes(flipped)
        found = look(tmp_path)
        assert found.volumes or found.rejections
        told = [rejection.reason for rejection in found.rejections] + found.warnings
        assert all(told)
        assert not any(secret in line for line in told for secret in SECRETS)


def test_hostile_identifiers_stay_text_and_go_nowhere(tmp_path):
    identifiers = people_cases.write_patients(tmp_path / "in")
    Scan(shape=(12, 10, 2), series=90, PatientID="").save(tmp_path / "in" / "nobody")
    Scan(shape=(12, 10, 2), series=91, PatientID="123450067").save(tmp_path / "in" / "no_zeros")
    store = slice_volumes(tmp_path / "in", tmp_path / "out", reduce="all", pseudonym_key="k", workers=1)
    assert store.table["patient"].nunique() == store.table["volume"].nunique() == len(identifiers) + 2
    assert not secrets_in(tmp_path / "out", [*SECRETS, *identifiers.values(), "123450067"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
    told = pd.read_csv(tmp_path / "out" / "warnings.csv")
    assert told.loc[told["file"].str.startswith("nobody"), "warning"].str.contains("patient").any()
    assert not told["file"].str.startswith("no_zeros").any()


def test_names_of_input_files_are_no_formulas_in_the_tables(tmp_path):
    Scan(ImageOrientationPatient=None).save(tmp_path / "in", "=cmd()|{}.dcm")
    for name in ("@SUM(A1).txt", "+1.txt", "-1.txt", "=1+1.nii"):
        (tmp_path / "in" / name).write_text("text")
    slice_volumes(tmp_path / "in", tmp_path / "out", reduce="all", workers=1)
    for name in ("rejected.csv", "warnings.csv"):
        table = pd.read_csv(tmp_path / "out" / name, dtype=str)
        assert len(table)
        assert not table.map(lambda cell: cell[:1] in "=+-@\t\r").any(axis=None)


def secrets_in(folder, secrets):
    """What of the secrets stands in a file name, table or text; the column `file` tells paths of the input."""
    told = []
    for path in folder.rglob("*"):
        text = str(path.relative_to(folder))
        if path.suffix == ".csv":
            text += pd.read_csv(path, dtype=str).drop(columns="file", errors="ignore").to_csv()
        elif path.is_file():
            text += path.read_bytes().decode("latin-1")
        told += [f"{path.name}: {secret}" for secret in secrets if re.search(re.escape(secret), text)]
    return told
