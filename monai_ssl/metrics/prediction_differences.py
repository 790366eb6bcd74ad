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

"""What keeps models from being compared: other images, labels, truth or patients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from monai_ssl.metrics.prediction_table import PredictionTable, first_of

__all__ = ["prediction_differences"]

# Of the smaller set of images; test splits that were drawn anew share more, since each is a fifth or so of all images.
_SHARED_BY_CHANCE = 0.1


def prediction_differences(tables: Mapping[str, PredictionTable]) -> list[str]:
    """
    Everything in which models differ that they must share, said of the fewer ones.

    Models are compared with the largest group of equal ones, so that one wrong table among many is named alone.
    Where images hardly overlap the models are taken for those of several data sets, and compared within each.

    Args:
        tables: by model.

    Returns:
        Lines with counts, first examples and what to do; none when the models can be compared.
    """
    alike: dict[tuple, list[str]] = {}
    for model, table in tables.items():
        alike.setdefault(_content(table), []).append(model)
    if len(alike) < 2:
        return []
    apart = _data_sets(list(alike.values()), tables)
    problems = (
        [] if len(apart) == 1 else [_mixed([[name for group in part for name in group] for part in apart], tables)]
    )
    for groups in apart:
        reference = max(groups, key=len)
        for group in groups:
            if group is not reference:
                problems += _pair_problems(reference, tables[reference[0]], group, tables[group[0]])
    return problems


def _content(table: PredictionTable) -> tuple:
    order = np.argsort(table.labels)
    patients = None if table.patients is None else tuple(table.patients)
    return tuple(sorted(table.labels)), tuple(table.images), patients, table.truth[:, order].tobytes()


def _data_sets(groups: list[list[str]], tables: Mapping[str, PredictionTable]) -> list[list[list[str]]]:
    parts: list[list[list[str]]] = []
    images: list[set[str]] = []
    for group in groups:
        own = _without_zeros(tables[group[0]].images)
        for part, others in zip(parts, images, strict=True):
            if len(own & others) >= _SHARED_BY_CHANCE * min(len(own), len(others)):
                part.append(group)
                break
        else:
            parts.append([group])
            images.append(own)
    return parts


def _mixed(parts: list[list[str]], tables: Mapping[str, PredictionTable]) -> str:
    held = [
        f"{first_of(part)} ({len(own)} images, such as {own[0]})" for part in parts for own in [tables[part[0]].images]
    ]
    form = " ".join(f"{name}@SET_{number}=PATH" for number, part in enumerate(parts, 1) for name in part)
    return (
        f"predictions of {len(parts)} data sets seem to be mixed, since they share no images or hardly any: "
        f"{'; '.join(held)}; say which go together: {form}; or, if it is one data "
        "set with several test splits, evaluate all models on the same one"
    )


def _pair_problems(names_a: list[str], a: PredictionTable, names_b: list[str], b: PredictionTable) -> list[str]:
    name_a, name_b = first_of(names_a), first_of(names_b)
    problems = _alone("labels", name_a, a.labels, name_b, b.labels, "keep the columns of those that all models have")
    advice = "evaluate all models on the same images: one dataset_dir, fractions, split_seed, folds"
    if set(a.images) != set(b.images) and _without_zeros(a.images) == _without_zeros(b.images):
        advice = "they agree but for leading zeros, which spreadsheets drop: take the file that the run wrote"
    problems += _alone("images", name_a, a.images, name_b, b.images, advice)
    _, rows_a, rows_b = np.intersect1d(a.images, b.images, assume_unique=True, return_indices=True)
    for label in sorted(set(a.labels) & set(b.labels)):
        truths = (t.truth[rows, t.labels.index(label)] for t, rows in ((a, rows_a), (b, rows_b)))
        differs = a.images[rows_a][_unequal(*truths)]
        if len(differs):
            problems.append(
                f"label {label} of {len(differs)} images differs between {name_a} and {name_b}, such as "
                f"{first_of(differs)}; evaluate all models with one table of labels"
            )
    if (a.patients is None) != (b.patients is None):
        with_them, without = (name_a, name_b) if b.patients is None else (name_b, name_a)
        problems.append(
            f"{with_them} names patients, {without} does not; give all tables the column patient, or none of "
            "them, which redraws images"
        )
    elif a.patients is not None and b.patients is not None:
        moved = a.images[rows_a][a.patients[rows_a] != b.patients[rows_b]]
        if len(moved):
            problems.append(
                f"{len(moved)} images have other patients in {name_a} than in {name_b}, such as {first_of(moved)}; "
                "use one pseudonym key and one table of labels for all"
            )
    return problems


def _alone(what: str, name_a: str, a: Iterable, name_b: str, b: Iterable, advice: str) -> list[str]:
    return [
        f"{len(only)} {what} of {name} are not in {other}, such as {first_of(sorted(only))}; {advice}"
        for name, other, only in ((name_a, name_b, set(a) - set(b)), (name_b, name_a, set(b) - set(a)))
        if only
    ]


def _unequal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a != b) & ~(np.isnan(a) & np.isnan(b))


def _without_zeros(images: Iterable[str]) -> set[str]:
    return {image.lstrip("0") for image in images}
