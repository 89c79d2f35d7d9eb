"""A prediction by the network as it stands: the whole scan where there is time for it, else a part around one slice."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from neuraxis.dataset.labels import Labels, counted
from neuraxis.inference.runtimes.options import GPU_VOXELS
from neuraxis.inference.tiling import Tiling
from neuraxis.patches.grid import pad_to_window, window_starts
from neuraxis.preparation.steps import activate
from neuraxis.training.live.subjects import Box, Focus, Subject, Triple


class LiveRuntime:
    """The network of a training, run as a bundle's would be; it is left as it was.

    `precision`, `device` and `version` are as in `Runtime`.

    Attributes:
        passes: windows that were run.
        seconds: what that took.
    """

    def __init__(self, network: Any, device: Any, in_half: bool) -> None:
        self.precision, self.device, self.version = "bf16" if in_half else "fp32", str(device), torch.__version__
        self.passes, self.seconds = 0, 0.0
        self._network, self._device, self._in_half = network, device, in_half

    @torch.no_grad()
    def run(self, windows: np.ndarray) -> np.ndarray:
        """Turn windows (B, C, x, y, z) float32 into logits (B, K, x, y, z) float32."""
        began, was_training = time.monotonic(), self._network.training
        self._network.eval()
        try:
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._in_half):
                found = self._network(torch.from_numpy(windows).to(self._device))
            logits: np.ndarray = found.float().cpu().numpy()
        finally:
            self._network.train(was_training)
        self.passes, self.seconds = self.passes + len(windows), self.seconds + time.monotonic() - began
        return logits

    def batch_of(self, voxels: int) -> int:
        """Return 1 on a processor, and on a GPU as many windows as make about 4 million voxels."""
        return 1 if self._device.type == "cpu" else max(1, GPU_VOXELS // voxels)


@dataclass(frozen=True)
class Extent:
    """What of a scan is predicted.

    Attributes:
        box: of the prepared scan.
        mirrors: whether windows are also predicted mirrored, where the recipe has it so.
        words: that for the reader.
        is_whole: whether the box holds all of the scan.
    """

    box: Box
    mirrors: bool
    words: str
    is_whole: bool = False

    @property
    def corner(self) -> Triple:
        """The first voxel of the box."""
        return self.box[0].start, self.box[1].start, self.box[2].start


def choose_extent(shape: Triple, tiling: Tiling, focus: Focus, across: int, passes: float) -> Extent:
    """Return the most that so many passes of the network allow; one window at least.

    Args:
        shape: of the prepared scan.
        tiling: how a scan is predicted.
        focus: what the part is laid around.
        across: the axis that is cut across.
        passes: windows that there is time for, each mirror counted.
    """
    x, y, z = (slice(0, size) for size in shape)
    whole: Box = (x, y, z)
    near = [_around(place, side, size) for place, side, size in zip(focus.voxel, tiling.window, shape, strict=True)]
    sides = [near[axis] if axis == across else part for axis, part in enumerate(whole)]
    mirrored = len(tiling.mirrors) > 1
    window, slab = (near[0], near[1], near[2]), (sides[0], sides[1], sides[2])
    thick = slab[across].stop - slab[across].start
    choices = [
        Extent(whole, True, "the whole scan", True),
        Extent(whole, False, "the whole scan, without mirroring" if mirrored else "the whole scan", True),
        Extent(slab, False, f"{thick} slices around this one" if thick > 1 else "this slice"),
        Extent(window, False, "one window"),
    ]
    fitting = (choice for choice in choices if _passes(choice, tiling) <= passes)
    return next(fitting, choices[-1])


@dataclass(frozen=True, eq=False)
class Look:
    """What the network said of a part of a scan.

    Attributes:
        extent: of which part.
        tiling: how.
        label_map: label numbers of the part.
        windows: first voxel of each window on the slice, in the padded part, to its label numbers on it (one voxel
            thick across), as the network gave them.
        begin: the voxel at which the part begins in the padded one.
        dice: mean Dice over the structures that are in the part; NaN without a reference.
    """

    extent: Extent
    tiling: Tiling
    label_map: np.ndarray
    windows: dict[Triple, np.ndarray]
    begin: Triple
    dice: float


def look(subject: Subject, extent: Extent, focus: Focus, tiling: Tiling, runtime: LiveRuntime) -> Look:
    """Predict a part of a scan window by window, as the finished model would.

    Raises:
        BundleError: the network gives NaN or infinity.
    """
    image, target = subject.read(extent.box)
    image, labels, across = np.ascontiguousarray(image, np.float32), tiling.labels, subject.across
    if not extent.mirrors:
        tiling = replace(tiling, how=tiling.how.model_copy(update={"mirror_axes": ()}))
    _, begin = pad_to_window(image[:1], tiling.window, tiling.how.padding)
    row = focus.voxel[across] - extent.corner[across] + begin[across]
    windows: dict[Triple, np.ndarray] = {}

    def watch(start: Triple, logits: np.ndarray) -> None:
        if start[across] <= row < start[across] + tiling.window[across]:
            windows[start] = _decoded(logits.take([row - start[across]], axis=across + 1), labels)

    slabs = tiling.slabs(image, [runtime], watch=watch)
    label_map = np.concatenate([_decoded(slab, labels) for slab in slabs])
    reference = None if target is None else labels.decode_target(target)
    dice = math.nan if reference is None or target is None else _dice(label_map, reference, target, labels)
    return Look(extent, tiling, label_map, _one_layer(windows, across, row, tiling.window), begin, dice)


def _decoded(logits: np.ndarray, labels: Labels) -> np.ndarray:
    """Return label numbers of logits (K, ...)."""
    return labels.decode(activate(logits, labels) if labels.regions else logits)


def _one_layer(windows: dict[Triple, np.ndarray], across: int, row: int, sides: Triple) -> dict[Triple, np.ndarray]:
    """Keep of windows that overlap across the slice those whose middle lies nearest to it."""
    layers = {start[across] for start in windows}
    nearest = min(layers, key=lambda first: abs(first + (sides[across] - 1) / 2 - row), default=None)
    return {start: found for start, found in windows.items() if start[across] == nearest}


def _dice(label_map: np.ndarray, reference: np.ndarray, target: np.ndarray, labels: Labels) -> float:
    """Return the mean Dice over the structures that reference or prediction have; NaN where neither has any."""
    counts = counted(target)
    found = []
    for structure in labels.scored.values():
        given, wanted = np.isin(label_map, structure) & counts, np.isin(reference, structure) & counts
        total = int(given.sum()) + int(wanted.sum())
        if total:
            found.append(2 * int((given & wanted).sum()) / total)
    return float(np.mean(found)) if found else math.nan


def _around(place: int, side: int, size: int) -> slice:
    first = min(max(0, place - side // 2), max(0, size - side))
    return slice(first, min(size, first + side))


def _passes(extent: Extent, tiling: Tiling) -> int:
    x, y, z = (max(part.stop - part.start, side) for part, side in zip(extent.box, tiling.window, strict=True))
    count = len(window_starts((x, y, z), tiling.window, tiling.how.overlap))
    return count * (len(tiling.mirrors) if extent.mirrors else 1)
