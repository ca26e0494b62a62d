"""Use cases on what was recorded: list, look, stop, follow, and go on."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from spark_rl import durations, frozen, registry
from spark_rl.errors import CheckError, RequestError
from spark_rl.model import Request
from spark_rl.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spark_rl.records import Run

STATES = ("starting", "running", "succeeded", "failed", "interrupted", "lost")
POLL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Runs, the newest first, and the ids of records that could not be read."""

    runs: tuple[Run, ...]
    damaged: tuple[str, ...] = ()


def select(
    *,
    task: str | None = None,
    library: str | None = None,
    state: str | None = None,
    action: str = "train",
    since: str | None = None,
    limit: int | None = None,
) -> Selection:
    """Return the runs that are asked for.

    Raises:
        RequestError: A filter makes no sense.
    """
    if state is not None and state not in STATES:
        raise RequestError(f"there is no state {state}", did_you_mean(state, STATES, "states"))
    if action not in ("train", "play", "all"):
        raise RequestError(f"there is no action {action}", "train, play or all")
    earliest = time.time() - durations.seconds(since, "--since") if since else 0.0
    wanted = _folded(task or "")
    runs, damaged = registry.runs()
    chosen = [
        run
        for run in runs
        if wanted in _folded(run.task)
        and library in (None, run.library)
        and state in (None, run.state)
        and action in ("all", run.action)
        and run.started_at >= earliest
    ]
    return Selection(runs=tuple(chosen[:limit]), damaged=damaged)


def _folded(text: str) -> str:
    return text.casefold().replace("-", "").replace("_", "")


def get(name: str) -> Run:
    """Return the run that a person means: its number, ``latest``, its name, or Isaac Lab's run folder.

    Raises:
        RequestError: There is none, or more than one.
    """
    if name.isdecimal():
        return registry.load(str(int(name)))
    runs, _ = registry.runs()
    if name in ("latest", "last"):
        found = [run for run in runs if run.action == "train"][:1]
    else:
        place = os.path.abspath(os.path.expanduser(name))  # noqa: PTH100, PTH111 - a link stays as it was given
        folders = {run.id: [attempt.log_dir for attempt in run.attempts if attempt.log_dir] for run in runs}
        found = [run for run in runs if name == run.run_name or place in folders[run.id]] or [
            run for run in runs if any(folder.rpartition("/")[2] == name for folder in folders[run.id])
        ]
    if len(found) > 1:
        numbers = ", ".join(run.id for run in found[:5])
        raise RequestError(f"{name} names {len(found)} runs: {numbers}", "use the number")
    if not found:
        raise RequestError(f"there is no run {name}", "see them with: spark-rl runs list")
    return found[0]


def stop(name: str, *, tell: Callable[[str], None]) -> Run:
    """Ask the supervisor of a run to stop it, and wait until it has ended.

    Raises:
        CheckError: It is over, or runs on another host.
    """
    run = get(name)
    if run.over:
        raise CheckError(f"run {run.id} is over: {run.state}", f"see it with: spark-rl runs show {run.id}")
    if run.owner.host != registry.owner_now().host:
        raise CheckError(f"run {run.id} runs on {run.owner.host}", "stop it there")
    os.kill(run.owner.pid, signal.SIGINT)
    tell(f"stopping run {run.id}; a second Ctrl-C hurries it")
    while not run.over:
        try:
            time.sleep(POLL_S)
        except KeyboardInterrupt:
            os.kill(run.owner.pid, signal.SIGINT)
        run = registry.load(run.id)
    return run


def follow(name: str) -> Iterator[Run]:
    """Yield a run again and again until it is over."""
    run = get(name)
    while True:
        yield run
        if run.over:
            return
        time.sleep(POLL_S)
        run = registry.load(run.id)


def resumable(name: str) -> Run:
    """Return a training that is over.

    Raises:
        RequestError: It is a play.
        CheckError: It still goes on.
    """
    run = get(name)
    if run.action != "train":
        raise RequestError(f"run {run.id} is a play, and nothing of it can be resumed", "play again: spark-rl play")
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
        request: Request = frozen.made_of(Request, start["request"])
        return request, str(start["plan"]["isaaclab"]["path"])
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(
            f"the record of run {run.id} does not say how it was started", f"look into {registry.folder(run.id)}"
        ) from error


def path(name: str, wanted: str) -> str:
    """Return where a run keeps its ``folder``, ``log_dir``, ``checkpoint`` or ``output``.

    Raises:
        CheckError: It has no such thing.
    """
    run = get(name)
    folder = registry.folder(run.id)
    places = {
        "folder": str(folder),
        "output": str(folder / registry.OUTPUT),
        "log_dir": run.log_dir,
        "checkpoint": run.progress.checkpoint,
    }
    found = places[wanted]
    if found is None:
        raise CheckError(
            f"run {run.id} has no {wanted.replace('log_dir', 'run folder')} yet", f"see: spark-rl runs show {run.id}"
        )
    return found


def removable(names: Iterable[str]) -> tuple[Run, ...]:
    """Return runs that may be removed.

    Raises:
        CheckError: One of them goes on.
    """
    chosen = tuple({run.id: run for run in map(get, names)}.values())
    for run in chosen:
        if not run.over:
            raise CheckError(f"run {run.id} goes on", f"stop it first: spark-rl runs stop {run.id}")
    return chosen


def merged(run: Run, given: Request) -> Request:
    """Return the request that a run was started with, changed by what is given now."""
    old, _ = request_of(run)
    new = {field.name: getattr(given, field.name) for field in fields(Request)}
    changes = {name: value for name, value in new.items() if value not in (None, False, ()) and name not in _KEPT}
    return replace(old, **changes, resume=False)


_KEPT = frozenset(("action", "task", "cwd", "resume", "checkpoint", "assets"))
"""What a resumed run keeps of its first request."""


def newest(task: str, library: str, algorithm: str, cwd: str) -> Run | None:
    """Return the newest training of a task in a folder that is over."""
    wanted = (task, library, algorithm, cwd)
    same = (run for run in select().runs if (run.task, run.library, run.algorithm, run.cwd) == wanted)
    return next((run for run in same if run.over), None)
