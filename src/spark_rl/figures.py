"""Numbers as people read them."""

from __future__ import annotations

from math import floor, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEPS = (1, 2, 5, 10)
_LETTERS = ((1e9, " G"), (1e6, " M"), (1e3, " k"))
_MOST_DIGITS = 5


def figure(number: float | None) -> str:
    """Return a measured number with three or four digits that count: ``12,345``, ``123.4``, ``-1.23``, ``0.0123``."""
    if number is None:
        return "-"
    size = abs(number)
    if size >= 1e7:
        return f"{number:.3g}"
    if size >= 1000:
        return f"{number:,.0f}"
    if size >= 100:
        return f"{number:.1f}"
    return f"{number:.2f}" if size >= 1 or number == 0 else f"{number:.3g}"


def count(number: float | None) -> str:
    """Return a count in thousands, millions or billions: ``950``, ``61.4 k``, ``1.31 M``, ``12.0 G``."""
    if number is None:
        return "-"
    for size, letter in _LETTERS:
        if number >= size * 0.9995:
            return f"{number / size:.{max(0, 2 - floor(log10(number / size * 1.0005)))}f}{letter}"
    return f"{number:.0f}"


def duration(seconds: float | None) -> str:
    """Return a time span: ``12 s``, ``3:05``, ``2:03:05`` (hours, minutes, seconds)."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"


def ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    """Return at most ``most`` (2 or more) round numbers in equal distances between ``low`` and ``high``."""
    if high <= low:
        return (low,)
    rough = (high - low) / max(1, most)
    power = 10.0 ** floor(log10(rough))
    distance = next(step * power for step in _STEPS if step * power >= rough * (1 - 1e-9))
    first = -floor(-low / distance + 1e-9)
    last = floor(high / distance + 1e-9)
    return tuple(float(f"{number * distance:.12g}") for number in range(first, last + 1))


def labels(marks: Sequence[float]) -> tuple[str, ...]:
    """Return :func:`ticks` as text, all in the same unit and with the decimals that tell them apart."""
    largest = max(map(abs, marks), default=0.0)
    size, letter = next(((size, letter) for size, letter in _LETTERS if largest >= max(size, 1e4)), (1.0, ""))
    distance = marks[1] - marks[0] if len(marks) > 1 else largest
    digits = max(0, -floor(log10(distance / size) + 1e-9)) if distance > 0 else 0
    if digits > _MOST_DIGITS:
        return tuple(f"{mark:g}" for mark in marks)
    return tuple(f"{mark / size:,.{digits}f}{letter}" if mark else "0" for mark in marks)
