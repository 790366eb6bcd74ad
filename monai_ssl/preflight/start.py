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

"""What training starts from."""

from __future__ import annotations

import logging
import os

from torch import nn

from monai_ssl.networks import load_backbone_weights
from monai_ssl.preflight.refusal import refuse

__all__ = ["load_start"]

logger = logging.getLogger(__name__)


def load_start(network: nn.Module, checkpoint: str | os.PathLike | None) -> None:
    """
    Load the weights that training starts from into the backbone of `network`; None starts from random weights.

    Raises:
        SystemExit: code 2, when the checkpoint does not fit.
    """
    if checkpoint is None:
        logger.info("starting from random weights")
        return
    try:
        report = load_backbone_weights(network, checkpoint)
        logger.info("%s", report)
        if report.provenance and report.provenance.get("settings", {}).get("test_patients") == "included":
            logger.warning("%s: was pre-trained on patients of the test split too; the test may look better than it is",
                           checkpoint)  # fmt: skip
    except (OSError, ValueError) as error:
        refuse([str(error)])
