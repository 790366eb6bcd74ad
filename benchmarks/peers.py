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

"""The ways of the reference and of other libraries that our own are measured against."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import imagehash
import nibabel
import numpy as np
import pydicom
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from timm.optim import Lars
from torch import Tensor, nn

from monai_ssl.optimizers import parameter_groups

__all__ = [
    "imagehash_hashes",
    "lightly_swav_step",
    "lightly_views",
    "reference_dicom_to_png",
    "reference_nifti_to_png",
    "reference_volume_hashes",
    "swav_paper_loss",
    "swav_views",
]

Scales = Sequence[tuple[float, float]]


def imagehash_hashes(images: np.ndarray) -> np.ndarray:
    """`imagehash.dhash` of 8-bit images (N, H, W), as (N,) uint64."""
    bits = np.array([imagehash.dhash(Image.fromarray(image)).hash.ravel() for image in images])
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)


def reference_volume_hashes(volume: np.ndarray) -> np.ndarray:
    """Slices (N, H, W) by way of 8-bit PNG, as "Less is More" stores them; in memory, so without its disk."""
    images = []
    for image in volume:
        low, high = float(image.min()), float(image.max())
        _, png = cv2.imencode(".png", np.rint((image - low) / (high - low) * 255).astype(np.uint8))
        images.append(np.asarray(Image.open(io.BytesIO(png.tobytes()))))
    return imagehash_hashes(np.array(images))


def reference_nifti_to_png(path: Path, folder: Path) -> int:
    """Axial slices of a NIfTI file as 8-bit PNG files, by per-slice min-max, as "Less is More" makes them; how many."""
    volume = nibabel.nifti1.load(path).get_fdata().transpose(2, 1, 0)
    for k, image in enumerate(volume):
        _write_png(folder / f"{k}.png", image)
    return len(volume)


def reference_dicom_to_png(series: Path, folder: Path) -> int:
    """The images of a DICOM folder as 8-bit PNG files, by per-slice min-max of HU, as "Less is More" makes them."""
    count = 0
    for path in sorted(series.iterdir()):
        if path.suffix != ".dcm":
            continue
        dataset = pydicom.dcmread(path)
        values = dataset.pixel_array.astype(np.int16)
        values[values == -2000] = 0  # its mark of what lies outside the scanned circle
        if dataset.RescaleSlope != 1:
            values = (dataset.RescaleSlope * values.astype(np.float64)).astype(np.int16)
        values += np.int16(dataset.RescaleIntercept)
        _write_png(folder / f"{count}.png", np.array(values))
        count += 1
    return count


def swav_views(sizes: Sequence[int], counts: Sequence[int], scales: Scales) -> Callable[[Image.Image], list[Any]]:
    """The views of an RGB image, step by step as facebookresearch/swav, `src/multicropdataset.py`, draws them."""
    from torchvision import transforms

    color = transforms.RandomApply([transforms.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.8)
    steps = [transforms.Compose([color, transforms.RandomGrayscale(p=0.2)]), _pil_blur]
    views: list[Callable] = []
    for size, count, scale in zip(sizes, counts, scales, strict=True):
        crop = [transforms.RandomResizedCrop(size, scale=scale), transforms.RandomHorizontalFlip(p=0.5)]
        finish = [transforms.ToTensor(), transforms.Normalize([0.485, 0.456, 0.406], [0.228, 0.224, 0.225])]
        views += [transforms.Compose([*crop, *steps, *finish])] * count
    return lambda image: [view(image) for view in views]


def lightly_views(sizes: Sequence[int], counts: Sequence[int], scales: Scales) -> Callable[[Image.Image], list[Any]]:
    """The views of an RGB image as lightly draws them."""
    from lightly.transforms import SwaVTransform

    lowest, highest = zip(*scales, strict=True)
    kinds: Any = tuple(sizes), tuple(counts), lowest, highest
    return SwaVTransform(*kinds)


def _pil_blur(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2))) if random.random() <= 0.5 else image


def _write_png(path: Path, image: np.ndarray) -> None:
    low, high = image.min(), image.max()
    share = np.array((image - low) / (float(high - low) + 0.00001), dtype=float)
    cv2.imwrite(str(path), 0 + share * 255)


def swav_paper_loss(scores: Tensor, crops: int, temperature: float = 0.1, epsilon: float = 0.05) -> Tensor:
    """Scores (crops * B, K) to the loss, by the steps of main_swav.py of facebookresearch/swav, on one process."""
    batch, losses = len(scores) // crops, []
    for assigned in (0, 1):
        with torch.no_grad():
            codes = _paper_sinkhorn(torch.exp(scores[batch * assigned : batch * (assigned + 1)] / epsilon).t())
        terms = []
        for other in (crop for crop in range(crops) if crop != assigned):
            shares = torch.softmax(scores[batch * other : batch * (other + 1)] / temperature, dim=1)
            terms.append(-torch.mean(torch.sum(codes * torch.log(shares), dim=1)))
        losses.append(torch.stack(terms).sum() / (crops - 1))
    return (losses[0] + losses[1]) / 2


def _paper_sinkhorn(matrix: Tensor, iterations: int = 3) -> Tensor:
    # The matrix itself is rescaled, rows (prototypes) then columns (samples), as the original does.
    matrix /= torch.sum(matrix)
    row_mass, column_mass = (torch.full((size,), 1 / size) for size in matrix.shape)
    row_sums = torch.sum(matrix, dim=1)
    for _ in range(iterations):
        matrix *= (row_mass / row_sums).unsqueeze(1)
        matrix *= (column_mass / torch.sum(matrix, dim=0)).unsqueeze(0)
        row_sums = torch.sum(matrix, dim=1)
    return (matrix / torch.sum(matrix, dim=0, keepdim=True)).t().float()


def lightly_swav_step(
    backbone: nn.Module, hidden: int, width: int, prototypes: int, rate: float
) -> Callable[[Sequence[Tensor]], None]:
    """A step of training, as lightly's own example for SwAV does it: every crop through the backbone for itself."""
    from lightly.loss import SwaVLoss
    from lightly.models.modules import SwaVProjectionHead, SwaVPrototypes

    head, centres, loss = SwaVProjectionHead(512, hidden, width), SwaVPrototypes(width, prototypes), SwaVLoss()
    optimizer = Lars(parameter_groups(nn.ModuleList([backbone, head, centres]), 1e-6), lr=rate, momentum=0.9)

    def step(crops: Sequence[Tensor]) -> None:
        centres.normalize()
        optimizer.zero_grad()
        scores = [centres(F.normalize(head(backbone(crop).flatten(start_dim=1)), dim=1)) for crop in crops]
        value = loss(scores[:2], scores[2:])
        value.backward()
        optimizer.step()

    return step
