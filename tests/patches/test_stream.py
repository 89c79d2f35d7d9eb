"""Batches that are cut ahead of their use."""

import threading
import time
from itertools import islice

import numpy as np
import pytest

from neuraxis.errors import DataError
from neuraxis.patches.stream import AHEAD, BatchStream


class Sampler:
    """Cuts batches that hold their step, as slowly as told."""

    def __init__(self, seconds=0.0):
        self.seconds, self.cut = seconds, []

    def batch(self, step):
        time.sleep(self.seconds)
        self.cut.append((step, threading.current_thread()))
        if step == 7:
            raise DataError("case7: broken")
        return np.full((1, 1), step), np.zeros((1, 1))


def numbers(images, targets, step):
    return int(images[0, 0]), step


def test_batches_come_in_order_and_are_cut_by_another_thread():
    sampler = Sampler()
    stream = BatchStream(sampler, 2, 0, numbers)

    assert [*islice(stream, 4)] == [(step, step) for step in range(2, 6)]
    stream.close()
    assert threading.main_thread() not in {thread for _, thread in sampler.cut}


def test_only_a_few_batches_are_cut_ahead():
    sampler = Sampler()
    stream = BatchStream(sampler, 0, 0, numbers)
    next(iter(stream))
    time.sleep(0.1)
    stream.close()

    assert len(sampler.cut) <= 1 + AHEAD


def test_waiting_counts_only_where_cutting_is_slower_than_its_use():
    quick, slow = (BatchStream(Sampler(seconds), 0, 0, numbers) for seconds in (0.0, 0.1))
    for stream in (quick, slow):
        for _ in islice(stream, 5):
            time.sleep(0.02)
        stream.close()

    assert quick.waited_s < 0.1
    assert slow.waited_s > 0.15


def test_an_error_while_cutting_is_raised_at_its_batch():
    stream = BatchStream(Sampler(), 5, 0, numbers)
    batches = iter(stream)

    assert [next(batches), next(batches)] == [(5, 5), (6, 6)]
    with pytest.raises(DataError, match="case7: broken"):
        next(batches)
    stream.close()
