"""By which rules masks are compared, where a metric leaves a choice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

TOLERANCES_MM = (1.0, 3.0)
MIN_OVERLAP = 0.1
Connectivity = Literal[6, 18, 26]
CONNECTIVITY: Connectivity = 26


@dataclass(frozen=True)
class LesionMatching:
    """When a lesion counts as found, and what one lesion is.

    Attributes:
        min_overlap: fraction of a reference lesion, 0 to 1, that the prediction must cover; 0: a single shared voxel
            is enough (Carass et al., NeuroImage 2017); 0.1: a tenth (Commowick et al., Scientific Reports 2018).
        connectivity: voxels are of one lesion where they share a face (6), a face or an edge (18), or a face, an edge
            or a corner (26).

    Raises:
        ValueError: the overlap is not within 0 and 1, or there is no such connectivity.
    """

    min_overlap: float = MIN_OVERLAP
    connectivity: Connectivity = CONNECTIVITY

    def __post_init__(self) -> None:
        if not 0 <= self.min_overlap <= 1:
            raise ValueError(f"`min_overlap` lies within 0 and 1, not {self.min_overlap}.")
        if self.connectivity not in get_args(Connectivity):
            raise ValueError(f"`connectivity` is 6, 18 or 26, not {self.connectivity}.")

    def __str__(self) -> str:
        """Say the rule in words."""
        share = f"at least {100 * self.min_overlap:.4g} % of it" if self.min_overlap else "one voxel of it"
        return f"{self.connectivity}-connected components; found where {share} is covered"


USUAL_LESIONS = LesionMatching()


@dataclass(frozen=True)
class ScoringRules:
    """The rules of a comparison.

    Attributes:
        tolerances_mm: distances within which surfaces count as one, for the surface Dice; a column each.
        lesions: how lesions are told apart and matched.

    Raises:
        ValueError: a tolerance is not 0 or more, or has more digits than a column's name can show.
    """

    tolerances_mm: tuple[float, ...] = TOLERANCES_MM
    lesions: LesionMatching = USUAL_LESIONS

    def __post_init__(self) -> None:
        wrong = [size for size in self.tolerances_mm if not 0 <= size < math.inf or float(f"{size:g}") != size]
        if wrong:
            raise ValueError(f"Tolerances are 0 mm or more, of at most six digits, not {wrong[0]}.")


USUAL = ScoringRules()
