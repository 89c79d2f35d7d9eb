"""A prepared scan, segmented slice by slice with prompts; no slice is left out, neither the first nor the last.

Either every slice has prompts of its own, or they begin in one slice, and each further one is prompted with what was
found in the slice before it, in both directions until nothing is found any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.errors import BundleError, UsageError
from neuraxis.inference.prompted.hints import Hints, Laid, lay
from neuraxis.inference.prompted.slices import Asked, Slices
from neuraxis.inference.prompted.sources import source_of, surest_slice
from neuraxis.inference.runtimes.options import Runtime
from neuraxis.inference.tiling import SURE, zeros
from neuraxis.networks.catalog import PROMPTED
from neuraxis.networks.sam.prompts import Prompt, prompts_of
from neuraxis.patches.grid import Shape, pad_to_window
from neuraxis.preparation.prepared import WayBack
from neuraxis.progress import Progress, Silent, Stage
from neuraxis.volume.volume import Volume

MOST_PIECES = 32  # of one structure that go from slice to slice


def is_prompted(bundle: ModelBundle) -> bool:
    """Tell whether a bundle's network is told where to look."""
    return bundle.recipe.network.name in PROMPTED


def asking(runtime: Runtime) -> Asked:
    """Return a runtime whose network can be asked.

    Raises:
        UsageError: it is one that runs ONNX, which such a network does not have.
    """
    if not isinstance(runtime, Asked):
        raise UsageError("A network that is told where to look runs in torch alone. Choose --runtime torch or auto.")
    return runtime


@dataclass(frozen=True)
class Prompting:
    """How a scan is covered by prompts.

    Attributes:
        window: voxels along (X, Y, Z) of the slices in training; smaller ones are padded to it.
        axis: across which the scan is seen slice by slice.
        structures: names of the outputs but for the background.
        background: whether the first output is the background.
        margin: voxels between a structure and the box around it.
        usual: where prompts come from when nobody says otherwise.
        source: the bundle, for messages.
    """

    window: Shape
    axis: int
    structures: tuple[str, ...]
    background: bool
    margin: float
    usual: Hints
    source: str

    @classmethod
    def of(cls, bundle: ModelBundle) -> Prompting:
        """Return a bundle's own."""
        options = bundle.recipe.network.typed_options()
        structures = bundle.labels.outputs[int(options.background) :]
        return cls(
            bundle.recipe.patches.shape,
            options.flat_axis,
            structures,
            options.background,
            options.margin,
            Hints(options.source, options.source),
            str(bundle.path),
        )

    def lay(self, hints: Hints | None, scan: Volume, way: WayBack) -> Laid:
        """Bring the hints of a scan, or the usual ones, to its prepared grid.

        Raises:
            UsageError: something drawn lies outside of the scan, or names no structure.
        """
        return lay(hints or self.usual, scan, way, self.axis, self.structures)

    def slabs(
        self, image: np.ndarray, laid: Laid | None, runtimes: Sequence[Asked], progress: Progress | None = None
    ) -> Iterator[np.ndarray]:
        """Predict a prepared image.

        Args:
            image: (C, X, Y, Z) float32.
            laid: where its prompts come from; None: where they usually do.
            runtimes: a network each, whose answers are averaged.
            progress: shown one unit for each slice and structure.

        Yields:
            Logits (K, 1, Y, Z) float32, plane after plane along X.

        Raises:
            BundleError: a network gives NaN or infinity.
            ResourceError: memory and disk are lacking.
        """
        padded, begin = pad_to_window(image, self.window)
        shape = (padded.shape[1], padded.shape[2], padded.shape[3])
        laid = (laid or Laid(self.usual, None, {})).moved(begin, shape, self.axis)
        slices = Slices(padded, self.axis, runtimes)
        first = int(self.background)
        logits = zeros((first + len(self.structures), *shape))
        logits[first:] = -SURE
        stage = (progress or Silent()).stage("predict", slices.count * len(self.structures))
        with stage as shown:
            follow = laid.hints.kind == "previous"
            for number, structure, found in (self._followed if follow else self._each)(slices, laid, shown):
                if not np.isfinite(found).all():
                    raise BundleError(
                        f"{self.source}: the network gave NaN or infinity. Try --precision fp32; if that does not "
                        "help, train again."
                    )
                logits[(first + structure, *self._at(number))] = found
        inside = tuple(slice(start, start + size) for start, size in zip(begin, image.shape[1:], strict=True))
        for plane in range(inside[0].start, inside[0].stop):
            yield np.array(logits[:, plane : plane + 1, inside[1], inside[2]])

    def _each(self, slices: Slices, laid: Laid, stage: Stage) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield slice, structure and logits (A, B), where a slice has prompts of its own."""
        source = source_of(laid, slices, self.axis, self.margin)
        for number in range(slices.count):
            prompts = [list(source(number, structure)) for structure in range(len(self.structures))]
            answers = iter(slices.answer(number, [*chain(*prompts)]) if any(prompts) else ())
            for structure, some in enumerate(prompts):
                if some:
                    yield number, structure, np.max([next(answers) for _ in some], axis=0)
            stage.advance(len(self.structures))

    def _followed(self, slices: Slices, laid: Laid, stage: Stage) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield slice, structure and logits (A, B), each slice prompted by the one before it, from the seeds on."""
        for structure in range(len(self.structures)):
            seeds = {number: list(some) for (number, which), some in laid.drawn.items() if which == structure}
            if not seeds and not laid.drawn:
                best, some = surest_slice(slices, structure, self.margin)
                seeds = {best: some} if some else {}
            for number, found in self._from_seeds(slices, seeds):
                yield number, structure, found
            stage.advance(slices.count)

    def _from_seeds(self, slices: Slices, seeds: dict[int, list[Prompt]]) -> Iterator[tuple[int, np.ndarray]]:
        for seed, drawn in sorted(seeds.items()):
            found = slices.answer(seed, drawn).max(axis=0)
            yield seed, found
            for step in (1, -1):
                number, before = seed + step, found > 0
                while 0 <= number < slices.count and before.any() and _nearest(number, seeds) == seed:
                    prompts = prompts_of(before, self.margin)[:MOST_PIECES]
                    answer = slices.answer(number, prompts).max(axis=0)
                    yield number, answer
                    number, before = number + step, answer > 0

    def _at(self, number: int) -> tuple[slice | int, ...]:
        return tuple(number if each == self.axis else slice(None) for each in range(3))


def _nearest(number: int, seeds: dict[int, list[Prompt]]) -> int:
    return min(seeds, key=lambda seed: (abs(seed - number), seed))
