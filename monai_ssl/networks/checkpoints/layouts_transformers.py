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

"""
Layouts of vision transformers: vit-med, MAE, DINO and DINOv2.

They were read from the code that writes them: https://github.com/facebookresearch (dino, dinov2, mae),
https://github.com/tayebiarasteh/vit-med.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from monai_ssl.networks.checkpoints.layout import Layout
from monai_ssl.networks.checkpoints.statistics import imagenet

__all__ = ["TRANSFORMERS"]

_MASK_TOKEN = (r"((teacher\.)?backbone\.)?mask_token$", "mask token of the pre-training")
_DINO_HEADS = ((r"(teacher\.)?(dino_head|ibot_head|head)\.", "projection head"), (r"student\.", "student network"))
_FEWEST_CLASSES = 512  # of a ViT classifier that timm publishes; those of medical images have fewer
_STUDENT = (("student", "student network; the teacher is its average"),)
# Blocks in chunks keep their number among all, in second place.
_DINOV2_NAMES = (
    (r"blocks\.(?:\d+\.)?(\d+)\.mlp\.w12\.", r"blocks.\1.mlp.fc1."),
    (r"blocks\.(?:\d+\.)?(\d+)\.mlp\.w3\.", r"blocks.\1.mlp.fc2."),
    (r"blocks\.\d+\.(\d+)\.", r"blocks.\1."),
)


def _registers_apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm adds no position to class and register tokens: the class token's is added here, once."""
    if not {"register_tokens", "cls_token", "pos_embed"} <= tensors.keys():
        return tensors
    others = {name: tensor for name, tensor in tensors.items() if name != "register_tokens"}
    position = tensors["pos_embed"]
    class_token = tensors["cls_token"] + position[:, :1]
    return others | {"reg_token": tensors["register_tokens"], "cls_token": class_token, "pos_embed": position[:, 1:]}


def _has_labels_of_its_own(tensors: Mapping[str, Tensor]) -> bool:
    return tensors["head.weight"].shape[:1] < (_FEWEST_CLASSES,)


def _vit_med(what: str, **more: Any) -> Layout:
    return Layout(
        "vit_med",
        what,
        (("model_state_dict",), ()),
        renames=_DINOV2_NAMES,
        left_behind=(_MASK_TOKEN,),
        convert=_registers_apart,
        mean=(0.0,),
        std=(1.0,),
        like_timm=True,
        **more,
    )


def _without_classifier(name: str, what: str, container: tuple[str, ...], who: str) -> Layout:
    return Layout(
        name,
        what,
        (container,),
        marks=(r"cls_token$", r"blocks\.0\.norm1\."),
        absent=(r"(head|fc_norm|head_dist)\.", r"(mask_token|reg_token|dist_token)$", r"blocks\.0\.(ls1\.|gamma_1)"),
        like_timm=True,
        guess=True,
        **imagenet(f"as of {who}, which publishes ViTs without classifier"),
    )


TRANSFORMERS: tuple[Layout, ...] = (
    _vit_med("vit-med", keys=("loss_state_dict", "model_info"), told_by="vit-med, which scales images to [0, 1]"),
    _vit_med(
        "a fine-tuned ViT, as of vit-med",
        marks=(r"patch_embed\.", r"blocks\.", r"head\.weight$"),
        only_if=_has_labels_of_its_own,
        guess=True,
        told_by="as vit-med, which scales images to [0, 1]; other fine-tuned ViTs look the same",
    ),
    Layout(
        "mae",
        "MAE of facebookresearch, with its decoder",
        marks=(r"decoder_blocks\.", r"mask_token$"),
        left_behind=(_MASK_TOKEN, (r"decoder_", "decoder")),
        **imagenet("as in MAE's own code"),
    ),
    Layout(
        "dinov2",
        "DINOv2 of facebookresearch, hub",
        marks=(r"mask_token$", r"blocks\.", r"cls_token$"),
        renames=_DINOV2_NAMES,
        left_behind=(_MASK_TOKEN,),
        convert=_registers_apart,
        **imagenet("as in DINOv2's own code"),
    ),
    Layout(
        "dinov2_training",
        "DINOv2 of facebookresearch, training file",
        (("teacher",), ("model",)),
        marks=(r"(teacher\.)?backbone\.mask_token$",),
        prefix=r"(teacher\.)?backbone\.",
        renames=_DINOV2_NAMES,
        left_behind=(_MASK_TOKEN, *_DINO_HEADS),
        beside=_STUDENT,
        convert=_registers_apart,
        **imagenet("as in DINOv2's own code"),
    ),
    Layout(
        "dino",
        "DINO of facebookresearch, training file",
        (("teacher",),),
        marks=(r"backbone\.",),
        prefix=r"backbone\.",
        left_behind=_DINO_HEADS,
        beside=_STUDENT,
        **imagenet("as in DINO's own code"),
    ),
    # A tag in --backbone says it where another's ViT has no classifier either.
    _without_classifier("dino", "DINO of facebookresearch, release (a plain ViT without classifier)", (), "DINO"),
    _without_classifier("mae", "MAE of facebookresearch, encoder alone", ("model",), "MAE"),
)
