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

"""Mixed precision on any device."""

from __future__ import annotations

from typing import Any

import torch
from monai.inferers import SimpleInferer

__all__ = ["AutocastInferer"]


class AutocastInferer(SimpleInferer):
    """
    Run the network under `torch.autocast`, on a CPU too, where MONAI's trainers do not.

    Args:
        device: that the network is on.
        dtype: `bfloat16` or `float16`.
        enabled: False runs it as it is.
    """

    def __init__(self, device: str | torch.device, dtype: str, enabled: bool = True) -> None:
        super().__init__()
        self.device_type, self.dtype, self.enabled = torch.device(device).type, getattr(torch, dtype), enabled

    def __call__(self, inputs: Any, network: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what `network` gives for `inputs`."""
        with torch.autocast(self.device_type, dtype=self.dtype, enabled=self.enabled):
            return super().__call__(inputs, network, *args, **kwargs)
