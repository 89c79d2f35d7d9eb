"""How far copies of a scan and scans of different patients lie apart, and what looking for copies costs.

    python benchmarks/leakage.py [--data ../shared/data]

Prints for each change the least correlation of details over the scans, and the votes behind it; then the largest
correlation between different patients when far more pairs are compared than `check` would propose; then the seconds.
The thresholds of `neuraxis.dataset.checks.copies` stand between (decision 0027).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
from scipy import ndimage

from neuraxis.dataset.checks import copies
from neuraxis.dataset.checks.sketch import sketch
from neuraxis.volume.formats import any_format
from neuraxis.volume.volume import Volume

LOOSE = {"VOTES": 2, "ALIKE": 0.9}


def changed(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    array = array.astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.01 * float(np.ptp(array)), array.shape).astype(np.float32)
    x, y, z = (size // 5 for size in array.shape)
    yield "scaled", array * 3.7 - 100
    yield "mirrored", array[::-1, :, ::-1]
    yield "1 % noise", array + noise
    yield "shifted by 2, -2, 2", np.roll(array, (2, -2, 2), (0, 1, 2))
    yield "shifted by 1, 1, 1", np.pad(array, 1)[:-2, :-2, :-2]
    yield "shifted by 1.5, -0.5, 0.5", ndimage.shift(array, (1.5, -0.5, 0.5), order=1)
    yield "a fifth cropped on each axis", array[x:, y:, z:]
    yield "half cropped", array[:, : array.shape[1] // 2]
    yield "all of these", (np.roll(array, (2, 2, -2), (0, 1, 2))[::-1] + noise)[3:, 2:-2] * 0.5


def tell_copies(scans: list[Volume]) -> None:
    found: dict[str, list[tuple[float, int]]] = {}
    for scan in scans:
        image = scan.array[0]
        for name, other in changed(image):
            sketches = [sketch(array, scan.grid.spacing_mm) for array in (image, other)]
            placement = copies.propose(sketches, [0, 1]).get((0, 1))
            likeness = copies.compare(image, other, placement)[0]
            found.setdefault(name, []).append((likeness, placement.votes if placement else 0))
    for name, values in found.items():
        least, votes = (min(column) for column in zip(*values, strict=True))
        print(f"  {name:<30} n {len(values):3}  least correlation {least:.3f}  least votes {votes}")


def tell_patients(scans: list[Volume]) -> None:
    began = time.perf_counter()
    sketches = [sketch(scan.array[0], scan.grid.spacing_mm) for scan in scans]
    proposed = copies.propose(sketches, list(range(len(scans))))
    seconds = time.perf_counter() - began
    with mock.patch.multiple(copies, **LOOSE):
        loose = copies.propose(sketches, list(range(len(scans))))
    likeness = [copies.compare(scans[one].array[0], scans[other].array[0], place)[0]
                for (one, other), place in loose.items()]  # fmt: skip
    print(f"  {len(scans)} patients: {len(proposed)} pairs proposed in {seconds:.2f} s; of {len(loose)} pairs proposed "
          f"with {LOOSE} the largest correlation is {max(likeness, default=0):.3f}")  # fmt: skip


def tell_search(scans: list[Volume], times: int = 10) -> None:
    seen = [level.around for scan in scans if (found := sketch(scan.array[0], scan.grid.spacing_mm))
            for level in found.levels[:1]]  # fmt: skip
    draws = np.random.default_rng(1)
    around = np.concatenate([part + draws.normal(0, 0.25, part.shape) for part in seen * times]).astype(np.float32)
    began = time.perf_counter()
    copies._neighbours(around)
    print(f"  the points of {times * len(scans)} scans ({len(around)}): {time.perf_counter() - began:.2f} s to compare")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    data = parser.parse_args().data
    hippocampi = [any_format.read(path) for path in sorted((data / "hippocampus-msd" / "imagesTr").glob("*.nii.gz"))]
    brains = [any_format.read(data / "ms-ljubljana-mni" / "images" / f"patient{number}_FLAIR.nii.gz")
              for number in ("07", "19")]  # fmt: skip
    for title, scans in (("hippocampi", hippocampi[::10]), ("brains on one template", brains)):
        print(f"copies of {title}")
        tell_copies(scans)
    for title, scans in (("hippocampi", hippocampi), ("brains on one template", brains)):
        print(f"different {title}")
        tell_patients(scans)
    tell_search(hippocampi)


if __name__ == "__main__":
    main()
