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

"""Maps of a run's images: scored, summed up, and a few of them kept."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from monai_ssl.files import atomic_path, lock_folder, write_table
from monai_ssl.metrics.localisation import centred_gaussian, localisation_scores
from monai_ssl.metrics.localisation_summary import SCORES, check_scored, localisation_summary
from monai_ssl.saliency.examples import choose_examples, example, example_side, write_examples
from monai_ssl.saliency.lesions import Lesions
from monai_ssl.saliency.trained import TrainedRun, open_run
from monai_ssl.visualize.saliency import METHODS, saliency_map, target_layer
from monai_ssl.visualize.saliency_figure import saliency_figure

__all__ = ["saliency_of_run"]

logger = logging.getLogger(__name__)

_BATCH = 16
_AS_PREDICTED = 0.02  # other machines and precisions differ by less
_COLUMNS = ["image", "patient", "label", "truth", "score", "threshold", "method", *SCORES]
_COLUMNS += [*(f"centre_{name}" for name in SCORES), "truth_share", "empty_map"]


def saliency_of_run(
    run: str | os.PathLike,
    boxes: str | os.PathLike | None = None,
    masks: str | os.PathLike | None = None,
    split: str = "test",
    method: str = "gradcam",
    limit: int | None = None,
    dataset_dir: str | os.PathLike | None = None,
) -> pd.DataFrame:
    """
    Map where a trained classifier looks in the images that have a label, or whose lesion is known, and score the maps.

    Written into the run folder: `saliency.csv`, a row per image and label; with boxes or masks `saliency_summary.csv`,
    see :py:func:`monai_ssl.metrics.localisation_summary`; and of a few examples, chosen by a rule, `saliency.npz`
    (images, maps and lesions, without names) and `saliency.png`. Maps and lesions are compared at the size of the
    network's input.

    Args:
        run: folder of a fine-tuning: `settings.json`, `model.pt`, `predictions.csv`, `thresholds.json`.
        boxes: of lesions, see :py:func:`monai_ssl.data.read_boxes`.
        masks: of lesions, a folder of PNG named as the images; of several labels a folder each.
        split: of predictions.csv.
        method: "gradcam" or "occlusion", see :py:func:`monai_ssl.visualize.saliency_map`.
        limit: images per label at most, those with a known lesion first, in the order of predictions.csv.
        dataset_dir: where the images lie now; None where the run says.

    Returns:
        the table of `saliency.csv`.

    Raises:
        ValueError: naming all that is wrong with the arguments and files.
        SystemExit: code 2 when `model.pt` does not fit the settings.
    """
    run = Path(run)
    trained, lesions = _read(run, boxes, masks, split, method, limit, dataset_dir)
    table = trained.table
    known = pd.Series([lesions.known(*pair) for pair in zip(table["image"], table["label"], strict=True)])
    wanted = table[(table["truth"] == 1) | known]
    if limit is not None:
        order = known[wanted.index].sort_values(ascending=False, kind="stable").index
        wanted = wanted.loc[sorted(wanted.loc[order].groupby("label", sort=False).head(limit).index)]
    if wanted.empty:
        raise ValueError(f"{run}: no image of split {split!r} has a label, so there is nothing to look for")
    check_scored(wanted[known[wanted.index]])
    kinds = choose_examples(table, trained.thresholds, known)
    with lock_folder(run):
        figures, shown = _look(run, trained, lesions, table.loc[sorted({*wanted.index, *kinds})], set(kinds), method)
        result = wanted.assign(method=method, threshold=wanted["label"].map(trained.thresholds))
        result = result.join(pd.DataFrame.from_dict(figures, orient="index"))
        result = result.reindex(columns=_COLUMNS).reset_index(drop=True)
        _write(run, result, _stacked(shown, kinds, table, trained))
    return result


def _read(
    run: Path,
    boxes: str | os.PathLike | None,
    masks: str | os.PathLike | None,
    split: str,
    method: str,
    limit: int | None,
    dataset_dir: str | os.PathLike | None,
) -> tuple[TrainedRun, Lesions]:
    problems = []
    if method not in METHODS:
        problems.append(f"--method must be one of {', '.join(METHODS)}, got {method!r}")
    if limit is not None and limit < 1:
        problems.append(f"--limit must be 1 or above, got {limit}")
    problems += [f"{path}: no such file or folder" for path in (boxes, masks) if path and not Path(path).exists()]
    try:
        trained = open_run(run, split, dataset_dir)
        if not problems:
            places = (Path(path) if path else None for path in (boxes, masks))
            return trained, Lesions(trained.table["image"], trained.labels, trained.settings["dataset_dir"], *places)
    except (OSError, ValueError) as error:
        problems.append(str(error))
    raise ValueError("\n".join(problems))


def _look(
    run: Path, trained: TrainedRun, lesions: Lesions, rows: pd.DataFrame, examples: set[int], method: str
) -> tuple[dict[int, dict[str, float]], dict[int, dict[str, np.ndarray]]]:
    """The figures of each row, and the pictures of the examples."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = trained.network(run / "model.pt", device)
    if method == "gradcam":
        target_layer(network)
    figures: dict[int, dict[str, float]] = {}
    shown: dict[int, dict[str, np.ndarray]] = {}
    apart = 0.0
    with tqdm(total=len(rows), desc=method, unit="map", disable=None) as bar:
        for label, part in rows.groupby("label", sort=False):
            column = trained.labels.index(str(label))
            for start in range(0, len(part), _BATCH):
                batch = part.iloc[start : start + _BATCH]
                files = zip(batch["file"], batch["row"], strict=True)
                raw, prepared = zip(*(trained.load(file, row) for file, row in files), strict=True)
                images = torch.stack(prepared).to(device)
                maps = saliency_map(network, images, column, method).cpu().numpy()
                with torch.no_grad():
                    scores = trained.probabilities(network(images))[:, column].cpu().numpy()
                apart = max(apart, float(np.abs(scores - batch["score"]).max()))
                for place, row in enumerate(batch.itertuples()):
                    index, source = int(row.Index), raw[place].numpy()[0]
                    figures[index] = _figures(maps[place], lesions, row, source.shape)
                    if index in examples:
                        side = example_side(len(maps[place]))
                        mask = _mask(lesions, row, (side, side), source.shape)
                        shown[index] = example(source, maps[place], mask)
                bar.update(len(batch))
    if apart > _AS_PREDICTED:
        logger.warning("%s: scores differ from predictions.csv by up to %.2g: other images, or images that another "
                       "version prepared; predict anew with the bundle's evaluate.json", run, apart)  # fmt: skip
    return figures, shown


