"""Choosing runs: by state, task, library, age, and by whatever a person calls one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from spark_rl.errors import RequestError
from spark_rl.records import RunState
from spark_rl.text import did_you_mean, either, fold, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spark_rl.records import Run
    from spark_rl.summaries import Summary

LATEST = ("latest", "last")
"""Words for the newest run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRecord:
    """A record that cannot be read: the run's id, the file, and why."""

    id: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which runs are wanted; the default is every training run.

    ``states`` is empty for all, ``task`` a part of the task's id (case, dashes and underscores do not count),
    ``since`` in seconds since the epoch: runs that started before are left out. ``limit`` None is no limit.
    """

    states: tuple[RunState, ...] = ()
    task: str | None = None
    library: str | None = None
    action: Literal["train", "play", "tune", "all"] = "train"
    since: float | None = None
    limit: int | None = None

    def wants(self, run: Run | Summary) -> bool:
        """Say whether a run is one of them, the limit apart."""
        return (
            (self.action in ("all", run.action))
            and (not self.states or run.state in self.states)
            and (self.library is None or run.library == self.library)
            and (self.task is None or fold(self.task) in fold(run.task))
            and (self.since is None or run.started_at >= self.since)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The chosen runs, newest first, and the records on the way to them that cannot be read."""

    runs: tuple[Summary, ...] = ()
    bad: tuple[BadRecord, ...] = ()


def select(entries: Iterable[Summary | BadRecord], wanted: Selection) -> Listing:
    """Return the wanted runs of ``entries``, which come newest first and are read no further than the limit."""
    runs: list[Summary] = []
    bad: list[BadRecord] = []
    for entry in entries if wanted.limit != 0 else ():
        if isinstance(entry, BadRecord):
            bad.append(entry)
        elif wanted.wants(entry):
            runs.append(entry)
            if len(runs) == wanted.limit:
                break
    return Listing(runs=tuple(runs), bad=tuple(bad))


def states(text: str) -> tuple[RunState, ...]:
    """Return the states that a person names, with commas between them.

    Raises:
        RequestError: A word is no state.
    """
    known: dict[str, RunState] = {state: state for state in get_args(RunState)}
    named = [word.strip().lower() for word in text.split(",")]
    for word in named:
        if word not in known:
            raise RequestError(f"{word!r} is no state of a run", did_you_mean(word, known, "states"))
    return tuple(known[word] for word in named)


def resolve(text: str, entries: Iterable[Run | BadRecord], path: str | None = None) -> Run:
    """Return the one run that a person means.

    Args:
        text: An id, ``latest``, a run's name, or the name of an Isaac Lab run folder.
        entries: All runs, newest first.
        path: ``text`` as an absolute path, for an Isaac Lab run folder or what lies in it.

    Raises:
        RequestError: No run or more than one is meant, or its record cannot be read.
    """
    runs: list[Run] = []
    for entry in entries:
        if isinstance(entry, BadRecord):
            if entry.id == text:
                raise unreadable(entry)
        elif text == entry.id or text in LATEST:
            return entry
        else:
            runs.append(entry)
    return _named(text, runs, path)


def unreadable(entry: BadRecord) -> RequestError:
    """Return the refusal of a record that cannot be read."""
    return RequestError(
        f"the record of run {entry.id} cannot be read: {entry.reason}",
        f"see {entry.path}, or remove it with: spark-rl runs rm {entry.id}",
    )


def _named(text: str, runs: list[Run], path: str | None) -> Run:
    for meant in (
        [run for run in runs if path is not None and _holds(run, path)],
        [run for run in runs if text == run.run_name],
        [run for run in runs if any(text == folder.rpartition("/")[2] for folder in _folders(run))],
    ):
        if len(meant) == 1:
            return meant[0]
        if meant:
            ids = ", ".join(run.id for run in meant[:10])
            raise RequestError(f"{text!r} means {len(meant)} runs: {ids}", "give the id of one of them")
    raise _unknown(text, runs)


def _folders(run: Run) -> tuple[str, ...]:
    """Return the Isaac Lab run folders of every attempt, and that of its progress."""
    given = (run.progress.log_dir, *(attempt.log_dir for attempt in run.attempts))
    return tuple(dict.fromkeys(folder.rstrip("/") for folder in given if folder))


def _holds(run: Run, path: str) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in _folders(run))


def _unknown(text: str, runs: list[Run]) -> RequestError:
    if text in LATEST or not runs:
        return RequestError("there is no run yet" if text in LATEST else f"there is no run {text!r}", _LIST)
    if text.isdecimal():
        wanted = int(text)
        near = sorted(runs, key=lambda run: abs(int(run.id) - wanted))[:3]
        return RequestError(f"there is no run {text}", f"the nearest are {_either(near)}; {_LIST}")
    named = {name: run for run in reversed(runs) for name in _names(run)}
    close = [named[name] for name in nearest(text, named)]
    hint = f"did you mean {_either(close)}?" if close else f"the newest are {_either(runs[:3])}; {_LIST}"
    return RequestError(f"no run is called {text!r}", hint)


_LIST = "see them with: spark-rl runs list --action all"


def _names(run: Run) -> Iterator[str]:
    if run.run_name:
        yield run.run_name
    yield from (folder.rpartition("/")[2] for folder in _folders(run))


def _either(runs: Iterable[Run]) -> str:
    unique = {run.id: run for run in runs}
    return either(run.id + (f" ({run.run_name})" if run.run_name else "") for run in unique.values())
