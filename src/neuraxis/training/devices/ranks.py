"""What the processes of one training tell each other: the orders of a step, the batch's logits, and gradients.

Rank 0 decides and writes; the others follow it step by step and write nothing. Each rank predicts its share of the
batch. The logits of all are then gathered, and every rank computes the loss of the whole batch, whatever that sums
over: batch Dice, weights that follow from sizes, lesions. The gradient flows into the rank's own share alone, so the
sum of the ranks' gradients is that of one process with the whole batch. Clipping and the optimiser then do the same on
each rank.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed, nn

from neuraxis.errors import ResourceError
from neuraxis.recipe.recipe import Recipe
from neuraxis.training.devices.options import own_samples, shares
from neuraxis.training.schedule import Course

STOP, GO_ON, COMPARE = 0, 1, 2
AGREE = 1e-5  # relative; ranks of one kind agree to the bit


class Ranks:
    """One process that trains by itself, and what all of them have in common.

    Attributes:
        rank: of this process.
        count: of all.
        compare: whether the ranks compare their weights before the next step.
        lost: whether another rank is gone.
        step_s: seconds that a step took at last; None: not measured.
    """

    rank, count = 0, 1
    compare, lost = False, False
    step_s: float | None = None

    @contextmanager
    def at_work(self, job: Any, task: Any) -> Iterator[None]:
        """Train a task with the others' help until the context ends; alone nothing is to be done."""
        yield

    def samples(self, recipe: Recipe) -> tuple[int, ...]:
        """Return the numbers of a step's samples that this rank cuts and augments."""
        return own_samples(recipe.patches.batch, recipe.training.accumulate, self.rank, self.count)

    def agree(self, task: Any) -> bool:
        """Before a step take over what rank 0 decided since the last one, and tell whether the step is to be taken."""
        return True

    def whole(self, logits: Any, target: torch.Tensor) -> tuple[Any, torch.Tensor]:
        """Return what the loss sees: logits and target of the whole batch.

        Args:
            logits: of this rank's share, one tensor or one of each scale.
            target: of this rank's share.
        """
        return logits, target

    def add_up(self, network: nn.Module) -> None:
        """Add up the gradients of all ranks, and average what batch norms remember."""


ALONE = Ranks()


class SeveralRanks(Ranks):
    """One of several ranks, joined in torch's default process group.

    Args:
        rank: of this process.
        count: of all.
        explain: makes of an error in talking to another rank the one that is raised.
    """

    def __init__(self, rank: int, count: int, explain: Callable[[Exception], Exception]) -> None:
        self.rank, self.count, self._explain = rank, count, explain
        self._shares: tuple[int, ...] = ()

    def begin(self, batch: int) -> None:
        """Take note of how many patches a batch has."""
        self._shares = shares(batch, self.count)

    def agree(self, task: Any) -> bool:
        """Take over rank 0's number of steps and falls of the learning rate; false where it ended the training."""
        kind, falls, *corrected = self._ordered(COMPARE if self.compare else GO_ON, task)
        self.compare = kind == COMPARE
        if self.rank and kind != STOP:
            task.watch.falls = falls
            if corrected != [*_last_correction(task.course)]:
                task.course = task.course.corrected(*corrected)
        return kind != STOP

    def order_stop(self, task: Any) -> None:
        """Tell the others, which wait for orders, that the training ends."""
        self._ordered(STOP, task)

    def _ordered(self, kind: int, task: Any) -> list[int]:
        orders = torch.tensor([kind, task.watch.falls, *_last_correction(task.course)])
        self._talk(lambda: distributed.broadcast(orders, 0))
        return orders.tolist()

    def whole(self, logits: Any, target: torch.Tensor) -> tuple[Any, torch.Tensor]:
        """Gather logits, of each scale, and target."""
        whole = self._gathered(logits) if isinstance(logits, torch.Tensor) else [self._gathered(one) for one in logits]
        return whole, self._gathered(target)

    def add_up(self, network: nn.Module) -> None:
        """Sum the gradients in one go, compare weights where that was ordered, and average floating buffers."""
        if self.compare:
            self._refuse_drift(network.parameters())
            self.compare = False
        gradients = [value.grad for value in network.parameters() if value.grad is not None]
        self._add_up(gradients)
        buffers = [value for value in network.buffers() if value.is_floating_point()]
        if buffers:
            self._add_up(buffers)
            torch._foreach_div_(buffers, self.count)

    def send(self, content: bytes) -> None:
        """Send bytes to all others; rank 0 alone does."""
        self._talk(lambda: distributed.broadcast(torch.tensor([len(content)]), 0))
        if content:
            self._talk(lambda: distributed.broadcast(torch.frombuffer(bytearray(content), dtype=torch.uint8), 0))

    def receive(self) -> bytes:
        """Receive what rank 0 sends."""
        size = torch.zeros(1, dtype=torch.int64)
        self._talk(lambda: distributed.broadcast(size, 0))
        content = torch.empty(int(size), dtype=torch.uint8)
        if len(content):
            self._talk(lambda: distributed.broadcast(content, 0))
        return content.numpy().tobytes()

    def _gathered(self, own: torch.Tensor) -> torch.Tensor:
        most, mine = max(self._shares), own.detach().contiguous()
        if len(mine) < most:
            mine = torch.cat([mine, mine.new_zeros(most - len(mine), *mine.shape[1:])])
        parts = [torch.empty_like(mine) for _ in range(self.count)]
        self._talk(lambda: distributed.all_gather(parts, mine))
        parts = [part[:share] for part, share in zip(parts, self._shares, strict=True)]
        parts[self.rank] = own
        with torch.autocast(own.device.type, enabled=False):  # it joins no float16
            return torch.cat(parts)

    def _add_up(self, tensors: list[torch.Tensor]) -> None:
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self._talk(lambda: distributed.all_reduce(flat))
        pieces = flat.split([tensor.numel() for tensor in tensors])
        torch._foreach_copy_(tensors, [piece.view(one.shape) for piece, one in zip(pieces, tensors, strict=True)])

    def _refuse_drift(self, parameters: Iterable[torch.Tensor]) -> None:
        with torch.no_grad():
            own = torch.stack([value.double().norm() for value in parameters]).norm().cpu().reshape(1)
        norms = [torch.empty_like(own) for _ in range(self.count)]
        self._talk(lambda: distributed.all_gather(norms, own))
        far = [rank for rank, norm in enumerate(norms) if not float((norm / norms[0] - 1).abs()) <= AGREE]
        if far:
            raise ResourceError(
                f"Rank {far[0]} of {self.count} no longer has rank 0's weights: its device computes otherwise. Use "
                "devices of one kind, and look for faults of the memory; the same command resumes."
            )

    def _talk(self, collective: Callable[[], Any]) -> None:
        try:
            collective()
        except RuntimeError as error:
            self.lost = True
            raise self._explain(error) from error


def _last_correction(course: Course) -> tuple[int, int]:
    return (course.fixed_at, course.steps) if course.corrections else (0, 0)


def packed(content: dict[str, Any], state: dict[str, Any]) -> bytes:
    """Return JSON in a line, and tensors behind it."""
    stream = io.BytesIO()
    stream.write(json.dumps(content).encode() + b"\n")
    torch.save(state, stream)
    return stream.getvalue()


def unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what `packed` was given; nothing is unpickled but tensors and plain numbers."""
    head, _, tail = content.partition(b"\n")
    return json.loads(head), torch.load(io.BytesIO(tail), map_location="cpu", weights_only=True)
