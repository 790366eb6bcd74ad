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

"""Features of slices by a pre-trained backbone, for comparing them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate

from monai_ssl.networks.backbones import create_backbone
from monai_ssl.networks.checkpoints import Normalisation, expected_normalisation, load_backbone_weights

__all__ = ["Embedder"]


@dataclass(frozen=True)
class Embedder:
    """
    Makes features of 8-bit slices; cheap to send to other processes, each of which loads the network once.

    Args:
        backbone: architecture name in timm, see `create_backbone`.
        checkpoint: its weights, see `load_backbone_weights`.
        image_size: side in pixels that slices are resized to, antialiased; the aspect is not kept.
        device: where the network runs; None for the GPU where there is one.

    Example:
        >>> embed = Embedder("resnet50", "runs/swav/model.pt")
        >>> features = embed(images)  # (N, H, W) uint8 to (N, 2048) float32  # doctest: +SKIP
    """

    backbone: str
    checkpoint: str
    image_size: int = 224
    device: str | None = None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """
        Args:
            images: (N, H, W) uint8; as many as go into memory at once.

        Returns:
            (N, num_features) float32.

        Raises:
            ValueError: for an unknown backbone.
            FileNotFoundError: when the checkpoint is absent.
            CheckpointMismatchError: when it is not one of this backbone.
        """
        device = torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        network = _network(self.backbone, self.checkpoint, device)
        pixels = torch.from_numpy(np.ascontiguousarray(images)).to(device)[:, None].float() / 255
        mean, std = self.normalisation.mean[0], self.normalisation.std[0]
        size = (self.image_size, self.image_size)
        with torch.inference_mode():
            resized = interpolate(pixels, size, mode="bilinear", antialias=True, align_corners=False)
            return network((resized - mean) / std).float().cpu().numpy()

    @property
    def normalisation(self) -> Normalisation:
        """How images in [0, 1] are normalised: as the weights expect it; they stay in [0, 1] where nothing tells."""
        return _normalisation(self.backbone, self.checkpoint)


@lru_cache(maxsize=1)
def _network(backbone: str, checkpoint: str, device: torch.device) -> nn.Module:
    network = create_backbone(backbone)
    load_backbone_weights(network, checkpoint)
    return network.eval().requires_grad_(False).to(device)


@lru_cache(maxsize=1)
def _normalisation(backbone: str, checkpoint: str) -> Normalisation:
    expected = expected_normalisation(checkpoint, backbone, in_channels=1)
    return expected or Normalisation((0.0,), (1.0,), "nothing tells", guess=True)
