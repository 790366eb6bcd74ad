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

"""Views of 512x512 slices: ours against facebookresearch's pipeline and lightly's, in memory and from the disk."""

from __future__ import annotations

import os

# One thread for all contestants, set before any of their libraries starts its own.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from monai.bundle import ConfigParser
from peers import lightly_views, swav_views
from PIL import Image
from scipy.ndimage import gaussian_filter

from monai_ssl.data import SeededDataset
from monai_ssl.transforms import MultiCrop, ScaleWindow
from monai_ssl.transforms.resize_kernel import resize_box

SLICES, SIZE, ROUNDS, REACH = 24, 512, 7, 4
BUNDLE = Path(__file__).parents[1] / "bundles/swav_pretraining/configs/train.json"


def main() -> None:
    cv2.setNumThreads(0)
    config = json.loads(BUNDLE.read_text(encoding="utf-8"))
    kinds = (224, 96), config["crop_counts"], config["crop_scales"]
    slices = _synthetic_ct()
    scaled = [ScaleWindow()(image[None]).as_subclass(torch.Tensor) for image in slices]
    eight_bit = [(image[0].numpy() * 255).round().astype(np.uint8) for image in scaled]
    rgb = [Image.fromarray(image).convert("RGB") for image in eight_bit]
    peers = {"facebookresearch": swav_views(*kinds)}
    if find_spec("lightly"):
        peers["lightly"] = lightly_views(*kinds)
    ours = MultiCrop(*kinds)
    print(f"2x224 + 6x96 views of {SIZE}x{SIZE} slices, median CPU time of {ROUNDS} rounds in turn, one thread")
    _compare(
        "in memory",
        {
            **{name: partial(lambda peer: [peer(image) for image in rgb], peer) for name, peer in peers.items()},
            "MultiCrop": lambda: [ours(image) for image in scaled],
            "its resizing": lambda: [_resized(ours, image) for image in scaled],
            "torch's resizing": lambda: [_torch_resized(ours, image) for image in scaled],
        },
    )
    with tempfile.TemporaryDirectory() as name:
        volume, images = Path(name, "volume.npy"), [Path(name, f"{k}.png") for k in range(SLICES)]
        np.save(volume, slices)
        for path, image in zip(images, eight_bit, strict=True):
            cv2.imwrite(str(path), image)
        dataset = SeededDataset([{"image": str(volume), "row": k} for k in range(SLICES)], _preprocessing())

        def read_by(peer: Callable) -> list[Any]:
            return [peer(Image.open(path).convert("RGB")) for path in images]

        contestants: dict[str, Callable[[], Any]] = {name: partial(read_by, peer) for name, peer in peers.items()}
        _compare("from the disk", {**contestants, "train.json": lambda: [dataset[1, k] for k in range(SLICES)]})
    print(f"resizing, largest difference from torch's antialiased one: {_difference(ours, scaled):.1e} of the range")


def _compare(what: str, contestants: dict[str, Callable[[], Any]]) -> None:
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for function in contestants.values():
        function()
    for _ in range(ROUNDS):
        for name, function in contestants.items():
            start = time.process_time()
            function()
            times[name].append(time.process_time() - start)
    median = {name: statistics.median(seconds) for name, seconds in times.items()}
    print(what)
    for name, seconds in median.items():
        ratio = median["facebookresearch"] / seconds
        reach = f"  (reach >= {REACH}x)" if name in ("MultiCrop", "train.json") else ""
        print(f"  {name:17} {SLICES / seconds:6.0f} slices/s  {ratio:4.1f}x{reach}")


def _synthetic_ct() -> np.ndarray:
    # Smooth anatomy under scanner noise, in HU.
    random = np.random.default_rng(0)
    anatomy = gaussian_filter(random.normal(size=(SLICES, SIZE, SIZE)).astype(np.float32), (0, 12, 12))
    return (anatomy / anatomy.std() * 400 + random.normal(0, 20, anatomy.shape)).astype(np.int16)


def _preprocessing() -> Callable:
    parser = ConfigParser()
    parser.read_config(str(BUNDLE))
    return parser.get_parsed_content("train::preprocessing")


def _resized(crop: MultiCrop, image: torch.Tensor) -> list[torch.Tensor]:
    plane = image[0].numpy()
    views = [torch.empty(view.size, view.size) for view in crop._views]
    for view, pixels in zip(crop._views, views, strict=True):
        resize_box(plane, view.top, view.left, view.height, view.width, pixels.numpy())
    return views


def _torch_resized(crop: MultiCrop, image: torch.Tensor) -> list[torch.Tensor]:
    views = []
    for top, left, height, width, size in ((v.top, v.left, v.height, v.width, v.size) for v in crop._views):
        box = image[None, :, top : top + height, left : left + width]
        views.append(F.interpolate(box, (size, size), mode="bilinear", antialias=True)[0, 0])
    return views


def _difference(crop: MultiCrop, images: list[torch.Tensor]) -> float:
    pairs = [zip(_resized(crop, image), _torch_resized(crop, image), strict=True) for image in images]
    return max(float((ours - peer).abs().max()) for views in pairs for ours, peer in views)


if __name__ == "__main__":
    main()
