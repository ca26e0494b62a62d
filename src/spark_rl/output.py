"""Reading what a run printed, as bytes: a child may print anything, and cut a character in two."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

from spark_rl.errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_BLOCK = 1 << 16
_POLL_S = 0.2
"""Time between two looks at a file that grows."""


def read(file: Path, *, tail: int | None = None) -> Iterator[bytes]:
    """Yield a run's output in blocks, by default all of it.

    Args:
        file: The output.
        tail: So many of its last lines alone.

    Raises:
        CheckError: The file is not there or cannot be read.
    """
    try:
        with file.open("rb") as stream:
            stream.seek(_start(stream, tail))
            yield from _rest(stream)
    except OSError as error:
        raise _unreadable(file, error) from error


def follow(
    file: Path,
    alive: Callable[[], bool],
    *,
    tail: int | None = None,
    pause: Callable[[], None] = lambda: time.sleep(_POLL_S),
) -> Iterator[bytes]:
    """Yield a run's output and what is added to it, until the run is over and everything was read.

    A file that is cut short, or replaced by another, is read from its start again. One that is not there yet is
    waited for.

    Args:
        file: The output.
        alive: Says whether the run still goes on.
        tail: How many of the lines that are there at first to yield; None for all.
        pause: Waits until it is time to look again.

    Raises:
        CheckError: The file is not there although the run is over, or cannot be read.
    """
    try:
        with ExitStack() as stack:
            yield from _followed(file, alive, tail, pause, stack)
    except OSError as error:
        raise _unreadable(file, error) from error


def _followed(
    file: Path, alive: Callable[[], bool], tail: int | None, pause: Callable[[], None], stack: ExitStack
) -> Iterator[bytes]:
    stream: BinaryIO | None = None
    while True:
        # Asked before reading: what the run wrote as its last is there when it is over.
        going = alive()
        if stream is None and (file.exists() or not going):
            stream = stack.enter_context(file.open("rb"))
            stream.seek(_start(stream, tail))
        if stream is not None:
            yield from _rest(stream)
            if _shortened(stream):
                stream.seek(0)
                continue
            if _replaced(stream, file):
                stream, tail = stack.enter_context(file.open("rb")), None
                continue
        if not going:
            return
        pause()


def _rest(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block


def _shortened(stream: BinaryIO) -> bool:
    return os.fstat(stream.fileno()).st_size < stream.tell()


def _replaced(stream: BinaryIO, file: Path) -> bool:
    """Say whether another file goes by the name now; one that is gone may still be written to."""
    try:
        return not os.path.samestat(os.fstat(stream.fileno()), file.stat())
    except FileNotFoundError:
        return False


def _start(stream: BinaryIO, tail: int | None) -> int:
    """Return where the last ``tail`` lines begin; a last line without an end counts."""
    if tail is None:
        return 0
    end = stream.seek(0, os.SEEK_END)
    if tail <= 0:
        return end
    position, wanted = end, tail + 1
    while position:
        size = min(_BLOCK, position)
        position = stream.seek(position - size)
        block = stream.read(size)
        if position + size == end and not block.endswith(b"\n"):
            wanted -= 1
        found = block.count(b"\n")
        if found >= wanted:
            return position + _nth_last(block, wanted) + 1
        wanted -= found
    return 0


def _nth_last(block: bytes, number: int) -> int:
    at = len(block)
    for _ in range(number):
        at = block.rindex(b"\n", 0, at)
    return at


def _unreadable(file: Path, error: OSError) -> CheckError:
    if isinstance(error, FileNotFoundError):
        return CheckError(f"there is no output: {file} does not exist", "the run ended before it printed anything")
    return CheckError(f"the output {file} cannot be read: {error.strerror or error}", "check its permissions")
