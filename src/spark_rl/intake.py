"""From the bytes a trainer prints to the lines worth reading, at any rate of output."""

from __future__ import annotations

import re

BUDGET_BYTES = 256 * 1024
"""Output that is read between two looks; what is more is searched for errors alone."""

LINE_BYTES = 4096
"""A line is read up to here."""

_ENDS = re.compile(rb"[\r\n]+")
_ALARMS = (b"Traceback (most recent call last)", b"Fatal Python error", b"CUDA error", b"out of memory")
_AFTER_ALARM = 16 * 1024


class Intake:
    """Output that has arrived and was not read yet: at most a budget of it, and what follows an alarm."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._alarms: list[bytes] = []
        self._rest = b""
        self._skipping = False

    def add(self, chunk: bytes) -> None:
        """Take output; of a flood the oldest part is let go, but for the places where an error begins."""
        self._pieces.append(chunk)
        self._size += len(chunk)
        while self._size > BUDGET_BYTES and len(self._pieces) > 1:
            self._let_go(self._pieces.pop(0))
        if self._size > BUDGET_BYTES:
            (piece,) = self._pieces
            self._let_go(piece[:-BUDGET_BYTES])
            self._pieces, self._size = [piece[-BUDGET_BYTES:]], BUDGET_BYTES

    def lines(self) -> list[str]:
        """Return the complete lines since the last call, progress bars' carriage returns being line ends too."""
        text = self._rest + b"".join((*self._alarms, *self._pieces))
        self._pieces, self._alarms, self._size = [], [], 0
        *whole, rest = _ENDS.split(text)
        if self._skipping and whole:
            whole, self._skipping = whole[1:], False
        if len(rest) > LINE_BYTES and not self._skipping:
            whole.append(rest)
            self._skipping = True
        self._rest = b"" if self._skipping else rest
        return [_text(line) for line in whole if line]

    def last(self) -> list[str]:
        """Return what is left when no more comes: also a line without an end."""
        found = self.lines()
        rest, self._rest = self._rest, b""
        return [*found, _text(rest)] if rest else found

    def _let_go(self, piece: bytes) -> None:
        self._size -= len(piece)
        if len(self._alarms) < 4:
            starts = [at for at in (piece.find(alarm) for alarm in _ALARMS) if at >= 0]
            if starts:
                self._alarms.append(b"\n" + piece[min(starts) : min(starts) + _AFTER_ALARM] + b"\n")


def _text(line: bytes) -> str:
    return line[:LINE_BYTES].decode("utf-8", "replace")
