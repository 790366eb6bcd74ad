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
from collections.abc import Mapping
from typing import Any

from torch import nn

from monai_ssl.networks import load_backbone_weights
from monai_ssl.preflight.refusal import refuse

__all__ = ["load_start"]

logger = logging.getLogger(__name__)

_SPLIT = ("fractions", "split_seed", "folds")


def load_start(
    network: nn.Module, checkpoint: str | os.PathLike | None, settings: Mapping[str, Any] | None = None
) -> None:
    """
    Load the weights that training starts from into the backbone of `network`; None starts from random weights.

    Args:
        network: to fill.
        checkpoint: see :py:func:`monai_ssl.networks.load_backbone_weights`.
        settings: of a fine-tuning, whose split is held against that of the pre-training: a warning says when the start
            may have seen the patients of the test.

    Raises:
        SystemExit: code 2, when the checkpoint does not fit.
    """
    if checkpoint is None:
        logger.info("starting from random weights")
        return
    try:
        report = load_backbone_weights(network, checkpoint)
    except (OSError, ValueError) as error:
        refuse([str(error)])
        return
    logger.info("%s", report)
    earlier = (report.provenance or {}).get("settings", {})
    if earlier.get("test_patients") == "included":
        logger.warning("%s: was pre-trained on patients of the test split too; the test may look better than it is",
                       checkpoint)  # fmt: skip
    elif earlier.get("test_patients") == "left out" and settings is not None:
        different = [name for name in _SPLIT if settings.get(name) != earlier.get(name)]
        if different:
            logger.warning("%s: left out the test patients of another split (%s); it may have seen those of this one, "
                           "and the test may look better than it is", checkpoint, ", ".join(different))  # fmt: skip
