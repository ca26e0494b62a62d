"""One known failure text, and how much it explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re

    from spark_rl.records import Failure

CAUSE, BREAK, KILLED, FALLOUT, NOISE = range(5)
"""How much a line explains, most first.

A ``CAUSE`` is what began the failure. A ``BREAK`` is something that broke, for whatever reason: a native crash, and a
traceback that no table knows. ``KILLED`` tells that a rank was killed from outside. ``FALLOUT`` is what NCCL says
once a rank is gone. ``NOISE`` is printed by runs that go on as well, and counts when nothing else was said.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One known failure text.

    A line shows it when it holds one of ``literals`` and, where there is one, matches ``pattern``. ``what`` says what
    happened, ``hint`` the remedy; ``{name}`` in it stands for a group of ``pattern``.
    ``early`` lines explain a failure before the first iteration; a run that trained has got past them.
    """

    failure: Failure
    what: str
    literals: tuple[str, ...]
    hint: str | None = None
    rank: int = CAUSE
    pattern: re.Pattern[str] | None = None
    early: bool = False

    def match(self, line: str) -> tuple[tuple[str, str], ...] | None:
        """Return the named groups of a line that shows it, None for any other line."""
        for literal in self.literals:
            if literal in line:
                return self._groups(line)
        return None

    def _groups(self, line: str) -> tuple[tuple[str, str], ...] | None:
        if self.pattern is None:
            return ()
        found = self.pattern.search(line)
        return tuple(found.groupdict(default="").items()) if found else None
