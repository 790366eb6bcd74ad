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

import logging
import math
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tqdm import tqdm

from monai_ssl.data.limits import MAX_GIB
from monai_ssl.data.name_order import order_problems
from monai_ssl.data.parallel import WORTH_A_PROCESS, make_executor, run_all
from monai_ssl.data.selection import select_volumes
from monai_ssl.data.slice_store import SliceStore
from monai_ssl.data.slice_volume import SliceOptions, store_volume
from monai_ssl.data.slicing_arguments import (
    find_problems,
    load_embedder,
    read_source_labels,
    read_spacing,
    read_window,
)
from monai_ssl.data.slicing_run import SlicingRun
from monai_ssl.data.slicing_update import StoreUpdate
from monai_ssl.data.volumes import find_volumes
from monai_ssl.files import lock_folder
from monai_ssl.orientation import PLANES

__all__ = ["slice_volumes"]

logger = logging.getLogger(__name__)


def slice_volumes(
    input_dir: str | os.PathLike,
    output_dir: str | os.PathLike,
    *,
    axis: str = "axial",
    reduce: str = "dhash:6",
    order: str = "position",
    seed: int = 0,
    resize: int | None = None,
    spacing: float | tuple[float, float, float] | None = None,
    window: str | tuple[float, float] | None = None,
    backbone: str | None = None,
    checkpoint: str | os.PathLike | None = None,
    include: str | Sequence[str] | None = None,
    modality: str | None = None,
    patient_folders: bool = False,
    split_time: bool = False,
    max_gib: float = MAX_GIB,
    labels: str | os.PathLike | None = None,
    identifiers: bool = False,
    pseudonym_key: str | bytes | os.PathLike | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    update: bool = False,
) -> SliceStore:
    """
    Slice all volumes below a folder, drop near-duplicate slices of each volume, and store the rest.

    Slices are stored in display orientation with their own values (HU for CT); `slices.csv` has a row for each slice of
    the source, in order of the volumes' pseudonyms. Equal key, input and arguments give equal bytes, however many
    workers there are, and however often the run was stopped: the same command goes on, doing only volumes that are not
    done or whose files have changed. What is refused stands in `rejected.csv`, what is odd in `warnings.csv`; these two
    name files of the input and are for its owner, as is `.sliced.json`, which updates need. It alone differs with the
    place and the times of the source's files.

    Args:
        input_dir: a folder of DICOM and NIfTI files at any depth, or one file; see `find_volumes`.
        output_dir: a new or empty folder, neither within the input nor around it; or one where a run with the same
            arguments was stopped. `labels`, `identifiers`, `max_gib`, `workers` and `scheduler` may differ then.
        axis: "axial", "coronal" or "sagittal".
        reduce: the reduction strategy, see `monai_ssl.reduction.reduce_slices`; it sees slices before any resizing.
        order: in which slices are compared: "position", as they lie in the volume, or "name", as the reference sorts
            the names of its images, for axial slices of the source; see `monai_ssl.data.name_order.name_ranks`. The
            tables stay in order of position.
        resize: height and width of the stored slices in pixels, 8 to 4096; the aspect is not kept. None keeps the size
            of the source. Statistics and hashes in `slices.csv` are those of the source.
        spacing: millimetres between voxels along right-left, anterior-posterior and superior-inferior (the axes of the
            volume closest to them), or one number for all, to which volumes are resampled before slicing: linear,
            antialiased, without padding in any value. `index` then counts resampled slices. Volumes sheared by a gantry
            tilt stay sheared. None keeps the voxels of the source.
        window: of the 8-bit images that are hashed and compared, a name as in `export_png` or (low, high); the stored
            values stay as they are. None for each slice's own minimum and maximum, as in the reference; a window is
            better where slices may be empty, since min-max turns their noise into structure.
        backbone: architecture whose features `embedding` compares, see `monai_ssl.networks.create_backbone`.
        checkpoint: its weights.
        seed: of the strategy `random`, 0 or more; each volume draws by it and by its pseudonym.
        include: patterns of the files to look at, such as "CT.nii.gz"; see `find_volumes`. None for all.
        modality: refuse volumes whose files tell of another one, such as radiographs among "CT". None for all.
        patient_folders: take the first folder below the input for the patient of volumes whose files name none.
        split_time: take each time point of a 4-D file as a volume of its own, instead of refusing the file.
        max_gib: the most memory that the voxels of one volume may take, in GiB; larger ones are refused.
        labels: a csv keyed by `patient`, by `series`, or by `series` and `position_mm` (nearest slice within 0.1 mm);
            beside `series` a column `patient` tells the patient of a NIfTI file. Other columns are labels.
        identifiers: write `identifiers.csv` too, with the series, patient and file behind each pseudonym; only its
            owner may read it (mode 0600).
        pseudonym_key: the secret (text or bytes), a `Path` to the `.pseudonym_key` of another store, or None for a
            random one.
        workers: processes; None for one per CPU where there is enough to do, 1 for this process. Each holds one volume
            at a time. More than one are started by "spawn", so a script that calls this needs
            `if __name__ == "__main__":`.
        scheduler: address of a dask scheduler, "tcp://host:8786", to run on its workers instead. They must see both
            folders under the same absolute paths; each process takes one volume at a time. One that dies is made up
            for.
        update: bring the finished store in `output_dir` up to date with the input. Volumes that are new there or whose
            files changed are sliced, those that came from this input and are there no more are dropped, and those that
            came from another input stay, with their rows of all tables. The store is then reduced as it was last. Where
            all came from one input, it is the store that slicing anew (and `reduce_store`) would give. Files that
            differ from those of the store in time or place only are the same. A volume whose files are in the store
            from another input is refused under another name, as is another one under its name. The arguments must be
            those the store was made with, but for the five named above; of these, `labels` and `identifiers` must not
            be left out where volumes of this input, or the store, have them.

    Returns:
        The finished store.

    Raises:
        ValueError: for bad arguments, all at once and before any work; when all was refused (an update then leaves the
            store as it was); when another process is at work in `output_dir`, or a run with other arguments was
            stopped there; when an update would keep a slice that was never stored, and leaves the store as it was.
        OSError: when the store cannot be written, such as on a full disk, or the scheduler is lost. What is done then
            opens as an unfinished store, and the same command goes on.

    Example:
        >>> store = slice_volumes("dicom", "slices", labels="labels.csv")  # doctest: +SKIP
        >>> len(store), len(store.table)  # doctest: +SKIP
    """
    source, output = Path(input_dir), Path(output_dir)
    problems = find_problems(source, output, resize, seed, max_gib, pseudonym_key, workers, update)
    lengths = read_spacing(spacing, problems)
    if axis not in PLANES:
        problems.append(f"axis must be one of {', '.join(sorted(PLANES))}, got {axis!r}")
    elif order_wrong := order_problems(order, axis, lengths):
        problems += order_wrong
    limits = read_window(window, problems)
    embedder, features = load_embedder(reduce, backbone, checkpoint, problems)
    table = read_source_labels(labels, output, problems)
    if problems:
        raise ValueError("\n".join(problems))
    options = SliceOptions(
        *(axis, reduce, resize, lengths, split_time, max_gib, limits, embedder, features, order, seed),
        include=(include,) if isinstance(include, str) else None if include is None else tuple(include),
        modality=modality,
        patient_folders=patient_folders,
    )
    with lock_folder(output), _ended_by_sigterm():
        run = SlicingRun(output, table, options, identifiers)
        if update:
            run = StoreUpdate(output, table, options, identifiers, workers)
        try:
            run.begin(source, pseudonym_key)
            if not run.finished:
                _slice(run, source, workers, scheduler)
                run.finish()
            run.tidy()
        except OSError as error:
            raise OSError(run.salvage(error)) from error
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(f"{output}: stopped, {run.progress}; the same command goes on") from stop
        except SystemExit:
            logger.warning("%s: stopped, %s; the same command goes on", output, run.progress)
            raise
    return SliceStore.open(output)


