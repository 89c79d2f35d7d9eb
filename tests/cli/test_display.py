from __future__ import annotations

import io
import logging
import sys
import warnings

import pytest
from rich.console import Console

from neuraxis.cli.display import LiveScreen, Pace, PlainScreen, choose_screen, display
from neuraxis.cli.options import Output


class Clock:
    """Time that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# --- pace -------------------------------------------------------------------------------------------------------------


def test_the_time_left_follows_from_the_measured_speed(clock: Clock) -> None:
    pace = Pace(10, clock)
    assert pace.left_s() is None
    for _ in range(4):
        clock.now += 2
        pace.advance(1)
    assert pace.left_s() == pytest.approx(12)
    assert pace.describe() == "4 of 10, 12 s left"


def test_the_time_left_counts_down_between_two_steps(clock: Clock) -> None:
    pace = Pace(3, clock)
    clock.now += 10
    pace.advance(1)
    clock.now += 4
    assert pace.left_s() == pytest.approx(16)
    clock.now += 100
    assert pace.left_s() == 0


def test_work_of_an_earlier_run_does_not_count_as_speed(clock: Clock) -> None:
    pace = Pace(1000, clock)
    clock.now += 1
    pace.advance(900)
    assert pace.left_s() is None
    clock.now += 2
    pace.advance(1)
    assert pace.left_s() == pytest.approx(99 * 2)


def test_the_speed_is_that_of_the_last_minute(clock: Clock) -> None:
    pace = Pace(1000, clock)
    for _ in range(100):
        clock.now += 1
        pace.advance(1)
    for _ in range(100):
        clock.now += 5
        pace.advance(1)
    assert pace.left_s() == pytest.approx(800 * 5)


def test_many_fast_steps_keep_few_samples(clock: Clock) -> None:
    pace = Pace(100_000, clock)
    for _ in range(50_000):
        clock.now += 0.001
        pace.advance(1)
    assert len(pace._samples) < 300
    assert pace.left_s() == pytest.approx(50, rel=0.02)


def test_without_a_total_only_the_count_is_told(clock: Clock) -> None:
    pace = Pace(0, clock)
    clock.now += 1
    pace.advance(3)
    assert pace.describe() == "3"


# --- plain lines ------------------------------------------------------------------------------------------------------


def test_a_pipe_gets_one_line_every_few_seconds_and_one_at_the_end(clock: Clock) -> None:
    stream = io.StringIO()
    screen = PlainScreen(stream, every_s=5, clock=clock)
    with screen.stage("read cases", 100) as stage:
        for _ in range(100):
            clock.now += 0.25
            stage.advance(note="sub-07")
    assert stream.getvalue().splitlines() == [
        "read cases: 20 of 100, 20 s left, sub-07",
        "read cases: 40 of 100, 15 s left, sub-07",
        "read cases: 60 of 100, 10 s left, sub-07",
        "read cases: 80 of 100, 5 s left, sub-07",
        "read cases: 100 of 100, sub-07",
        "read cases: 100 done in 25 s",
    ]


def test_short_stages_say_nothing_in_a_pipe(clock: Clock) -> None:
    stream = io.StringIO()
    screen = PlainScreen(stream, every_s=5, clock=clock)
    for _ in range(40):
        with screen.stage("save", 2) as stage:
            stage.advance()
            clock.now += 0.01
            stage.advance()
    assert stream.getvalue() == ""


def test_an_interrupted_stage_is_not_said_to_be_done(clock: Clock) -> None:
    stream = io.StringIO()
    screen = PlainScreen(stream, every_s=5, clock=clock)

    def work() -> None:
        with screen.stage("train", 10):
            clock.now += 60
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert stream.getvalue() == ""


# --- the live display -------------------------------------------------------------------------------------------------


def test_a_terminal_shows_the_bar_the_count_the_time_left_and_the_note(clock: Clock) -> None:
    terminal = Terminal()
    console = Console(file=terminal, force_terminal=True, width=120, color_system=None)
    screen = LiveScreen(console, clock=clock)
    with screen.stage("train", 100) as stage:
        for _ in range(40):
            clock.now += 3
            stage.advance(note="loss 0.31")
        screen._bars.refresh()
    shown = terminal.getvalue()
    assert "train" in shown
    assert "40 of 100, 3 min left, loss 0.31" in shown
    assert "━" in shown
    assert "train: 40 done in 2 min" in shown


def test_a_name_that_looks_like_markup_is_shown_as_it_is(clock: Clock) -> None:
    terminal = Terminal()
    screen = LiveScreen(Console(file=terminal, force_terminal=True, width=120, color_system=None), clock=clock)
    with screen.stage("[bold]x[/bold]", 1) as stage:
        stage.advance(note="[red]sub[/red] [/]")
        screen._bars.refresh()
    screen.message("[/] [link=http://x]y[/link]")
    shown = terminal.getvalue()
    assert "[bold]x[/bold]" in shown
    assert "[red]sub[/red] [/]" in shown
    assert "[/] [link=http://x]y[/link]" in shown


def test_stages_inside_stages_have_a_bar_each_and_the_last_one_stops_the_display(clock: Clock) -> None:
    terminal = Terminal()
    screen = LiveScreen(Console(file=terminal, force_terminal=True, width=120, color_system=None), clock=clock)
    with screen.stage("outer", 2), screen.stage("inner", 3) as inner:
        inner.advance()
        screen._bars.refresh()
        assert screen._bars.live.is_started
    assert not screen._bars.live.is_started
    assert screen._bars.tasks == []
    assert "outer" in terminal.getvalue()
    assert "inner" in terminal.getvalue()


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured, plain = Terminal(), Terminal()
    for terminal, value in ((coloured, ""), (plain, "1")):
        monkeypatch.setenv("NO_COLOR", value)
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setattr(sys, "stderr", terminal)
        screen = choose_screen(Output())
        assert isinstance(screen, LiveScreen)
        with screen.stage("train", 2) as stage:
            stage.advance()
            screen._bars.refresh()
    assert "\x1b[38;" in coloured.getvalue()
    assert "\x1b[38;" not in plain.getvalue()


# --- which screen, and messages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", term)
    assert isinstance(choose_screen(Output()), PlainScreen)


def test_quiet_shows_warnings_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with display(Output(quiet=True)) as progress, progress.stage("train", 1) as stage:
        stage.advance()
        logging.getLogger("neuraxis.training").info("resuming from step 5")
        logging.getLogger("neuraxis.training").warning("no bf16 here")
    assert capsys.readouterr().err == "warning: no bf16 here\n"


def test_our_messages_are_shown_and_those_of_other_packages_only_where_they_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with display(Output()):
        logging.getLogger("neuraxis.pipelines").info("resuming from step 5")
        logging.getLogger("neuraxis.pipelines").debug("a detail")
        logging.getLogger("neuraxisx").warning("not ours")
        logging.getLogger("matplotlib").error("no font")
        warnings.warn("old call", DeprecationWarning, stacklevel=1)
    printed = capsys.readouterr()
    assert printed.err == "resuming from step 5\nerror: no font\n"
    assert printed.out == ""


def test_verbose_shows_details_with_their_origin(capsys: pytest.CaptureFixture[str]) -> None:
    with display(Output(verbose=True)):
        logging.getLogger("neuraxis.pipelines").debug("a detail")
    assert "DEBUG neuraxis.pipelines: a detail" in capsys.readouterr().err


def test_after_the_display_the_loggers_are_as_before() -> None:
    root, ours = logging.getLogger(), logging.getLogger("neuraxis")
    before = (list(root.handlers), root.level, ours.level)
    with pytest.raises(RuntimeError), display(Output(verbose=True)):
        raise RuntimeError
    assert (list(root.handlers), root.level, ours.level) == before


def test_a_log_file_gets_the_messages_that_quiet_hides() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger("neuraxis").addHandler(handler)
    try:
        with display(Output(quiet=True)):
            logging.getLogger("neuraxis.training").info("step 5")
    finally:
        logging.getLogger("neuraxis").removeHandler(handler)
    assert stream.getvalue() == "step 5\n"
