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

from monai_ssl import preflight, preflight_pretraining
from monai_ssl.data import PretrainingData

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
        ({"backbone": "beit_base_patch16_224", "crop_sizes": [32, 16]}, "cannot take crops of 32 px"),
        ({"amp_dtype": "float8"}, "--amp_dtype must be"),
        ({"amp": True, "amp_dtype": "float16"}, "float16 needs a GPU"),
        ({"compile": True, "gradient_checkpointing": True}, "do not go together"),
        ({"prototypes": 1}, "--prototypes must be a whole number of at least 2"),
        ({"probe_every": -1}, "--probe_every must be a whole number of at least 0"),
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
    monkeypatch.setattr(preflight_pretraining.idist, "get_world_size", lambda: 2)
    problems = preflight_pretraining.pretraining_problems(images, {**SETTINGS, "queue_length": 24})
    assert len(problems) == 1
    assert "give 16 or 32" in problems[0]
