"""Which cases are unlike the others, and in what, by robust z-scores.

A value's distance from the median is counted in the median of all such distances (Iglewicz and Hoaglin 1993), or in
their mean where more than half of them are 0. Volumes, spacings and shapes are compared as logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neuraxis.report.inspection.portrait import Portrait

UNLIKE = 3.5
FEWEST = 5
FARTHEST = 99.0
_AXES = "XYZ"


@dataclass(frozen=True)
class Oddity:
    """One way in which a case is unlike the others.

    Attributes:
        z: robust z-score, negative below the median.
        words: what it is about, with the value.
    """

    z: float
    words: str

    @property
    def size(self) -> str:
        """The score in words, such as "z -4.2"."""
        return f"z {self.z:+.1f}".replace("-", "\u2212") if abs(self.z) < FARTHEST else "z beyond 99"


def robust_z(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the robust z-scores of finite values, at most `FARTHEST` in size; 0 where there are fewer than `FEWEST`.

    >>> robust_z([1, 2, 3, 4, 100]).round(1).tolist()
    [-1.3, -0.7, 0.0, 0.7, 65.4]
    """
    known = np.array(values, dtype=np.float64)
    if len(known) < FEWEST:
        return np.zeros(len(known))
    apart = known - np.median(known)
    scale = 1.4826 * float(np.median(np.abs(apart))) or 1.2533 * float(np.abs(apart).mean())
    if scale <= 1e-9 * max(1.0, float(np.abs(known).max())):
        return np.zeros(len(known))
    scores: np.ndarray = np.clip(apart / scale, -FARTHEST, FARTHEST)
    return scores


def find_oddities(portraits: Sequence[Portrait]) -> dict[str, tuple[Oddity, ...]]:
    """Return for each case in what it is unlike the others, the farthest first; nothing for ordinary ones.

    Intensities are compared within a site, where there are enough cases of it, since scanners differ.
    """
    found: dict[str, list[Oddity]] = {portrait.case: [] for portrait in portraits}
    for words, values in _measures(portraits):
        for case, z in zip(values, robust_z([number for number, _ in values.values()]), strict=True):
            if abs(z) > UNLIKE:
                found[case].append(Oddity(float(z), f"{words} {values[case][1]}"))
    return {case: tuple(sorted(odd, key=lambda one: -abs(one.z))) for case, odd in found.items()}


Measure = tuple[str, Mapping[str, tuple[float, str]]]


def _measures(portraits: Sequence[Portrait]) -> Iterator[Measure]:
    """Yield what is compared: its name, and case to the number and how it is written."""
    seen = [portrait for portrait in portraits if portrait.shape]
    for axis in range(3):
        spacings = {one.case: one.spacing_mm[axis] for one in seen if one.spacing_mm[axis] > 0}
        yield f"spacing {_AXES[axis]}", {case: (math.log(mm), f"{mm:.3g} mm") for case, mm in spacings.items()}
        yield (
            f"size {_AXES[axis]}",
            {one.case: (math.log(one.shape[axis]), f"{one.shape[axis]} voxels") for one in seen},
        )
    for name in dict.fromkeys(name for one in seen for name in one.volumes_ml):
        volumes = {one.case: one.volumes_ml[name] for one in seen if one.volumes_ml.get(name, 0) > 0}
        yield f"volume of {name}", {case: (math.log(ml), f"{ml:.3g} mL") for case, ml in volumes.items()}
    for channel in dict.fromkeys(name for one in seen for name in one.intensities):
        for group in _by_site([one for one in seen if channel in one.intensities]):
            middle = {one.case: one.intensities[channel][32] for one in group}
            yield f"median of {channel}", {case: (value, f"{_short(value)}") for case, value in middle.items()}
            spread = {one.case: one.intensities[channel][62] - one.intensities[channel][2] for one in group}
            yield f"range of {channel}", {case: (value, f"{_short(value)}") for case, value in spread.items()}


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _by_site(portraits: Sequence[Portrait]) -> list[list[Portrait]]:
    sites: dict[str, list[Portrait]] = {}
    for portrait in portraits:
        sites.setdefault(portrait.site, []).append(portrait)
    return list(sites.values()) if all(len(group) >= FEWEST for group in sites.values()) else [list(portraits)]
