from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from spark_rl import times
from spark_rl.errors import RequestError
from spark_rl.times import ago, duration, iso


def test_every_date_is_that_of_the_calendar() -> None:
    draw = random.Random(1)
    for at in (0, 951_782_400, 4_107_542_399, 253_402_300_799, *(draw.randrange(253_402_300_799) for _ in range(2000))):
        assert iso(at + 0.9) == f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def test_what_no_calendar_holds_is_its_first_second() -> None:
    assert {iso(at) for at in (-1.0, 1e18, float("nan"), float("inf"))} == {"1970-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (9.9, "just now"),
        (12, "12 s ago"),
        (89.4, "89 s ago"),
        (90, "2 min ago"),
        (180, "3 min ago"),
        (2 * 3600, "2 h ago"),
        (86400 * 2, "2 d ago"),
        (86400 * 91, "3 mo ago"),
        (86400 * 800, "2 y ago"),
    ],
)
def test_how_long_ago(seconds: float, text: str) -> None:
    assert ago(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (45.4, "45 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7620, "2 h 07 min"),
        (100_800, "1 d 4 h"),
    ],
)
def test_how_long(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("3h", 10800), ("2d", 172800), ("1.5 w", 907200)]
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert times.seconds(text, "--since") == seconds


@pytest.mark.parametrize("text", ["", "2", "d", "2x", "-2d", "two days"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(RequestError, match="must be a time"):
        times.seconds(text, "--since")


@pytest.mark.parametrize(
    ("seconds", "span", "clock"), [(4.2, "4.2 s", "0:04"), (62, "1 min 02 s", "1:02"), (3723, "1 h 02 min", "1:02:03")]
)
def test_spans(seconds: float, span: str, clock: str) -> None:
    assert (times.span(seconds), times.clock(seconds)) == (span, clock)
