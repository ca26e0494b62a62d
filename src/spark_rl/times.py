"""Times as text: for documents (ISO 8601, UTC) and for people."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache

from spark_rl.errors import RequestError

_DAY = 86400
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": _DAY, "w": 7 * _DAY}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)")

_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)")


def iso(seconds: float) -> str:
    """Return seconds since the epoch as ``2026-11-25T16:00:09Z``; what no calendar holds as its first second."""
    whole = int(seconds) if 0 <= seconds < 253402300800 else 0
    days, rest = divmod(whole, _DAY)
    return f"{_date(days)}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


@cache
def _date(days: int) -> str:
    """Return a day after 1970-01-01; a list of thousands of runs has few of them."""
    return f"{datetime.fromtimestamp(days * _DAY, UTC):%Y-%m-%d}"


def seconds(text: str, what: str) -> float:
    """Return a duration such as ``90s``, ``30m``, ``2h``, ``1d`` or ``1w`` in seconds.

    Raises:
        RequestError: It is none; ``what`` names it.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise RequestError(f"{what} must be a time, not {text!r}", "a number and a unit, for example 30m")
    return float(match[1]) * _UNITS[match[2]]


def limit(text: str, what: str) -> int:
    """Return a time limit in seconds: a duration such as ``8h``, or Slurm's ``1-12:00:00`` and ``8:00:00``.

    Raises:
        RequestError: It is none; ``what`` names it.
    """
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        return max(1, round(seconds(text, what)))
    days, hours, minutes, rest = (int(part or 0) for part in match.groups())
    return max(1, days * _DAY + hours * 3600 + minutes * 60 + rest)


def ago(seconds: float) -> str:
    """Return how long ago something was, in one unit: ``just now``, ``3 min ago``, ``2 d ago``."""
    for limit, size, unit in _AGES:
        if seconds < limit:
            return f"{round(seconds / size)} {unit} ago" if unit else "just now"
    return f"{round(seconds / _DAY / 365.25)} y ago"


_AGES = (
    (10, 1, ""),
    (90, 1, "s"),
    (90 * 60, 60, "min"),
    (36 * 3600, 3600, "h"),
    (60 * _DAY, _DAY, "d"),
    (700 * _DAY, 30.44 * _DAY, "mo"),
)
"""Up to how many seconds a unit serves, its size in seconds and its name."""


def duration(seconds: float) -> str:
    """Return a span of time in two units: ``45 s``, ``3 min 05 s``, ``2 h 07 min``, ``1 d 4 h``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < _DAY:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // _DAY} d {whole % _DAY // 3600} h"


def span(seconds: float) -> str:
    """Return a span of time as :func:`duration` does, a short one with a tenth: ``4.2 s``."""
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


def clock(seconds: float) -> str:
    """Return a span of time as ``1:02`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
