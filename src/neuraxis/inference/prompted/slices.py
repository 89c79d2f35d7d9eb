"""The slices of a prepared scan as promptable networks see them, each embedded when it is asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from neuraxis.networks.sam.prompts import Prompt

MOST_BYTES = 2**29  # of embeddings that are held at once


@runtime_checkable
class Asked(Protocol):
    """A runtime whose network can be asked by the name of a method."""

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the network."""


class Slices:
    """The slices of an image, and what networks say of them; of several networks the mean.

    Embeddings of the slices that were asked for last are held, within a bounded size.

    Args:
        image: (C, X, Y, Z), prepared.
        axis: across which it is cut.
        runtimes: a network each.
    """

    def __init__(self, image: np.ndarray, axis: int, runtimes: Sequence[Asked]) -> None:
        self._image, self._axis, self._runtimes = image, axis, runtimes
        self._held: OrderedDict[int, tuple[list[Any], int]] = OrderedDict()
        a, b = (size for each, size in enumerate(image.shape[1:]) if each != axis)
        self.shape: tuple[int, int] = (a, b)
        self.count = int(image.shape[1 + axis])

    def coarse(self, number: int) -> np.ndarray:
        """Return the networks' own coarse maps of a slice: logits (structures, G, G)."""
        said = zip(self._runtimes, self._seen(number), strict=True)
        return np.asarray(np.mean([runtime.ask("coarse_map", embedding) for runtime, embedding in said], axis=0))

    def answer(self, number: int, prompts: Sequence[Prompt]) -> np.ndarray:
        """Return logits (P, A, B) of a slice, one map for each prompt."""
        said = zip(self._runtimes, self._seen(number), strict=True)
        answers = [runtime.ask("answer_to", embedding, prompts, self.shape) for runtime, embedding in said]
        return np.asarray(np.mean(answers, axis=0))

    def _seen(self, number: int) -> list[Any]:
        if number in self._held:
            self._held.move_to_end(number)
            return self._held[number][0]
        pixels = np.ascontiguousarray(self._image.take(number, axis=1 + self._axis), np.float32)
        seen = [runtime.ask("see", pixels) for runtime in self._runtimes]
        size = sum(part.nbytes for embedding in seen for part in embedding)
        self._held[number] = (seen, size)
        while len(self._held) > 1 and sum(each for _, each in self._held.values()) > MOST_BYTES:
            self._held.popitem(last=False)
        return seen
