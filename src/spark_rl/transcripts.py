"""The child's whole output, on disk."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

RETRY_BYTES = 1 << 20
"""After a failure, writing is tried again when so much more has come."""


class Transcript:
    """A file that takes output and never stands in the way of the run: what cannot be written is counted.

    ``lost`` is the number of bytes that the file does not have.
    """

    def __init__(self, file: Path) -> None:
        self.path = file
        self.lost = 0
        self._file: BinaryIO | None = None
        self._wait = 0

    def write(self, chunk: bytes) -> None:
        """Append output."""
        self._wait -= len(chunk)
        if self._wait > 0:
            self.lost += len(chunk)
            return
        try:
            if self._file is None or not self.path.exists():
                self._reopen()
            assert self._file is not None  # noqa: S101 - just opened
            left = memoryview(chunk)
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self.lost += len(chunk)
            self._wait = RETRY_BYTES

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def _reopen(self) -> None:
        """Open the file, in a new folder where the old one was removed."""
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab", buffering=0)
