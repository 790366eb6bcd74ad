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

"""Backbones, the SwAV network, and weights from files."""

from monai_ssl.networks.backbones import classifier_names, create_backbone
from monai_ssl.networks.checkpoints import (
    CheckpointMismatchError,
    Inspection,
    LoadReport,
    Normalisation,
    expected_normalisation,
    inspect_checkpoint,
    load_backbone_weights,
)
from monai_ssl.networks.embedder import Embedder
from monai_ssl.networks.execution import checkpoint_activations, compile_backbone
from monai_ssl.networks.layers import forward_order, trained_part
from monai_ssl.networks.swav import SwAVNet, SwAVOutput

__all__ = [
    "CheckpointMismatchError",
    "Embedder",
    "Inspection",
    "LoadReport",
    "Normalisation",
    "SwAVNet",
    "SwAVOutput",
    "checkpoint_activations",
    "classifier_names",
    "compile_backbone",
    "create_backbone",
    "expected_normalisation",
    "forward_order",
    "inspect_checkpoint",
    "load_backbone_weights",
    "trained_part",
]
