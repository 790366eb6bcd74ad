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


"""Stands in for `python -m monai.bundle run`: writes what a run leaves, or fails, or waits to be stopped."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from monai_ssl.files import lock_folder


def main(arguments):
    folder = Path(arguments["output_dir"])
    note(arguments, "begin")
    if arguments["backbone"] == "refused" or (arguments["backbone"] == "fails_once" and not tried(folder)):
        sys.stdout.write("a line before\n2024-01-01 00:00:00,000 ERROR weights.pt: is of another network\n")
        return 2
    with lock_folder(folder):
        settings = {"max_epochs": arguments["max_epochs"], "fold": arguments.get("fold")}
        write(folder / "settings.json", json.dumps({"settings": settings}))
        if arguments["backbone"] == "waits" and not (folder / "REQUEUE").is_file():
            wait_for_the_signal(folder)
            note(arguments, "end")
            return 75
        time.sleep(float(arguments.get("seconds", 0)))
        if arguments["backbone"] == "silent":
            return 0
        predict(folder, arguments)
        record = {"settings": settings, "finished_epochs": arguments["max_epochs"]}
        write(folder / "settings.json", json.dumps(record))
    note(arguments, "end")
    return 0


def predict(folder, arguments):
    """40 test images of 20 patients of the fold, the better the higher the learning rate."""
    fold, rate = arguments.get("fold", 0), arguments.get("learning_rate", 0.001)
    truth = random.Random(fold)
    own = random.Random(f"{arguments['backbone']} {rate} {fold}")
    with open(folder / "predictions.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "patient", "split", "a_true", "a_score", "b_true", "b_score"])
        for number in range(60):
            pair = [truth.randrange(2) for _ in range(2)]
            scores = [label * 20 * rate + own.random() for label in pair]
            split = "test" if number < 40 else "val"
            cells = [cell for label, score in zip(pair, scores, strict=True) for cell in (label, score)]
            table.writerow([f"{fold}_{number}.png", f"{fold}_{number // 2:02d}", split, *cells])


def wait_for_the_signal(folder):
    came = []
    signal.signal(signal.SIGTERM, lambda *_: came.append(1))
    (folder / "waiting").touch()
    while not came:
        time.sleep(0.01)
    (folder / "waiting").unlink()
    (folder / "REQUEUE").touch()


def tried(folder):
    marker = folder.with_name("tried")
    before = marker.is_file()
    marker.touch()
    return before


def note(arguments, what):
    """A line of what happened where; short ones are appended whole."""
    here = {name: arguments.get(name) for name in ("output_dir", "device", "fold", "folds", "checkpoint", "labels")}
    seen = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")}
    with open(arguments["dataset_dir"] + "/events.jsonl", "a") as file:
        file.write(json.dumps({"what": what, **here, **seen, "process": os.getpid()}) + "\n")


def write(path, text):
    path.with_name("partial").write_text(text)
    path.with_name("partial").replace(path)


if __name__ == "__main__":
    assert sys.argv[1] == "--args_file"
    sys.exit(main(json.loads(Path(sys.argv[2]).read_text())))
