"""Several models that were planned differently, as one: their probabilities are averaged on the scan's own grid.

Networks of one plan are averaged earlier, window by window (see `tiling.py`). Models of other spacings, patches or
dimensions meet only where the scan is: each prepares it as it would alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from neuraxis.dataset.labels import Labels
from neuraxis.preparation.steps import Restored


def average(found: Iterable[Restored], labels: Labels) -> Restored:
    """Average the probabilities of several predictions of one scan.

    Args:
        found: of each model, with probabilities; each is used before the next is asked for.
        labels: what the outputs mean, the same for all.

    Returns:
        The most probable labels, or the regions above one half, and the mean probabilities.

    Raises:
        ValueError: there is none, or one has no probabilities.
    """
    total: np.ndarray | None = None
    count = 0
    for each in found:
        if each.probability is None:
            raise ValueError("Without probabilities there is nothing to average.")
        total = each.probability.astype(np.float32) if total is None else np.add(total, each.probability, out=total)
        count += 1
    if total is None:
        raise ValueError("Without a prediction there is nothing to average.")
    total /= np.float32(count)
    return Restored(labels.decode(total), total.astype(np.float16))
