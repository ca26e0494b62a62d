"""Numbers as people read them."""

from __future__ import annotations

import pytest

from spark_rl.figures import count, duration, figure, labels, ticks


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "-"),
        (0.0, "0.00"),
        (0.01234, "0.0123"),
        (-1.239, "-1.24"),
        (123.456, "123.5"),
        (12345.6, "12,346"),
        (-98765432.0, "-9.88e+07"),
    ],
)
def test_figure(number: float | None, text: str) -> None:
    assert figure(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "-"),
        (0, "0"),
        (950, "950"),
        (999.7, "1.00 k"),
        (1234, "1.23 k"),
        (61440, "61.4 k"),
        (999_400, "999 k"),
        (999_999, "1.00 M"),
        (1_310_720, "1.31 M"),
        (99_960, "100 k"),
        (12e9, "12.0 G"),
    ],
)
def test_count(number: float | None, text: str) -> None:
    assert count(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (185, "3:05"), (7385, "2:03:05"), (90000, "25:00:00")],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("low", "high", "most", "shown"),
    [
        (0, 30, 6, ("0", "5", "10", "15", "20", "25", "30")),
        (-6.6, 2.9, 5, ("-6", "-4", "-2", "0", "2")),
        (0.08, 0.33, 5, ("0.10", "0.15", "0.20", "0.25", "0.30")),
        (0, 61440, 6, ("0", "20 k", "40 k", "60 k")),
        (0, 1_000_000, 3, ("0", "0.5 M", "1.0 M")),
        (0, 5_000_000, 6, ("0", "1 M", "2 M", "3 M", "4 M", "5 M")),
        (0, 50_000_000, 5, ("0", "10 M", "20 M", "30 M", "40 M", "50 M")),
        (1500, 1501, 2, ("1,500.0", "1,500.5", "1,501.0")),
        (3, 3, 5, ("3",)),
        (0, 1e-9, 2, ("0", "5e-10", "1e-09")),
    ],
)
def test_ticks_are_round_and_told_apart(low: float, high: float, most: int, shown: tuple[str, ...]) -> None:
    assert labels(ticks(low, high, most)) == shown
