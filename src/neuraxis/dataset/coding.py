"""How the numbers, greys, colours or probabilities of a stored label map become the label numbers of a dataset.

Where a file holds the dataset's own numbers nothing is to be done, and the `Coding` is `PLAIN`. Else there are up to
three steps, in this order: colours or a threshold make whole numbers, layers that lie over one another are painted
into one label map, and numbers are exchanged for others. Soft labels are kept as shares (`Coding.shares`); as a label
map each voxel has the number of which it holds most, the background counted with what no structure has.

>>> mask = np.array([[[0.0, 3.0, 130.0, 255.0]]])
>>> Coding(threshold=127).decode([mask])
array([[[0, 0, 1, 1]]], dtype=int16)
>>> Coding(numbers={4: 3}).decode([np.array([[[0, 1, 4]]])])
array([[[0, 1, 3]]])
>>> probability = np.array([[[0.0, 0.4, 0.75]]], np.float32)
>>> Coding(soft=1).decode([probability]), Coding(soft=1).shares([probability])[1]
(array([[[0, 0, 1]]], dtype=int16), array([[[0.  , 0.4 , 0.75]]], dtype=float32))
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, field_validator

MIXED_TOLERANCE = 64.0
STRAYS = 0.02
OVERSHOOT = 0.1
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_ROUNDING = 1e-3


class Undecodable(ValueError):
    """A label map cannot be turned into label numbers.

    Attributes:
        code: a short name of the kind, as findings of a check have it.
        message: what was found, beginning with a verb, without a full stop.
        advice: what to do, as a sentence.
    """

    def __init__(self, code: str, message: str, advice: str) -> None:
        super().__init__(f"{message}. {advice}")
        self.code, self.message, self.advice = code, message, advice


class Coding(BaseModel):
    """What is done to a stored label map before anything looks at it.

    Attributes:
        colours: colour as "#rrggbb" to label number; each pixel takes the nearest. The background is black unless it
            is named.
        tolerance: distance in RGB within which a pixel must lie from a colour, or from a mixture of two as edges
            have it; a few in a hundred labelled pixels may lie further, as JPEG has them.
        threshold: values above it are 1, others 0: for greys, for masks of 0 and 255, and for probabilities.
        soft: the value of a voxel that is all of a structure; those from 0 to it are shares of the structure.
        layers: for each layer (volume or file, in order) its numbers and what they become; where several label a
            voxel the last one counts. Empty: there is one layer, which keeps its numbers. Of soft labels each layer
            is one structure.
        numbers: numbers that are exchanged for others, after all that; those that are not named stay.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    colours: dict[str, int] = {}
    tolerance: float = MIXED_TOLERANCE
    threshold: float | None = None
    soft: float | None = None
    layers: tuple[dict[int, int], ...] = ()
    numbers: dict[int, int] = {}

    @field_validator("colours")
    @classmethod
    def _readable(cls, colours: dict[str, int]) -> dict[str, int]:
        return {tidy_colour(colour): number for colour, number in colours.items()}

    def then(self, numbers: Mapping[int, int]) -> Coding:
        """Return the coding after which these numbers are exchanged as well.

        >>> Coding(numbers={4: 3}).then({3: 1, 2: 1}).numbers
        {4: 1, 3: 1, 2: 1}
        """
        joined = {stored: numbers.get(number, number) for stored, number in self.numbers.items()}
        joined |= {stored: number for stored, number in numbers.items() if stored not in self.numbers}
        return self.model_copy(update={"numbers": joined})

    def decode(self, layers: Sequence[np.ndarray]) -> np.ndarray:
        """Return the label map (X, Y, Z) in whole numbers of any size; a plain one as it is.

        Args:
            layers: all volumes of all files of the label map, each (X, Y, Z).

        Raises:
            Undecodable: it holds fractions, colours or layers that nothing is known of.
        """
        if self.soft is not None:
            return _most(self.shares(layers))
        if self.colours:
            label_map = self._from_colours(layers)
        elif self.layers:
            label_map = self._painted([self._whole(layer) for layer in layers])
        elif self.threshold is not None and len(layers) in (3, 4):
            label_map = self._whole(np.asarray(np.mean(layers[:3], axis=0, dtype=np.float32)))
        elif len(layers) in (3, 4) and all(np.array_equal(layer, layers[0]) for layer in layers[1:3]):
            label_map = self._whole(layers[0])  # a grey picture stored in colours
        elif len(layers) > 1:
            advice = "Needed is one number for each voxel; join the volumes"
            advice += ", or name the colours with labels.colours." if len(layers) in (3, 4) else "."
            raise Undecodable("four_dimensional", f"is 4D with {len(layers)} volumes", advice)
        else:
            label_map = self._whole(layers[0])
        return exchange(label_map, self.numbers)

    def shares(self, layers: Sequence[np.ndarray]) -> dict[int, np.ndarray]:
        """Return which share of each voxel each number has, in [0, 1], float32 (X, Y, Z); their sum is 1 at most.

        Labels that are not soft have shares of 0 and 1.

        Args:
            layers: as for `decode`.

        Raises:
            Undecodable: values lie outside of the scale, the shares of a voxel add up to more than it, or as `decode`.
        """
        if self.soft is None:
            label_map = self.decode(layers)
            there = np.unique(label_map).tolist()
            return {int(number): (label_map == number).astype(np.float32) for number in there if number}
        found: dict[int, np.ndarray] = {}
        for number, share in self._soft_layers(layers, self.soft):
            number = self.numbers.get(number, number)
            found[number] = share if number not in found else found[number] + share
        found.pop(0, None)
        total = np.sum([*found.values()], axis=0, dtype=np.float32)
        if total.max(initial=0) > 1 + OVERSHOOT:
            message = f"holds shares that add up to {total.max():.3g} of a voxel"
            advice = "Needed are probabilities that exclude one another, whose sum is at most 1."
            raise Undecodable("shares", message, advice)
        if len(found) > 1:
            for share in found.values():
                np.divide(share, total, out=share, where=total > 1)
        return {number: np.minimum(share, 1) for number, share in found.items()}

    def _soft_layers(self, layers: Sequence[np.ndarray], scale: float) -> Iterator[tuple[int, np.ndarray]]:
        known = self.layers
        if not known:
            if len(layers) in (3, 4):  # a picture: its fourth channel is no grey
                layers = [np.asarray(np.mean(layers[:3], axis=0, dtype=np.float32))]
            known = ({1: 1},)
        if len(layers) != len(known):
            message = f"has {len(layers)} layers where {len(known)} soft labels are known"
            raise Undecodable("layer_count", message, "Needed is a volume or file for each label, in their order.")
        for layer, numbers in zip(layers, known, strict=True):
            if len(numbers) != 1:
                message = f"has a layer of {len(numbers)} labels, which cannot be soft"
                raise Undecodable("shares", message, "Leave labels.soft out, or store each label on its own.")
            yield next(iter(numbers.values())), _share(layer, scale)

    def _whole(self, array: np.ndarray) -> np.ndarray:
        return whole_numbers(array) if self.threshold is None else above(array, self.threshold)

    def _painted(self, layers: Sequence[np.ndarray]) -> np.ndarray:
        if len(layers) != len(self.layers):
            message = f"has {len(layers)} layers where {len(self.layers)} are known"
            raise Undecodable("layer_count", message, "Export it again with the layers of the others.")
        painted = np.zeros(layers[0].shape, np.int16)
        for place, (layer, known) in enumerate(zip(layers, self.layers, strict=True)):
            unknown = sorted(set(np.unique(layer).tolist()) - {0, *known})
            if unknown:
                message = f"holds numbers without a name in layer {place}: {', '.join(map(str, unknown[:6]))}"
                raise Undecodable("unknown_label", message, "Name every segment where the label map was drawn.")
            for stored, number in known.items():
                painted[layer == stored] = number
        return painted

    def _from_colours(self, layers: Sequence[np.ndarray]) -> np.ndarray:
        if len(layers) not in (1, 3, 4):
            message = f"has {len(layers)} volumes where a colour picture has 3"
            raise Undecodable("colours", message, "Leave labels.colours out, or export colour pictures.")
        red, green, blue = layers[:3] if len(layers) > 1 else (layers[0],) * 3
        packed = sum(
            np.clip(part, 0, 255).astype(np.int32) << shift for part, shift in ((red, 16), (green, 8), (blue, 0))
        )
        found, inverse, counts = np.unique(packed, return_inverse=True, return_counts=True)
        seen = np.stack([found >> 16 & 255, found >> 8 & 255, found & 255], axis=1).astype(np.float64)
        names = (
            list(self.colours)
            if "#000000" in self.colours or 0 in self.colours.values()
            else ["#000000", *self.colours]
        )
        table = np.array([channels_of(name) for name in names], np.float64)
        nearest = ((seen[:, None] - table) ** 2).sum(axis=2).argmin(axis=1)
        numbers = np.array([self.colours.get(name, 0) for name in names], np.int16)[nearest]
        self._refuse_strays(seen, counts, table, numbers)
        label_map: np.ndarray = numbers[inverse].reshape(red.shape)
        return label_map

    def _refuse_strays(self, seen: np.ndarray, counts: np.ndarray, table: np.ndarray, numbers: np.ndarray) -> None:
        stray = distance_to_mixtures(seen, table) > self.tolerance
        labelled = int(counts[(numbers != 0) | stray].sum())
        if not stray.any() or counts[stray].sum() <= STRAYS * labelled:
            return
        often = seen[stray][counts[stray].argsort()[::-1][:3]].astype(int)
        few = ", ".join(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in often)
        message = f"holds colours without a name in {int(counts[stray].sum())} pixels, such as {few}"
        raise Undecodable("unknown_colour", message, "Name them in labels.colours, or raise labels.tolerance.")


