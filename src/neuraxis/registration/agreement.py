"""How well two registered scans agree, whatever their contrasts, and whether that can be trusted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from neuraxis.registration.level import Level
from neuraxis.registration.resample import resample_array
from neuraxis.registration.search import entropy, shifted
from neuraxis.registration.transform import Transform

LEAST_OVERLAP, LEAST_PEAK = 0.7, 0.2
_BINS = 24
_AWAY_MM = 12.0


@dataclass(frozen=True)
class Agreement:
    """What is measured at a position.

    Attributes:
        information: mutual information of the two over the fixed scan's head, as a share of what could be shared: 0
            where one says nothing about the other, 1 where one follows from the other.
        overlap: share of the smaller head that lies in the other, in [0, 1].
        peak: by what share the information falls when one scan is moved by 12 mm, the least of six directions; near 0
            where the position is as good as any beside it. None where it was not measured.
    """

    information: float
    overlap: float
    peak: float | None = None

    @property
    def warning(self) -> str:
        """What speaks against the registration, in words; empty where nothing does."""
        if self.overlap < LEAST_OVERLAP:
            return f"only {self.overlap:.0%} of the smaller head lies in the other"
        if self.peak is not None and self.peak < LEAST_PEAK:
            return f"12 mm beside the position that was found the two agree {1 - self.peak:.0%} as well"
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able content."""
        return asdict(self)


def measure_agreement(moving: Level, fixed: Level, transform: Transform, peak: bool = False) -> Agreement:
    """Measure how well two scans agree where a transform brings one onto the other.

    Args:
        moving: the scan that is moved.
        fixed: the scan that stays.
        transform: from the world of the one to that of the other.
        peak: whether the places around are looked at, too.
    """
    information, overlap = _measure(moving, fixed, transform)
    if not peak:
        return Agreement(information, overlap)
    beside = []
    for axis in range(3):
        for way in (-_AWAY_MM, _AWAY_MM):
            shift = Transform(shifted(way * np.eye(3)[axis]))
            beside.append(_measure(moving, fixed, transform.then(shift))[0])
    return Agreement(information, overlap, 1 - max(beside) / information if information > 0 else 0.0)


def _measure(moving: Level, fixed: Level, transform: Transform) -> tuple[float, float]:
    """Return the shared information and the overlap of the heads."""
    matrix = transform.voxels(moving.grid, fixed.grid)
    values, heads = (np.empty(fixed.grid.shape, np.float32) for _ in range(2))
    resample_array(moving.array, matrix, values, 1, beyond=np.nan)
    resample_array(moving.head.astype(np.float32), matrix, heads, 1)
    seen = fixed.head & ~np.isnan(values)
    voxel = fixed.grid.voxel_ml
    smaller = min(fixed.head.sum() * voxel, moving.head.sum() * moving.grid.voxel_ml)
    overlap = float((fixed.head & (heads > 0.5)).sum() * voxel / smaller) if smaller else 0.0
    if seen.sum() < _BINS:
        return 0.0, min(1.0, overlap)
    joint, _, _ = np.histogram2d(fixed.array[seen], values[seen], _BINS)
    return _shared(joint / joint.sum()) * float(seen.sum() / fixed.head.sum()), min(1.0, overlap)


def _shared(joint: np.ndarray) -> float:
    """Return mutual information over the smaller of the two entropies, from a joint distribution."""
    one, other = joint.sum(axis=1), joint.sum(axis=0)
    least = min(entropy(one), entropy(other))
    return float(max(0.0, entropy(one) + entropy(other) - entropy(joint)) / least) if least > 0 else 0.0
