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

from __future__ import annotations

import pytest
import torch

from monai_ssl.engines import PrepareViews


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_views_are_repeated_to_the_channels_of_the_network(channels):
    batch = {"image": [torch.rand(2, 1, 8, 8), torch.rand(2, 1, 4, 4)]}
    views, target = PrepareViews(channels=channels)(batch)
    assert target is None
    assert all(
        torch.equal(view, given.repeat(1, channels, 1, 1)) for view, given in zip(views, batch["image"], strict=True)
    )


def test_colour_views_stay_as_they_are():
    views, _ = PrepareViews(channels=3)({"image": [torch.rand(2, 3, 8, 8)]})
    assert views[0].shape == (2, 3, 8, 8)
