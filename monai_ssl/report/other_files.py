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

"""What was given in place of a predictions table: told by its name and its columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["other_file", "other_folder", "other_table"]

_GIVE = "give a run folder or its predictions.csv"
_FILES = {
    ".jsonl": "the training record of a run",
    ".json": "a record of settings or figures",
    ".html": "a report",
    **dict.fromkeys((".pt", ".pth", ".safetensors"), "a model"),
}
_COLUMNS = (
    ({"model_a", "model_b"}, "the comparison of a report"),
    ({"split", "label", "auc"}, "the evaluation of a run"),
    ({"slice", "volume"}, "the slices of a store"),
    ({"scenario", "auc"}, "the summary of a sweep"),
)
_FOLDERS = (
    ("sweep.json", "the folder of a sweep, which wrote its own summary.json; give the run folders below it"),
    ("store.json", "a slice store; give it as --store, and run folders as RUN"),
    ("report.json", "a report; give the run folders that it was made from"),
    ("settings.json", "a run without predictions; has it finished? a pre-training run goes to --pretraining"),
)


def other_file(path: Path) -> str:
    """What a file is by its name, with what to give in its place; empty where that says nothing."""
    kind = _FILES.get(path.suffix.lower())
    return f"{path}: seems to be {kind}, not predictions; {_GIVE}" if kind else ""


def other_folder(path: Path) -> str:
    """What a folder without `predictions.csv` is, or that the run may not have finished."""
    for name, kind in _FOLDERS:
        if (path / name).is_file():
            return f"{path / 'predictions.csv'}: missing; the folder seems to be {kind}"
    return f"{path / 'predictions.csv'}: missing; has the run finished? its last step writes the predictions"


def other_table(path: Path, columns: Sequence[str]) -> str:
    """
    What a table without a pair `<label>_true`, `<label>_score` is.

    Args:
        path: of the file.
        columns: its header.

    Returns:
        A line that says what to do; empty for a table with such a pair.
    """
    ends = {end for end in ("_true", "_score") if any(name.endswith(end) for name in columns)}
    if len(ends) == 2:
        return ""
    if ends == {"_score"}:
        return (
            f"{path}: has scores but no <label>_true, as predictions of unlabelled images do; run the bundle's "
            "evaluate with labels instead"
        )
    kind = next((kind for wanted, kind in _COLUMNS if wanted <= set(columns)), "")
    if not kind and "image" in columns:
        kind = "a table of labels"
    said = f"seems to be {kind}, not predictions" if kind else "is no table of predictions"
    return (
        f"{path}: {said}, which have image, patient, split and <label>_true, <label>_score of each label; it has "
        f"{', '.join(columns[:8])}{' ...' if len(columns) > 8 else ''}; {_GIVE}"
    )
