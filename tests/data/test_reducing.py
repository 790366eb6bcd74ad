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

import csv
import errno
import json
import re

import numpy as np
import pytest
import torch
from killable_slicing import stop_before_renaming
from volume_files import axial_affine, world_values, write_nifti

from monai_ssl.data import SliceStore, reduce_store, slice_volumes
from monai_ssl.networks import Embedder, create_backbone
from monai_ssl.reduction import hash_slices, reduce_slices, select_by_cosine, select_exemplars, to_uint8
from monai_ssl.report import build_reduction_report

KEY = "secret"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    random = np.random.default_rng(0)
    affine = axial_affine()
    for number in range(4):
        values = world_values(affine, (24, 20, 9)) + random.integers(0, 40, (24, 20, 1)) * (number % 2 + 1)
        end = values[..., 4::-1] if number == 2 else values[..., 4:] + 100 * random.random((24, 20, 5))
        values = np.concatenate([values[..., :4], end], axis=-1)
        write_nifti(folder / f"{number}.nii.gz", affine, values.astype(np.int16))
    (folder / "labels.csv").write_text("series,patient\n0.nii.gz,a\n1.nii.gz,b\n2.nii.gz,a\n3.nii.gz,b\n")
    return folder


def sliced(source, output, reduce="all", **options):
    labels = source / "labels.csv"
    return slice_volumes(source, output, reduce=reduce, labels=labels, pseudonym_key=KEY, workers=1, **options)


def columns(path, *names):
    with open(path / "slices.csv", newline="") as stream:
        return [tuple(row[name] for name in names) for row in csv.DictReader(stream)]


@pytest.mark.parametrize("strategy", ["dhash:6", "every_n:3", "random:0.4", "ssim:0.2", "mi:0.3", "all"])
@pytest.mark.parametrize("window", [None, (-200.0, 800.0)])
def test_reduced_later_is_reduced_at_slicing(source, tmp_path, strategy, window):
    at_slicing = sliced(source, tmp_path / "a", strategy, window=window)
    sliced(source, tmp_path / "b", window=window)
    later = reduce_store(tmp_path / "b", strategy, workers=1)
    same = ["slice", "kept", "exemplar", "distance", "hash"]
    assert columns(tmp_path / "a", *same) == columns(tmp_path / "b", *same)
    assert len(later) == len(at_slicing)
    assert all((later[k] == at_slicing[k]).all() for k in range(len(later)))
    assert later.settings["reduction"] == at_slicing.settings["reduction"]


def test_nothing_but_three_columns_changes(source, tmp_path):
    store = sliced(source, tmp_path / "out")
    rest = [column for column in store.table if column not in ("kept", "exemplar", "distance")]
    before, whole = columns(store.path, *rest), (store.path / "slices.csv").read_bytes()
    files = {file: file.read_bytes() for file in store.path.rglob("*.npy")}
    build_reduction_report(store.path)
    reduce_store(store.path, "dhash:9", scope="dataset")
    assert not list(store.path.glob("reduction.*"))  # they told of the reduction before
    assert columns(store.path, *rest) == before
    assert (store.path / "slices.csv").read_bytes() != whole
    assert all(file.read_bytes() == content for file, content in files.items())
    reduce_store(store.path, "all")
    assert (store.path / "slices.csv").read_bytes() == whole


@pytest.mark.parametrize("scope", ["volume", "patient", "dataset"])
def test_scopes_against_a_plain_loop(source, tmp_path, scope):
    store = reduce_store(sliced(source, tmp_path / "out").path, "dhash:8", scope=scope)
    table = store.table
    for place, row in table.iterrows():
        group = table if scope == "dataset" else table[table[scope] == row[scope]]
        earlier = group[(group.index < place) & group["kept"]]
        bits = [bin(int(row["hash"], 16) ^ int(other, 16)).count("1") for other in earlier["hash"]]
        near = [name for name, distance in zip(earlier["slice"], bits, strict=True) if distance <= 8]
        assert row["kept"] == (not near)
        assert row["exemplar"] == (near[0] if near else row["slice"])
    assert store.settings["counts"]["kept"] == len(store) == int(table["kept"].sum())


def test_hashes_are_of_the_window(source, tmp_path):
    store = sliced(source, tmp_path / "out", window=(-200.0, 800.0))
    images = np.stack([store[k] for k in range(len(store))])
    assert [int(value, 16) for value in store.table["hash"]] == hash_slices(images, (-200.0, 800.0)).tolist()
    named = sliced(source, tmp_path / "named", window="lung")
    assert [int(value, 16) for value in named.table["hash"]] == hash_slices(images, (-1350.0, 150.0)).tolist()


