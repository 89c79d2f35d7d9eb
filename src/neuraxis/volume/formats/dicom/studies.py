"""Which series of a study stands for which channel, by description, protocol and folder, as people name them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from neuraxis.errors import DataError
from neuraxis.volume.formats.dicom.identity import MASK
from neuraxis.volume.formats.dicom.series import Found, Series, find, refuse_nothing

# Words for a contrast agent: a channel "T1ce" and a series "T1 post" mean the same.
_CONTRAST = frozenset({"c", "ce", "post", "gd", "gad", "gado", "gadolinium", "contrast", "km"})
_NO_WORDS = frozenset({"w", "weighted", "mr", "mri", "image"})
_MODALITIES = {"ct": {"CT"}, "mr": {"MR"}, "mri": {"MR"}, "pet": {"PT"}}


@dataclass(frozen=True)
class Study:
    """The series of one patient and one study.

    Attributes:
        name: names its results; without identity.
        path: the folder that holds all of its files, and of no other study.
        shown: that folder as messages may say it.
        found: what the folder holds.
    """

    name: str
    path: Path = field(repr=False)
    shown: str
    found: Found

    @property
    def series(self) -> tuple[Series, ...]:
        """The series that are neither localisers nor tiny; all of them where there are no others."""
        whole = tuple(series for series in self.found.series if not series.is_set_aside)
        return whole or self.found.series


def studies_in(folder: Path) -> tuple[Study, ...]:
    """Return the studies in a folder, subfolders included, by their place.

    Raises:
        DataError: none, or the files of several lie mixed in one folder.
    """
    found = find(folder)
    who = found.identity.shown(folder)
    refuse_nothing(found, who)
    groups: dict[tuple[str, str], list[Path]] = {}
    for series in found.series:
        for instance in series.instances:
            groups.setdefault((instance.patient, instance.study), []).append(instance.path.parent)
    if len(groups) == 1:
        return (Study(name_of(folder.absolute().name, found), folder, who, found),)
    places = [Path(os.path.commonpath([str(path.absolute()) for path in paths])) for paths in groups.values()]
    patients = len({patient for patient, _ in groups})
    if any(one == other or one in other.parents for one in places for other in places if one is not other):
        what = f"{patients} patients" if patients > 1 else f"{len(groups)} studies"
        raise DataError(f"{who}: holds series of {what} in one folder: {found.listed()}. Sort them into a folder each.")
    base = folder.absolute()
    names = [name_of("_".join(place.relative_to(base).parts), found) for place in sorted(places)]
    if len(set(names)) < len(names):
        names = [f"scan-{number}" for number in range(1, len(names) + 1)]
    return tuple(
        Study(name, place, found.identity.shown(place), find(place))
        for name, place in zip(names, sorted(places), strict=True)
    )


def match(study: Study, channels: Sequence[str]) -> tuple[dict[str, Series], dict[str, tuple[Series, ...]]]:
    """Tell which series stands for which channel.

    Args:
        study: whose series they are.
        channels: of the model.

    Returns:
        The series of each channel that is certain, and of each other channel those that could be meant (or none).
    """
    if len(channels) == 1 and len(study.series) == 1:
        return {channels[0]: study.series[0]}, {}
    certain: dict[str, Series] = {}
    open_ones: dict[str, tuple[Series, ...]] = {}
    for tell in (_by_description, _by_folder, _by_protocol, _by_modality):
        left = [channel for channel in channels if channel not in certain]
        taken = {series.name for series in certain.values()}
        could = {
            channel: tuple(
                series for series in study.series if series.name not in taken and tell(series, channel, study)
            )
            for channel in left
            if not open_ones.get(channel)
        }
        could = {channel: _without_contrast(found, channel) for channel, found in could.items()}
        certain |= _settled({**could, **{name: kept for name, kept in open_ones.items() if name in left}})
        open_ones = {
            channel: tuple(series for series in (could.get(channel) or open_ones.get(channel, ()))
                           if series.name not in {one.name for one in certain.values()})
            for channel in left
            if channel not in certain
        }  # fmt: skip
    return certain, open_ones


def _without_contrast(series: tuple[Series, ...], channel: str) -> tuple[Series, ...]:
    """Leave out series with contrast where the channel speaks of none and there are others."""
    plain = tuple(one for one in series if not _words(one.first.description) & _CONTRAST)
    return plain if plain and not (_words(channel) & _CONTRAST) else series


def _settled(could: dict[str, tuple[Series, ...]]) -> dict[str, Series]:
    """Give each channel the only series it could be, and take that from the others, as long as that helps."""
    settled: dict[str, Series] = {}
    rest = dict(could)
    while True:
        sure = {channel: series[0] for channel, series in rest.items() if len(series) == 1}
        names = [series.name for series in sure.values()]
        sure = {channel: series for channel, series in sure.items() if names.count(series.name) == 1}
        if not sure:
            return settled
        settled |= sure
        taken = {series.name for series in sure.values()}
        rest = {
            channel: tuple(one for one in series if one.name not in taken)
            for channel, series in rest.items()
            if channel not in sure
        }


def _by_description(series: Series, channel: str, study: Study) -> bool:
    return _says(series.first.description, channel)


def _by_protocol(series: Series, channel: str, study: Study) -> bool:
    return _says(series.first.protocol, channel)


def _by_folder(series: Series, channel: str, study: Study) -> bool:
    return _says(series.first.path.parent.name, channel)


def _by_modality(series: Series, channel: str, study: Study) -> bool:
    return series.first.modality in _MODALITIES.get(channel.casefold(), ())


def _says(text: str, channel: str) -> bool:
    """Tell whether the words of a channel stand in a text."""
    wanted, held = _words(channel), _words(text)
    if not wanted:
        return False
    contrast = wanted & _CONTRAST if len(wanted) > 1 else set()
    return (wanted - contrast) <= held and (not contrast or bool(held & _CONTRAST))


def _words(text: str) -> set[str]:
    """Return the words of a name in small letters, a number kept with the letters before it.

    >>> sorted(_words("T1post_reg")), sorted(_words("T1w"))
    (['post', 'reg', 't1'], ['t1'])
    """
    every = set(re.findall(r"[a-z]+\d+|[a-z]+|\d+", text.casefold()))
    return every - _NO_WORDS or every


def name_of(text: str, found: Found) -> str:
    """Return what names a study's results: its folder, or a plain word where that would name the patient."""
    shown = "" if found.identity.is_named_in(text) else text.removesuffix(".dcm")
    plain = re.sub(r"[^\w.+-]+", "_", shown).strip("._-")[:80]
    return plain if plain and plain != MASK else "scan"


def describe(series: Iterable[Series]) -> str:
    """Return series in words, for messages."""
    return ", ".join(one.describe() for one in series)
