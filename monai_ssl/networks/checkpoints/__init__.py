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

"""Checkpoint files: read safely, recognised by their names, and loaded wholly or refused in words."""

from monai_ssl.networks.checkpoints.catalogue import CATALOGUE, Publication
from monai_ssl.networks.checkpoints.files import CheckpointMismatchError
from monai_ssl.networks.checkpoints.inspecting import Inspection, inspect_checkpoint
from monai_ssl.networks.checkpoints.loading import LoadReport, load_backbone_weights
from monai_ssl.networks.checkpoints.normalisation import Normalisation, expected_normalisation

__all__ = [
    "CATALOGUE",
    "CheckpointMismatchError",
    "Inspection",
    "LoadReport",
    "Normalisation",
    "Publication",
    "expected_normalisation",
    "inspect_checkpoint",
    "load_backbone_weights",
]
