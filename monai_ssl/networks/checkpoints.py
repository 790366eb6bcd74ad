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

"""Weights from a file into a backbone: every tensor accounted for, or a refusal that says why."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from timm.layers import resample_abs_pos_embed
from timm.models import adapt_input_conv
from torch import Tensor, nn

from monai_ssl.files import file_checksum
from monai_ssl.networks.backbones import classifier_names
from monai_ssl.networks.checkpoint_files import CheckpointMismatchError, describe, read_checkpoint, some

__all__ = ["CheckpointMismatchError", "LoadReport", "load_backbone_weights"]

_LEAST_SHARE = 0.99
_NOT_WEIGHTS = ("num_batches_tracked",)  # a step count, absent from files of old torch versions


@dataclass(frozen=True)
class LoadReport:
    """
    What `load_backbone_weights` did.

    Attributes:
        layout: name of the layout that was recognised.
        path: the file.
        matched: names in the backbone that were filled from the file.
        missing: names of buffers in the backbone that the file has not; they keep their values.
        unexpected: names in the file, as they stand there, that the backbone has no use for.
        share: share of the backbone that was filled, 0 to 1, counted by tensors and by their elements: the smaller.
        adapted: what was changed on the way in, or left behind on purpose, one sentence each.
        checksum: SHA-256 of the file.
        provenance: what a file of ours keeps of its origin, its `settings` and `versions`; None in others.
    """

    layout: str
    path: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    share: float
    adapted: tuple[str, ...]
    checksum: str
    provenance: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        notes = "".join(f"; {note}" for note in self.adapted)
        return (
            f"{self.path}: layout {self.layout}, {len(self.matched)} tensors matched ({self.share:.2%}), "
            f"{len(self.missing)} missing{f' ({some(self.missing)})' if self.missing else ''}, "
            f"{len(self.unexpected)} unexpected{notes}; sha256 {self.checksum[:12]}"
        )


@dataclass(frozen=True)
class _Layout:
    """Where the tensors of a kind of checkpoint lie, and the leading text that its names have and timm's have not."""

    name: str
    containers: tuple[tuple[str, ...], ...]
    prefix: str = ""


_LAYOUTS = (
    _Layout("timm", containers=((), ("state_dict",), ("model",))),
    _Layout("monai_ssl_swav", containers=(("network",), ()), prefix="backbone."),
    _Layout("monai_ssl_classifier", containers=(("network",),)),
)


@dataclass(frozen=True)
class _Candidate:
    """The tensors of a file as one layout sees them: name in the backbone -> (name in the file, tensor)."""

    layout: str
    tensors: Mapping[str, tuple[str, Tensor]]
    others: tuple[str, ...]


def load_backbone_weights(backbone: nn.Module, path: str | os.PathLike, layout: str = "auto") -> LoadReport:
    """
    Fill a backbone from a checkpoint file, all of it or nothing.

    Names are mapped by their leading part only. A first layer made for three channels is summed for one, one made for
    one channel is repeated and divided by three: both give the same output on a grey image. Position embeddings are
    resampled to the backbone's grid. Classifier heads are left behind, and a head of the backbone keeps its values.

    Args:
        backbone: from `create_backbone`.
        path: `.pt`, `.pth`, `.ckpt`, `.tar` (tensors and plain types only) or `.safetensors`.
        layout: `auto` recognises it; or one of `timm` (also torchvision and our `model.pt`), `monai_ssl_swav`,
            `monai_ssl_classifier` (our `checkpoint.pt`).

    Returns:
        what was matched, missing, unexpected and adapted.

    Raises:
        FileNotFoundError: when the file is absent.
        ValueError: when `layout` is unknown.
        CheckpointMismatchError: when the file is damaged, is no checkpoint or holds more than tensors and plain types;
            when shapes differ, a parameter or more than 1 % of the backbone is missing, or a weight is NaN or infinite.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from monai_ssl.networks import create_backbone, load_backbone_weights
        >>> path = pathlib.Path(tempfile.mkdtemp(), "model.pt")
        >>> torch.save(create_backbone("resnet18", in_channels=3, num_classes=9).state_dict(), path)
        >>> load_backbone_weights(create_backbone("resnet18"), path).adapted
        ('first layer conv1.weight summed to 1 channel', 'classifier head left behind (fc.weight, fc.bias)')
    """
    known = [entry.name for entry in _LAYOUTS]
    if layout not in ("auto", *known):
        raise ValueError(f"layout must be one of auto, {', '.join(known)}, got {layout!r}")
    path = Path(path)
    content = read_checkpoint(path)
    wanted = _wanted(backbone)
    chosen = _choose(path, content, [e for e in _LAYOUTS if layout in ("auto", e.name)], wanted)
    tensors, adapted = _adapt(backbone, {name: tensor for name, (_, tensor) in chosen.tensors.items()}, wanted)
    matched, missing = _compare(path, chosen, tensors, wanted, {name for name, _ in backbone.named_parameters()})

    heads = tuple(name for name in tensors if name.startswith(classifier_names(backbone)))
    if heads:
        adapted.append(f"classifier head left behind ({', '.join(heads)})")
    backbone.load_state_dict(backbone.state_dict() | {name: tensors[name] for name in matched})
    return LoadReport(
        layout=chosen.layout,
        path=str(path),
        matched=matched,
        missing=missing,
        unexpected=chosen.others
        + tuple(chosen.tensors[name][0] for name in tensors if name not in wanted and name not in heads),
        share=_share(matched, wanted),
        adapted=tuple(adapted),
        checksum=file_checksum(path),
        provenance=_provenance(content),
    )


