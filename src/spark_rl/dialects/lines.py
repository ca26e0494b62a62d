"""Reading one line of text: colours away, numbers out."""

from __future__ import annotations

import re

LONGEST = 4096
"""Characters of a line that are looked at; a path may be as long, and no line that tells something is longer."""

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_RANK = re.compile(r"\[[a-z_]+\d+\]: ?")


def plain(line: str) -> str:
    """Return a line without colours, torchrun's ``[default0]:`` and blanks around it, cut to :data:`LONGEST`."""
    text = line[:LONGEST]
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    text = text.strip()
    if text.startswith("[") and (rank := _RANK.match(text)):
        text = text[rank.end() :].lstrip()
    return text


def number(text: str) -> float | None:
    """Return the number that ``text`` begins with (``14.62s``, ``4,096``, ``nan``), None where there is none."""
    word = text.split(maxsplit=1)[0].rstrip("s]").replace(",", "") if text.strip() else ""
    try:
        return float(word)
    except ValueError:
        return None


def count(text: str) -> int | None:
    """Return the whole number that ``text`` begins with, None where there is none."""
    value = number(text)
    return int(value) if value is not None and value.is_integer() else None
