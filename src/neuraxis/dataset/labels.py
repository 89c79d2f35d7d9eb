"""What the numbers of a label map mean.

Plain labels exclude one another: the network has one output each and a softmax. Regions may overlap (whole tumour
contains tumour core): the network has one output a region and a sigmoid. One number may mean "ignore": no loss and
no score there.

>>> labels = Labels(names={"background": 0, "anterior": 1, "posterior": 2})
>>> labels.outputs
('background', 'anterior', 'posterior')
>>> tumour = Labels(names={"background": 0, "oedema": 1, "core": 2}, regions={"whole": (1, 2), "core": (2,)})
>>> tumour.outputs, tumour.activation
(('whole', 'core'), 'sigmoid')
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

IGNORED = 255


class Labels(BaseModel):
    """Names and numbers of the labels.

    Attributes:
        names: name to number; the background is 0 and always there.
        regions: name to the numbers it joins, in the order of the network's outputs; empty for plain labels.
        paint: for regions, the number written for each, in the same order; later ones cover earlier ones.
        ignore: the number of voxels that are neither learned nor scored.
        colours: name of a label or region to the colour it is shown in, "#rrggbb"; those that are not named have none.
        soft: whether shares of voxels are learned, not whole ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: dict[str, int]
    regions: dict[str, tuple[int, ...]] = {}
    paint: tuple[int, ...] = ()
    ignore: int | None = None
    colours: dict[str, str] = {}
    soft: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Labels:
        if 0 not in self.names.values():
            if "background" in self.names:
                raise ValueError(f"the background is 0, not {self.names['background']}")
            object.__setattr__(self, "names", {"background": 0, **self.names})
        numbers = list(self.names.values())
        if len(set(numbers)) != len(numbers) or not all(0 <= number < 2**15 for number in numbers):
            raise ValueError(f"labels need different numbers from 0 to 32767, found {numbers}")
        if self.ignore is not None and (self.ignore in numbers or not 0 < self.ignore < 2**15):
            raise ValueError(f"`ignore` needs a number from 1 to 32767 that no label has, found {self.ignore}")
        if len(numbers) < 2:
            raise ValueError("labels need at least one besides the background")
        if len(self.outputs) > IGNORED:
            raise ValueError(f"{len(self.outputs)} outputs are more than the {IGNORED} that a target can number")
        return self

    @model_validator(mode="after")
    def _regions_fit(self) -> Labels:
        unknown = {number for joined in self.regions.values() for number in joined} - set(self.names.values())
        if unknown:
            raise ValueError(f"regions name the numbers {sorted(unknown)}, which no label has")
        if not all(self.regions.values()):
            raise ValueError("every region needs at least one number")
        if self.regions and not self.paint:
            object.__setattr__(self, "paint", painted_with(self.regions))
        if len(self.paint) != len(self.regions):
            raise ValueError("`paint` needs one number for each region")
        return self

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs, in order."""
        if self.regions:
            return tuple(self.regions)
        return tuple(sorted(self.names, key=lambda name: self.names[name]))

    @property
    def activation(self) -> Literal["softmax", "sigmoid"]:
        """What turns logits into probabilities."""
        return "sigmoid" if self.regions else "softmax"

    @property
    def scored(self) -> dict[str, tuple[int, ...]]:
        """Each structure that is scored (regions, or labels but the background) and the numbers it joins."""
        if self.regions:
            return dict(self.regions)
        return {name: (self.names[name],) for name in self.outputs if self.names[name] != 0}

    def agrees(self, other: Labels) -> bool:
        """Tell whether two label tables mean the same; colours may differ, and how they are learned."""
        plain = {"colours": {}, "soft": False}
        return self.model_copy(update=plain) == other.model_copy(update=plain)

    def allowed(self) -> set[int]:
        """Return every number that a label map may hold."""
        return set(self.names.values()) | ({self.ignore} if self.ignore is not None else set())

    def encode(self, label_map: np.ndarray) -> np.ndarray:
        """Turn a label map (X, Y, Z) into the training target, uint8.

        Plain labels give (1, X, Y, Z) of output numbers, regions give (R, X, Y, Z) of 0 and 1; `IGNORED` marks
        voxels to ignore.
        """
        if self.regions:
            target = np.stack([np.isin(label_map, joined) for joined in self.regions.values()]).astype(np.uint8)
        else:
            table = np.zeros(int(max(self.allowed())) + 1, np.uint8)
            for output, name in enumerate(self.outputs):
                table[self.names[name]] = output
            target = table[label_map.astype(np.int64)][None]
        if self.ignore is not None:
            target[:, label_map == self.ignore] = IGNORED
        return target

    @property
    def shared(self) -> tuple[int, ...]:
        """The numbers whose shares make a soft target: all but the background's, in the order of the outputs."""
        numbers = tuple(sorted(number for number in self.names.values() if number))
        return numbers if self.ignore is None else (*numbers, self.ignore)

    def encode_shares(self, shares: np.ndarray) -> np.ndarray:
        """Turn shares (S, X, Y, Z) of the numbers in `shared` into the soft training target, float16.

        Plain labels give one channel for each output but the background, which has what is left; regions give
        (R, X, Y, Z). Where most of a voxel is to be ignored it is -1.
        """
        rows = dict(zip(self.shared, shares, strict=True))
        if self.regions:
            joined = [[rows[number] for number in numbers if number in rows] for numbers in self.regions.values()]
            target = np.stack([np.sum(parts, axis=0, dtype=np.float32) for parts in joined])
        else:
            target = np.stack([rows[number] for number in self.shared if number != self.ignore])
        target = target.clip(0, 1).astype(np.float16)
        if self.ignore is not None:
            target[:, rows[self.ignore] > 0.5] = -1
        return target

    def decode_target(self, target: np.ndarray) -> np.ndarray:
        """Turn a training target (T, X, Y, Z) into label numbers; of several regions the last is shown.

        Of soft labels a voxel has the label with the largest share, and is of a region of which it has more than half.
        """
        counts = counted(target)
        if self.regions:
            label_map = np.zeros(target.shape[1:], np.int16)
            for region, number in zip(target, self.paint, strict=True):
                label_map[(region > 0.5) & counts] = number
        else:
            numbers = np.array([self.names[name] for name in self.outputs], np.int16)
            label_map = numbers[np.where(counts, largest(target), 0)]
        if self.ignore is not None:
            label_map[~counts] = self.ignore
        return label_map

    def decode(self, probability: np.ndarray) -> np.ndarray:
        """Turn probabilities (K, X, Y, Z), or logits of plain labels, into a label map (X, Y, Z) of numbers."""
        dtype = np.uint8 if max(self.allowed()) < 256 else np.int16
        if not self.regions:
            numbers = np.array([self.names[name] for name in self.outputs], dtype)
            plain: np.ndarray = numbers[probability.argmax(axis=0)]
            return plain
        label_map = np.zeros(probability.shape[1:], dtype)
        for channel, number in zip(probability, self.paint, strict=True):
            label_map[channel > 0.5] = number
        return label_map


def counted(target: np.ndarray) -> np.ndarray:
    """Return which voxels (X, Y, Z) of a training target (T, X, Y, Z), hard or soft, are learned and scored."""
    counts: np.ndarray = target[0] >= 0 if target.dtype.kind == "f" else target[0] != IGNORED
    return counts


def largest(target: np.ndarray) -> np.ndarray:
    """Return output numbers (X, Y, Z) of a target of plain labels; of soft ones those with the largest share."""
    if target.dtype.kind != "f":
        numbers: np.ndarray = target[0]
        return numbers
    left = 1 - target.sum(axis=0, keepdims=True, dtype=np.float32)
    most: np.ndarray = np.concatenate([left, target]).argmax(axis=0)
    return most


def painted_with(regions: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Return for each region the number it is written with: its first that no later region has, else its last.

    >>> painted_with({"whole": (1, 2, 4), "core": (1, 4), "enhancing": (4,)})
    (2, 1, 4)
    """
    every = list(regions.values())
    painted = []
    for place, joined in enumerate(every):
        later = {number for others in every[place + 1 :] for number in others}
        painted.append(next((number for number in joined if number not in later), joined[-1] if joined else 0))
    return tuple(painted)