def _slice(run: SlicingRun, source: Path, workers: int | None, scheduler: str | None) -> None:
    options = run.options
    source = source.absolute()  # workers may be in another folder
    with make_executor(workers, scheduler, folders=(source, run.output.absolute())) as (executor, width):
        volumes, rejections = find_volumes(
            source,
            include=options.include,
            split_time=options.split_time,
            max_gib=options.max_gib,
            executor=executor,
        )
        volumes, others = select_volumes(volumes, modality=options.modality, patient_folders=options.patient_folders)
        tasks = run.plan(volumes, [*rejections, *others])
        work = sum(math.prod(task.volume.shape) for task in tasks)
        here = scheduler is None and (len(tasks) < 2 or (workers is None and work < WORTH_A_PROCESS))
        with make_executor(1) if here else nullcontext((executor, width)) as (executor, width):
            _follow(run_all(executor, width, store_volume, tasks), len(run.findings.volumes), len(tasks))


def _follow(results: Iterator[int], total: int, left: int) -> None:
    slices = 0
    with tqdm(total=total, initial=total - left, unit="volume", desc="slicing", disable=None) as bar:
        for count in results:
            slices += count
            bar.set_postfix(slices=slices, refresh=False)
            bar.update()


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """A SIGTERM within, as batch systems send it, ends the program as Ctrl-C does: workers end, nothing is half."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _leave(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)