PLAIN = Coding()


def _share(array: np.ndarray, scale: float) -> np.ndarray:
    """Return values from 0 to a scale as shares; a tenth beyond, as interpolation makes it, is cut off."""
    share: np.ndarray = np.asarray(array, np.float32) / np.float32(scale)
    low, high = share.min(initial=0), share.max(initial=0)
    if not (low >= -OVERSHOOT and high <= 1 + OVERSHOOT):  # NaN is neither
        message = f"holds values from {low * scale:.4g} to {high * scale:.4g} where labels.soft has 0 to {scale:g}"
        if not (np.isfinite(low) and np.isfinite(high)):
            message = "holds NaN or infinity"
        advice = "Needed are finite values on that scale: 1 for probabilities, 100 for per cent, 255 for greys."
        raise Undecodable("shares", message, advice)
    return share.clip(0, 1)


def _most(shares: Mapping[int, np.ndarray]) -> np.ndarray:
    """Return of each voxel the number with the largest share; that of the background is what is left."""
    most = np.asarray(1 - np.sum([*shares.values()], axis=0, dtype=np.float32))
    label_map = np.zeros(most.shape, np.int16 if max(shares) < 2**15 else np.int32)
    for number, share in shares.items():
        more = share > most
        label_map[more], most[more] = number, share[more]
    return label_map


