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

"""A radiograph and a slice to the size of a network: torchvision on PIL, torch and MONAI against `ResizeAntialias`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import torch
from monai.transforms import Resize
from PIL import Image
from torchvision.transforms import functional as vision

from monai_ssl.transforms import ResizeAntialias

SIZE, ROUNDS = 224, 7


def main() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    print(
        f"to {SIZE}x{SIZE}, median CPU time of {ROUNDS} rounds in turn, one thread; differences in grey values of 255"
    )
    for height, width in ((2544, 3056), (512, 512)):
        noise = np.random.default_rng(0).integers(0, 256, (height // 16, width // 16)).astype(np.uint8)
        pixels = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        image, picture = torch.from_numpy(pixels.astype(np.float32))[None], Image.fromarray(pixels)
        contestants: dict[str, Callable[[], torch.Tensor]] = {
            "torchvision, PIL": partial(_torchvision, picture),
            "torch, antialias": partial(_torch, image),
            "MONAI, anti_aliasing": partial(Resize((SIZE, SIZE), mode="bilinear", anti_aliasing=True), image),
            "ours": partial(ResizeAntialias((SIZE, SIZE)), image),
        }
        _compare(f"{height}x{width}", contestants)


def _torchvision(picture: Image.Image) -> torch.Tensor:
    return vision.pil_to_tensor(vision.resize(picture, [SIZE, SIZE]))


def _torch(image: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.interpolate(image[None], (SIZE, SIZE), mode="bilinear", antialias=True)[0]


def _compare(what: str, contestants: dict[str, Callable[[], torch.Tensor]]) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    results = {name: run() for name, run in contestants.items()}
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    median = {name: statistics.median(rounds) for name, rounds in seconds.items()}
    for name in contestants:
        error = (torch.as_tensor(results[name]).float() - results["ours"]).abs().max().item()
        ratio = "" if name == "ours" else f", ours {median[name] / median['ours']:.1f}x, differs by {error:.4f}"
        print(f"{what} {name}: {median[name] * 1e3:.2f} ms{ratio}")


if __name__ == "__main__":
    main()
