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

"""Small networks as upstream code defines and saves them, to compare outputs with."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torchvision
from torch import Tensor, nn


def unlike_new(network: nn.Module, seed: int = 1) -> nn.Module:
    """Change what is not random from the start, so that any wrong map changes the output."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.is_floating_point() and tensor.ndim < 2:
                tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.05)
    return network.eval()


def small_resnet(fc: nn.Module | None = None) -> nn.Module:
    """A ResNet-18 of one block a stage."""
    network = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1])
    network.fc = nn.Identity() if fc is None else fc
    return network


def projection_head(width: int = 512) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))


class SwAVResNet(torchvision.models.ResNet):
    """As https://github.com/facebookresearch/swav/blob/main/src/resnet50.py, heads beside the layers."""

    def __init__(self) -> None:
        super().__init__(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1])
        self.fc = nn.Identity()
        self.projection_head = projection_head()
        self.prototypes = nn.Linear(4, 6, bias=False)


class MoCo(nn.Module):
    """As https://github.com/facebookresearch/moco/blob/main/moco/builder.py, with the head of version 2."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder_q, self.encoder_k = small_resnet(projection_head()), small_resnet(projection_head())
        self.register_buffer("queue", torch.randn(4, 16))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))


class SiameseArm(nn.Module):
    """As lightning-bolts' pl_bolts/models/self_supervised/byol/models.py."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = small_resnet()
        self.projector, self.predictor = nn.Module(), nn.Module()
        self.projector.model, self.predictor.model = projection_head(), projection_head(4)


class BYOL(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.online_network, self.target_network = SiameseArm(), SiameseArm()


class SparK(nn.Module):
    """As https://github.com/keyu-tian/SparK/blob/main/pretrain/spark.py."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.sparse_encoder = nn.Module()
        self.sparse_encoder.sp_cnn = encoder
        self.dense_decoder = nn.Conv2d(8, 8, 1)
        self.densify_norms = nn.ModuleList([nn.BatchNorm2d(8)])
        self.mask_tokens = nn.ParameterList([nn.Parameter(torch.zeros(1, 8, 1, 1))])


class VisslTrunk(nn.Module):
    """As VISSL's vissl/models/trunks/resnext.py."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool")
        self._feature_blocks = nn.ModuleDict(OrderedDict((name, getattr(network, name)) for name in names))

    def forward(self, image: Tensor) -> Tensor:
        for block in self._feature_blocks.values():
            image = block(image)
        return image.flatten(1)


class RadImageNet(nn.Module):
    """As https://github.com/BMEII-AI/RadImageNet/blob/main/pytorch_example.ipynb: all children but the classifier."""

    def __init__(self, network: nn.Module, children: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(*list(network.children())[:children])


class Block(nn.Module):
    """As https://github.com/facebookresearch/dinov2/blob/main/dinov2/layers/block.py, and DINO's without scale."""

    def __init__(self, width: int, heads: int, scale: bool, swiglu: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.qkv, self.attn.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        if swiglu:
            hidden = int(width * 2.66667 * 2) // 2
            self.mlp.w12, self.mlp.w3 = nn.Linear(width, 2 * hidden), nn.Linear(hidden, width)
        else:
            self.mlp.fc1, self.mlp.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        if scale:
            self.ls1, self.ls2 = nn.Module(), nn.Module()
            self.ls1.gamma, self.ls2.gamma = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        qkv = self.attn.qkv(self.norm1(x)).reshape(batch, count, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(-2, -1) * (width // self.heads) ** -0.5).softmax(-1)
        mixed = self.attn.proj((weights @ value).transpose(1, 2).reshape(batch, count, width))
        x = x + (mixed * self.ls1.gamma if self.scale else mixed)
        mixed = self._mixed_features(self.norm2(x))
        return x + (mixed * self.ls2.gamma if self.scale else mixed)

    def _mixed_features(self, x: Tensor) -> Tensor:
        if not hasattr(self.mlp, "w12"):
            return self.mlp.fc2(nn.functional.gelu(self.mlp.fc1(x)))
        gate, value = self.mlp.w12(x).chunk(2, dim=-1)
        return self.mlp.w3(nn.functional.silu(gate) * value)


class DinoViT(nn.Module):
    """As DINO's and DINOv2's vision_transformer.py: class token and position first, then registers."""

    def __init__(
        self,
        patch: int,
        side: int,
        *,
        scale: bool,
        registers: int = 0,
        chunks: int = 0,
        depth: int = 4,
        width: int = 48,
        swiglu: bool = False,
    ) -> None:
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, width, patch, patch)
        self.cls_token = nn.Parameter(torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(torch.randn(1, side * side + 1, width))
        if registers:
            self.register_tokens = nn.Parameter(torch.randn(1, registers, width))
        if scale:
            self.mask_token = nn.Parameter(torch.zeros(1, width))
        blocks = [Block(width, 3, scale, swiglu) for _ in range(depth)]
        if chunks:
            each = depth // chunks
            starts = range(0, depth, each)
            blocks = [nn.ModuleList([*[nn.Identity()] * start, *blocks[start : start + each]]) for start in starts]
        self.blocks, self.norm, self.chunks = nn.ModuleList(blocks), nn.LayerNorm(width, eps=1e-6), chunks

    def forward(self, image: Tensor) -> Tensor:
        x = self.patch_embed.proj(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        if hasattr(self, "register_tokens"):
            x = torch.cat([x[:, :1], self.register_tokens.expand(len(x), -1, -1), x[:, 1:]], 1)
        for block in self.blocks:
            for layer in block if self.chunks else [block]:
                x = layer(x)
        return self.norm(x)[:, 0]


class Wrapped(nn.Module):
    """A backbone and its head, as DINO and DINOv2 train them."""

    def __init__(self, backbone: nn.Module, head: str) -> None:
        super().__init__()
        self.backbone = backbone
        setattr(self, head, nn.Linear(48, 7))


def behind(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}
