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

"""A trained model from its run folder or package to TorchScript and ONNX files."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.utils import ensure_tuple

from monai_ssl.data.windows import window_choices, window_limits
from monai_ssl.files import file_checksum
from monai_ssl.networks import create_backbone, load_backbone_weights
from monai_ssl.networks.export import export_network
from monai_ssl.preflight import load_trained, refuse, setting_problems
from monai_ssl.run_folder import recorded_thresholds, run_versions

__all__ = ["export_model"]

logger = logging.getLogger(__name__)

_ACTIVATIONS = {"multilabel": "sigmoid", "multiclass": "softmax"}
_PREPROCESSING = (
    "grey image; scaled to [0, 1] by window, lowest and highest value (null: 0 and 255 of uint8, 0 and 65535 of "
    "uint16, -1000 and 1000 of others, in HU), clipped; resized to image_size, bilinear with antialiasing; repeated to "
    "in_channels; minus mean, divided by std"
)


def export_model(
    checkpoint: str | os.PathLike, output_dir: str | os.PathLike, settings: Mapping[str, Any]
) -> dict[str, float]:
    """
    Write `model.ts` and `model.onnx` of a checkpoint, with all that a user of them must know inside.

    The output is logits where `settings` has `label_names`, else features. `thresholds.json` beside the checkpoint goes
    into the files as `thresholds`.

    Args:
        checkpoint: a `model.pt`; of features, whatever `load_backbone_weights` takes.
        output_dir: folder of the two files.
        settings: `backbone`, `in_channels`, `image_size`, `window`, `mean`, `std`; and of a classifier `task` and
            `label_names`.

    Returns:
        as :py:func:`monai_ssl.networks.export.export_network`.

    Raises:
        SystemExit: code 2, after a line that says what does not fit.
    """
    names = list(ensure_tuple(settings.get("label_names", ())))
    settings = {**settings, "label_names": names} if names else dict(settings)
    refuse(setting_problems(settings))
    try:
        network = create_backbone(
            str(settings["backbone"]), settings["in_channels"], **({"num_classes": len(names)} if names else {})
        )
        (load_trained if names else load_backbone_weights)(network, checkpoint)
        output = "logits" if names else "features"
        facts = _facts(Path(checkpoint), settings, output)
        differences = export_network(
            network, output_dir, settings["image_size"], settings["in_channels"], output, facts
        )
    except (OSError, ValueError) as error:
        refuse([str(error)])
        raise  # never reached
    for name, difference in differences.items():
        logger.info("%s: outputs as torch's, largest difference %.2g", Path(output_dir) / name, difference)
    return differences


def _facts(checkpoint: Path, settings: Mapping[str, Any], output: str) -> dict[str, Any]:
    window = window_choices(settings["window"])[0]
    return {
        **settings,
        "window": None if window is None else list(window_limits(window)),
        "output": output,
        "activation": _ACTIVATIONS[settings["task"]] if output == "logits" else None,
        "thresholds": _thresholds(checkpoint) if output == "logits" else None,
        "preprocessing": _PREPROCESSING,
        "checkpoint_sha256": file_checksum(checkpoint),
        "versions": run_versions(),
    }


def _thresholds(checkpoint: Path) -> dict[str, float | None]:
    """Null, which JSON knows, for NaN."""
    recorded = recorded_thresholds(checkpoint)
    return {name: None if math.isnan(threshold) else threshold for name, threshold in recorded.items()}
