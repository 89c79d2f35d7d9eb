"""Structures to score that join several label numbers: `WT=1+2+4`, or a known set of them by name.

>>> read_regions(["WT=1+2+4", "ET=4"])
{'WT': (1, 2, 4), 'ET': (4,)}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from neuraxis.dataset.labels import Labels
from neuraxis.errors import UsageError, suggest

Regions = dict[str, tuple[int, ...]]
REGION_SETS: dict[str, Regions] = {
    "brats": {"WT": (1, 2, 4), "TC": (1, 4), "ET": (4,)},
    "brats2023": {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)},
    "msd-brain": {"WT": (1, 2, 3), "TC": (2, 3), "ET": (3,)},
    "cervical": {f"C{number}": (number,) for number in range(1, 8)},
}
_WORD = re.compile(r"(?P<name>[^=]{1,60})=(?P<numbers>\d{1,5}(?:\+\d{1,5})*)")


def read_regions(words: Sequence[str]) -> Regions:
    """Read what was typed: names of known sets, and `NAME=NUMBER+NUMBER`.

    Raises:
        UsageError: a word is neither, or a name comes twice.
    """
    found: Regions = {}
    for word in words:
        match = _WORD.fullmatch(word)
        if match:
            more = {match["name"].strip(): tuple(int(number) for number in match["numbers"].split("+"))}
        elif word in REGION_SETS:
            more = REGION_SETS[word]
        else:
            raise UsageError(
                f"--regions {word}: is neither NAME=NUMBER+NUMBER nor one of {', '.join(REGION_SETS)}. "
                f"{suggest(word, REGION_SETS)}".rstrip()
            )
        twice = sorted(set(more) & set(found))
        if twice:
            raise UsageError(f"--regions: '{twice[0]}' comes twice. Give each region a name of its own.")
        found |= more
    return found


def with_regions(labels: Labels, regions: Mapping[str, tuple[int, ...]]) -> Labels:
    """Return labels that score these regions; numbers that no label has are named by themselves."""
    wanted = {number for numbers in regions.values() for number in numbers} - set(labels.names.values())
    names = {**labels.names, **{str(number): number for number in sorted(wanted)}}
    return Labels(names=names, regions=dict(regions), ignore=labels.ignore)


def regions_in_words(regions: Mapping[str, tuple[int, ...]]) -> str:
    """Return the regions as they were typed, for a note."""
    return "Regions: " + ", ".join(f"{name} = {'+'.join(map(str, joined))}" for name, joined in regions.items()) + "."
