"""Times in words."""

from __future__ import annotations

import re

from spark_rl.errors import RequestError

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)")


def seconds(text: str, what: str) -> float:
    """Return a duration such as ``90s``, ``30m``, ``2h`` or ``1d`` in seconds.

    Raises:
        RequestError: It is none.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise RequestError(f"{what} must be a time, not {text!r}", f"for example {what} 30m")
    return float(match[1]) * _UNITS[match[2]]


def span(seconds: float) -> str:
    """Return a duration in its two largest units: ``4.2 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, name, small, below in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {name}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"


def clock(seconds: float) -> str:
    """Return a duration as ``1:02`` or ``1:02:03``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def ago(seconds: float) -> str:
    """Return how long ago something was, in its largest unit."""
    if seconds < 60:
        return "just now"
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {name} ago"
    return "just now"
