"""What each rank printed: the files that torchrun keeps, in the record of a run."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from spark_rl.witness import Witness

if TYPE_CHECKING:
    from pathlib import Path

LAST_BYTES = 1 << 20
"""How much of the end of a file is looked at for the cause of a failure."""

STREAMS = ("stdout.log", "stderr.log")


def home(record: Path, attempt: int) -> Path:
    """Return the folder in a run's record for the ranks of its attempt of that number, from 1."""
    return record / "ranks" / str(attempt)


def files(folder: Path) -> dict[int, tuple[Path, ...]]:
    """Return the files of each rank, by its number on this host.

    torchrun puts them into ``<folder>/<its own name>/attempt_0/<rank>/``.
    """
    found: dict[int, tuple[Path, ...]] = {}
    for place in sorted(folder.glob("*/attempt_*/[0-9]*"), key=_modified):
        found[int(place.name)] = tuple(file for name in STREAMS if (file := place / name).exists())
    return found


def _modified(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def outputs(folder: Path) -> dict[int, tuple[str, ...]]:
    """Return of each rank what a judgement needs of its output."""
    return {rank: _kept(paths) for rank, paths in files(folder).items()}


def _kept(paths: tuple[Path, ...]) -> tuple[str, ...]:
    witness = Witness()
    for path in paths:
        for line in _end_of(path).splitlines():
            witness.feed(line)
    return witness.lines()


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
