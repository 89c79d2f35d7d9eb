"""On how many devices is trained, and which patches of a step fall to which of their processes. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from neuraxis.errors import UsageError


@dataclass(frozen=True)
class Devices:
    """The processes of a training, one a device; each is called by its rank, from 0.

    Attributes:
        count: how many.
        torchrun: whether torchrun started them all; else rank 0 starts the others.
        rank: of this process.
        local_rank: its number on this machine.
        local_count: how many of them run on this machine; 0: all.
    """

    count: int = 1
    torchrun: bool = False
    rank: int = 0
    local_rank: int = 0
    local_count: int = 0

    def __post_init__(self) -> None:
        """Refuse less than one.

        Raises:
            UsageError: there are none.
        """
        if self.count < 1:
            raise UsageError(f"--devices {self.count}: needed is a number of 1 or more.")

    @property
    def here(self) -> int:
        """How many run on this machine."""
        return self.local_count or self.count

    def refuse_misfit(self, device: str) -> None:
        """Refuse to share one device that was named.

        Raises:
            UsageError: several processes cannot share it.
        """
        if self.count > 1 and device not in ("auto", "cpu", "cuda"):
            raise UsageError(
                f"--devices {self.count} --device {device}: {device} is one device. Use --device cuda, cpu or auto."
            )

    def refuse_small_batch(self, batch: int) -> None:
        """Refuse a batch that leaves a process without a patch.

        Raises:
            UsageError: there are fewer patches than processes.
        """
        if batch < self.count:
            fewer = "1" if batch == 1 else f"{batch} or fewer"
            raise UsageError(
                f"--devices {self.count}: a step has patches.batch = {batch}, too few to share. Use --devices {fewer}, "
                f"or begin a run with --set patches.batch={self.count} or more."
            )


ONE = Devices()


def shares(batch: int, count: int) -> tuple[int, ...]:
    """Return how many patches of a batch each rank takes; the first ones take one more where they do not divide.

    >>> shares(5, 2)
    (3, 2)
    """
    return tuple(batch // count + (rank < batch % count) for rank in range(count))


def own_samples(batch: int, parts: int, rank: int, count: int) -> tuple[int, ...]:
    """Return the numbers of a step's samples that a rank takes: its share of each part, in their order.

    Args:
        batch: patches of a part.
        parts: batches whose gradients are added up to one step.
        rank: whose.
        count: ranks in all.

    >>> own_samples(3, 2, 0, 2), own_samples(3, 2, 1, 2)
    ((0, 1, 3, 4), (2, 5))
    """
    taken = shares(batch, count)
    first = sum(taken[:rank])
    return tuple(part * batch + first + number for part in range(parts) for number in range(taken[rank]))
