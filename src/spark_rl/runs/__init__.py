"""Use cases on what was recorded: list, look, stop, follow, and go on."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spark_rl import codec, engines, output, rank_logs, ranks, redact, registry, times
from spark_rl.errors import CheckError, RequestError
from spark_rl.model import Request
from spark_rl.runs.asking import asked, listed, looks
from spark_rl.selection import Listing, Selection, states
from spark_rl.text import did_you_mean

__all__ = ["asked", "listed", "looks"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spark_rl.records import Run


def select(
    *,
    task: str | None = None,
    library: str | None = None,
    state: str | None = None,
    action: str = "train",
    since: str | None = None,
    limit: int | None = None,
) -> Listing:
    """Return the runs that are asked for, the newest first, those in jobs as their engine sees them.

    Raises:
        RequestError: A filter makes no sense.
    """
    actions: tuple[Literal["train", "play", "tune", "all"], ...] = ("train", "play", "tune", "all")
    if action not in actions:
        raise RequestError(f"there is no action {action}", did_you_mean(action, actions, "actions"))
    named = states(state) if state else ()
    wanted = Selection(
        # What an engine says may change these: they are looked at, then chosen.
        states=tuple({*named, "starting", "running", "lost"}) if named else (),
        task=task,
        library=library,
        action=next(one for one in actions if one == action),
        since=time.time() - times.seconds(since, "--since") if since else None,
        limit=None if named else limit,
    )
    found = registry.listing(wanted)
    rows = listed(found)
    return Listing(runs=tuple(row for row in rows if not named or row.state in named)[:limit], bad=found.bad)


def get(name: str) -> Run:
    """Return the run that a person means: its number, ``latest``, its name, or Isaac Lab's run folder.

    Raises:
        RequestError: There is none, or more than one.
    """
    return next(asked((registry.resolve(name, Path.cwd()),)))


def stop(name: str, *, tell: Callable[[str], None]) -> Run:
    """Ask the supervisor of a run to stop it, and wait until it has ended.

    Raises:
        CheckError: It is over, or runs on another host.
    """
    run = get(name)
    if run.over:
        raise CheckError(f"run {run.id} is over: {run.state}", f"see it with: spark-rl runs show {run.id}")
    _interrupt(run)
    tell(f"stopping run {run.id}; Ctrl-C hurries it, {_PRESSES + 1} times leaves it alone")
    presses = 0
    seen = looks(run)
    while not run.over:
        try:
            run = next(seen)
        except KeyboardInterrupt:
            presses += 1
            if presses > _PRESSES:
                raise
            _interrupt(run)
            seen = looks(run)
    return run


_PRESSES = 3
"""Ctrl-C so often hurries the run; one more leaves it alone."""


def _interrupt(run: Run) -> None:
    """Send INT to a run's supervisor, if that is the process that it was; a job is ended by its engine.

    Raises:
        CheckError: It runs on another host or in another container, or belongs to somebody else.
    """
    if run.job is not None and run.job.ident:
        engines.load(run.job.engine).cancel(run.job.ident)
        return
    alive = registry.is_alive(run.owner)
    if alive is None:
        raise CheckError(f"run {run.id} runs on {run.owner.host}, out of reach from here", "stop it there")
    try:
        if alive:
            os.kill(run.owner.pid, signal.SIGINT)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise CheckError(f"run {run.id} belongs to another user", "ask them to stop it") from error


def follow(name: str) -> Iterator[Run]:
    """Yield a run again and again until it is over."""
    run = get(name)
    yield run
    seen = looks(run)
    while not run.over:
        run = next(seen)
        yield run


def resumable(name: str) -> Run:
    """Return a training that is over.

    Raises:
        RequestError: It is a play.
        CheckError: It still goes on.
    """
    run = get(name)
    if run.action != "train":
        again = "play again: spark-rl play" if run.action == "play" else "train: spark-rl train"
        raise RequestError(f"run {run.id} is a {run.action}, and nothing of it can be resumed", again)
    if not run.over:
        raise CheckError(f"run {run.id} goes on", f"watch it with: spark-rl runs attach {run.id}")
    return run


def request_of(run: Run) -> tuple[Request, str]:
    """Return the request that a run was started with, and the Isaac Lab it ran on.

    Raises:
        RequestError: Its record does not hold them, or not all of it.
    """
    start = registry.load_start(run.id)
    try:
        request = codec.read(Request, start["request"])
        isaaclab = str(start["plan"]["isaaclab"]["path"])
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(
            f"the record of run {run.id} does not say how it was started", f"look into {registry.path(run.id)}"
        ) from error
    return request, isaaclab


def counted(request: Request, run: Run) -> Request:
    """Return a request for ``auto`` environments with the number that earlier attempts of its run had."""
    if not request.auto_envs or not run.attempts:
        return request
    before, _ = request_of(run)
    return replace(request, auto_envs=False, num_envs=before.num_envs, num_envs_reason=before.num_envs_reason)


def complete(request: Request, run: Run) -> Request:
    """Return a recorded request, if nothing of it was hidden.

    Raises:
        RequestError: It was given a secret, which no record holds.
    """
    words = (*request.options, *request.overrides, *request.passthrough)
    hidden = [word for word in words if redact.HIDDEN in word]
    if hidden:
        again = f"{hidden[0].partition('=')[0]}=..."
        raise RequestError(
            f"run {run.id} was started with a secret, which its record does not hold: {' '.join(hidden)}",
            f"give it again: spark-rl train --task {run.task} --library {run.library} --resume {again}",
        )
    return request


def path(name: str, wanted: str) -> str:
    """Return where a run keeps its ``folder``, ``log_dir``, ``checkpoint`` or ``output``.

    Raises:
        CheckError: It has no such thing.
    """
    run = get(name)
    places = {
        "folder": str(registry.path(run.id)),
        "output": str(registry.output(run.id)),
        "log_dir": run.log_dir,
        "checkpoint": run.progress.checkpoint,
    }
    found = places[wanted]
    if found is None:
        raise CheckError(
            f"run {run.id} has no {wanted.replace('log_dir', 'run folder')} yet", f"see: spark-rl runs show {run.id}"
        )
    return found


def removable(names: Iterable[str]) -> tuple[str, ...]:
    """Return the numbers of runs that may be removed; a record that cannot be read may.

    Raises:
        CheckError: One of them goes on.
    """
    chosen = []
    for name in names:
        if name.isdecimal() and registry.is_damaged(name):
            chosen.append(name)
            continue
        run = get(name)
        if not run.over:
            raise CheckError(f"run {run.id} goes on", f"stop it first: spark-rl runs stop {run.id}")
        chosen.append(run.id)
    return tuple(dict.fromkeys(chosen))


def remove(chosen: Iterable[str]) -> None:
    """Remove the records of runs.

    Raises:
        CheckError: The files cannot be removed.
    """
    for run_id in chosen:
        registry.remove(run_id)


def log(
    name: str, *, follow: bool, tail: int | None, tell: Callable[[str], None], rank: int | None = None
) -> Iterator[bytes]:
    """Yield what a run printed, or one rank of its newest attempt, and with ``follow`` what it prints until it is over.

    Of a run whose job ended before it began, that is what the job printed.

    Raises:
        CheckError: There is no output.
        RequestError: There is no such rank on this host.
    """
    run = get(name)
    if rank is not None:
        return _log_of_rank(run, rank, follow=follow, tail=tail)
    file = registry.output(run.id)
    waits = run.waits and not run.attempts
    if not follow and not run.over and not file.exists():
        how = f"has not begun: {run.job}" if waits else "has printed nothing yet"
        raise CheckError(f"run {run.id} {how}", f"wait for it: spark-rl runs log {run.id} -f")
    if waits:
        tell(f"note: run {run.id} has not begun: {run.job}")
        run = _begun(run)
    if run.over and run.job is not None and run.job.log is not None and not file.exists():
        file = Path(run.job.log)
    if follow:
        seen = looks(run)
        return output.follow(
            file, lambda: not (run.over or (next(seen) if run.job else registry.load(run.id)).over), tail=tail
        )
    return output.read(file, tail=tail)


def _begun(run: Run) -> Run:
    """Wait until a run's job has begun, or is over."""
    return next(one for one in looks(run) if not one.waits)


