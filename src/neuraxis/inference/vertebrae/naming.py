"""A segmentation whose vertebrae bear the names that their order along the spine allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuraxis.dataset.labels import Labels
from neuraxis.inference.vertebrae.bodies import Body, Spine, find_spine
from neuraxis.inference.vertebrae.ordering import order, usual_gaps
from neuraxis.volume.grid import Grid

UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Named:
    """What came of naming the vertebrae in order.

    Attributes:
        label_map: label numbers (X, Y, Z); what is unknown has the labels' number to ignore, or 0 where there is none.
        facts: each body with its place and what the network had called it, JSON-able.
        warnings: what the scan does not show whole, and what could not be named.
    """

    label_map: np.ndarray
    facts: dict[str, Any]
    warnings: tuple[str, ...]


def name_in_order(label_map: np.ndarray, labels: Labels, names: Sequence[str], grid: Grid) -> Named:
    """Give every vertebra the name that its order along the spine allows.

    Args:
        label_map: label numbers (X, Y, Z); it is left as it is.
        labels: what they mean.
        names: of the vertebrae, from head to feet; the others stay as they are.
        grid: of the label map.
    """
    numbers = [labels.scored[name][0] for name in names]
    spine = find_spine(label_map, numbers, grid)
    votes = np.array([body.voxels for body in spine.bodies]).reshape(-1, len(names))
    levels = order(votes, spine.gaps_mm, votes.sum(axis=1))
    table = np.zeros(int(spine.pieces.max(initial=0)) + 1, np.int64)
    for body, level in zip(spine.bodies, levels, strict=True):
        table[list(body.parts)] = numbers[level] if level >= 0 else labels.ignore or 0
    after = np.where(spine.pieces > 0, table[spine.pieces], label_map).astype(label_map.dtype)
    seen = [names[level] if level >= 0 else UNKNOWN for level in levels]
    facts = {
        "vertebrae": [_facts(body, name, names) for body, name in zip(spine.bodies, seen, strict=True)],
        "renamed_voxels": int(np.count_nonzero(after != label_map)),
        "crumbs_removed": len(spine.crumbs),
    }
    return Named(after, facts, (*_field_of_view(spine, levels, names, grid), *_doubts(seen, labels)))


def _facts(body: Body, name: str, names: Sequence[str]) -> dict[str, Any]:
    shares = {names[place]: round(float(count) / body.size, 3) for place, count in enumerate(body.voxels) if count}
    return {
        "name": name,
        "network_said": shares,
        "centre_mm": [round(float(value), 1) for value in body.centre_mm],
        "at_border": body.at_border,
    }


def _doubts(seen: Sequence[str], labels: Labels) -> list[str]:
    count = list(seen).count(UNKNOWN)
    if not count:
        return []
    become = f"the number {labels.ignore}" if labels.ignore else "background"
    return [
        f"{count} of {len(seen)} vertebrae could not be named: what the network called them and their order along the "
        f"spine allow more than one answer. They are {become} here; count them on the scan."
    ]


def _field_of_view(spine: Spine, levels: np.ndarray, names: Sequence[str], grid: Grid) -> list[str]:
    """Say which vertebrae were found, and which of the others the scan does not reach."""
    named = [level for level in levels.tolist() if level >= 0]
    if not named:
        return []
    first, last = named[0], named[-1]
    told = [f"Vertebrae {names[first]} to {names[last]} were found"]
    gaps = spine.gaps_mm
    usual = float(np.median(usual_gaps(gaps))) if len(gaps) > 1 else float(gaps[0]) if len(gaps) else 0.0
    for missing, end, where in ((names[:first], 0, "above"), (names[last + 1 :], -1, "below")):
        if not missing or levels[end] < 0:
            continue
        body = spine.bodies[end]
        is_out = body.at_border or _to_border_mm(spine, end, grid) < usual
        which = missing[0] if len(missing) == 1 else f"{missing[0]} to {missing[-1]}"
        lies, was = ("lies", "was") if len(missing) == 1 else ("lie", "were")
        told.append(f"{which} {lies} {where} the field of view" if is_out else f"{which} {was} not found {where}")
    both = zip(spine.bodies, levels.tolist(), strict=True)
    cut = [names[level] for body, level in both if body.at_border and level >= 0]
    told += [f"{', '.join(cut)} may be cut by the scan's border"] if cut else []
    lacking = [names[level] for level in range(first, last) if level not in named]
    told += [f"not segmented between them: {', '.join(lacking)}"] if lacking else []
    return [f"{'; '.join(told)}."] if len(told) > 1 else []


def _to_border_mm(spine: Spine, end: int, grid: Grid) -> float:
    """Return how far the scan goes on beyond the first or last body, along the line through it and its neighbour."""
    if len(spine.bodies) < 2:
        return 0.0
    here, inner = spine.bodies[end].centre_mm, spine.bodies[1 if end == 0 else -2].centre_mm
    way_mm = (here - inner) / np.linalg.norm(here - inner)
    turn = np.linalg.inv(grid.affine)
    voxel, way = (turn @ np.array([*here, 1.0]))[:3], turn[:3, :3] @ way_mm
    limits = [
        ((size - 0.5 if step > 0 else -0.5) - place) / step
        for place, step, size in zip(voxel, way, grid.shape, strict=True)
        if abs(step) > 1e-9
    ]
    return float(min(limits))
