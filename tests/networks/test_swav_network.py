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

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from monai_ssl.networks import SwAVNet, create_backbone


class CountingBackbone(nn.Module):
    """Pools to a few features, and notes the batch of each call."""

    num_features = 6

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 6, 3)
        self.calls: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.calls.append(tuple(images.shape))
        return self.layer(images).mean(dim=(2, 3))


def crops_of(batch: int, sizes: tuple[int, ...] = (16, 16, 8, 8, 8)) -> list[Tensor]:
    return [torch.randn(batch, 1, size, size) for size in sizes]


def test_scores_are_cosines_of_projection_and_prototype_crop_by_crop() -> None:
    torch.manual_seed(0)
    network = SwAVNet(CountingBackbone(), hidden_dim=7, output_dim=4, prototypes=9).eval()
    crops = crops_of(3)
    output = network(crops)
    for crop, scores in zip(crops, output.scores, strict=True):
        projection = network.projection_head(network.backbone(crop))
        expected = F.cosine_similarity(projection[:, None], network.prototypes.weight[None], dim=-1)
        torch.testing.assert_close(scores, expected)
    torch.testing.assert_close(output.embeddings.norm(dim=1), torch.ones(3))
    assert not output.embeddings.requires_grad
    assert output.queue_scores is None


def test_neighbouring_crops_of_one_size_share_a_backbone_call() -> None:
    network = SwAVNet(CountingBackbone(), hidden_dim=7, output_dim=4, prototypes=9)
    network(crops_of(3))
    assert network.backbone.calls == [(6, 1, 16, 16), (9, 1, 8, 8)]


def test_batch_norm_of_the_head_sees_all_crops_as_in_the_original() -> None:
    network = SwAVNet(CountingBackbone(), hidden_dim=7, output_dim=4, prototypes=9)
    network(crops_of(3))
    assert int(network.projection_head[1].num_batches_tracked) == 1


def test_prototypes_are_normalised_in_training_and_untouched_in_evaluation() -> None:
    network = SwAVNet(CountingBackbone(), hidden_dim=0, output_dim=4, prototypes=9)
    assert isinstance(network.projection_head, nn.Linear)
    with torch.no_grad():
        network.prototypes.weight.mul_(3)
    before = network.prototypes.weight.clone()
    crops = crops_of(2)
    in_evaluation = network.eval()(crops).scores
    assert torch.equal(network.prototypes.weight, before)
    in_training = network.train()(crops).scores
    torch.testing.assert_close(network.prototypes.weight, F.normalize(before, dim=1))
    torch.testing.assert_close(in_training, in_evaluation)
    in_training[0].sum().backward()
    assert network.prototypes.weight.grad is not None


def test_queue_holds_the_latest_embeddings_and_is_used_once_full() -> None:
    torch.manual_seed(0)
    network = SwAVNet(CountingBackbone(), hidden_dim=0, output_dim=4, prototypes=9, queue_length=5)
    seen: list[list[Tensor]] = [[], []]
    for step in range(4):
        crops = crops_of(2)
        output = network(crops)
        queue_before = [torch.cat(list(reversed(past)))[:5] if past else None for past in seen]
        if step < 3:  # 2, 4, then 6 >= 5 embeddings after the step
            assert output.queue_scores is None
        else:
            for scores, queue in zip(output.queue_scores, queue_before, strict=True):
                torch.testing.assert_close(scores, queue @ network.prototypes.weight.T)
                assert not scores.requires_grad
        for past, crop in zip(seen, crops, strict=False):
            past.append(F.normalize(network.projection_head(network.backbone(crop)), dim=1).detach())
        filled = torch.cat(list(reversed(seen[1])))[:5]
        torch.testing.assert_close(network.queue[1, : len(filled)], filled)
    before = network.queue.clone()
    assert network.eval()(crops_of(2)).queue_scores is None
    assert torch.equal(network.queue, before)
    assert "queue" in network.state_dict()


def test_batch_larger_than_the_queue_leaves_its_first_images() -> None:
    network = SwAVNet(CountingBackbone(), hidden_dim=0, output_dim=4, prototypes=9, queue_length=3)
    output = network(crops_of(5))
    torch.testing.assert_close(network.queue[0], output.embeddings[:3])


def test_one_tensor_is_one_crop() -> None:
    network = SwAVNet(CountingBackbone(), hidden_dim=0, output_dim=4, prototypes=9).eval()
    image = torch.randn(2, 1, 16, 16)
    assert torch.equal(network(image).scores[0], network([image]).scores[0])


def test_scores_stay_float32_and_exact_under_autocast() -> None:
    network = SwAVNet(CountingBackbone(), hidden_dim=7, output_dim=64, prototypes=9).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(crops_of(3))
    assert output.scores[0].dtype == torch.float32
    torch.testing.assert_close(output.embeddings.norm(dim=1), torch.ones(3), rtol=0, atol=1e-6)
    expected = F.linear(output.embeddings, F.normalize(network.prototypes.weight, dim=1))
    torch.testing.assert_close(output.scores[0], expected, rtol=0, atol=1e-6)


def test_a_real_backbone_learns_from_every_crop() -> None:
    network = SwAVNet(create_backbone("resnet18"), hidden_dim=8, output_dim=4, prototypes=9)
    output = network(crops_of(2, sizes=(64, 64, 32)))
    sum(scores.square().sum() for scores in output.scores).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"hidden_dim": -1}, "hidden_dim"), ({"prototypes": 1}, "prototypes"), ({"queue_length": -1}, "queue_length")],
)
def test_wrong_sizes_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SwAVNet(CountingBackbone(), **arguments)


def test_wrong_crops_are_refused() -> None:
    network = SwAVNet(CountingBackbone(), prototypes=9, queue_length=4)
    with pytest.raises(ValueError, match="empty"):
        network([])
    with pytest.raises(ValueError, match="batches of 2, 3"):
        network([torch.rand(2, 1, 8, 8), torch.rand(3, 1, 8, 8)])
    with pytest.raises(ValueError, match="queue_length=0"):
        network(torch.rand(2, 1, 8, 8))
    with pytest.raises(ValueError, match="num_features"):
        SwAVNet(nn.Flatten())
