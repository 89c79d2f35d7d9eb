"""An image of any size through networks of a fixed window: cut, run, merge, and give back slab by slab.

Windows are merged in a fixed order, so that a result depends neither on how many are run at once nor on where the sums
are kept. A thread runs the next window while the present one is merged and its slab used.
"""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.dataset.labels import Labels
from neuraxis.errors import BundleError, ResourceError
from neuraxis.hardware import available_memory_gb
from neuraxis.inference.runtimes.options import Runtime
from neuraxis.patches.grid import Shape, pad_to_window, stepped_starts, window_starts
from neuraxis.patches.merge import Merger, gaussian_weight, monai_weight, nnunet_weight
from neuraxis.preparation.steps import activate
from neuraxis.progress import Progress, Silent, Stage
from neuraxis.recipe.recipe import InferenceRecipe
from neuraxis.volume.half import round_to_half
from neuraxis.workers import ahead

SHARE_OF_MEMORY = 0.4
SURE = 10.0  # the logit of background in a window that no network saw


@dataclass(frozen=True)
class Tiling:
    """How an image is covered by windows, and windows by passes of the networks.

    Attributes:
        window: voxels along (X, Y, Z).
        labels: what the K outputs of a network mean.
        how: overlap, mirrors, arithmetic, and whether flat windows are skipped.
        source: the bundle, for messages.
    """

    window: Shape
    labels: Labels
    how: InferenceRecipe
    source: str

    @classmethod
    def of(
        cls, bundle: ModelBundle, overlap: float | None = None, mirror_axes: tuple[int, ...] | None = None
    ) -> Tiling:
        """Return a bundle's own, but for what is given."""
        wishes = {"overlap": overlap, "mirror_axes": mirror_axes}
        changes = {key: value for key, value in wishes.items() if value is not None}
        how = bundle.recipe.inference.model_copy(update=changes)
        return cls(bundle.recipe.patches.shape, bundle.labels, how, str(bundle.path))

    @property
    def mirrors(self) -> tuple[tuple[int, ...], ...]:
        """Every set of mirrored axes, the empty one first."""
        every = sorted(set(self.how.mirror_axes))
        counts = range(len(every) + 1)
        return tuple(itertools.chain.from_iterable(itertools.combinations(every, count) for count in counts))

    def lay(self, image: np.ndarray) -> tuple[np.ndarray, Shape, tuple[Shape, ...]]:
        """Return an image (C, X, Y, Z) padded to the window, where it begins in that, and each window's first voxel."""
        padded, begin = pad_to_window(image, self.window, self.how.padding)
        laid = stepped_starts if self.how.arithmetic == "monai" else window_starts
        return padded, begin, laid(_shape(padded), self.window, self.how.overlap)

    def weight(self) -> np.ndarray:
        """Return how much each voxel of a window weighs where windows overlap, (x, y, z) float32."""
        if self.how.arithmetic == "monai":
            return monai_weight(self.window, self.how.weight)
        return (nnunet_weight if self.how.arithmetic == "nnunet" else gaussian_weight)(self.window)

    def slabs(
        self,
        image: np.ndarray,
        runtimes: Sequence[Runtime],
        progress: Progress | None = None,
        watch: Callable[[Shape, np.ndarray], None] | None = None,
    ) -> Iterator[np.ndarray]:
        """Predict a prepared image.

        Several networks give the logits of their mean probabilities; with nnU-Net's arithmetic the mean of their
        logits, and every sum is rounded to what float16 can hold.

        Args:
            image: (C, X, Y, Z) float32; smaller than the window it is padded with zeros.
            runtimes: a network each, for the same outputs.
            progress: shown one unit for each window, network and mirror.
            watch: told each window's first voxel in the padded image and its logits (K, x, y, z), not merged yet.

        Yields:
            Logits (K, n, Y, Z) float32, the next n planes along X; overwritten by the next.

        Raises:
            BundleError: a network gives NaN or infinity.
            ResourceError: memory and disk are lacking.
        """
        padded, begin, starts = self.lay(image)
        mergers = [self._merger(_shape(padded)) for _ in runtimes]
        inside = tuple(slice(first, first + size) for first, size in zip(begin[1:], image.shape[2:], strict=True))
        passes = len(starts) * len(self.mirrors) * len(runtimes)
        plane, last = 0, begin[0] + image.shape[1]
        with (progress or Silent()).stage("predict", passes) as stage:
            for start, number, logits in ahead(self._windows(padded, starts, runtimes, stage)):
                if start[0] > plane:
                    slab = self._mean([merger.finish(start[0] - plane) for merger in mergers])
                    yield slab[(slice(None), slice(None), *inside)]
                    plane = start[0]
                if watch is not None:
                    watch(start, logits)
                mergers[number].add(start, logits)
            slab = self._mean([merger.finish() for merger in mergers])
            yield slab[(slice(None), slice(max(0, begin[0] - plane), last - plane), *inside)]

    def _windows(
        self, image: np.ndarray, starts: Sequence[Shape], runtimes: Sequence[Runtime], stage: Stage
    ) -> Iterator[tuple[Shape, int, np.ndarray]]:
        """Yield each window's first voxel, the number of the network, its logits; all of a plane before the next."""
        for _, group in itertools.groupby(starts, lambda start: start[0]):
            together = list(group)
            for number, runtime in enumerate(runtimes):
                for chunk in _chunks(together, runtime.batch_of(math.prod(self.window))):
                    windows = [image[(slice(None), *self._box(start))] for start in chunk]
                    for start, logits in zip(chunk, self._run(runtime, windows, stage), strict=True):
                        yield start, number, logits

    def _run(self, runtime: Runtime, windows: Sequence[np.ndarray], stage: Stage) -> Sequence[np.ndarray]:
        """Return the logits (K, x, y, z) of windows; those that are flat are background without being run."""
        seen = [not (self.how.skip_flat and _is_flat(window)) for window in windows]
        batch = [window for window, is_seen in zip(windows, seen, strict=True) if is_seen]
        predicted = iter(self._passes(runtime, np.stack(batch), stage) if batch else ())
        if len(batch) < len(windows):
            stage.advance((len(windows) - len(batch)) * len(self.mirrors))
        return [next(predicted) if is_seen else self._background() for is_seen in seen]

    def _passes(self, runtime: Runtime, windows: np.ndarray, stage: Stage) -> np.ndarray:
        """Run windows as they are and along each set of mirrored axes; return the mean of the logits."""
        total: np.ndarray | None = None
        for axes in self.mirrors:
            mirrored = tuple(2 + axis for axis in axes)
            logits = np.flip(runtime.run(np.ascontiguousarray(np.flip(windows, mirrored))), mirrored)
            total = logits if total is None else total + logits
            stage.advance(len(windows))
        if total is None:
            raise ValueError("A prediction needs at least the unmirrored pass.")
        if not math.isfinite(float(total.sum(dtype=np.float64))):
            raise BundleError(
                f"{self.source}: the network gave NaN or infinity in {runtime.precision}. Try --precision fp32; if "
                "that does not help, train again."
            )
        return total if len(self.mirrors) == 1 else total / np.float32(len(self.mirrors))

    def _mean(self, merged: Sequence[np.ndarray]) -> np.ndarray:
        if len(merged) == 1:
            return merged[0]
        if self.how.arithmetic == "nnunet":
            total = merged[0]
            for other in merged[1:]:
                total = round_to_half(total + other)
            return round_to_half(total / np.float32(len(merged)))
        mean = sum(activate(logits, self.labels) for logits in merged) / np.float32(len(merged))
        return _deactivate(np.asarray(mean), self.labels)

    def _merger(self, shape: Shape) -> Merger:
        in_half = self.how.arithmetic == "nnunet"
        return Merger.of_numpy(len(self.labels.outputs), shape, self.weight(), in_half, zeros)

    def _background(self) -> np.ndarray:
        sure = np.full((len(self.labels.outputs), 1, 1, 1), -SURE, np.float32)
        if self.labels.activation == "softmax":
            sure[0] = SURE
        return np.broadcast_to(sure, (len(sure), *self.window))

    def _box(self, start: Shape) -> tuple[slice, ...]:
        return tuple(slice(first, first + side) for first, side in zip(start, self.window, strict=True))


