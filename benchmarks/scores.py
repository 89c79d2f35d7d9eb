"""How long the scores of one case take: 182 x 218 x 182 voxels, 46 lesions, beside MONAI, medpy and surface-distance.

Run: python benchmarks/scores.py [--repeats 9] [--peer-scores DIR], DIR a virtual environment with the three packages
where they are not installed here. Everybody computes on one thread in this process, in turn, from the same masks;
times are medians, and what each finds is printed. Goals (DESIGN): HD95 within 25 ms, surface Dice of pieces of surface
within 35 ms, all overlap, surface and lesion scores together within 120 ms.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from _measure import machine, median, table, versions

from neuraxis.dataset.labels import Labels
from neuraxis.evaluation.evaluate import score_case
from neuraxis.evaluation.lesions import score_lesions
from neuraxis.evaluation.overlap import count_voxels
from neuraxis.evaluation.surface import average_mm, hd95_mm, percentile_mm, surface_distances
from neuraxis.evaluation.surfels import surfel_distances

SHAPE = (182, 218, 182)
LESIONS, MISSED, FALSE = 46, 6, 5
MM = (1.0, 1.0, 1.0)
TOLERANCE_MM = 1.0
LABELS = Labels(names={"background": 0, "lesion": 1})
PEERS = {"MONAI": "monai", "medpy": "medpy", "surface-distance": "surface_distance"}
Masks = tuple[np.ndarray, np.ndarray]
Score = Callable[[], float]


@dataclass(frozen=True)
class Work:
    """One score: how each program computes it, ours first; what the goal is, in ms; what its value is in."""

    title: str
    ways: Mapping[str, Score]
    goal_ms: float | None = None
    unit: str = ""


def make_case() -> Masks:
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


def ours(predicted: np.ndarray, reference: np.ndarray) -> dict[str, Score]:
    masks = (predicted, reference)
    as_stored = [np.asfortranarray(mask.astype(np.int16)) for mask in masks]
    return {
        "Dice": lambda: count_voxels(*masks).dice,
        "HD95": lambda: hd95_mm(*masks, MM),
        "HD100": lambda: percentile_mm(surface_distances(*masks, MM), 100),
        "ASSD": lambda: average_mm(surface_distances(*masks, MM)),
        "voxels": lambda: surface_distances(*masks, MM).share_within(TOLERANCE_MM),
        "surfels": lambda: surfel_distances(*masks, MM, farthest_mm=TOLERANCE_MM).share_within(TOLERANCE_MM),
        "lesions": lambda: score_lesions(*masks).f1,
        "all": lambda: float(len(score_case(*as_stored, LABELS, MM)["lesion"])),
    }


def of_monai(predicted: np.ndarray, reference: np.ndarray) -> dict[str, Score]:
    import torch
    from monai import metrics

    torch.set_num_threads(1)
    masks = [torch.from_numpy(mask[None, None]).float() for mask in (predicted, reference)]
    with_background = partial(partial, include_background=True)
    found = {
        "Dice": with_background(metrics.compute_dice, *masks),
        "HD95": with_background(metrics.compute_hausdorff_distance, *masks, percentile=95),
        "HD100": with_background(metrics.compute_hausdorff_distance, *masks),
        "ASSD": with_background(metrics.compute_average_surface_distance, *masks, symmetric=True),
        "voxels": with_background(metrics.compute_surface_dice, *masks, [TOLERANCE_MM]),
        "surfels": with_background(
            metrics.compute_surface_dice, *masks, [TOLERANCE_MM], spacing=MM, use_subvoxels=True
        ),
    }
    return {name: lambda score=score: float(score()) for name, score in found.items()}


def of_medpy(predicted: np.ndarray, reference: np.ndarray) -> dict[str, Score]:
    """Its HD95 pools both directions, and its ASSD is the mean of two means: other values of the same kind."""
    from medpy.metric import binary

    masks = (predicted, reference)
    return {
        "Dice": lambda: float(binary.dc(*masks)),
        "HD95": lambda: float(binary.hd95(*masks, voxelspacing=MM)),
        "HD100": lambda: float(binary.hd(*masks, voxelspacing=MM)),
        "ASSD": lambda: float(binary.assd(*masks, voxelspacing=MM)),
    }


def of_surface_distance(predicted: np.ndarray, reference: np.ndarray) -> dict[str, Score]:
    from surface_distance import metrics

    def surface_dice() -> float:
        distances = metrics.compute_surface_distances(reference, predicted, MM)
        return float(metrics.compute_surface_dice_at_tolerance(distances, TOLERANCE_MM))

    return {"Dice": lambda: float(metrics.compute_dice_coefficient(reference, predicted)), "surfels": surface_dice}


def all_work(masks: Masks) -> list[Work]:
    ways = {"neuraxis": ours(*masks)}
    for program, load in (("MONAI", of_monai), ("medpy", of_medpy), ("surface-distance", of_surface_distance)):
        if importlib.util.find_spec(PEERS[program]) is None:
            print(f"{program} is left out: it is not installed, nor in --peer-scores.")
        else:
            ways[program] = load(*masks)

    def work(title: str, name: str, goal_ms: float | None = None, unit: str = "") -> Work:
        return Work(title, {who: way[name] for who, way in ways.items() if name in way}, goal_ms, unit)

    return [
        work("Dice", "Dice"),
        work("HD95", "HD95", 25, " mm"),
        work("HD100", "HD100", None, " mm"),
        work("ASSD", "ASSD", None, " mm"),
        work(f"surface Dice, voxels, {TOLERANCE_MM:g} mm", "voxels"),
        work(f"surface Dice, subvoxel, {TOLERANCE_MM:g} mm", "surfels", 35),
        work("lesion-wise F1", "lesions"),
        work("all overlap, surface and lesion scores", "all", 120, " columns"),
    ]


def timed(score: Score, repeats: int) -> tuple[float, float, float]:
    """Return the median wall and CPU time in ms, and the value."""
    value = score()
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        score()
        walls.append(1000 * (time.perf_counter() - wall))
        cpus.append(1000 * (time.process_time() - cpu))
    return median(walls), median(cpus), value


def rows_of(work: Work, repeats: int) -> list[list[str]]:
    rows: list[list[str]] = []
    first = 0.0
    for who, score in work.ways.items():
        is_ours = who == "neuraxis"
        wall, cpu, value = timed(score, repeats if is_ours else max(3, repeats // 3))
        first = cpu if is_ours else first
        ratio = "1" if is_ours else f"{cpu / first:.1f}"
        goal = f"{work.goal_ms:g}" if is_ours and work.goal_ms else ""
        title = work.title if is_ours else ""
        rows.append([title, who, f"{wall:.1f}", f"{cpu:.1f}", ratio, goal, f"{value:.6g}{work.unit}"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--peer-scores", type=Path, help="a virtual environment with monai, medpy, surface-distance")
    chosen = parser.parse_args()
    if chosen.peer_scores:
        sys.path.extend(str(path) for path in chosen.peer_scores.glob("lib/python3*/site-packages"))
    warnings.simplefilter("ignore")
    masks = make_case()
    print(machine(1))
    print(versions("neuraxis", "numpy", "scipy", "connected-components-3d", "monai", "medpy", "surface-distance"))
    rows = [row for work in all_work(masks) for row in rows_of(work, chosen.repeats)]
    lesions = score_lesions(*masks)
    print(f"{lesions.reference} lesions of {masks[1].sum()} voxels, medians of {chosen.repeats}, one thread\n")
    print(table(("work", "program", "wall ms", "CPU ms", "x CPU", "goal ms", "value"), rows))


if __name__ == "__main__":
    main()
