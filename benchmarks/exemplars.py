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

"""
Exemplars of many hashes: ours against the reference's loop and faiss, and how the time grows.

`--large` adds 5 million hashes, a minute or two more; `--picture PATH` draws the growth, three minutes more.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
from scipy.ndimage import gaussian_filter

from monai_ssl.reduction import hash_slices, select_exemplars
from monai_ssl.visualize.figures import INK, MODEL_COLORS, new_axes

THRESHOLD, ROUNDS = 6, 5
SMALL, MIDDLE, BASE, WHOLE, LARGE = 10_000, 50_000, 100_000, 541_439, 5_000_000  # WHOLE: the slices of AutoPET
CURVE = (1_000, 3_000, 10_000, 30_000, BASE, 250_000, WHOLE)
Select = Callable[[np.ndarray, int], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="5 million hashes too")
    parser.add_argument("--picture", type=Path, help="PNG of the growth")
    arguments = parser.parse_args()
    size = LARGE if arguments.large else WHOLE
    data = {
        "slices of drifting volumes": _volumes(size),
        "uniformly random": np.random.default_rng(0).integers(0, 2**64, size, dtype=np.uint64),
        "half alike in half of the bits": _half_alike(size),
    }
    select_exemplars(data["uniformly random"][:MIDDLE], THRESHOLD)  # compile
    print(f"threshold {THRESHOLD}, CPU time, one thread, median of {ROUNDS} rounds in turn")
    for name, hashes in data.items():
        _compare(f"{name}, reference loop", _reference_loop, hashes[:SMALL], reach=100)
    for name, hashes in data.items():
        _compare(f"{name}, faiss flat", _faiss_flat, hashes[:MIDDLE])
    for name, hashes in data.items():
        _print_growth(name, hashes)
    if arguments.picture:
        _draw(data, arguments.picture)


def _volumes(count: int, slices: int = 300, scanned: int = 12) -> np.ndarray:
    # Some volumes of smooth anatomy under noise, hashed. Any further patient is one of these with other bits in the
    # same places of every slice; how many differ depends on the place.
    random = np.random.default_rng(0)
    volumes = np.array([hash_slices(_synthetic_ct(random, slices)) for _ in range(scanned)])
    patients = -(-count // slices)
    own = np.packbits(random.random((patients, 64)) < random.uniform(0, 0.5, 64), axis=1).view(np.uint64)
    return (volumes[random.integers(0, scanned, patients)] ^ own).ravel()[:count]


def _synthetic_ct(random: np.random.Generator, slices: int) -> np.ndarray:
    anatomy = gaussian_filter(random.normal(size=(slices, 64, 64)).astype(np.float32), (12, 6, 6))
    return anatomy / anatomy.std() * 400 + random.normal(0, 20, anatomy.shape)


def _half_alike(count: int) -> np.ndarray:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, count, dtype=np.uint64)
    return np.where(random.random(count) < 0.5, hashes, hashes & np.uint64(2**32 - 1))


def _reference_loop(hashes: np.ndarray, threshold: int) -> np.ndarray:
    # The steps of Hash_AllData.py of https://github.com/Wolfda95/Less_is_More, in memory.
    bits = np.unpackbits(hashes[:, None].view(np.uint8), axis=1).astype(np.bool_)
    names = np.arange(len(hashes))
    exemplar = np.empty(len(hashes), np.int64)
    while len(bits):
        matches = np.where(np.logical_xor(bits[0], bits).sum(1) <= threshold)[0]
        exemplar[names[matches]] = names[0]
        bits, names = np.delete(bits, matches, axis=0), np.delete(names, matches, axis=0)
    return exemplar


def _faiss_flat(hashes: np.ndarray, threshold: int) -> np.ndarray:
    # All pairs within the threshold, then the loop over these lists.
    faiss.omp_set_num_threads(1)
    words = np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, 8)
    index = faiss.IndexBinaryFlat(64)
    index.add(words)
    limits, _, near = index.range_search(words, threshold + 1)
    exemplar = np.full(len(hashes), -1)
    for start in range(len(hashes)):
        if exemplar[start] < 0:
            neighbours = near[limits[start] : limits[start + 1]]
            exemplar[neighbours[exemplar[neighbours] < 0]] = start
    return exemplar


def _seconds(select: Select, hashes: np.ndarray) -> tuple[float, np.ndarray]:
    start = time.process_time()
    exemplar = select(hashes, THRESHOLD)
    return time.process_time() - start, exemplar


def _compare(what: str, peer: Select, hashes: np.ndarray, reach: int | None = None) -> None:
    times: dict[str, list[float]] = {"peer": [], "ours": []}
    for _ in range(ROUNDS):
        slow, peer_exemplar = _seconds(peer, hashes)
        fast, exemplar = _seconds(select_exemplars, hashes)
        times["peer"].append(slow)
        times["ours"].append(fast)
    slow, fast = (statistics.median(times[name]) for name in ("peer", "ours"))
    different = np.count_nonzero(exemplar != peer_exemplar)
    print(
        f"{len(hashes)} {what:48} peer {slow:6.3f} s  ours {fast:.4f} s  ratio {slow / fast:4.0f}x"
        + (f" (reach >= {reach}x)" if reach else "")
        + f"  {different} exemplars differ (reach 0)"
    )


def _print_growth(name: str, hashes: np.ndarray) -> None:
    times: dict[int, list[float]] = {BASE: [], WHOLE: []}
    for _ in range(ROUNDS):
        for count, seconds in times.items():
            seconds.append(_seconds(select_exemplars, hashes[:count])[0])
    base, whole = (statistics.median(seconds) for seconds in times.values())
    print(f"{name}: {BASE} in {base:.2f} s, {WHOLE} in {whole:.2f} s (reach <= 4 s),", end=" ")
    print(f"growth {whole / base:.1f} (reach <= 15)")
    if len(hashes) > WHOLE:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = _memory("VmRSS")
        large, exemplar = _seconds(select_exemplars, hashes)
        kept = np.count_nonzero(exemplar == np.arange(len(hashes)))
        print(f"  {len(hashes)} in {large:.1f} s, growth {large / whole:.1f} (reach <= 60), {kept} kept,", end=" ")
        print(f"{_memory('VmHWM') - before:.2f} GiB at most beyond the hashes")


def _memory(line: str) -> float:
    status = dict(text.split(":") for text in Path("/proc/self/status").read_text().splitlines())
    return int(status[line].split()[0]) / 2**20


def _draw(data: dict[str, np.ndarray], path: Path) -> None:
    volumes = next(iter(data.values()))
    counts = [*CURVE, *([LARGE] if len(volumes) == LARGE else [])]
    figure, axes = new_axes(7.2, 4.8)
    figure.patch.set(alpha=1, facecolor="white")
    lines: list[tuple[str, Select, np.ndarray, list[int]]] = [
        ("reference loop, " + next(iter(data)), _reference_loop, volumes, [n for n in CURVE if n <= 3 * SMALL]),
        ("faiss flat, " + next(iter(data)), _faiss_flat, volumes, [n for n in CURVE if n <= BASE]),
        *((f"monai_ssl, {name}", select_exemplars, hashes, counts) for name, hashes in data.items()),
    ]
    for (name, select, hashes, sizes), color, marker in zip(lines, MODEL_COLORS[::-1], "sDov^", strict=False):
        times = [min(_seconds(select, hashes[:count])[0] for _ in range(3)) for count in sizes]
        axes.loglog(sizes, times, marker=marker, color=color, linewidth=1.8, markersize=5, label=name)
    axes.set_xlabel("hashes")
    axes.set_ylabel("CPU time, one thread (s)")
    axes.set_title(f"Exemplars at {THRESHOLD} of 64 bits")
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
