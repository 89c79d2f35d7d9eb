from __future__ import annotations

import pytest

from neuraxis.cli.options import format_duration, parse_duration
from neuraxis.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("20m", 1200), ("1h30m", 5400), ("2h", 7200), ("1h1m1s", 3661), ("0.5h", 1800), (" 20M ", 1200)],
)
def test_a_time_with_units_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


def test_a_time_without_unit_is_refused_with_the_likely_one() -> None:
    with pytest.raises(UsageError) as caught:
        parse_duration("20")
    assert str(caught.value) == (
        "--budget 20: has no unit. Needed is a time with its unit, such as 90s, 20m or 1h30m. Did you mean 20m?"
    )


@pytest.mark.parametrize("text", ["", "m", "20x", "30m1h", "-5m", "1h 30m", "0m", "1e3s", "nan"])
def test_what_is_no_time_above_zero_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be read as a time above zero"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-3, "0 s"), (59.6, "60 s"), (99, "99 s"), (100, "2 min"), (5400, "90 min"), (7260, "2 h 1 min")],
)
def test_a_time_is_shown_in_the_units_that_matter(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