def _figures(saliency: np.ndarray, lesions: Lesions, row: object, source: tuple[int, int]) -> dict[str, float]:
    found: dict[str, float] = {"empty_map": float(saliency.max() == 0)}
    mask = _mask(lesions, row, saliency.shape, source)
    if mask is not None:
        centre = localisation_scores(centred_gaussian(*saliency.shape), mask)
        found |= localisation_scores(saliency, mask) | {f"centre_{name}": value for name, value in centre.items()}
        found["truth_share"] = float(mask.mean())
    return found


def _mask(lesions: Lesions, row: object, size: tuple[int, int], source: tuple[int, int]) -> np.ndarray | None:
    image, label = row.image, row.label  # type: ignore[attr-defined]
    return lesions.mask(image, label, size, source) if lesions.known(image, label) else None


def _stacked(
    shown: dict[int, dict[str, np.ndarray]], kinds: dict[int, str], table: pd.DataFrame, trained: TrainedRun
) -> dict[str, np.ndarray]:
    rows = table.loc[list(kinds)]
    arrays = {name: np.stack([shown[index][name] for index in kinds]) for name in ("image", "saliency", "mask")}
    return arrays | {
        "label": rows["label"].to_numpy(str),
        "kind": np.array(list(kinds.values())),
        "truth": rows["truth"].to_numpy(np.int8),
        "score": rows["score"].to_numpy(np.float32),
        "threshold": rows["label"].map(trained.thresholds).to_numpy(np.float32),
    }


def _write(run: Path, result: pd.DataFrame, examples: dict[str, np.ndarray]) -> None:
    result = result.assign(empty_map=result["empty_map"].astype(int))
    summary = run / "saliency_summary.csv"
    summary.unlink(missing_ok=True)  # an earlier one is of other maps
    write_examples(run / "saliency.npz", examples)
    with atomic_path(run / "saliency.png") as partial:
        saliency_figure(examples).savefig(partial, format="png", dpi=130)
    write_table(run / "saliency.csv", result)
    if result["dice"].notna().any():
        write_table(summary, localisation_summary(result))
