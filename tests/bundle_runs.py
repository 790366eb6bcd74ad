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

"""Bundles built and run in this process, on small images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from monai.bundle import ConfigWorkflow

BUNDLES = Path(__file__).resolve().parents[1] / "bundles"
SMALL = {"backbone": "resnet10t", "image_size": 32, "batch_size": 8, "num_workers": 0, "device": "cpu", "max_epochs": 2}


def config(bundle, *names):
    """The path of one configuration, or the paths of several."""
    files = [str(BUNDLES / bundle / "configs" / f"{name}.json") for name in names]
    return files[0] if len(files) == 1 else files


def workflow(bundle, name, kind="train", **overrides):
    """One bundle, not yet run; `name` may be several configurations, of which later ones override earlier ones."""
    files = config(bundle, *([name] if isinstance(name, str) else name))
    texts = {key: str(value) if isinstance(value, Path) else value for key, value in overrides.items()}
    return ConfigWorkflow(files, workflow_type=kind, bundle_root=str(BUNDLES / bundle), **texts)


def run(bundle, name, kind="train", watch=None, **overrides):
    """Run a bundle; `watch` is called with the parser before it, to attach handlers of a test's own."""
    flow = workflow(bundle, name, kind, **overrides)
    flow.initialize()
    if watch is not None:
        watch(flow.parser)
    try:
        flow.run()
    finally:
        flow.finalize()


def make_images(folder):
    """60 images of 20 patients; those with the finding have a bright square. The folder's name is an awkward one."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(60):
        finding = (number // 3) % 2
        image = generator.integers(0, 120, (40, 40))
        if finding:
            image[10:25, 10:25] += 120
        cv2.imwrite(str(folder / f"{number:02d}.png"), image.astype(np.uint8))
        rows.append(
            {"image": f"{number:02d}.png", "patient": f"{number // 3:03d}", "finding": finding, "odd": number % 2}
        )
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder
