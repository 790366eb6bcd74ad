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

"""A look at what training is given, before it has cost anything."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events

from monai_ssl.files import atomic_path
from monai_ssl.visualize import views_figure

__all__ = ["FirstBatchPicture"]

logger = logging.getLogger(__name__)


class FirstBatchPicture:
    """
    Save the first batch of a run as a picture, with all views of some of its images; a run that goes on leaves it.

    Args:
        path: of the PNG.
        window: that the images were scaled by, for the title.
        mean: that they were normalised by.
        std: likewise.
        images: how many.
        key: of the images or of the list of views in the batch.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        window: Any = None,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        images: int = 4,
        key: str = "image",
    ) -> None:
        self.path, self.mean, self.std, self.images, self.key = Path(path), mean, std, images, key
        self.title = f"window {'by type' if window is None else window}, normalised by mean {mean} and std {std}"

    def attach(self, engine: Engine) -> None:
        """Follow `engine`, a trainer; rank 0 alone saves."""
        if idist.get_rank() == 0:
            engine.add_event_handler(Events.ITERATION_STARTED(once=1), self)

    def __call__(self, engine: Any) -> None:
        """Save the picture of the batch that `engine` holds."""
        images = engine.state.batch[self.key]
        views = [view.numpy(force=True) for view in (images if isinstance(images, list | tuple) else [images])]
        figure = views_figure(views, self.images, self.mean, self.std, self.title)
        with atomic_path(self.path) as partial:
            figure.savefig(partial, format="png")
        logger.info("%s: views of the first batch, as the network sees them", self.path)
