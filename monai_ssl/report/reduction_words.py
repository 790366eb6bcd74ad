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

"""What a reduction did, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monai_ssl.report.words import counted
from monai_ssl.visualize import DisplayWindow

__all__ = [
    "StrategyWords",
    "axis_words",
    "distance_words",
    "percent",
    "reduction_caveats",
    "reduction_sentences",
    "strategy_words",
    "threshold_words",
    "window_words",
]

_THRESHOLD = "A slice was dropped when {} from it to {} was at most {{number:g}}"
_EARLIER, _LAST = "an earlier kept slice", "the last kept slice before it"
_RULES = {
    "all": ("Nothing was dropped: all keeps every slice", "", False),
    "every_n": ("Of every {number:g} slices the first was kept, whatever it looks like", "slices apart", False),
    "random": ("A share of {number:.3g} was kept, drawn at random", "slices apart", False),
    "dhash": (
        "A slice was dropped when its difference hash differed in at most {number:g} of 64 bits from that of an "
        "earlier kept slice; the hash tells where a thumbnail of 9 by 8 pixels gets brighter from left to right",
        "bits that differ",
        True,
    ),
    "ssim": (_THRESHOLD.format("1 - structural similarity", _LAST), "1 - SSIM", True),
    "mi": (_THRESHOLD.format("1 - normalised mutual information", _LAST), "1 - mutual information", True),
    "embedding": (_THRESHOLD.format("1 - cosine similarity of network features", _EARLIER), "1 - cosine", True),
}
_SCOPES = {
    "volume": "Slices were compared within each volume only.",
    "patient": "Slices were compared within each patient, across the patient's volumes.",
    "dataset": "Slices were compared over the whole store, across volumes and patients.",
}


@dataclass(frozen=True)
class StrategyWords:
    """
    A strategy, as `dhash:6`, taken apart.

    Attributes:
        text: as it is written.
        name: before the colon.
        number: after it, or None.
        rule: what it did, as a sentence; empty for a strategy that is not known here.
        unit: of its distances.
        threshold: its number, where distances are held against it.
    """

    text: str
    name: str
    number: float | None
    rule: str
    unit: str
    threshold: float | None


def strategy_words(strategy: str) -> StrategyWords:
    """
    Take a strategy apart; one that is not known here has a name only.

    Example:
        >>> strategy_words("dhash:6").threshold, strategy_words("every_n:4").rule
        (6.0, 'Of every 4 slices the first was kept, whatever it looks like.')
    """
    name, _, argument = strategy.partition(":")
    try:
        number = float(argument)
    except ValueError:
        number = None
    rule, unit, compared = _RULES.get(name, ("", "", False))
    if strategy == "every_n:1":
        rule = "Every slice was kept"
    if number is None and name != "all":
        rule, compared = "", False
    sentence = f"{rule.format(number=number)}." if rule else ""
    return StrategyWords(strategy, name, number, sentence, unit, number if compared else None)


def reduction_sentences(numbers: dict[str, Any]) -> list[str]:
    """The summary of the page, from its numbers."""
    slices, kept, volumes = numbers["slices"], numbers["kept"], numbers["volumes"]
    sentences = [
        f"Of {counted(slices, 'slice')} in {counted(volumes, 'volume')} of {counted(numbers['patients'], 'patient')}, "
        f"{kept:,} {'was' if kept == 1 else 'were'} kept ({percent(numbers['kept_share'])}).",
        numbers["rule"],
    ]
    if numbers["name"] not in ("all", "every_n", "random"):
        sentences[1] = f"{numbers['rule']} {_SCOPES.get(numbers['scope'], '')}".strip()
    if numbers["order"] == "name" and numbers["name"] not in ("all", "random"):
        sentences[1] += " They were taken in the order of their names, sorted as text."
    if kept == slices:
        return [*filter(None, sentences), *([] if numbers["name"] == "all" else ["Nothing was dropped."])]
    if volumes > 1:
        spread = numbers["share_of_volumes"]
        sentences.append(
            f"The share kept of a volume runs from {percent(spread['lowest'])} to {percent(spread['highest'])}, with "
            f"the median at {percent(spread['median'])}."
        )
    sentences += [distance_words(numbers), *_meaning(slices, kept)]
    return [sentence for sentence in sentences if sentence]


def reduction_caveats(numbers: dict[str, Any]) -> list[str]:
    """What to look at with care, each only where this store demands it."""
    caveats = []
    if not numbers["complete"]:
        caveats.append("The store is unfinished: the page tells of the volumes that were sliced so far.")
    if not numbers["reduced"]:
        caveats.append(
            f"Reducing the store by {numbers['strategy']} was stopped as it was written: which slices are kept may be "
            "as before. Reduce it again."
        )
    if count := numbers["constant"]:
        verb = "holds" if count == 1 else "hold"
        caveats.append(f"{counted(count, 'slice')} {verb} one value only, such as nothing but air or padding.")
    if count := numbers["volumes_without_kept"]:
        verb = "has" if count == 1 else "have"
        caveats.append(f"{counted(count, 'volume')} {verb} no kept slice: slices of others stand for all of it.")
    if count := numbers["volumes_with_one_kept"]:
        verb = "keeps" if count == 1 else "keep"
        caveats.append(f"{counted(count, 'volume')} of several slices {verb} only one; see whether it shows anything.")
    dropped = numbers["slices"] - numbers["kept"]
    if numbers["distances_missing"]:
        which = "No" if numbers["distances_missing"] == dropped else "Not every"
        caveats.append(f"{which} dropped slice has a distance in slices.csv.")
    return caveats


def distance_words(numbers: dict[str, Any]) -> str:
    """How far dropped slices lie from what stands for them; empty where that is not known."""
    spread = numbers["distance_of_dropped"]
    if spread is None:
        return ""
    unit = f" {numbers['unit']}" if numbers["unit"] in ("bits that differ", "slices apart") else ""
    return (
        f"From a dropped slice to the kept one that stands for it, the distance is {spread['lowest']:.3g} to "
        f"{spread['highest']:.3g}{unit}, with the median at {spread['median']:.3g}."
    )


def axis_words(axis: str) -> str:
    """Where the ends of the axis lie."""
    ends = {
        "axial": "inferior, at the feet, to superior, at the head",
        "coronal": "anterior to posterior",
        "sagittal": "the right of the patient to the left",
    }
    return f"from {ends[axis]}" if axis in ends else "from the first slice to the last"


def threshold_words(strategy: StrategyWords, absent: bool, sample: tuple[int, int] | None, scope: str) -> str:
    """Where the curve of thresholds comes from, or why it is absent."""
    if absent:
        why = f"{strategy.name} has no threshold"
        if strategy.name in ("all", "dhash"):
            why = "slices lack hashes, or too many would have to be compared"
        elif strategy.threshold is not None:
            why = f"{strategy.name} would have to compare all slices anew for each"
        return f"No curve of other thresholds: {why}."
    text = "The share of slices that other thresholds would keep, all else being equal."
    if strategy.name == "all":
        text = "The share of slices that dhash would keep, by its threshold: the bits in which two hashes may differ."
    if sample is not None:
        groups, of = sample
        noun = "patients" if scope == "patient" else "volumes"
        text += f" Estimated from {groups:,} of {of:,} {noun}, evenly spaced in the store."
    return text


def window_words(windows: Sequence[DisplayWindow]) -> str:
    """How the pictures are windowed."""
    named = sorted({window for window in windows if window.name})
    texts = [f"{each.name}, {each.low:g} to {each.high:g} HU".replace("-", "\u2212") for each in named]
    text = f"CT is shown in the usual window that suits the volume ({'; '.join(texts)})." if texts else ""
    if len(named) < len(set(windows)):
        text += " Values that are no Hounsfield units are shown from the volume's 0.5th to its 99.5th percentile."
    return text.strip()


def percent(share: float) -> str:
    """
    A share in words: whole percents, one decimal below 10 % and above 99 %, and never all or nothing where it is not.

    Example:
        >>> percent(0.2128), percent(0.034), percent(0.9999), percent(1.0), percent(0.0002)
        ('21\xa0%', '3.4\xa0%', '>\xa099.9\xa0%', '100\xa0%', '<\xa00.1\xa0%')
    """
    if 0 < share < 0.001:
        return "<\u00a00.1\u00a0%"
    if 0.999 < share < 1:
        return ">\u00a099.9\u00a0%"
    return f"{100 * share:.{int(0 < share < 0.0995 or 0.99 < share < 1)}f}\u00a0%"


def _meaning(slices: int, kept: int) -> list[str]:
    times = slices / kept
    return [
        f"An epoch over the kept slices has {times:.{int(times < 10)}f} times fewer images than one over all. "
        "Nothing is lost without trace: slices.csv names for each dropped slice the kept one that stands for it. "
        "Whether a model learns as much from the kept ones is not told by this page, but by training on both and "
        "comparing.",
    ]
