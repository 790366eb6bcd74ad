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
Layouts of self-supervised pre-training.

They were read from the code that writes them: https://github.com/facebookresearch (swav, moco, dino, dinov2, mae,
vissl), https://github.com/Lightning-Universe/lightning-bolts, https://github.com/keyu-tian/SparK,
https://github.com/Wolfda95/Less_is_More, https://github.com/tayebiarasteh/vit-med.
"""

from __future__ import annotations

from torch import Tensor

from monai_ssl.networks.checkpoints.layout import Layout
from monai_ssl.networks.checkpoints.statistics import imagenet

__all__ = ["SELF_SUPERVISED", "SWAV_HEADS"]

SWAV_HEADS = ((r"(model\.)?projection_head\.", "projection head"), (r"(model\.)?prototypes\.", "prototypes"))
_MASK_TOKEN = (r"((teacher\.)?backbone\.)?mask_token$", "mask token of the pre-training")
_DINO_HEADS = ((r"(teacher\.)?(dino_head|ibot_head|head)\.", "projection head"), (r"student\.", "student network"))
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


SELF_SUPERVISED: tuple[Layout, ...] = (
    Layout(
        "less_is_more",
        "SwAV of 'Less is More' (Lightning)",
        (("state_dict",), ()),
        marks=(r"model\.conv1\.", r"model\.(projection_head|prototypes)\."),
        prefix=r"model\.",
        left_behind=SWAV_HEADS,
        mean=(0.1806,),
        std=(0.1907,),
        told_by="'Less is More' on all slices (it used 0.1695 and 0.1826 on reduced ones)",
    ),
    Layout(
        "swav",
        "SwAV of facebookresearch, release or training file",
        (("state_dict",), ()),
        marks=(r"(projection_head|prototypes)\.", r"conv1\."),
        left_behind=SWAV_HEADS,
        **imagenet("as in SwAV's own code"),
    ),
    Layout(
        "moco",
        "MoCo of facebookresearch or lightning-bolts",
        (("state_dict",), ()),
        marks=(r"encoder_q\.",),
        prefix=r"encoder_q\.",
        left_behind=(
            (r"encoder_q\.fc\.", "projection head"),
            (r"encoder_k\.", "momentum encoder; the encoder trained by gradients is taken"),
            (r"(val_)?queue", "queue of negatives"),
        ),
        **imagenet("as in MoCo's own code"),
    ),
    Layout(
        "byol",
        "BYOL of lightning-bolts",
        (("state_dict",), ()),
        marks=(r"online_network\.encoder\.",),
        prefix=r"online_network\.encoder\.",
        left_behind=(
            (r"(online_network\.)?(projector|predictor)\.", "projection head"),
            (r"target_network\.", "target network; the online one is taken"),
        ),
        **imagenet("as in bolts' own code"),
    ),
    Layout(
        "spark_decoder",
        "SparK with its decoder",
        (("module",), ()),
        marks=(r"sparse_encoder\.sp_cnn\.",),
        prefix=r"sparse_encoder\.sp_cnn\.",
        left_behind=(
            (r"(dense_decoder|densify_|mask_token)", "decoder"),
            (r"(imn_|norm_black)", "buffers for pictures of the pre-training"),
        ),
        **imagenet("as in SparK's own code"),
    ),
    Layout("spark", "SparK, wrapped", (("module",),), **imagenet("as in SparK's own code")),
    Layout(
        "vissl",
        "VISSL, either file",
        (("classy_state_dict", "base_model", "model", "trunk"), ("model_state_dict",), ()),
        marks=(r"_feature_blocks\.",),
        prefix=r"_feature_blocks\.",
        **imagenet("as in VISSL's own configurations"),
    ),
    Layout(
        "vit_med",
        "vit-med",
        (("model_state_dict",),),
        marks=(r"blocks\.", r"patch_embed\."),
        renames=_DINOV2_NAMES,
        left_behind=(_MASK_TOKEN,),
        convert=_registers_apart,
        mean=(0.0,),
        std=(1.0,),
        told_by="vit-med, which scales images to [0, 1] and no more",
    ),
    Layout(
        "mae",
        "MAE of facebookresearch, with its decoder",
        (("model",), ()),
        marks=(r"decoder_blocks\.", r"mask_token$"),
        left_behind=(_MASK_TOKEN, (r"decoder_", "decoder")),
        **imagenet("as in MAE's own code"),
    ),
    Layout(
        "dinov2",
        "DINOv2 of facebookresearch, hub",
        ((), ("model",), ("state_dict",)),
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
    Layout(
        "dino",
        "DINO of facebookresearch, release (a plain ViT without classifier)",
        marks=(r"cls_token$", r"blocks\.0\.norm1\."),
        absent=(r"(head|fc_norm|head_dist)\.", r"(mask_token|reg_token|dist_token)$", r"blocks\.0\.(ls1\.|gamma_1)"),
        like_timm=True,
        **imagenet("as of DINO, which publishes ViTs without classifier; name a tag in --backbone if it is another's"),
    ),
)
