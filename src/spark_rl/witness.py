"""What is worth keeping of a run's output, and the tracebacks in it."""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_rl.signatures import HEADER, find, may_tell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_rl.signatures import Signature

TAIL = 40
"""Lines kept of the end."""

LONGEST = 2000
"""Characters kept of a line."""

_BLOCK, _DEEPEST, _BLOCKS, _OF_EACH = 60, 2000, 6, 3
_PREFIX = re.compile(r"^(?:\[(?:rank|default)?\d+\]:? ?|.*?\[py stderr\]: ?)+")
_RANK = re.compile(r"\[(?:rank|default)?\d+\]")
_BAR = re.compile(rf"^(?!{_RANK.pattern}).*?\S(?=(?:{_RANK.pattern}:? ?)+{re.escape(HEADER)})")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?:: .*|:)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """An exception that ended a traceback: the place of its line in the output, the line, and where it was raised.

    ``first`` is the place of the traceback's own first line, ``frames`` are its source files, innermost last.
    ``chained`` says that it arose from the one before it.
    """

    index: int
    line: str
    first: int = 0
    frames: tuple[str, ...] = ()
    chained: bool = False


class Witness:
    """Keeps of an endless output what a judgement needs, in bounded memory.

    That are the first tracebacks (60 lines of each, and how they end), the first lines that show each known failure,
    and the last :data:`TAIL` lines, all cut to :data:`LONGEST` characters.
    """

    __slots__ = ("_blocks", "_count", "_kept", "_open", "_seen", "_tail")

    def __init__(self) -> None:
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._kept: dict[int, str] = {}
        self._seen: Counter[Signature] = Counter()
        self._count = 0
        self._open = 0
        self._blocks = 0

    def feed(self, line: str) -> None:
        """Take the next line, without its line end."""
        if len(line) > LONGEST:
            line = line[:LONGEST]
        self._tail.append(line)
        self._count += 1
        if self._open:
            self._follow(line)
        if may_tell(line):
            self._look(line)

    def lines(self) -> tuple[str, ...]:
        """Return the lines kept, in the order in which they came."""
        first = self._count - len(self._tail)
        earlier = [line for index, line in sorted(self._kept.items()) if index < first]
        return (*earlier, *self._tail)

    def _follow(self, line: str) -> None:
        """Keep a line after a traceback's first: all of them for a while, then its end alone."""
        self._open -= 1
        if self._open < _DEEPEST:
            if plain(line).startswith(" "):
                return
            self._open = 0
        self._keep(line)

    def _keep(self, line: str) -> None:
        self._kept[self._count - 1] = line

    def _look(self, line: str) -> None:
        if HEADER in line and self._blocks < _BLOCKS:
            self._blocks += 1
            self._open = _BLOCK + _DEEPEST
            self._keep(line)
            return
        signature = find(line)
        if signature is not None and self._seen[signature] < _OF_EACH:
            self._seen[signature] += 1
            self._keep(line)


def plain(line: str) -> str:
    """Return a line without colours and without what torchrun, torch and Kit put before a rank's or Python's own."""
    return _PREFIX.sub("", _COLOUR.sub("", line)).rstrip()


def raised(lines: Iterable[str]) -> tuple[Raised, ...]:
    """Return the exceptions of all tracebacks, in order of their lines.

    What Python ignores ("Exception ignored in") counts for nothing. Lines of several ranks that were printed into
    each other are told apart by their rank, which a progress bar may stand before.
    """
    readers: dict[str, _Reader] = {}
    found: list[Raised] = []
    for index, entire in enumerate(lines):
        line = _BAR.sub("", entire) if HEADER in entire else entire
        text = plain(line)
        rank = _RANK.search(line[:40])
        exception = readers.setdefault(rank[0] if rank else "", _Reader()).read(index, text)
        if exception is not None:
            found.append(exception)
    return tuple(found)


class _Reader:
    """Follows the tracebacks of one rank line by line."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._indent = 0
        self._frames: list[str] = []
        self._lead = ""

    def read(self, index: int, text: str) -> Raised | None:
        """Return the exception that this line ends a traceback with."""
        if HEADER in text:
            self._first, self._frames = index, []
            self._indent = len(text) - len(text.lstrip())
        elif self._first is not None:
            return self._within(index, self._first, text)
        elif text:
            self._lead = text
        return None

    def _within(self, index: int, first: int, text: str) -> Raised | None:
        bare = text.lstrip()
        if bare.startswith('File "'):
            self._frames.append(bare[6:].partition('"')[0])
        if len(text) - len(bare) > self._indent or not _EXCEPTION.match(bare):
            return None
        lead, self._first, self._lead = self._lead, None, ""
        if lead.startswith("Exception ignored in"):
            return None
        chained = "the above exception" in lead.lower()
        return Raised(index=index, line=bare, first=first, frames=tuple(self._frames), chained=chained)