def tidy_colour(text: str) -> str:
    """Return a colour as "#rrggbb" in lower case.

    Raises:
        ValueError: it is none.

    >>> tidy_colour("FF0000")
    '#ff0000'
    """
    tidy = f"#{text.strip().removeprefix('#').lower()}"
    if not _COLOUR.fullmatch(tidy):
        raise ValueError(f"'{text}' is no colour; needed is one such as '#ff0000'")
    return tidy


def channels_of(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue of "#rrggbb", each from 0 to 255."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def distance_to_mixtures(seen: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return how far colours (N, 3) lie from the nearest mixture of two colours of a table (K, 3).

    >>> distance_to_mixtures(np.array([[0.0, 90, 0], [255, 255, 0]]), np.array([[0.0, 0, 0], [0, 255, 0]]))
    array([  0., 255.])
    """
    nearest = np.full(len(seen), np.inf)
    for first in table:
        for second in table:
            along = second - first
            length = max(float(along @ along), 1.0)
            share = np.clip((seen - first) @ along / length, 0, 1)
            nearest = np.minimum(nearest, np.sqrt(((seen - first - share[:, None] * along) ** 2).sum(axis=1)))
    return nearest


def whole_numbers(array: np.ndarray) -> np.ndarray:
    """Return an array in whole numbers; floats a thousandth from one are rounded.

    Raises:
        Undecodable: it holds fractions, NaN or infinity.
    """
    if array.dtype.kind != "f":
        return array
    rounded = np.rint(array)
    with np.errstate(invalid="ignore"):
        odd = ~(np.abs(array - rounded) <= _ROUNDING)  # NaN and infinity are odd as well
    if odd.any():
        values = np.unique(array[odd])
        few = ", ".join(f"{value:g}" for value in values[:3])
        message = f"holds fractions or NaN in {voxels(int(odd.sum()))}, such as {few}"
        advice = "Was it interpolated? Resample it again with nearest neighbour."
        if np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1:
            advice = (
                "Are these probabilities? Learn them as they are: --set labels.soft=1; or say from where on a voxel "
            )
            advice += "belongs to it: --set labels.threshold=0.5; if it was interpolated, resample it again with "
            advice += "nearest neighbour."
        raise Undecodable("fractions", message, advice)
    whole: np.ndarray = rounded.astype(np.int32) if np.abs(rounded).max(initial=0) < 2**31 else rounded
    return whole


def above(array: np.ndarray, threshold: float) -> np.ndarray:
    """Return 1 where an array is above a threshold, else 0.

    Raises:
        Undecodable: it holds NaN.
    """
    if array.dtype.kind == "f" and np.isnan(array).any():
        message = f"holds NaN in {voxels(int(np.isnan(array).sum()))}"
        raise Undecodable("fractions", message, "Replace NaN by 0, or leave the case out.")
    return (array > threshold).astype(np.int16)


def exchange(array: np.ndarray, numbers: Mapping[int, int]) -> np.ndarray:
    """Return a label map with numbers exchanged all at once; others stay.

    >>> exchange(np.array([0, 1, 2]), {1: 2, 2: 1})
    array([0, 2, 1])
    """
    changed = {stored: number for stored, number in numbers.items() if stored != number}
    if not changed:
        return array
    kind = array.dtype if array.dtype.itemsize >= 4 else np.dtype(np.int32)
    exchanged = array.astype(kind)
    for stored, number in changed.items():
        exchanged[array == stored] = number
    return exchanged


def voxels(count: int) -> str:
    """Return a number of voxels in words."""
    return f"{count} voxel" if count == 1 else f"{count} voxels"
