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

"""All layouts that are recognised, in the order in which they are tried."""

from __future__ import annotations

from monai_ssl.networks.checkpoints.layout import Layout
from monai_ssl.networks.checkpoints.layouts_other_libraries import OTHER_LIBRARIES
from monai_ssl.networks.checkpoints.layouts_self_supervised import SELF_SUPERVISED, SWAV_HEADS
from monai_ssl.networks.checkpoints.layouts_supervised import SUPERVISED
from monai_ssl.networks.checkpoints.layouts_transformers import TRANSFORMERS

__all__ = ["LAYOUTS", "LAYOUT_NAMES"]

_OURS = (
    Layout("monai_ssl", "our model.pt", ((),), own=True),
    Layout(
        "monai_ssl_swav",
        "our SwAV pre-training, checkpoint.pt",
        (("network",), ()),
        marks=(r"backbone\.", r"prototypes\."),
        prefix=r"backbone\.",
        left_behind=(*SWAV_HEADS, (r"queue", "queue of embeddings")),
    ),
)
# Without marks of their own: any names may stand there.
_PLAIN = (
    Layout("monai_ssl_classifier", "our fine-tuning, checkpoint.pt", (("network",),)),
    Layout("timm", "timm's names, also torchvision's ResNets", like_timm=True),
)

LAYOUTS: tuple[Layout, ...] = (*_OURS, *OTHER_LIBRARIES, *SUPERVISED, *SELF_SUPERVISED, *TRANSFORMERS, *_PLAIN)
LAYOUT_NAMES: tuple[str, ...] = tuple(dict.fromkeys(layout.name for layout in LAYOUTS))