@pytest.mark.parametrize(("name", "share"), [("dhash", 0.3), ("ssim", 0.5), ("every_n", 0.25), ("random", 0.5)])
def test_target_fraction_finds_the_nearest_number(source, tmp_path, name, share):
    store = reduce_store(sliced(source, tmp_path / "out").path, name, target_fraction=share, workers=1)
    chosen = store.settings["reduction"]["strategy"]
    again = reduce_store(store.path, chosen, workers=1)
    assert len(again) == len(store)
    if name == "dhash":
        counts = [len(reduce_store(store.path, f"dhash:{bits}")) for bits in range(65)]
        assert abs(len(store) - share * len(store.table)) == min(abs(n - share * len(store.table)) for n in counts)


def test_never_stored_is_refused_with_the_command(source, tmp_path):
    store = sliced(source, tmp_path / "out", "dhash:12")
    before = (store.path / "slices.csv").read_bytes()
    with pytest.raises(ValueError, match=r"keep \d+ slices that were never stored; .* slice INPUT OUTPUT --reduce all"):
        reduce_store(store.path, "all")
    with pytest.raises(ValueError, match=r"ssim looks at the voxels of all slices, and \d+ of 36 were never stored"):
        reduce_store(store.path, "ssim:0.1")
    assert (store.path / "slices.csv").read_bytes() == before
    assert len(reduce_store(store.path, "dhash:12")) == len(store)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"strategy": "dhsh:6"}, "unknown reduction strategy 'dhsh:6'; known are .*did you mean dhash:T"),
        ({"strategy": "dhash:65"}, "T an integer from 0 to 64"),
        ({"strategy": "ssim:2"}, "T from 0 to 1"),
        ({"strategy": "mi:0.1", "scope": "dataset"}, "mi has no scope beyond the volume"),
        ({"strategy": "dhash:6", "scope": "study"}, "scope must be one of volume, patient, dataset"),
        ({"strategy": "dhash:6", "target_fraction": 0.1}, "give the strategy alone, 'dhash', got 'dhash:6'"),
        ({"strategy": "dhash", "target_fraction": 0}, "target_fraction must be above 0"),
        ({"strategy": "all", "target_fraction": 0.5}, "all keeps every slice"),
        ({"strategy": "embedding:0.1"}, "has no features yet"),
        ({"strategy": "embedding:0.1", "backbone": "resnet18"}, "backbone and checkpoint go together"),
        ({"strategy": "dhash:6", "backbone": "resnet18", "checkpoint": "x"}, "for embedding alone"),
        ({"strategy": "dhash:+1_0"}, "T an integer from 0 to 64"),
        ({"strategy": "dhash:6", "workers": 0}, "workers must be None"),
        ({"strategy": "random:0.5", "seed": -1}, "seed must be a whole number of 0 or more, got -1"),
    ],
)
def test_bad_arguments_are_refused_before_work(source, tmp_path, options, told):
    store = sliced(source, tmp_path / "out")
    before = (store.path / "slices.csv").read_bytes()
    with pytest.raises(ValueError, match=told):
        reduce_store(store.path, **options)
    assert (store.path / "slices.csv").read_bytes() == before


def test_a_resized_store_is_not_compared_by_its_images(source, tmp_path):
    store = sliced(source, tmp_path / "out", resize=32)
    with pytest.raises(ValueError, match="ssim compares slices in the size of the source"):
        reduce_store(store.path, "ssim:0.1")
    assert len(reduce_store(store.path, "dhash:6")) < len(store)


def test_random_draws_by_seed_and_volume(source, tmp_path):
    store = sliced(source, tmp_path / "out")
    drawn = []
    for seed in (0, 0, 1):
        table = reduce_store(store.path, "random:0.3", seed=seed).table
        drawn.append([tuple(rows["kept"]) for _, rows in table.groupby("volume")])
    assert drawn[0] == drawn[1] != drawn[2]
    assert len({len(places) for places in drawn[0]}) < len(set(drawn[0]))  # volumes of one length draw other places
    assert sliced(source, tmp_path / "at", reduce="random:0.3", seed=1).table["kept"].tolist() == table["kept"].tolist()


