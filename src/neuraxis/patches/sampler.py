"""Which patch a training step sees: a function of (seed, step, sample) and of nothing else.

No generator lives on between two draws, so workers, ranks and a resumed run need only the step's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neuraxis.patches.draws import Purpose, generator
from neuraxis.preparation.store import Store

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class PatchPlace:
    """Where a patch is cut: the case, and its first voxel, which may lie outside the case."""

    case: str
    start: Triple


@dataclass(frozen=True)
class SamplerOptions:
    """How patches are drawn.

    Attributes:
        shape: voxels that are cut along each axis.
        core: voxels in the patch's middle that remain after augmentation; they stay inside the case where they can.
        batch: patches a step.
        foreground: probability that a patch is centred on a labelled voxel, each class as often as another.
        seed: of the run.
        samples: numbers of the patches that are cut here, of those of a step; empty: all.
        whole: whether whole slices are cut: along each axis on which a patch has more than one voxel the case lies in
            its middle, so that a slice looks the same whenever it is drawn.
    """

    shape: Triple
    core: Triple
    batch: int
    foreground: float
    seed: int
    samples: tuple[int, ...] = ()
    whole: bool = False

    @property
    def taken(self) -> Sequence[int]:
        """Numbers of the patches that are cut here."""
        return self.samples or range(self.batch)


class PatchSampler:
    """Draws and cuts the patches of any step.

    Cases come in a new order each round, so that all are seen equally often.
    """

    def __init__(self, store: Store, ids: Sequence[str], options: SamplerOptions) -> None:
        if not ids:
            raise ValueError("A sampler needs at least one case.")
        self.store, self.ids, self.options = store, tuple(ids), options

    def place(self, step: int, sample: int) -> PatchPlace:
        """Draw where a step's sample is cut."""
        position = step * self.options.batch + sample
        round_number, turn = divmod(position, len(self.ids))
        order = generator(self.options.seed, Purpose.ORDER, round_number).permutation(len(self.ids))
        case = self.ids[int(order[turn])]
        draws = generator(self.options.seed, Purpose.PLACE, step, sample)
        size, core = self.store.shape(case), self.options.core
        if draws.random() < self.options.foreground:
            first = self._around_foreground(case, draws)
        else:
            first = [
                int(draws.integers(min(0, n - c), max(0, n - c), endpoint=True))
                for n, c in zip(size, core, strict=True)
            ]
        if self.options.whole:
            first = [-((c - n) // 2) if c > 1 else place for place, n, c in zip(first, size, core, strict=True)]
        x, y, z = (
            value - (whole - inner) // 2 for value, whole, inner in zip(first, self.options.shape, core, strict=True)
        )
        return PatchPlace(case, (x, y, z))

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of a batch's images (B, C, *shape) and targets (B, T, *shape)."""
        one = slice(0, 1)
        image, target = self.store.read(self.ids[0], (one, one, one))
        batch, shape = len(self.options.taken), self.options.shape
        return (batch, len(image), *shape), (batch, len(target), *shape)

    @cached_property
    def target_type(self) -> np.dtype:
        """The type of the targets: uint8, or of soft labels float16."""
        one = slice(0, 1)
        return self.store.read(self.ids[0], (one, one, one))[1].dtype

    def batch(self, step: int, into: tuple[np.ndarray, np.ndarray] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Cut the patches of a step: images (B, C, *shape) float32 and targets (B, T, *shape) uint8 or float16.

        Args:
            step: whose patches.
            into: arrays of these shapes that are filled; left out, new ones.
        """
        images, targets = into or (np.empty(self.shapes[0], np.float32), np.empty(self.shapes[1], self.target_type))
        for place, sample in enumerate(self.options.taken):
            self._cut_into(self.place(step, sample), images[place], targets[place])
        return images, targets

    def cut(self, place: PatchPlace) -> tuple[np.ndarray, np.ndarray]:
        """Read a patch; outside the case the image is 0 and the target background."""
        image, target = np.empty(self.shapes[0][1:], np.float32), np.empty(self.shapes[1][1:], self.target_type)
        self._cut_into(place, image, target)
        return image, target

    def _cut_into(self, place: PatchPlace, image: np.ndarray, target: np.ndarray) -> None:
        read, filled = [], [slice(None)]
        for start, length, n in zip(place.start, self.options.shape, self.store.shape(place.case), strict=True):
            low = max(0, start)
            high = max(low, min(n, start + length))
            read.append(slice(low, high))
            filled.append(slice(low - start, high - start))
        if any(part.stop - part.start < length for part, length in zip(read, self.options.shape, strict=True)):
            image[...], target[...] = 0, 0
        x, y, z = read
        image[tuple(filled)], target[tuple(filled)] = self.store.read(place.case, (x, y, z))

    def _around_foreground(self, case: str, draws: np.random.Generator) -> list[int]:
        voxels = self.store.foreground(case)
        size, core = self.store.shape(case), self.options.core
        middle = [n // 2 for n in size]
        if len(voxels):
            wanted = draws.choice(np.unique(voxels[:, 0]))
            of_class = voxels[voxels[:, 0] == wanted]
            middle = [int(place) for place in of_class[draws.integers(len(of_class))][1:]]
        return [
            int(np.clip(m - c // 2, min(0, n - c), max(0, n - c))) for m, c, n in zip(middle, core, size, strict=True)
        ]
