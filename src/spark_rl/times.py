"""Times as text: for documents (ISO 8601, UTC) and for people."""

from __future__ import annotations

_DAY = 86400


def iso(seconds: float) -> str:
    """Return seconds since the epoch as ``2026-11-25T16:00:09Z``; what no calendar holds as its first second."""
    whole = int(seconds) if 0 <= seconds < 253402300800 else 0
    year, month, day = _date(whole // _DAY)
    hour, minute, second = whole % _DAY // 3600, whole % 3600 // 60, whole % 60
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"


def _date(days: int) -> tuple[int, int, int]:
    """Return (year, month, day) of a number of days after 1970-01-01.

    Years are counted from March on: so the leap day is a year's last, and the months' lengths repeat every five.
    """
    days += 719468
    era, in_era = divmod(days, 146097)
    year = (in_era - in_era // 1460 + in_era // 36524 - in_era // 146096) // 365
    in_year = in_era - (365 * year + year // 4 - year // 100)
    month = (5 * in_year + 2) // 153
    day = in_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return era * 400 + year + (month <= 2), month, day


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
