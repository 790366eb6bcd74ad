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
The whole way on the embedded sample, on a CPU in minutes: phantoms, slices, reduction, SwAV, fine-tuning, statistics.

Each step is the command that a user would type, and is printed before it runs. A step that is done already is not done
again, so a stopped quickstart goes on where it was; `make clean` or another folder begins anew.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
PATIENTS = 32
# Phantoms are nobody: with a key known to all, every quickstart names and splits the same patients alike.
KEY = "00" * 32
# One window, size and backbone for pre-training and fine-tuning, or the start would not fit.
SHARED = {"backbone": "resnet10t", "image_size": 80, "window": "lung", "num_workers": 1, "device": "cpu"}
PRETRAINING = {
    **{"batch_size": 32, "max_epochs": 12, "learning_rate": 0.6, "warmup_epochs": 2},
    # fewer prototypes than images in a batch, or an even share of images for each makes no sense
    **{"hidden_dim": 512, "prototypes": 20, "freeze_prototypes_iterations": 10},
}
FINETUNING = {"batch_size": 32, "max_epochs": 6, "learning_rate": 1e-3}


def main() -> None:
    """Run the steps and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs/quickstart"), help="folder for all results")
    output = parser.parse_args().output.absolute()
    started = time.monotonic()
    sample, reduced, whole = output / "sample", output / "store_reduced", output / "store_all"
    swav, from_swav, from_scratch = output / "swav", output / "from_swav", output / "from_scratch"

    if not (sample / "boxes.csv").is_file():
        step("Draw CT phantoms, half as DICOM, half as NIfTI", "phantoms", sample, "--patients", PATIENTS)
    key = output / "pseudonym_key"
    if not key.is_file():
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_text(KEY, encoding="utf-8")
    for store, strategy in ((reduced, "dhash:6"), (whole, "all")):
        if not (store / "store.json").is_file():
            title = f"Volumes to slices, keeping HU (reduction: {strategy})"
            step(title, "slice", sample / "volumes", store, "--labels", sample / "labels.csv", "--reduce", strategy,
                 "--pseudonym-key", key)  # fmt: skip
    labels = {"labels": whole / "labels.csv"}
    bundle("SwAV pre-training on the reduced slices, test patients left out", "swav_pretraining",
           dataset_dir=reduced, output_dir=swav, **SHARED, **PRETRAINING, **labels)  # fmt: skip
    for title, folder, start in (
        ("Fine-tune from SwAV", from_swav, {"checkpoint": swav / "model.pt", "freeze_epochs": 0}),
        ("Fine-tune from random weights", from_scratch, {}),
    ):
        bundle(
            title, "resnet_finetuning", dataset_dir=whole, output_dir=folder, **SHARED, **FINETUNING, **labels, **start
        )
    for folder in (from_swav, from_scratch):
        if not (folder / "saliency.csv").is_file():
            title = f"Where {folder.name} looks, against the nodules that were drawn"
            step(title, "saliency", folder, "--boxes", sample / "boxes.csv")
    report = output / "report"
    step("Compare, by patient", "compare", from_swav, from_scratch, "--output", report, "--store", reduced,
         "--pretraining", swav)  # fmt: skip
    summarise(report, time.monotonic() - started)


def step(title: str, *command: object) -> None:
    """Run `python -m monai_ssl ...`."""
    run(title, [sys.executable, "-m", "monai_ssl", *map(str, command)])


def bundle(title: str, name: str, **overrides: object) -> None:
    """Run a bundle's training with overrides."""
    config = ROOT / "bundles" / name / "configs" / "train.json"
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(config)]
    run(title, [*command, *(word for key, value in overrides.items() for word in (f"--{key}", str(value)))])


def run(title: str, command: list[str]) -> None:
    """Show a command, run it, and leave with its code when it fails."""
    print(f"\n== {title}\n$ {shlex.join(['python', *command[1:]])}", flush=True)
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "CUDA_VISIBLE_DEVICES": ""}
    code = subprocess.run(command, env=environment, check=False).returncode
    if code:
        sys.exit(f"quickstart stopped: the step above ended with code {code}; mend it and run the same command again")


def summarise(report: Path, seconds: float) -> None:
    """Print both AUCs with intervals, the p-value and where the report lies."""
    row = pd.read_csv(report / "comparison.csv").query("label == 'nodule' and metric == 'auc'").iloc[0]
    print(f"\n== Result, on {row['patients']} test patients ({row['images']} slices, {row['positives']} with a nodule)")
    for side in ("a", "b"):
        interval = f"{row[f'low_{side}']:.3f} to {row[f'high_{side}']:.3f}"
        print(f"AUC {row[f'model_{side}']:14s} {row[f'value_{side}']:.3f}  (95 % interval {interval}, by patient)")
    print(f"difference         {row['difference']:+.3f}  (95 % interval {row['low']:+.3f} to {row['high']:+.3f})")
    print(f"p = {row['p_value']:.3f}, two-sided paired bootstrap")
    print(f"report: {report / 'report.html'}   ({seconds / 60:.1f} minutes)")


if __name__ == "__main__":
    main()
