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

"""A network as files for other programs, TorchScript and ONNX, each held against what torch gives."""

from __future__ import annotations

import copy
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from monai.data import save_net_with_metadata
from torch import Tensor, nn

from monai_ssl.files import atomic_path

__all__ = ["export_network"]

logger = logging.getLogger(__name__)

# The first opset whose Resize has the antialiasing of position embeddings.
_OPSET = 18
_TOLERANCE = 1e-4
_Network = Callable[[Tensor], Tensor]
_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def export_network(
    network: nn.Module,
    folder: str | os.PathLike,
    image_size: int,
    in_channels: int = 1,
    output_name: str = "logits",
    facts: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """
    Write `model.ts` (TorchScript, traced) and `model.onnx` (opset 18): float32 images (batch, channels, size, size) in,
    a batch of any size.

    Each file is loaded again and run on random images and on extreme ones, in batches of other sizes than it was made
    with. Both are written or, where one fails, neither. Without the packages of ONNX, `model.ts` alone is written.

    Args:
        network: one image tensor in, one tensor out; copied to the CPU.
        folder: made when absent; files of these names in it are replaced.
        image_size: of the square images, pixels; fixed in the files.
        in_channels: of the images.
        output_name: what the output is, its name in the ONNX file; the input is `image`.
        facts: plain values that a user of the files must know: `metadata.json` in the TorchScript file, as MONAI's
            `load_net_with_metadata` reads it, and `metadata_props` of the ONNX one, each value as JSON.

    Returns:
        file name -> largest difference to torch's output, relative to the largest output of the image where that is
        above 1.

    Raises:
        ValueError: when an output differs by more than 1e-4, or the network cannot be exported.
        OSError: when the files cannot be written.

    Example:
        >>> import tempfile
        >>> from monai_ssl.networks import create_backbone
        >>> export_network(create_backbone("resnet10t"), tempfile.mkdtemp(), 32)["model.ts"] < 1e-4
        True
    """
    folder = Path(folder)
    network = copy.deepcopy(network).cpu().float().eval()
    example = _random_images(2, in_channels, image_size)
    differences = {}
    with atomic_path(folder / "model.ts") as script:
        with _explained("TorchScript"), _quietly():
            traced = torch.jit.trace(network, example, check_trace=False)
            with open(script, "wb") as stream:
                save_net_with_metadata(traced, stream, include_config_vals=False, meta_values=dict(facts or {}))
            loaded = torch.jit.load(str(script))
            differences["model.ts"] = _check("model.ts", network, loaded, in_channels, image_size)
        if missing := [name for name in _ONNX_PACKAGES if find_spec(name) is None]:
            (folder / "model.onnx").unlink(missing_ok=True)  # an earlier one would pass for this network
            logger.warning(
                "no model.onnx, since %s is not installed: pip install 'monai_ssl[onnx]'", ", ".join(missing)
            )
            return differences
        with atomic_path(folder / "model.onnx") as graph, _explained("ONNX"):
            _write_onnx(network, example, graph, output_name, facts or {})
            differences["model.onnx"] = _check("model.onnx", network, _onnx_network(graph), in_channels, image_size)
    return differences


def _write_onnx(network: nn.Module, example: Tensor, path: Path, output_name: str, facts: Mapping[str, Any]) -> None:
    with _quietly():
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            opset_version=_OPSET,
            input_names=["image"],
            output_names=[output_name],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            verbose=False,
        )
    assert program is not None  # with dynamo
    program.model.metadata_props.update({name: json.dumps(value) for name, value in facts.items()})
    program.save(str(path), external_data=False)


def _onnx_network(path: Path) -> _Network:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"image": images.numpy()})[0])


def _check(file: str, network: nn.Module, other: _Network, in_channels: int, image_size: int) -> float:
    """The largest difference of two networks, for images of all kinds."""
    differences = []
    extreme = torch.zeros(4, in_channels, image_size, image_size)
    extreme[1], extreme[2], extreme[3, :, image_size // 2, image_size // 2] = 10, -10, 100
    for images in (*(_random_images(count, in_channels, image_size) for count in (1, 5)), extreme):
        with torch.no_grad():
            expected, got = network(images), other(images)
        if expected.shape != got.shape:
            shapes = f"{tuple(got.shape)}, torch gives {tuple(expected.shape)}"
            raise ValueError(f"{file}: a batch of {len(images)} gives {shapes}")
        scale = expected.abs().flatten(1).amax(1).clamp(min=1)
        difference = float(((got - expected).abs().flatten(1).amax(1) / scale).max())
        if not difference <= _TOLERANCE:  # so that NaN is no agreement
            raise ValueError(f"{file}: outputs differ from torch's by {difference:.2g}, allowed is {_TOLERANCE:g}")
        differences.append(difference)
    return max(differences)


def _random_images(count: int, in_channels: int, image_size: int) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, in_channels, image_size, image_size, generator=generator)


@contextmanager
def _quietly() -> Iterator[None]:
    """Exporters tell of each pass, and warn of shapes that they fix, which the check with other batches looks at."""
    noisy = [logging.getLogger(name) for name in ("onnx_ir", "onnxscript", "torch.onnx")]
    levels = [each.level for each in noisy]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for each in noisy:
            each.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for each, level in zip(noisy, levels, strict=True):
                each.setLevel(level)


@contextmanager
def _explained(form: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError):
        raise
    except Exception as error:  # exporters raise whatever they stumbled over
        told = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"the network cannot be exported to {form}: {told}") from error
