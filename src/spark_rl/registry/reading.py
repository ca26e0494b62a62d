"""Reading many records: newest first, no more than asked for, and with an index where there are thousands."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from spark_rl import summaries
from spark_rl.errors import CheckError
from spark_rl.records import Run
from spark_rl.registry import files
from spark_rl.registry.owners import is_lost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_rl.selection import BadRecord
    from spark_rl.summaries import Stamp, Summary

UNINDEXED = 200
"""So many of the newest runs are read without asking the index, which takes as long to load."""

_WORTH_INDEXING = 2 * UNINDEXED
"""An index that would have saved reading fewer records than this is not written anew."""


def entries() -> Iterator[Run | BadRecord]:
    """Yield every run, newest first, each read only when it is asked for.

    Raises:
        CheckError: The state folder cannot be read.
    """
    for run_id in _newest_first():
        found = entry(run_id)
        if found is not None:
            yield found


def entry(run_id: str) -> Run | BadRecord | None:
    """Return a run as it is now, or why its record cannot be read; None where there is none."""
    run = files.read(run_id, str(files.path(run_id)))[1]
    return _seen(run) if isinstance(run, Run) else run


def _seen(run: Run) -> Run:
    if run.over or not is_lost(run, time.time()):
        return run
    return replace(
        run,
        state="lost",
        message="spark-rl ended before the run did, without a last word",
        failure=None,
        hint="it was killed, or the machine went down; what was saved can be resumed",
    )


def rows() -> Iterator[Summary | BadRecord]:
    """Yield what a list tells of every run, newest first; who comes to the end leaves an index for the next.

    Raises:
        CheckError: The state folder cannot be read.
    """
    reading = _Reading(root=str(files.runs()))
    for position, run_id in enumerate(_newest_first()):
        if position == UNINDEXED:
            reading.indexed = _indexed()
        row = reading.row(run_id)
        if row is not None:
            yield row
    if reading.missed > _WORTH_INDEXING:
        with suppress(OSError):
            files.replace(files.index(), files.packed(summaries.pack(reading.known)))


@dataclass(slots=True)
class _Reading:
    """One pass over all records: what the index holds, what is known by now, how many records had to be read."""

    root: str
    indexed: dict[str, Any] = field(default_factory=dict)
    known: dict[str, tuple[Stamp, Summary]] = field(default_factory=dict)
    missed: int = 0

    def row(self, run_id: str) -> Summary | BadRecord | None:
        where = f"{self.root}/{run_id}"
        found = self._from_index(run_id, where)
        if found is not None:
            self.known[run_id] = found
            return found[1]
        self.missed += 1
        stamp, run = files.read(run_id, where)
        if not isinstance(run, Run):
            return run
        summary = summaries.summarize(_seen(run), where)
        if run.over:
            self.known[run_id] = stamp, summary
        return summary

    def _from_index(self, run_id: str, where: str) -> tuple[Stamp, Summary] | None:
        stamp = files.stamp(where) if run_id in self.indexed else None
        summary = summaries.restored(self.indexed[run_id], run_id, stamp, where) if stamp else None
        return (stamp, summary) if stamp and summary else None


def _newest_first() -> list[str]:
    try:
        return [str(number) for number in sorted(files.ids(), reverse=True)]
    except OSError as error:
        raise CheckError(f"{files.runs()} cannot be read: {error.strerror}", "check its permissions") from error


def _indexed() -> dict[str, Any]:
    try:
        return summaries.unpack(json.loads(files.index().read_bytes()))
    except (OSError, ValueError, RecursionError):
        return {}
