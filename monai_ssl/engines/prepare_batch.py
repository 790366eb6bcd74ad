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

"""How a batch of views becomes the input of MONAI's trainer."""

from __future__ import annotations

from typing import Any

import torch
from monai.engines import PrepareBatch
from monai.utils.enums import CommonKeys

__all__ = ["PrepareViews"]


class PrepareViews(PrepareBatch):
    """
    Move the views of a batch to the device and give them as one input without a target.

    With it MONAI's `SupervisedTrainer` runs a self-supervised step: mixed precision, gradient accumulation and all of
    its events stay as they are.

    Args:
        key: of the list of views, each (B, 1, s, s), or (B, C, s, s).
        channels: C of the input that the network takes. Grey views are repeated here, after the crops and the way to
            the device, where it costs nothing.
    """

    def __init__(self, key: str = CommonKeys.IMAGE, channels: int = 1) -> None:
        self.key, self.channels = key, channels

    def __call__(
        self,
        batchdata: dict[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[list[torch.Tensor], None]:
        """Return the views on `device`, and None."""
        views = [view.to(device=device, non_blocking=non_blocking, **kwargs) for view in batchdata[self.key]]
        return [view.expand(-1, max(self.channels, view.shape[1]), -1, -1) for view in views], None
