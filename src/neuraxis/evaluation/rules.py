"""By which rules masks are compared, where a metric leaves a choice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

TOLERANCES_MM = (1.0, 3.0)
MIN_OVERLAP = 0.1
MIN_IOU = 0.1
MAX_DISTANCE_MM = 5.0
SIZES_MM3 = (10.0, 100.0, 1000.0)
Connectivity = Literal[6, 18, 26]
CONNECTIVITY: Connectivity = 26
MatchBy = Literal["overlap", "iou", "distance"]
Pairing = Literal["optimal", "greedy"]
EmptyRule = Literal["undefined", "perfect", "penalised", "zero"]
EMPTY_RULES: dict[EmptyRule, str] = {
    "undefined": "undefined, and left out of means",
    "perfect": "where reference and prediction are both empty, the best value counts; what else is undefined stays so",
    "penalised": "where both are empty, the best value counts; where one is, distances are the scan's diagonal, and "
    "precision and recall 0",
    "zero": "where reference and prediction are both empty, shares count as 0; what else is undefined stays so",
}


@dataclass(frozen=True)
class LesionMatching:
    """When a lesion counts as found, and what one lesion is.

    Attributes:
        min_overlap: by overlap: fraction of a reference lesion, 0 to 1, that the prediction must cover; 0: a single
            shared voxel is enough (Carass et al., NeuroImage 2017); 0.1: a tenth (Commowick et al., Scientific Reports
            2018).
        connectivity: voxels are of one lesion where they share a face (6), a face or an edge (18), or a face, an edge
            or a corner (26).
        by: "overlap": a lesion is found where enough of it is covered, by however many components, and a component is
            false where it touches none. "iou" and "distance": one component is paired with one lesion, and what has no
            partner is missed or false.
        min_iou: by IoU: the least intersection over union of a pair, above 0, at most 1.
        max_distance_mm: by distance: how far the centres of mass of a pair may lie apart.
        pairing: "optimal": as many pairs as can be and, of those, the best in sum; "greedy": the best pair first, then
            the best of what is left.

    Raises:
        ValueError: a number is out of its range, or there is no such connectivity or way.
    """

    min_overlap: float = MIN_OVERLAP
    connectivity: Connectivity = CONNECTIVITY
    by: MatchBy = "overlap"
    min_iou: float = MIN_IOU
    max_distance_mm: float = MAX_DISTANCE_MM
    pairing: Pairing = "optimal"

    def __post_init__(self) -> None:
        if not 0 <= self.min_overlap <= 1:
            raise ValueError(f"`min_overlap` lies within 0 and 1, not {self.min_overlap}.")
        if self.connectivity not in get_args(Connectivity):
            raise ValueError(f"`connectivity` is 6, 18 or 26, not {self.connectivity}.")
        if self.by not in get_args(MatchBy) or self.pairing not in get_args(Pairing):
            raise ValueError(f"Lesions are not matched by '{self.by}', {self.pairing}.")
        if not 0 < self.min_iou <= 1:
            raise ValueError(f"`min_iou` is above 0 and at most 1, not {self.min_iou}.")
        if not 0 <= self.max_distance_mm < math.inf:
            raise ValueError(f"`max_distance_mm` is 0 mm or more, not {self.max_distance_mm}.")

    def __str__(self) -> str:
        """Say the rule in words."""
        if self.by == "overlap":
            share = f"at least {100 * self.min_overlap:.4g} % of it" if self.min_overlap else "one voxel of it"
            how = f"found where {share} is covered, false where no reference lesion is touched"
        else:
            near = (
                f"an IoU of at least {self.min_iou:.4g}"
                if self.by == "iou"
                else f"centres at most {self.max_distance_mm:.4g} mm apart"
            )
            how = f"found and predicted are paired one to one ({self.pairing}) by {near}; false has no partner"
        return f"{self.connectivity}-connected components; {how}"


USUAL_LESIONS = LesionMatching()


@dataclass(frozen=True)
class ScoringRules:
    """The rules of a comparison.

    Attributes:
        tolerances_mm: distances within which surfaces count as one, for the surface Dice; a column each.
        lesions: how lesions are told apart and matched.
        sizes_mm3: volumes at which lesions are parted by size, rising; the smallest are those below the first, the
            largest those from the last on. None: no columns by size.
        empty: what counts where a score would divide nothing by nothing (see `EMPTY_RULES`).

    Raises:
        ValueError: a tolerance is not 0 or more, sizes do not rise from above 0, one has more digits than a column's
            name can show, or there is no such rule for empty masks.
    """

    tolerances_mm: tuple[float, ...] = TOLERANCES_MM
    lesions: LesionMatching = USUAL_LESIONS
    sizes_mm3: tuple[float, ...] = SIZES_MM3
    empty: EmptyRule = "undefined"

    def __post_init__(self) -> None:
        wrong = [size for size in self.tolerances_mm if not 0 <= size < math.inf or float(f"{size:g}") != size]
        if wrong:
            raise ValueError(f"Tolerances are 0 mm or more, of at most six digits, not {wrong[0]}.")
        wrong = [size for size in self.sizes_mm3 if not 0 < size < math.inf or float(f"{size:g}") != size]
        if wrong or any(one >= other for one, other in pairwise(self.sizes_mm3)):
            raise ValueError(
                "Sizes of lesions rise from above 0 mm3 on, of at most six digits each, not "
                f"{', '.join(f'{size:g}' for size in self.sizes_mm3)}."
            )
        if self.empty not in EMPTY_RULES:
            raise ValueError(f"Empty masks are counted as {', '.join(EMPTY_RULES)}, not '{self.empty}'.")


USUAL = ScoringRules()
