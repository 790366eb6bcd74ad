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

"""Whether backbone, images, precision and device go together."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import timm
import torch

from monai_ssl.networks import create_backbone
from monai_ssl.preflight.numbers import is_whole

__all__ = ["backbone_problems", "device_problems", "image_problems", "precision_problems"]


def backbone_problems(settings: dict[str, Any]) -> list[str]:
    """Whether timm knows the backbone."""
    backbone = str(settings["backbone"])
    if timm.is_model(backbone):
        return []
    near = difflib.get_close_matches(backbone.split(".")[0], timm.list_models(), n=3)
    return [f"--backbone {backbone!r} is no model of timm; nearest: {', '.join(near) or 'none'}"]


def image_problems(settings: dict[str, Any], sizes: Sequence[int], option: str) -> list[str]:
    """
    Whether the backbone takes images of these sizes, tried without weights and without arithmetic.

    Args:
        settings: of the bundle, with `backbone`.
        sizes: sides in pixels.
        option: that they come from.
    """
    name, channels = str(settings["backbone"]), settings.get("in_channels", 1)
    if not timm.is_model(name) or not is_whole(channels, 1) or not all(is_whole(size, 1) for size in sizes):
        return []  # said elsewhere
    try:
        with torch.device("meta"), torch.no_grad():
            backbone = create_backbone(name, channels).eval()
            if settings.get("gradient_checkpointing"):
                backbone.set_grad_checkpointing(True)  # type: ignore[operator]
    except ValueError as error:
        return [f"--backbone: {error}"]
    except (AssertionError, AttributeError) as error:
        return [f"--gradient_checkpointing: timm has none for {name} ({error}); leave it out"]
    except (NotImplementedError, RuntimeError):
        return []  # not every architecture can be built without memory
    problems = []
    for size in sizes:
        try:
            with torch.no_grad():
                backbone(torch.zeros(1, channels, size, size, device="meta"))
        except NotImplementedError:
            continue
        except Exception as error:  # each architecture has errors of its own
            patch = getattr(getattr(backbone, "patch_embed", None), "patch_size", None)
            advice = f"give multiples of {patch[0]} as {option}" if patch else f"give another {option} or --backbone"
            problems.append(
                f"--backbone {name} cannot take images of {size} px ({str(error).splitlines()[0]}); {advice}"
            )
    return problems


def precision_problems(settings: dict[str, Any]) -> list[str]:
    """Whether the device computes in the type that mixed precision asks for."""
    kind = settings.get("amp_dtype", "bfloat16")
    if kind not in ("bfloat16", "float16"):
        return [f"--amp_dtype must be bfloat16 or float16, got {kind!r}"]
    on_gpu = str(settings.get("device", "cpu")).startswith("cuda")
    if settings.get("amp") and kind == "float16" and not on_gpu:
        return ["--amp_dtype float16 needs a GPU; give bfloat16, or --amp False"]
    if settings.get("amp") and kind == "bfloat16" and on_gpu and not torch.cuda.is_bf16_supported():
        return ["--amp_dtype bfloat16 is not known to this GPU; give float16"]
    return []


def device_problems(settings: dict[str, Any]) -> list[str]:
    """Whether this machine has the device."""
    try:
        device = torch.device(str(settings.get("device", "cpu")))
    except RuntimeError:
        return [f"--device {settings['device']!r} is no device of torch; give cpu, cuda or cuda:0"]
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        return [f"--device {device}: this machine has {torch.cuda.device_count()} CUDA devices that torch can use"]
    return []