def zeros(shape: tuple[int, ...]) -> np.ndarray:
    """Return zeros, float32: in memory, or on disk where they would take too large a share of it.

    Raises:
        ResourceError: neither has the room.
    """
    size = math.prod(shape) * 4
    if size <= SHARE_OF_MEMORY * available_memory_gb() * 2**30:
        return np.zeros(shape, np.float32)
    with tempfile.TemporaryFile(prefix="neuraxis-") as scratch:
        try:
            os.posix_fallocate(scratch.fileno(), 0, size)
        except OSError as error:
            raise ResourceError(
                f"The prediction needs {size / 2**30:.1f} GiB, more than memory and {tempfile.gettempdir()} have. Free "
                "one of them, or crop the scan."
            ) from error
        return np.memmap(scratch, np.float32, "w+", shape=shape)


def _is_flat(window: np.ndarray) -> bool:
    """Tell whether each channel (X, Y, Z) is one value throughout."""
    return all(bool((channel == channel[0, 0, 0]).all()) for channel in window)


def _chunks(starts: Sequence[Shape], size: int) -> Iterator[Sequence[Shape]]:
    for first in range(0, len(starts), size):
        yield starts[first : first + size]


def _shape(array: np.ndarray) -> Shape:
    return array.shape[-3], array.shape[-2], array.shape[-1]


def _deactivate(probability: np.ndarray, labels: Labels) -> np.ndarray:
    """Return logits (K, ...) that activate to these probabilities."""
    tiny = np.float32(1e-7)
    if labels.activation == "softmax":
        return np.asarray(np.log(np.maximum(probability, tiny)))
    inside = np.clip(probability, tiny, 1 - tiny)
    return np.asarray(np.log(inside) - np.log1p(-inside))