def _log_of_rank(run: Run, rank: int, *, follow: bool, tail: int | None) -> Iterator[bytes]:
    """Yield what a rank printed: its errors after its output, since nobody knows how they belong together."""
    found = _rank_files(run)
    if rank not in found:
        known = f"it has {', '.join(map(str, sorted(found)))} here" if found else "it has no ranks"
        raise RequestError(f"run {run.id} has no log of rank {rank}", f"{known}; all that it showed: runs log {run.id}")
    files = found[rank]
    if follow:
        return output.follow(files[0], lambda: not registry.load(run.id).over, tail=tail)
    return (chunk for file in files for chunk in output.read(file, tail=tail))


def _rank_files(run: Run) -> dict[int, tuple[Path, ...]]:
    """Return the files of each rank that can be seen from here, those of a job's further nodes included."""
    argv = run.attempts[-1].argv if run.attempts else ()
    homes = [(ranks.base(argv), registry.path(run.id))]
    homes += ((node * ranks.here(argv), record) for node, record in registry.copies(run))
    return {
        first + number: files
        for first, record in homes
        for number, files in rank_logs.files(rank_logs.home(record, len(run.attempts))).items()
    }


def merged(run: Run, given: Request) -> Request:
    """Return the request that a run was started with, changed by what is given now.

    Raises:
        RequestError: A secret that it was given is not given again.
    """
    old, _ = request_of(run)
    asked = (field for field in fields(Request) if field.name not in _KEPT)
    changes = {field.name: new for field in asked if (new := getattr(given, field.name)) != field.default}
    if "auto_envs" in changes:
        changes["num_envs"] = None
    if "num_envs" in changes:
        changes["num_envs_reason"] = given.num_envs_reason
    keys = {word.partition("=")[0].lstrip("+~") for word in given.overrides}
    kept = tuple(word for word in old.overrides if word.partition("=")[0].lstrip("+~") not in keys)
    return complete(replace(old, **changes, overrides=(*kept, *given.overrides), resume=False), run)


_KEPT = frozenset(("action", "task", "cwd", "resume", "checkpoint", "assets", "overrides"))
"""What a resumed run keeps of its first request."""


def newest(task: str, library: str, algorithm: str, cwd: str) -> Run | None:
    """Return the newest training of a task in a folder that is over."""
    same = (run for run in registry.of_task(task, library) if (run.algorithm, run.cwd) == (algorithm, cwd))
    return next((run for found in same for run in asked((found,)) if run.over), None)
