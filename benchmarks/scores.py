"""How long the scores of one case take: 182 x 218 x 182 voxels, 46 lesions, beside MONAI and medpy where installed.

Run: python benchmarks/scores.py [repeats]. Everybody computes on one thread; times are medians. Goals (DESIGN): HD95
within 25 ms, all scores of the case within 120 ms.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from neuraxis.dataset.labels import Labels
from neuraxis.evaluation.evaluate import score_case
from neuraxis.evaluation.lesions import score_lesions
from neuraxis.evaluation.surface import hd95_mm

SHAPE = (182, 218, 182)
LESIONS, MISSED, FALSE = 46, 6, 5
MM = (1.0, 1.0, 1.0)
LABELS = Labels(names={"background": 0, "lesion": 1})


def make_case() -> tuple[np.ndarray, np.ndarray]:
    """Return prediction and reference: lesions of 2 to 7 mm radius, most found a little off, some not at all."""
    generator = np.random.Generator(np.random.Philox(46))
    spots = [(x, y, z) for x in range(45, 145, 20) for y in range(45, 180, 20) for z in range(50, 135, 20)]
    order = generator.permutation(len(spots))[: LESIONS + FALSE]
    predicted, reference = np.zeros((2, *SHAPE), bool)
    for number, spot in enumerate(order):
        center, radii = np.array(spots[spot]) + generator.uniform(-2, 2, 3), generator.uniform(2, 7, 3)
        if number < LESIONS:
            draw(reference, center, radii)
        if number >= MISSED:
            draw(predicted, center + generator.normal(0, 0.8, 3), radii * generator.uniform(0.8, 1.2))
    return predicted, reference


def draw(mask: np.ndarray, center: np.ndarray, radii: np.ndarray) -> None:
    low = [int(value) - 9 for value in center]
    box = tuple(slice(start, start + 19) for start in low)
    axes = np.ogrid[box]
    mask[box] |= sum(((axes[axis] - center[axis]) / radii[axis]) ** 2 for axis in range(3)) <= 1


def timed(function: Callable[[], object], repeats: int) -> tuple[float, float, object]:
    """Return the median wall and CPU time in ms, and the result."""
    result = function()
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        walls.append(1000 * (time.perf_counter() - wall))
        cpus.append(1000 * (time.process_time() - cpu))
    return statistics.median(walls), statistics.median(cpus), result


def monai_hd95(predicted: np.ndarray, reference: np.ndarray) -> Callable[[], float]:
    import torch
    from monai.metrics import compute_hausdorff_distance

    torch.set_num_threads(1)
    ours, theirs = (torch.from_numpy(mask[None, None]).float() for mask in (predicted, reference))
    return lambda: float(compute_hausdorff_distance(ours, theirs, include_background=True, percentile=95))


def medpy_hd95(predicted: np.ndarray, reference: np.ndarray) -> Callable[[], float]:
    from medpy.metric.binary import hd95

    return lambda: float(hd95(predicted, reference, voxelspacing=MM))


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    predicted, reference = make_case()
    as_stored = [np.asfortranarray(mask.astype(np.int16)) for mask in (predicted, reference)]
    lesions = score_lesions(predicted, reference)
    print(f"{lesions.reference} lesions of {reference.sum()} voxels; {lesions}; medians of {repeats}, one thread\n")
    print(f"{'work':<46}{'wall ms':>9}{'CPU ms':>9}  result")
    rows: list[tuple[str, str, Callable[[], object], int]] = [
        ("neuraxis HD95", "neuraxis", lambda: hd95_mm(predicted, reference, MM), repeats),
        ("neuraxis all 16 scores, from label maps", "neuraxis", lambda: score_case(*as_stored, LABELS, MM), repeats),
    ]
    peers = {"monai": ("MONAI HD95", monai_hd95), "medpy": ("medpy HD95 (pools both directions)", medpy_hd95)}
    for package, (title, make) in peers.items():
        if importlib.util.find_spec(package) is None:
            print(f"{title:<46}{'skipped: ' + package + ' is not installed':>18}")
            continue
        rows.append((title, package, make(predicted, reference), max(3, repeats // 3)))
    first = 0.0
    for title, package, function, times in rows:
        wall, cpu, result = timed(function, times)
        first = first or cpu
        said = f"{result:.6g} mm" if isinstance(result, float) else "16 values"
        ratio = "" if package == "neuraxis" else f"   {cpu / first:.1f} x the CPU time of ours"
        print(f"{title:<46}{wall:>9.1f}{cpu:>9.1f}  {said}{ratio}")


if __name__ == "__main__":
    main()
