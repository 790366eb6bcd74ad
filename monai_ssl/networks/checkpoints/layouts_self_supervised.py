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
Layouts of self-supervised pre-training of convolutional networks.

They were read from the code that writes them: https://github.com/facebookresearch (swav, moco, vissl),
https://github.com/Lightning-Universe/lightning-bolts, https://github.com/keyu-tian/SparK,
https://github.com/Wolfda95/Less_is_More.
"""

from __future__ import annotations

from monai_ssl.networks.checkpoints.layout import Layout
from monai_ssl.networks.checkpoints.statistics import imagenet

__all__ = ["SELF_SUPERVISED", "SWAV_HEADS"]

SWAV_HEADS = ((r"(model\.)?projection_head\.", "projection head"), (r"(model\.)?prototypes\.", "prototypes"))

SELF_SUPERVISED: tuple[Layout, ...] = (
    Layout(
        "less_is_more",
        "SwAV of 'Less is More' (Lightning)",
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
        marks=(r"(projection_head|prototypes)\.", r"conv1\."),
        left_behind=SWAV_HEADS,
        **imagenet("as in SwAV's own code"),
    ),
    Layout(
        "moco",
        "MoCo of facebookresearch or lightning-bolts",
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
    Layout(
        "spark",
        "SparK, wrapped",
        (("module",),),
        keys=("is_pretrain", "arch"),
        absent=(r"cls_token$", r"patch_embed\."),
        like_timm=True,
        **imagenet("as in SparK's own code"),
    ),
    Layout(
        "vissl",
        "VISSL, either file",
        marks=(r"_feature_blocks\.",),
        prefix=r"_feature_blocks\.",
        **imagenet("as in VISSL's own configurations"),
    ),
)
