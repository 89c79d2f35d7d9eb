"""Jobs side by side in threads."""

from __future__ import annotations

import threading
import time

import pytest

from neuraxis.errors import DataError
from neuraxis.workers import Job, Limits, ahead, map_in_order, side_by_side

THREADS = Limits(workers=3, processes=False)


def jobs(count):
    return [Job(str(number), number) for number in range(count)]


def test_results_come_in_the_order_of_the_inputs():
    def slow_first(number):
        time.sleep(0.02 * (5 - number))
        return number

    assert list(map_in_order(slow_first, range(5), workers=5)) == [0, 1, 2, 3, 4]


def test_no_more_than_two_results_a_thread_wait():
    begun = []
    results = map_in_order(begun.append, range(100), workers=2)
    next(results)
    time.sleep(0.1)
    assert len(begun) <= 5
    results.close()


def test_one_item_is_made_ahead_while_the_present_one_is_used():
    begun = []

    def make():
        for number in range(10):
            begun.append(number)
            yield number

    items = ahead(make())
    assert next(items) == 0
    time.sleep(0.1)
    assert begun == [0, 1]
    assert list(items) == list(range(1, 10))


def test_an_error_made_ahead_comes_in_the_place_of_its_item():
    def make():
        yield 1
        raise DataError("scan 2 is broken")

    items = ahead(make())
    assert next(items) == 1
    with pytest.raises(DataError, match="scan 2 is broken"):
        next(items)


def test_what_is_made_ahead_ends_with_its_user():
    items = ahead(iter(range(10**9)))
    next(items)
    items.close()
    assert not [thread for thread in threading.enumerate() if "neuraxis-ahead" in thread.name]


def test_side_by_side_results_come_as_they_are_ready():
    def slow_first(number):
        time.sleep(0.3 if number == 0 else 0)
        return number

    with side_by_side(slow_first, jobs(3), THREADS) as results:
        assert sorted([next(results), next(results)]) == [1, 2]
        assert list(results) == [0]


def test_an_error_ends_the_work_and_comes_as_it_was():
    done = []

    def work(number):
        if number == 2:
            raise DataError("scan 2 is broken")
        done.append(number)
        time.sleep(0.02)

    with side_by_side(work, jobs(100), THREADS) as results, pytest.raises(DataError, match="scan 2 is broken"):
        list(results)
    assert len(done) < 20


def test_nothing_to_do_gives_nothing():
    for processes in (True, False):
        with side_by_side(str, [], Limits(processes=processes)) as results:
            assert list(results) == []


def test_memory_is_given_back_when_a_job_is_done():
    most, now, lock = 0, 0, threading.Lock()

    def work(_):
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1

    wanted = [Job(str(number), number, memory_gb) for number, memory_gb in enumerate((1, 1, 1, 9, 1, 1, 2.5, 1))]
    with side_by_side(work, wanted, Limits(workers=8, room_gb=3.0, processes=False)) as results:
        assert len(list(results)) == 8
    assert most == 3
