"""Domains of cases (sites, scanners, channels) compared in one or several spaces of features.

Features are standardised over all cases, so that each counts alike. A patient with several cases in a domain counts
once, by the mean of their features. Pairs of domains are tested by the maximum mean discrepancy, corrected together
(Holm 1979).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.errors import MissingExtra
from neuraxis.evaluation.comparison.paired import holm
from neuraxis.evaluation.shift.mmd import PERMUTATIONS, discrepancy
from neuraxis.evaluation.shift.projection import Components, neighbour_map, principal_components, standardised
from neuraxis.evaluation.statistics import MIN_PATIENTS
from neuraxis.files import write_csv

LEAST = 2


@dataclass(frozen=True)
class Member:
    """One row of features.

    Attributes:
        id: the case, and its channel where channels are the domains.
        domain: the site, scanner or channel.
        patient: whose it is.
        dataset: where it comes from.
    """

    id: str
    domain: str
    patient: str
    dataset: str = ""


@dataclass(frozen=True, eq=False)
class Space:
    """Features of all members.

    Attributes:
        name: what they are, in words.
        features: their names.
        values: (members, features), finite.
    """

    name: str
    features: tuple[str, ...]
    values: np.ndarray


@dataclass(frozen=True)
class Gap:
    """Two domains in one space.

    Attributes:
        space: name of the space.
        first: a domain.
        second: the other.
        first_patients: patients of the first.
        second_patients: patients of the second.
        paired: whether both hold the same patients.
        mmd2: the unbiased MMD²; NaN below 2 patients on a side.
        p: of the permutation test; NaN below 5 patients on a side.
        p_holm: corrected over all pairs of domains in the space.
        feature: the feature whose means differ most.
        effect: their difference, first less second, over the pooled SD of patients; NaN where that is 0, and below 5
            patients on a side.
    """

    space: str
    first: str
    second: str
    first_patients: int
    second_patients: int
    paired: bool
    mmd2: float
    p: float
    p_holm: float
    feature: str
    effect: float


@dataclass(frozen=True, eq=False)
class Maps:
    """A space drawn in the plane: principal components, and t-SNE where there are enough cases."""

    space: str
    components: Components
    neighbours: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Shift:
    """What was found.

    Attributes:
        members: in the order of the rows of every space.
        spaces: their features.
        gaps: every pair of domains in every space.
        maps: one for each space.
        notes: how it was tested, and what could not be.
    """

    members: tuple[Member, ...]
    spaces: tuple[Space, ...]
    gaps: tuple[Gap, ...]
    maps: tuple[Maps, ...]
    notes: tuple[str, ...]

    @property
    def domains(self) -> tuple[str, ...]:
        """The names of the domains, sorted."""
        return tuple(sorted({member.domain for member in self.members}))

    def content(self) -> dict[str, Any]:
        """Return everything but the features as plain dicts and lists, for JSON."""
        return {
            "domains": {
                domain: {
                    "cases": sum(member.domain == domain for member in self.members),
                    "patients": len({member.patient for member in self.members if member.domain == domain}),
                }
                for domain in self.domains
            },
            "gaps": [asdict(gap) for gap in self.gaps],
            "maps": [
                {
                    "space": one.space,
                    "explained": one.components.shares.tolist(),
                    "pca": one.components.points.tolist(),
                    "tsne": None if one.neighbours is None else one.neighbours.tolist(),
                }
                for one in self.maps
            ],
            "members": [asdict(member) for member in self.members],
            "notes": list(self.notes),
        }

    def write_csv(self, path: Path, overwrite: bool = True) -> None:
        """Write a row for each member: who it is, every feature as it was measured, and its places on the maps."""
        header, columns = ["case", "domain", "patient", "dataset"], []
        for space, one in zip(self.spaces, self.maps, strict=True):
            header += space.features
            columns.append(space.values)
            for kind, points in (("pca", one.components.points), ("tsne", one.neighbours)):
                if points is not None:
                    header += [f"{space.name} {kind}{axis}" for axis in (1, 2)]
                    columns.append(points)
        numbers = np.concatenate(columns, axis=1)
        lines = [
            [member.id, member.domain, member.patient, member.dataset, *map(repr, row)]
            for member, row in zip(self.members, numbers.tolist(), strict=True)
        ]
        write_csv(path, header, lines, overwrite)


def compare_domains(members: Sequence[Member], spaces: Sequence[Space], notes: Sequence[str] = ()) -> Shift:
    """Compare every two domains in every space, and draw each space in the plane.

    Args:
        members: of two domains or more.
        spaces: their features.
        notes: further sentences for the reader.

    Raises:
        ValueError: there is one domain alone, or a space has not one finite row for each member.
    """
    if len({member.domain for member in members}) < 2:
        raise ValueError("A shift needs two domains or more.")
    for space in spaces:
        if space.values.shape != (len(members), len(space.features)) or not np.isfinite(space.values).all():
            raise ValueError(f"The {space.name} need one finite row for each member, not {space.values.shape}.")
    gaps, maps, said = [], [], list(notes)
    for space in spaces:
        scaled = standardised(space.values)
        found = list(_gaps(members, space, scaled))
        corrected = holm([gap.p for gap in found])
        gaps += [replace(gap, p_holm=p) for gap, p in zip(found, corrected, strict=True)]
        try:
            neighbours = neighbour_map(scaled)
        except MissingExtra as error:
            neighbours = None
            said.append(f"t-SNE is left out. {error}")
        maps.append(Maps(space.name, principal_components(scaled), neighbours))
    return Shift(tuple(members), tuple(spaces), tuple(gaps), tuple(maps), tuple(dict.fromkeys([*_notes(gaps), *said])))


def _gaps(members: Sequence[Member], space: Space, scaled: np.ndarray) -> Iterator[Gap]:
    by_domain: dict[str, dict[str, np.ndarray]] = {}
    for domain in sorted({member.domain for member in members}):
        places: dict[str, list[int]] = {}
        for place, member in enumerate(members):
            if member.domain == domain:
                places.setdefault(member.patient, []).append(place)
        by_domain[domain] = {patient: scaled[rows].mean(axis=0) for patient, rows in sorted(places.items())}
    for (first, here), (second, there) in combinations(by_domain.items(), 2):
        paired = here.keys() == there.keys()
        one, two = np.array(list(here.values())), np.array(list(there.values()))
        mmd2 = p = math.nan
        if min(len(one), len(two)) >= LEAST:
            found = discrepancy(one, two, paired)
            mmd2, p = found.mmd2, found.p if min(len(one), len(two)) >= MIN_PATIENTS else math.nan
        place, effect = _largest_effect(one, two)
        feature = space.features[place]
        yield Gap(space.name, first, second, len(one), len(two), paired, mmd2, p, math.nan, feature, effect)


def _largest_effect(first: np.ndarray, second: np.ndarray) -> tuple[int, float]:
    """Return the feature whose means differ most in units of the pooled SD, and by how much.

    Below 5 patients on a side the SD says nothing: the feature is then that of the largest difference, and NaN.
    """
    count = len(first) + len(second) - 2
    difference = first.mean(axis=0) - second.mean(axis=0)
    if min(len(first), len(second)) < MIN_PATIENTS:
        return int(np.abs(difference).argmax()), math.nan
    squares = ((first - first.mean(axis=0)) ** 2).sum(axis=0) + ((second - second.mean(axis=0)) ** 2).sum(axis=0)
    spread = np.sqrt(squares / count)
    known = spread > 1e-9
    effects = np.where(known, difference / np.where(known, spread, 1.0), 0.0)
    place = int(np.abs(effects).argmax() if known.any() else np.abs(difference).argmax())
    return place, float(effects[place]) if known[place] else math.nan


def _notes(gaps: Sequence[Gap]) -> Iterator[str]:
    yield (
        "MMD²: unbiased, Gauss kernel as wide as the median distance, on features standardised over all cases; a "
        f"patient counts once in a domain. p: {PERMUTATIONS} random regroupings of patients, corrected (Holm) over the "
        "pairs of domains in each space."
    )
    yield "A small p says that the domains differ in these features, not that a model fails there: look at the scores."
    if any(gap.paired for gap in gaps):
        yield "Where two domains hold the same patients, each patient's rows are exchanged or not."
    few = {
        domain: count
        for gap in gaps
        for domain, count in ((gap.first, gap.first_patients), (gap.second, gap.second_patients))
        if count < MIN_PATIENTS
    }
    if few:
        listed = ", ".join(f"{domain} ({count})" for domain, count in few.items())
        yield f"No test with fewer than {MIN_PATIENTS} patients in a domain: {listed}."
