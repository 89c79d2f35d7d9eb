"""Signals while training."""

import signal

import pytest

from neuraxis.training.interruption import interruptions


def work(saved, interrupts):
    with interruptions():
        for _ in range(interrupts):
            signal.raise_signal(signal.SIGINT)
        saved.append("checkpoint")


def test_the_first_interrupt_takes_effect_when_the_work_is_saved():
    saved = []

    with pytest.raises(KeyboardInterrupt):
        work(saved, interrupts=1)

    assert saved == ["checkpoint"]


def test_the_second_interrupt_takes_effect_at_once():
    saved = []

    with pytest.raises(KeyboardInterrupt):
        work(saved, interrupts=2)

    assert saved == []


def test_without_a_signal_nothing_changes():
    before = signal.getsignal(signal.SIGINT)

    with interruptions() as interruption:
        assert not interruption.came

    assert signal.getsignal(signal.SIGINT) is before


def test_a_handler_of_the_caller_gets_the_signal_in_the_end():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with interruptions():
            signal.raise_signal(signal.SIGTERM)
            assert seen == []
        assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
