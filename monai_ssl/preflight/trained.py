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

"""The weights of a trained classifier, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

from monai_ssl.networks.checkpoints.files import read_checkpoint, some
from monai_ssl.preflight.refusal import refuse

__all__ = ["load_trained"]


def load_trained(network: nn.Module, checkpoint: str | os.PathLike) -> None:
    """
    Fill a classifier, its head too, with the weights that a run of fine-tuning has saved.

    Args:
        network: to fill.
        checkpoint: a `model.pt`.

    Raises:
        SystemExit: code 2, after a line that says what does not fit.
    """
    try:
        content, wanted = read_checkpoint(Path(checkpoint)), network.state_dict()
    except (OSError, ValueError) as error:
        refuse([str(error)])
        raise  # never reached
    shared = [name for name in wanted if name in content]
    sizes = {name: (content[name].shape if torch.is_tensor(content[name]) else None) for name in shared}
    misfits = {
        "missing": [name for name in wanted if name not in content],
        "not wanted": [name for name in map(str, content) if name not in wanted],
        "of another shape": [name for name in shared if sizes[name] != wanted[name].shape],
    }
    told = "; ".join(f"{len(names)} tensors are {what}: {some(names)}" for what, names in misfits.items() if names)
    if told:
        refuse(
            [
                f"{checkpoint}: not the weights of this classifier ({told}); give the --backbone, --in_channels and "
                "--label_names that it was trained with"
            ]
        )
    network.load_state_dict(content)
