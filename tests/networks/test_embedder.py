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

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from monai_ssl.data.stored_slices import make_embedder
from monai_ssl.networks import Embedder, create_backbone


@pytest.mark.parametrize(("mean", "std"), [(0.3, 0.2), (None, None)])
def test_slices_are_normalised_as_the_weights_expect(tmp_path: Path, mean: float | None, std: float | None) -> None:
    torch.manual_seed(0)
    network = create_backbone("resnet18").eval()
    provenance = {"settings": {"mean": mean, "std": std}}
    torch.save({"network": network.state_dict(), "provenance": provenance}, tmp_path / "checkpoint.pt")
    images = np.random.default_rng(0).integers(0, 256, (3, 50, 40), dtype=np.uint8)
    features = Embedder("resnet18", str(tmp_path / "checkpoint.pt"), image_size=64, device="cpu")(images)
    pixels = torch.from_numpy(images)[:, None] / 255
    resized = interpolate(pixels, (64, 64), mode="bilinear", antialias=True, align_corners=False)
    with torch.no_grad():
        expected = network(resized if mean is None else (resized - mean) / std)
    torch.testing.assert_close(torch.from_numpy(features), expected)


def test_a_store_records_the_normalisation_and_a_guess_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "resnet18.pt"
    torch.save(create_backbone("resnet18").state_dict(), path)
    with caplog.at_level(logging.WARNING):
        _, tagged = make_embedder(True, "resnet18.a1_in1k", path)
        assert not caplog.records
        _, guessed = make_embedder(True, "resnet18", path)
    assert "does not tell how its images were normalised" in caplog.text
    assert tagged is not None
    assert guessed is not None
    assert tagged["mean"] == guessed["mean"] == pytest.approx(0.449, abs=1e-3)
    assert tagged["std"] == guessed["std"] == pytest.approx(0.226, abs=1e-3)
