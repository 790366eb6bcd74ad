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


"""From a folder of volumes to a slice store."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from monai_ssl.data.label_join import SourceLabels, SourceSlices
from monai_ssl.data.parallel import make_executor, run_all
from monai_ssl.data.pseudonyms import KEY_FILE, Pseudonyms, load_key
from monai_ssl.data.slice_store import SliceStore
from monai_ssl.data.slice_volume import VOLUME_FOLDER, SlicedVolume, SliceTask, store_volume
from monai_ssl.data.volume import Volume
from monai_ssl.data.volumes import find_volumes
from monai_ssl.data.voxels import Rejection
from monai_ssl.files import lock_folder, write_json, write_table
from monai_ssl.orientation import PLANES
from monai_ssl.reduction import parse_strategy

__all__ = ["slice_volumes"]

_FORMAT_VERSION = 1
_RESIZE = range(8, 4097)
_TABLES = ("slices.csv", "labels.csv", "rejected.csv", "warnings.csv")


def slice_volumes(
    input_dir: str | os.PathLike,
    output_dir: str | os.PathLike,
    *,
    axis: str = "axial",
    reduce: str = "dhash:6",
    resize: int | None = None,
    labels: str | os.PathLike | None = None,
    pseudonym_key: str | bytes | os.PathLike | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
) -> SliceStore:
    """
    Slice all volumes below a folder, drop near-duplicate slices of each volume, and store the rest.

    Slices are stored in display orientation with their own values (HU for CT); `slices.csv` has a row for each slice of
    the source, in order of the volumes' pseudonyms. Equal key, input and arguments give equal bytes, however many
    workers there are. What is refused stands in `rejected.csv`, what is odd in `warnings.csv`; these two name files of
    the input and are for its owner.

    Args:
        input_dir: a folder of DICOM and NIfTI files at any depth, or one file; see `find_volumes`.
        output_dir: a new or empty folder, neither within the input nor around it; or one where a run was stopped, whose
            remains are made anew.
        axis: "axial", "coronal" or "sagittal".
        reduce: the reduction strategy, see `monai_ssl.reduction.reduce_slices`; it sees slices before any resizing.
        resize: height and width of the stored slices in pixels, 8 to 4096; the aspect is not kept. None keeps the size
            of the source. Statistics and hashes in `slices.csv` are those of the source.
        labels: a csv keyed by `patient`, by `series`, or by `series` and `position_mm` (nearest slice within 0.1 mm);
            beside `series` a column `patient` tells the patient of a NIfTI file. Other columns are labels.
        pseudonym_key: the secret (text or bytes), a `Path` to the `.pseudonym_key` of another store, or None for a
            random one.
        workers: processes; None for one per CPU, 1 for this process. Each holds one volume at a time. More than one are
            started by "spawn", so a script that calls this needs `if __name__ == "__main__":`.
        scheduler: address of a dask scheduler, "tcp://host:8786", to run on its workers instead.

    Returns:
        The finished store.

    Raises:
        ValueError: for bad arguments, all at once and before any work; when all was refused; when another process is at
            work in `output_dir`.
        OSError: when the store cannot be written.

    Example:
        >>> store = slice_volumes("dicom", "slices", labels="labels.csv")  # doctest: +SKIP
        >>> len(store), len(store.table)  # doctest: +SKIP
    """
    source, output = Path(input_dir), Path(output_dir)
    problems = _problems(source, output, axis, reduce, resize, workers)
    table = _read_labels(labels, output, problems)
    if problems:
        raise ValueError("\n".join(problems))
    with lock_folder(output):
        _clear_unfinished(output)
        pseudonyms = Pseudonyms(load_key(output, pseudonym_key))
        volumes, rejections = find_volumes(source)
        if table is not None:
            table.check_any_known((volume.series, volume.patient) for volume in volumes)
        run = _Run(output, pseudonyms, table, volumes, rejections)
        tasks = [
            SliceTask(volume, run.names[volume.source], run.patient(volume), output, axis, reduce, resize)
            for volume in volumes
        ]
        with make_executor(workers, scheduler, len(tasks)) as (executor, width):
            run.collect(_with_progress(run_all(executor, width, store_volume, tasks), len(tasks)))
        run.write({"axis": axis, "reduce": reduce, "resize": resize})
    return SliceStore.open(output)


class _Run:
    """The state of one run: what was found, and what became of it."""

    def __init__(
        self,
        output: Path,
        pseudonyms: Pseudonyms,
        labels: SourceLabels | None,
        volumes: list[Volume],
        rejections: list[Rejection],
    ) -> None:
        self.output = output
        self.pseudonyms = pseudonyms
        self.labels = labels
        self.volumes = volumes
        self.rejections = list(rejections)
        self.warnings = [(volume.name, warning) for volume in volumes for warning in volume.warnings]
        self.names = {volume.source: pseudonyms("volume", volume.source) for volume in volumes}
        self.tables: dict[str, pd.DataFrame] = {}

    def patient(self, volume: Volume) -> str:
        told = self.labels.patient(volume.series) if self.labels else None
        if volume.patient is None and told is None:
            self.warnings.append(
                (
                    volume.name,
                    "no patient known, so it counts as a patient of its own and no patient-level split is possible; "
                    "a labels table with the columns series and patient tells whose it is",
                )
            )
        elif told is not None and volume.patient not in (None, told):
            self.warnings.append((volume.name, "the labels table names another patient than the files, which count"))
        patient = volume.patient or told
        return self.pseudonyms("patient", patient) if patient else self.pseudonyms("lone patient", volume.source)

    def collect(self, results: Iterator[SlicedVolume]) -> None:
        files = {self.names[volume.source]: volume.name for volume in self.volumes}
        for result in results:
            self.rejections += result.rejections
            self.warnings += [(files[result.name], warning) for warning in result.warnings]
            if result.table is not None:
                self.tables[result.name] = result.table

    def write(self, arguments: dict[str, str | int | None]) -> None:
        labels = self._join_labels()
        rejected = pd.DataFrame(
            [(rejection.file, rejection.reason) for rejection in sorted(self.rejections)], columns=["file", "reason"]
        )
        write_table(self.output / "rejected.csv", rejected)
        write_table(
            self.output / "warnings.csv", pd.DataFrame(sorted(self.warnings), columns=["file", "warning"], dtype=object)
        )
        if not self.tables:
            found = f"all {len(rejected)} entries were refused" if len(rejected) else "there is no file in it"
            raise ValueError(f"no volume could be sliced, {found}; see {self.output / 'rejected.csv'}")
        table = pd.concat([self.tables[name] for name in sorted(self.tables)], ignore_index=True)
        write_table(self.output / "slices.csv", table)
        if labels is not None:
            write_table(self.output / "labels.csv", labels)
        settings = {
            "format": "monai_ssl slice store",
            "format_version": _FORMAT_VERSION,
            "arguments": {**arguments, "labels": None if labels is None else list(labels.columns[1:])},
            "pseudonym_key_fingerprint": self.pseudonyms.fingerprint,
            "counts": {
                "volumes": len(self.tables),
                "patients": int(table["patient"].nunique()),
                "slices": len(table),
                "kept": int(table["kept"].sum()),
                "labelled": 0 if labels is None else len(labels),
                "rejected": len(rejected),
                "warnings": len(self.warnings),
            },
        }
        write_json(self.output / "store.json", settings)

    def _join_labels(self) -> pd.DataFrame | None:
        if self.labels is None:
            return None
        joined = []
        by_name = sorted((self.names[volume.source], volume) for volume in self.volumes)
        for name, volume in by_name:
            if name in self.tables:
                table = self.tables[name]
                patient = volume.patient or self.labels.patient(volume.series)
                slices = SourceSlices(volume.series, patient, table["slice"].tolist(), table["position_mm"].to_numpy())
                joined.append(self.labels.join(slices))
        self.warnings += [(self.labels.name, finding) for finding in self.labels.findings()]
        return pd.concat(joined, ignore_index=True) if joined and self.labels.columns else None


def _with_progress(results: Iterator[SlicedVolume], total: int) -> Iterator[SlicedVolume]:
    slices = 0
    with tqdm(total=total, unit="volume", desc="slicing", disable=None) as bar:
        for result in results:
            slices += 0 if result.table is None else len(result.table)
            bar.set_postfix(slices=slices, refresh=False)
            bar.update()
            yield result


def _problems(source: Path, output: Path, axis: str, reduce: str, resize: int | None, workers: int | None) -> list[str]:
    problems = []
    if axis not in PLANES:
        problems.append(f"axis must be one of {', '.join(sorted(PLANES))}, got {axis!r}")
    try:
        parse_strategy(reduce)
    except ValueError as error:
        problems.append(str(error))
    if resize is not None and (not isinstance(resize, int) or resize not in _RESIZE):
        problems.append(f"resize must be None or a whole number from 8 to 4096, got {resize!r}")
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        problems.append(f"workers must be None (one per CPU) or a whole number of at least 1, got {workers!r}")
    if not source.exists():
        problems.append(f"{source}: does not exist; give a folder of DICOM or NIfTI files, or one file")
    here, there = source.resolve(), output.resolve()
    if here == there or here.is_relative_to(there) or there.is_relative_to(here):
        problems.append(f"{output}: must lie neither in the input {source} nor around it; choose another folder")
    if output.exists() and not output.is_dir():
        problems.append(f"{output}: is a file; choose a new folder")
    elif (output / "store.json").exists():
        problems.append(
            f"{output}: already holds a finished store; use it as it is (SliceStore.open), or choose another folder"
        )
    elif held := _foreign(output):
        problems.append(
            f"{output}: not empty, it holds {', '.join(held[:3])}{' ...' if len(held) > 3 else ''}; "
            "choose a new or empty folder"
        )
    return problems


def _foreign(output: Path) -> list[str]:
    # The remains of a stopped run are ours to clear, and have a key; anything else is the user's.
    if not output.is_dir() or (output / KEY_FILE).exists():
        return []
    return sorted(entry.name for entry in output.iterdir() if not entry.name.startswith("."))


def _read_labels(labels: str | os.PathLike | None, output: Path, problems: list[str]) -> SourceLabels | None:
    if labels is not None and Path(labels).resolve().is_relative_to(output.resolve()):
        problems.append(f"{labels}: lies in the output {output}, where it would be overwritten; move it elsewhere")
        return None
    try:
        return None if labels is None else SourceLabels(labels)
    except FileNotFoundError:
        problems.append(f"{labels}: does not exist; give a csv of labels")
    except (ValueError, OSError) as error:
        problems.append(str(error))
    return None


def _clear_unfinished(output: Path) -> None:
    for name in _TABLES:
        (output / name).unlink(missing_ok=True)
    for file in (output / VOLUME_FOLDER).glob("*"):
        if re.fullmatch(r"[0-9a-f]{16}\.npy|\.[0-9a-f]{16}\.npy\.partial", file.name):
            file.unlink()
