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

"""What is wrong with a self-supervised run, in words, and what to try."""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = ["representation_advice"]

_NEAR = 0.02
_LEAST_STD = 0.1  # then the mean cosine similarity between images is 0.99
_COLLAPSED = 0.98
_DEAD = 0.5
_ENOUGH = 2  # assignments for each prototype; drawn evenly, one in seven would still stay dead


def representation_advice(values: Mapping[str, float], prototypes: int, assigned: int) -> dict[str, str]:
    """
    Say what an epoch's values mean where they are bad.

    Args:
        values: `loss` (mean), `embedding_std`, `embedding_collapse`, `dead_prototypes`, as
            :py:class:`monai_ssl.handlers.RepresentationMonitor` measures them.
        prototypes: K.
        assigned: crops that were assigned in the epoch.

    Returns:
        a sentence or two by the name of the value they are about; empty when all is well.

    Example:
        >>> good = {"loss": 3.1, "embedding_std": 0.8, "embedding_collapse": 0.6, "dead_prototypes": 12}
        >>> representation_advice(good, prototypes=500, assigned=20_000)
        {}
    """
    found = {}
    chance = math.log(prototypes)
    if values["loss"] > (1 - _NEAR) * chance:
        found["loss"] = (
            f"loss {values['loss']:.3f} does not get below ln({prototypes}) = {chance:.3f}, that of a network that has "
            "learnt nothing: no crop tells which prototypes another crop of its image belongs to. Look at views.png: "
            "is there anatomy in the crops? Then try another --learning_rate (a third, or three times as much), a "
            "smaller --epsilon (0.03), fewer --prototypes, a longer freeze of them, or a larger batch"
        )
    alike = values["embedding_std"] < _LEAST_STD
    if alike or values["embedding_collapse"] > _COLLAPSED:
        name = "embedding_std" if alike else "embedding_collapse"
        means = "all images get nearly the same embedding" if alike else "the embeddings vary in hardly any direction"
        found["embeddings"] = (
            f"{name} {values[name]:.3f}: the representation has collapsed, {means}. Look at views.png: do the images "
            "differ in this --window? Then try a lower --learning_rate, a smaller --epsilon (0.03), a longer warm-up, "
            "or a larger batch or queue"
        )
    dead = values["dead_prototypes"]
    if dead > _DEAD * prototypes and assigned >= _ENOUGH * prototypes:
        found["dead_prototypes"] = (
            f"dead_prototypes {dead:.0f} of {prototypes}: most were nearest to no image in the whole epoch, so "
            "the rest are all that the network tells apart. Try fewer --prototypes, a --queue_length of several "
            "batches, a larger batch, or a lower --learning_rate"
        )
    return found