def test_a_full_disk_leaves_the_store_as_it_was(source, tmp_path, monkeypatch):
    store = sliced(source, tmp_path / "out")
    before = {name: (store.path / name).read_bytes() for name in ("slices.csv", "store.json")}

    class Full:
        def __init__(self, target, **options):
            self.writerow = self

        def __call__(self, row):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("csv.writer", Full)
    with pytest.raises(OSError, match="No space left"):
        reduce_store(store.path, "dhash:6")
    assert {name: (store.path / name).read_bytes() for name in before} == before


def test_a_damaged_hash_is_named(source, tmp_path):
    store = sliced(source, tmp_path / "out")
    path, wrong = store.path / "slices.csv", store.table["hash"].iloc[3]
    path.write_text(path.read_text(encoding="utf-8").replace(wrong, "0x" + wrong[2:]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"slices.csv: hash must be 16 hexadecimal digits, got '0x"):
        reduce_store(store.path, "dhash:6")


def test_embedding_at_slicing_later_and_again_without_voxels(source, tmp_path, monkeypatch):
    torch.manual_seed(0)
    torch.save(create_backbone("resnet18").state_dict(), tmp_path / "weights.pt")
    network = {"backbone": "resnet18", "checkpoint": tmp_path / "weights.pt"}
    at_slicing = sliced(source, tmp_path / "a", "embedding:0.01", **network)
    later = reduce_store(sliced(source, tmp_path / "b").path, "embedding:0.01", **network)
    same = ["slice", "kept", "exemplar", "distance"]
    assert columns(tmp_path / "a", *same) == columns(tmp_path / "b", *same)
    assert at_slicing.settings["features"] == later.settings["features"]
    assert str(tmp_path) not in json.dumps(at_slicing.settings)
    images = np.stack([later.read(name) for name in later.table["slice"]])
    features = Embedder("resnet18", str(tmp_path / "weights.pt"))(to_uint8(images))
    monkeypatch.delattr("monai_ssl.data.stored_slices.StoredSlices.eight_bit")  # no voxel is looked at again
    monkeypatch.delattr("monai_ssl.reduction.Slices.eight_bit")
    whole = reduce_store(tmp_path / "b", "embedding:0.01", scope="dataset")
    expected = select_by_cosine(features, 0.01)
    assert whole.table["kept"].tolist() == (expected == np.arange(len(expected))).tolist()
    assert whole.table["exemplar"].tolist() == whole.table["slice"].to_numpy()[expected].tolist()


def test_embedding_without_a_network_is_refused_before_work(source, tmp_path):
    with pytest.raises(ValueError, match="needs a network: give --backbone NAME and --checkpoint FILE"):
        sliced(source, tmp_path / "out", reduce="embedding:0.1")
    assert not (tmp_path / "out").exists()


def test_cosine_of_very_large_and_small_features():
    features = np.random.default_rng(0).normal(size=(40, 6)).repeat(2, axis=0)
    for scale in (1e-30, 1e25):
        np.testing.assert_array_equal(select_by_cosine(features * scale, 0.3), select_by_cosine(features, 0.3))


def test_cosine_against_a_plain_loop():
    random = np.random.default_rng(0)
    features = np.repeat(random.normal(size=(60, 16)), 40, axis=0) + random.normal(0, 0.2, (2400, 16))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for threshold in (0.0, 0.02, 0.3):
        kept, expected = [], []
        for k, each in enumerate(unit):
            first = next((j for j in kept if 1 - unit[j] @ each <= threshold), None)
            kept += [k] * (first is None)
            expected.append(k if first is None else first)
        assert select_by_cosine(features, threshold).tolist() == expected


def test_a_kill_between_the_two_files_is_told(source, tmp_path, monkeypatch, caplog):
    store = sliced(source, tmp_path / "out")
    with monkeypatch.context() as patch:
        stop_before_renaming(patch, "slices.csv")
        with pytest.raises(KeyboardInterrupt):
            reduce_store(store.path, "dhash:6")
    SliceStore.open(store.path)
    assert re.search(r"reduction by dhash:6 was stopped; run it again", caplog.text)
    assert reduce_store(store.path, "dhash:6").settings["reduction"]["strategy"] == "dhash:6"


def test_array_call_equals_exemplars():
    images = np.random.default_rng(0).integers(0, 255, (30, 40, 40)).astype(np.uint8)
    assert reduce_slices(images, "dhash:20").exemplar.tolist() == select_exemplars(hash_slices(images), 20).tolist()
