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

import cv2
import numpy as np
import pytest

from monai_ssl import preflight
from monai_ssl.data import PretrainingData
from monai_ssl.preflight import numbers, pretraining

SETTINGS = {
    **{"backbone": "resnet10t", "image_size": 32, "batch_size": 8, "max_epochs": 20, "prototypes": 8},
    **{"crop_sizes": [32, 16], "crop_counts": [2, 2], "crop_scales": [[0.9, 1.0], [0.1, 0.33]]},
    **{"queue_length": 0, "queue_start_epoch": 15},
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number in range(20):
        cv2.imwrite(str(folder / f"{number}.png"), np.zeros((40, 36 + number), np.uint8))
    return PretrainingData(folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"queue_length": 20}, "--queue_length 20 is no multiple of the 8 images that all processes take at a time"),
        ({"queue_length": 3}, "give 8, or 0 for none"),
        ({"image_size": 64, "crop_sizes": [64, 16]}, "crops of 64 px are larger than 20 of 20 images looked at"),
        ({"batch_size": 32}, "20 images in the split train do not fill one batch of 32"),
        ({"accumulation": 4}, "do not fill one batch of 32 (--batch_size times --accumulation 4)"),
        ({"accumulation": 0}, "--accumulation must be a whole number above 0"),
        ({"crop_counts": [1], "crop_sizes": [32], "crop_scales": [[0.9, 1]]}, "two crops or more"),
        ({"backbone": "vit_tiny_patch16_224", "crop_sizes": [32, 24]}, "multiples of 16 as --crop_sizes"),
        ({"backbone": "beit_base_patch16_224", "crop_sizes": [32, 16]}, "cannot take images of 32 px"),
        ({"amp_dtype": "float8"}, "--amp_dtype must be"),
        ({"amp": True, "amp_dtype": "float16"}, "float16 needs a GPU"),
        ({"compile": True, "gradient_checkpointing": True}, "do not go together"),
        ({"prototypes": 1}, "--prototypes must be a whole number of at least 2"),
        ({"probe_every": -1}, "--probe_every must be a whole number of at least 0"),
        ({"blur_sigma": [2, 1]}, "--blur_sigma: blur_sigma must be a pair"),
        ({"fractions": [1, 1, 1]}, "fractions must be three shares"),
        ({"image_size": "abc", "crop_sizes": ["abc", None]}, "--image_size must be a whole number above 0, got 'abc'"),
        ({"crop_sizes": 64}, "--crop_sizes, --crop_counts, --crop_scales: "),
        ({"image_size": 64, "crop_sizes": [64, 16]}, "lower --image_size or --crop_sizes"),
        ({"include_test_patients": "no"}, "--include_test_patients must be True or False, got 'no'"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_training(images, settings, message, caplog):
    with pytest.raises(SystemExit):
        preflight.check(images, {**SETTINGS, **settings}, "train")
    assert message in caplog.text


def test_an_empty_folder_and_wrong_settings_are_named_at_once(tmp_path, caplog):
    with pytest.raises(SystemExit):
        preflight.check(PretrainingData(tmp_path), {**SETTINGS, "crop_counts": [0, 1], "prototypes": 1}, "train")
    for part in ("neither a slice store", "--crop_counts", "--prototypes"):
        assert part in caplog.text


WRONG_NUMBERS = [
    *[("learning_rate", value, "a number above 0") for value in (0, "nan", float("nan"), float("inf"))],
    *[("temperature", 0, "a number above 0"), ("epsilon", -1, "a number above 0"), ("mean", "abc", "a number")],
    *[("weight_decay", -1, "a number of at least 0"), ("warmup_epochs", "abc", "a number of at least 0")],
    *[("brightness", -0.1, "a number of at least 0"), ("contrast", True, "a number of at least 0")],
    *[("momentum", value, "a number from 0 to below 1") for value in (1, 2, -0.1)],
    *[(name, 2, "a number from 0 to 1") for name in ("flip_prob", "jitter_prob", "blur_prob")],
    *[(name, value, "a whole number of at least 0") for name in ("seed", "split_seed") for value in (-1, 0.5, "abc")],
    *[("num_workers", -1, "a whole number of at least 0"), ("queue_length", None, "a whole number of at least 0")],
    *[("reference_batch_size", value, "a whole number above 0") for value in (0, -128, 1.5)],
]


@pytest.mark.parametrize(("name", "value", "allowed"), WRONG_NUMBERS)
def test_a_number_out_of_range_is_named(name, value, allowed):
    assert numbers.number_problems({name: value}) == [f"--{name} must be {allowed}, got {value!r}"]


def test_rates_lie_below_the_peak():
    rates = {"learning_rate": 0.2, "start_lr": 0.3, "final_lr": -1}
    assert numbers.number_problems(rates) == [
        "--start_lr must be a number from 0 to --learning_rate, which is 0.2, got 0.3",
        "--final_lr must be a number from 0 to --learning_rate, which is 0.2, got -1",
    ]
    assert numbers.number_problems({**rates, "start_lr": 0.2, "final_lr": 0}) == []
    # what follows from a wrong value is not complained of too
    wrong = {"learning_rate": "nan", "start_lr": None, "final_lr": None, "batch_size": 2.5, "queue_length": 37.5}
    assert [line.split()[0] for line in numbers.number_problems(wrong)] == ["--batch_size", "--learning_rate"]


def test_the_absent_reference_is_that_of_the_run():
    assert numbers.number_problems({"reference_batch_size": None, "mean": -1, "momentum": 0}) == []


def test_problems_of_all_kinds_are_named_at_once_without_warnings(images, caplog):
    settings = {**SETTINGS, "batch_size": 500, "crop_sizes": [64, 700], "queue_length": 13, "prototypes": 1000}
    settings |= {"temperature": 0, "seed": -1, "blur_sigma": [0, 0], "fractions": [1, 1, 1], "compile": True}
    with pytest.raises(SystemExit):
        preflight.check(images, {**settings, "gradient_checkpointing": True}, "train")
    for part in (
        *("do not fill one batch of 500", "crops of 700 px", "--queue_length 13", "--temperature", "--seed"),
        *("--blur_sigma", "fractions must be", "do not go together"),
    ):
        assert part in caplog.text
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"prototypes": 24, "max_epochs": 15, "queue_length": 16}, "give --queue_start_epoch below 15, fewer"),
        (
            {"prototypes": 24, "max_epochs": 15},
            "give --queue_length 16 or more with --queue_start_epoch below 15, fewer",
        ),
        ({"prototypes": 24, "max_epochs": 16}, "give --queue_length 16 or more, fewer"),
    ],
)
def test_the_advice_on_the_queue_suffices(images, settings, advice, caplog):
    preflight.check(images, {**SETTINGS, **settings}, "train")
    assert advice in caplog.text
    assert ("too late" in caplog.text) == (settings.get("queue_length", 0) > 0)


@pytest.mark.parametrize("backbone", ["resnet10t", "vit_tiny_patch16_224", "convnext_atto"])
def test_backbones_that_take_the_crops_pass(images, backbone):
    preflight.check(images, {**SETTINGS, "backbone": backbone, "crop_sizes": [32, 32]}, "train")


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"prototypes": 8}, False),
        ({"prototypes": 9}, True),
        ({"prototypes": 24, "queue_length": 16}, False),
        ({"prototypes": 25, "queue_length": 16}, True),
        ({"prototypes": 24, "queue_length": 16, "max_epochs": 15}, True),
    ],
)
def test_a_batch_small_for_its_prototypes_is_warned_of(images, settings, warned, caplog):
    preflight.check(images, {**SETTINGS, **settings}, "train")
    assert ("fewer --prototypes" in caplog.text) == warned


def test_the_queue_of_all_processes_is_meant(images, monkeypatch):
    monkeypatch.setattr(pretraining.idist, "get_world_size", lambda: 2)
    problems = pretraining.pretraining_problems(images, {**SETTINGS, "queue_length": 24})
    assert len(problems) == 1
    assert "give 16 or 32" in problems[0]
