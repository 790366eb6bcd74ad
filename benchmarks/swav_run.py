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
A whole pre-training run, from the disk to the checkpoint: the bundle against lightly's SwAV on the same slices.

Slices of 512x512, ResNet-18, 2 views of 224 px and 6 of 96, batch 16, no worker processes, one thread; images in a
second of CPU time, of the epochs after the first. The peer reads PNG files, as lightly's examples do.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from ignite.engine import Events
from lightly.data import LightlyDataset
from lightly.transforms import SwaVTransform
from monai.bundle import ConfigWorkflow
from peers import lightly_swav_step
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader

from monai_ssl.data import slice_volumes
from monai_ssl.networks import create_backbone

SLICES, BATCH, EPOCHS, TURNS = 48, 16, 3, 2
SIZES, COUNTS, SCALES = (224, 96), (2, 6), ((0.9, 1.0), (0.1, 0.33))
HIDDEN, WIDTH, PROTOTYPES = 2048, 128, 500
BUNDLE = Path(__file__).parents[1] / "bundles/swav_pretraining"


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store, images = _write_slices(folder)
        rates: dict[str, list[float]] = {"ours": [], "lightly": []}
        for turn in range(TURNS):
            rates["ours"].append(_our_rate(store, folder / f"run{turn}"))
            rates["lightly"].append(_lightly_rate(images))
    ours, lightly = max(rates["ours"]), max(rates["lightly"])
    print(f"whole runs: ours {ours:.2f} images/s, lightly {lightly:.2f} images/s, ratio {ours / lightly:.2f}x")


def _write_slices(folder: Path) -> tuple[Path, Path]:
    import nibabel

    random = np.random.default_rng(0)
    anatomy = gaussian_filter(random.normal(size=(512, 512, SLICES)).astype(np.float32), (12, 12, 3))
    volume = (anatomy / anatomy.std() * 400 + random.normal(0, 20, anatomy.shape)).astype(np.int16)
    (folder / "volumes").mkdir()
    nibabel.nifti1.save(nibabel.nifti1.Nifti1Image(volume, np.diag([0.8, 0.8, 3, 1])), folder / "volumes/a.nii.gz")
    store = slice_volumes(folder / "volumes", folder / "store", reduce="all", workers=1)
    (folder / "images").mkdir()
    for number in range(len(store)):
        grey = ((store[number].clip(-1000, 1000) + 1000) * (255 / 2000)).round().astype(np.uint8)
        cv2.imwrite(str(folder / f"images/{number}.png"), grey)
    return store.path, folder / "images"


def _our_rate(store: Path, output: Path) -> float:
    settings: dict[str, Any] = {
        **{"dataset_dir": str(store), "output_dir": str(output), "device": "cpu", "num_workers": 0},
        **{"backbone": "resnet18", "batch_size": BATCH, "max_epochs": EPOCHS, "prototypes": PROTOTYPES},
        **{"crop_sizes": list(SIZES), "crop_counts": list(COUNTS), "crop_scales": [list(scale) for scale in SCALES]},
    }
    flow = ConfigWorkflow(
        str(BUNDLE / "configs/train.json"),
        logging_file=str(BUNDLE / "configs/logging.conf"),
        bundle_root=str(BUNDLE),
        workflow_type="train",
        **settings,
    )
    flow.initialize()
    trainer = flow.parser.get_parsed_content("train::trainer")
    times: list[float] = []
    trainer.add_event_handler(Events.EPOCH_STARTED, lambda: times.append(time.process_time()))
    flow.run()
    times.append(time.process_time())  # the last checkpoint and model.pt count
    flow.finalize()
    return SLICES * (EPOCHS - 1) / (times[-1] - times[1])


def _lightly_rate(images: Path) -> float:
    torch.manual_seed(0)
    lowest, highest = zip(*SCALES, strict=True)
    transform = SwaVTransform(SIZES, COUNTS, lowest, highest)
    loader = DataLoader(LightlyDataset(str(images), transform=transform), BATCH, shuffle=True, drop_last=True)
    step = lightly_swav_step(create_backbone("resnet18", 3), HIDDEN, WIDTH, PROTOTYPES, 0.15)
    start = 0.0
    for epoch in range(EPOCHS):
        if epoch == 1:
            start = time.process_time()
        for views, *_ in loader:
            step(views)
    return SLICES * (EPOCHS - 1) / (time.process_time() - start)


if __name__ == "__main__":
    os.environ.setdefault("TQDM_DISABLE", "1")
    main()
