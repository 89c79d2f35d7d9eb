"""A training that its time budget steers, on machines that are simulated."""

from types import SimpleNamespace

import pytest

from neuraxis.pipelines.budget import CORRECTED, FIXED, Clock, Pacer, decided_course, decided_reason
from neuraxis.training.schedule import Course, Moment

BUDGET_S, BEFORE_S, AFTER_S = 1000.0, 50.0, 12.0


def simulate(measured_s, true_s, most=None, row_s=0.0):
    """Train with steps that took `measured_s` when they were measured and take `true_s(seconds)`; return all of it."""
    training = SimpleNamespace(warmup_steps=50, accumulate=1)
    recipe = SimpleNamespace(
        training=training, patches=SimpleNamespace(batch=2), inference=SimpleNamespace(mirror_axes=())
    )
    job = SimpleNamespace(recipe=recipe, fold=SimpleNamespace(validation=()))
    fitting = int((0.98 * (BUDGET_S - BEFORE_S) - AFTER_S) / measured_s)
    planned = min(fitting, most or fitting)
    events = [{"kind": FIXED, "steps": planned, "most": most, "budget_s": BUDGET_S, "trained_from_s": BEFORE_S}]
    pacer = Pacer(job, events[0], lambda facts: events.append({"kind": CORRECTED, **facts}))
    course, step, seconds, rows, every = Course(planned), 0, 0.0, 0, max(1, planned // 20)
    while step < course.steps:
        step, seconds = step + 1, seconds + true_s(seconds)
        if step % every == 0:
            rows, seconds = rows + 1, seconds + row_s
        if step < course.steps:
            steps = pacer(Moment(step, course, seconds, rows * row_s, rows, every))
            course = course if steps is None else course.corrected(step, steps)
            assert decided_course(events) == course
    return SimpleNamespace(ends_s=BEFORE_S + seconds + AFTER_S, steps=course.steps, events=events)


SPEEDS = {
    "as measured": (0.1, lambda seconds: 0.1),
    "three times as fast": (0.3, lambda seconds: 0.1),
    "three times as slow": (0.1, lambda seconds: 0.3),
    "slow in the middle": (0.1, lambda seconds: 0.3 if 300 < seconds < 500 else 0.1),
    "slow from the middle on": (0.1, lambda seconds: 0.3 if seconds > 500 else 0.1),
    "slow near the end": (0.1, lambda seconds: 0.3 if seconds > 800 else 0.1),
    "slow for a moment again and again": (0.1, lambda seconds: 0.3 if seconds % 50 < 15 else 0.1),
    "two steps that were measured in a bad moment": (450.0, lambda seconds: 3.0),
    "few long steps": (5.0, lambda seconds: 15.0 if seconds < 400 else 8.0),
}


@pytest.mark.parametrize("name", SPEEDS)
def test_training_ends_in_time_however_the_machine_changes(name):
    done = simulate(*SPEEDS[name])

    assert done.ends_s == pytest.approx(BUDGET_S, rel=0.06)


def test_the_time_of_validations_counts():
    assert simulate(0.1, lambda seconds: 0.1, row_s=15.0).ends_s == pytest.approx(BUDGET_S, rel=0.06)


def test_a_steady_machine_needs_no_correction():
    assert len(simulate(0.1, lambda seconds: 0.1).events) == 1


def test_a_jump_in_speed_needs_few_corrections():
    assert len(simulate(*SPEEDS["slow from the middle on"]).events) < 12


def test_never_more_steps_are_taken_than_the_user_set():
    assert simulate(0.3, lambda seconds: 0.05, most=4000).steps == 4000
    assert simulate(0.1, lambda seconds: 0.05, most=4000).steps == 4000
    assert simulate(0.1, lambda seconds: 0.4, most=4000).steps < 4000


def test_a_correction_says_in_words_why():
    events = simulate(0.1, lambda seconds: 0.3).events

    assert "a step takes 0.3 s" in events[1]["reason"]
    assert " s too late" in events[1]["reason"]


def test_the_reasons_are_told_in_short():
    events = [
        {"kind": "started"},
        *({"kind": kind, "reason": f"{n}."} for n, kind in enumerate((FIXED, *[CORRECTED] * 3))),
    ]

    assert decided_reason(events[:2]) == "0."
    assert decided_reason(events[:3]) == "0. 1."
    assert decided_reason(events) == "0. It was fixed anew 3 times. 3."


def test_without_a_budget_nothing_is_decided():
    assert decided_course([{"kind": "started"}]) is None


def test_the_clock_counts_down(monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: 140.0)

    assert Clock(100, 100.0).left_s == pytest.approx(60)
