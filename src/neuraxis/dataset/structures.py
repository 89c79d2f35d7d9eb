"""The structures that a label map shows: number, name and colour of each, for everything that is drawn or written.

>>> from neuraxis.dataset.labels import Labels
>>> structures_of(Labels(names={"background": 0, "oedema": 2, "core": 1}))
(Structure(number=1, name='core', colour='#56b4e9'), Structure(number=2, name='oedema', colour='#e69f00'))
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from neuraxis.dataset.labels import Labels

# Okabe and Ito's colours, which people with any colour vision tell apart, some a little lighter so that they show on a
# dark scan as well.
LABEL_COLOURS = ("#56b4e9", "#e69f00", "#00b786", "#cc79a7", "#f0e442", "#4a8fd0", "#9ca3af")
_SHADES = (1.0, 0.72, 0.5)


@dataclass(frozen=True)
class Structure:
    """One structure of a label map.

    Attributes:
        number: in the label map, above 0.
        name: in words.
        colour: "#rrggbb", in lower case.
    """

    number: int
    name: str
    colour: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, each from 0 to 255."""
        red, green, blue = bytes.fromhex(self.colour[1:])
        return red, green, blue


def structures_of(labels: Labels) -> tuple[Structure, ...]:
    """Return the structures of a dataset or model by rising number, without background and ignored voxels."""
    known = {number: name for name, number in labels.names.items() if number != 0}
    colours = {labels.names[name]: colour for name, colour in labels.colours.items() if name in labels.names}
    return structures_from(known, known, colours)


def structures_from(
    numbers: Iterable[int], names: Mapping[int, str], colours: Mapping[int, str]
) -> tuple[Structure, ...]:
    """Return the structures of numbers (0 left out) by rising number; what has no name or colour gets one.

    A colour of the palette goes with a number's place among all that are named, so that it is the same in every scan.
    """
    rising = sorted(set(numbers) - {0})
    every = sorted({*rising, *names} - {0})
    return tuple(
        Structure(
            number, names.get(number, f"label {number}"), colours.get(number) or default_colour(every.index(number))
        )
        for number in rising
    )


def default_colour(place: int) -> str:
    """Return a colour for the structure at a place: seven colours, then the same ones darker.

    >>> default_colour(0), default_colour(7)
    ('#56b4e9', '#1a8bcb')
    """
    shade = _SHADES[place // len(LABEL_COLOURS) % len(_SHADES)]
    colour = LABEL_COLOURS[place % len(LABEL_COLOURS)]
    if shade == 1:
        return colour
    hue, light, saturation = colorsys.rgb_to_hls(*(part / 255 for part in bytes.fromhex(colour[1:])))
    return "#" + bytes(round(255 * part) for part in colorsys.hls_to_rgb(hue, light * shade, saturation)).hex()