def _provenance(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    # an attribute of the flat dictionary of model.pt, an entry of checkpoint.pt
    found = getattr(content, "provenance", None) or content.get("provenance")
    return found if isinstance(found, Mapping) else None


def _wanted(backbone: nn.Module) -> dict[str, Tensor]:
    heads = classifier_names(backbone)
    return {name: tensor for name, tensor in backbone.state_dict().items() if not name.startswith(heads)}


def _choose(
    path: Path, content: Mapping[str, Any], layouts: Sequence[_Layout], wanted: Mapping[str, Tensor]
) -> _Candidate:
    candidates = [seen for entry in layouts for seen in _candidates(entry, content)]
    best = max(candidates, key=lambda seen: len(wanted.keys() & seen.tensors.keys()), default=None)
    if best is None or not wanted.keys() & best.tensors.keys():
        raise CheckpointMismatchError(
            f"{path}: nothing in it fits the backbone. {describe(content, wanted)} Wanted: "
            f"{some(wanted)}. Layouts tried: {', '.join(entry.name for entry in layouts)}."
        )
    return best


def _candidates(layout: _Layout, content: Mapping[str, Any]) -> Iterable[_Candidate]:
    for container in layout.containers:
        inner: Any = content
        for key in container:
            inner = inner.get(key) if isinstance(inner, Mapping) else None
        if not isinstance(inner, Mapping):
            continue
        tensors = {name: value for name, value in inner.items() if isinstance(name, str) and isinstance(value, Tensor)}
        mapped = {
            name.removeprefix(layout.prefix): (name, tensor)
            for name, tensor in tensors.items()
            if name.startswith(layout.prefix)
        }
        others = tuple(name for name in tensors if not name.startswith(layout.prefix))
        yield _Candidate(layout.name, mapped, others)


def _adapt(
    backbone: nn.Module, tensors: dict[str, Tensor], wanted: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """Change the few tensors that depend on the image's channels and size; what cannot be changed is left as it is."""
    adapted: list[str] = []
    first = (getattr(backbone, "pretrained_cfg", None) or {}).get("first_conv") or ()
    for name in [f"{layer}.weight" for layer in ([first] if isinstance(first, str) else first)]:
        if name not in tensors or name not in wanted:
            continue
        given, channels = tensors[name].shape, wanted[name].shape[1]
        if len(given) == 4 and {given[1], channels} == {1, 3}:
            tensors = tensors | {name: adapt_input_conv(channels, tensors[name], base_chans=given[1])}
            how = "summed to 1 channel" if channels == 1 else "repeated to 3 channels and divided by 3"
            adapted.append(f"first layer {name} {how}")
    position, grid = tensors.get("pos_embed"), getattr(getattr(backbone, "patch_embed", None), "grid_size", None)
    if position is not None and "pos_embed" in wanted and grid and position.shape != wanted["pos_embed"].shape:
        prefix_tokens = wanted["pos_embed"].shape[1] - grid[0] * grid[1]
        old_side = (position.shape[1] - prefix_tokens) ** 0.5
        if position.ndim == 3 and old_side.is_integer():
            resampled = resample_abs_pos_embed(position, list(grid), num_prefix_tokens=prefix_tokens)
            tensors = tensors | {"pos_embed": resampled}
            adapted.append(f"pos_embed resampled from {old_side:.0f} x {old_side:.0f} to {grid[0]} x {grid[1]} patches")
    return tensors, adapted


def _compare(
    path: Path,
    chosen: _Candidate,
    tensors: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    parameters: Set[str],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    matched = tuple(name for name in wanted if name in tensors)
    missing = tuple(name for name in wanted if name not in tensors and not name.endswith(_NOT_WEIGHTS))
    wrong = [name for name in matched if tensors[name].shape != wanted[name].shape]
    share = _share(matched, wanted)
    seems = f"{path}: read as layout {chosen.layout}"
    # One random layer in front spoils all behind it, however small its share.
    if share < _LEAST_SHARE or not parameters.isdisjoint(missing):
        raise CheckpointMismatchError(
            f"{seems}, it fills {share:.1%} of the backbone; all parameters and {_LEAST_SHARE:.0%} of all are needed. "
            f"Missing: {some(missing)}. "
            f"It has besides: {some(name for name in tensors if name not in wanted)}. It seems to belong to another "
            "architecture; create the backbone that it was made for"
        )
    if wrong:
        shapes = ", ".join(f"{n} {tuple(tensors[n].shape)} for {tuple(wanted[n].shape)}" for n in wrong[:3])
        raise CheckpointMismatchError(
            f"{seems}, {len(wrong)} tensors have other shapes than the backbone's: {shapes}. It seems to belong to "
            "another size of the architecture; create the backbone that it was made for"
        )
    broken = [name for name in matched if not torch.isfinite(tensors[name].to(wanted[name].dtype)).all()]
    if broken:
        raise CheckpointMismatchError(
            f"{seems}, {len(broken)} tensors hold NaN or infinite values: {some(broken)}. The training behind it "
            "diverged; take an earlier checkpoint"
        )
    return matched, missing


def _share(matched: Iterable[str], wanted: Mapping[str, Tensor]) -> float:
    needed = {name: tensor.numel() for name, tensor in wanted.items() if not name.endswith(_NOT_WEIGHTS)}
    found = [needed[name] for name in matched if name in needed]
    return min(len(found) / len(needed), sum(found) / sum(needed.values()))
