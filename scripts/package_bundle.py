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

"""Put a trained model and its settings into a copy of its bundle, in the form of the MONAI model zoo."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

BUNDLES = Path(__file__).resolve().parents[1] / "bundles"


def main() -> None:
    """Copy, and print where the package lies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", choices=sorted(path.name for path in BUNDLES.iterdir() if path.is_dir()))
    parser.add_argument("run", type=Path, help="finished run folder, with model.pt and settings.json")
    parser.add_argument("output", type=Path, help="new folder; a zip of it is written beside it")
    arguments = parser.parse_args()
    try:
        package(arguments.bundle, arguments.run, arguments.output)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(f"{arguments.output} and {arguments.output}.zip")


def package(bundle: str, run: Path, output: Path) -> None:
    """
    Write `output` and `output`.zip, all or nothing. Paths of the run's machine are left out of the settings.

    Raises:
        ValueError: when the run is of another bundle or not finished, or `output` is there already.
        OSError: when a file of the run is missing.
    """
    record = json.loads((run / "settings.json").read_text(encoding="utf-8"))
    try:
        trained_by = record["settings"]["bundle"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{run / 'settings.json'}: not the settings of a bundle's run; give its run folder") from error
    if trained_by != bundle:
        raise ValueError(f"{run}: trained by the bundle {trained_by}, not {bundle}; package that one")
    if "finished_epochs" not in record:
        raise ValueError(f"{run}: not trained to its end; finish it with the command that began it")
    if output.exists():
        raise ValueError(f"{output}: is there already; choose a new folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as beside:
        package_dir = Path(beside, output.name)
        _fill(package_dir, bundle, run, record)
        archive = Path(shutil.make_archive(str(package_dir), "zip", beside, output.name))
        archive.replace(output.parent / archive.name)
        package_dir.rename(output)


def _fill(output: Path, bundle: str, run: Path, record: dict[str, Any]) -> None:
    # Named one by one: a bundle's folder is also where data and results go by default, and those are not for sharing.
    for name in ("configs", "docs"):
        shutil.copytree(BUNDLES / bundle / name, output / name)
    shutil.copy(BUNDLES / bundle / "LICENSE", output / "LICENSE")
    (output / "models").mkdir()
    shutil.copy(run / "model.pt", output / "models" / "model.pt")
    if (run / "thresholds.json").is_file():
        shutil.copy(run / "thresholds.json", output / "models" / "thresholds.json")
    for name in ("dataset_dir", "labels", "probe_labels", "checkpoint"):
        record["settings"].pop(name, None)
    (output / "models" / "settings.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
