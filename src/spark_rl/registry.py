"""The records of runs on disk: one folder a run, written so that a crash leaves the truth.

``start.json`` is what is known before the child starts and never changes. ``state.json`` is small, rewritten while the
run goes, and all that listing reads. ``output.log`` is what the child printed.
"""

from __future__ import annotations

import json
import os
import platform
import time
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl import frozen
from spark_rl.errors import CheckError, RequestError
from spark_rl.records import Owner, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START, STATE, OUTPUT = "start.json", "state.json", "output.log"

SILENCE_S = 600.0
"""A run of another host whose record was not renewed for so long is lost: nothing else can be known of it from here."""


def root() -> Path:
    """Return the folder of all runs: below SPARK_RL_STATE, else the user's state folder."""
    named = os.environ.get("SPARK_RL_STATE")
    if named:
        return Path(named).absolute() / "runs"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "spark-rl" / "runs"


def folder(run_id: str) -> Path:
    """Return the folder of one run."""
    return root() / run_id


def create(make: Callable[[str], Run], start: dict[str, Any]) -> Run:
    """Record a new run, ``make`` being given its id: a whole number that no other run has or had.

    Raises:
        CheckError: The registry cannot be written.
    """
    try:
        root().mkdir(parents=True, exist_ok=True)
        run = make(_claim())
        _write(folder(run.id) / START, start)
        _write(folder(run.id) / STATE, asdict(run))
    except OSError as error:
        raise CheckError(
            f"the run cannot be recorded in {root()}: {error.strerror}",
            "free some space there, or name another folder with SPARK_RL_STATE",
        ) from error
    return run


def _claim() -> str:
    """Make the folder of the next number; of several at once, mkdir decides who has it."""
    counter = root() / "last"
    with suppress(OSError, ValueError):
        number = int(counter.read_text(encoding="ascii"))
        return _made(number + 1, counter)
    return _made(max((int(name) for name in _ids()), default=0) + 1, counter)


def _made(number: int, counter: Path) -> str:
    while True:
        try:
            folder(str(number)).mkdir()
        except FileExistsError:
            number += 1
            continue
        draft = counter.with_name(f".last.{os.getpid()}")
        draft.write_text(str(number), encoding="ascii")
        draft.replace(counter)
        return str(number)


def save(run: Run) -> bool:
    """Write the state of a run; return False when that failed, which the next write may heal."""
    try:
        folder(run.id).mkdir(parents=True, exist_ok=True)
        _write(folder(run.id) / STATE, asdict(run))
    except OSError:
        return False
    return True


def _write(file: Path, document: dict[str, Any]) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_text(json.dumps(document), encoding="utf-8")
        draft.replace(file)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise


def load(run_id: str) -> Run:
    """Return a run.

    Raises:
        RequestError: There is none with this id, or its record is damaged.
    """
    try:
        return _judged(_read(run_id))
    except FileNotFoundError as error:
        raise RequestError(f"there is no run {run_id}", "see them with: spark-rl runs list") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(
            f"the record of run {run_id} is damaged: {error}",
            f"look into {folder(run_id)}, or: spark-rl runs rm {run_id}",
        ) from error


def load_start(run_id: str) -> dict[str, Any]:
    """Return what was known of a run before it started, nothing where that is damaged."""
    with suppress(OSError, ValueError):
        document = json.loads((folder(run_id) / START).read_text(encoding="utf-8"))
        if isinstance(document, dict):
            return document
    return {}


def runs() -> tuple[tuple[Run, ...], tuple[str, ...]]:
    """Return every run, the newest first, and the ids of damaged records."""
    found, damaged = [], []
    for run_id in sorted(_ids(), key=int, reverse=True):
        try:
            found.append(_judged(_read(run_id)))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError):
            damaged.append(run_id)
    return tuple(found), tuple(damaged)


def _ids() -> Iterator[str]:
    with suppress(FileNotFoundError), os.scandir(root()) as entries:
        for entry in entries:
            if entry.name.isdecimal():
                yield entry.name


def remove(run_id: str) -> None:
    """Remove the record of a run and its output.

    Raises:
        CheckError: The run goes on, or its folder cannot be removed.
    """
    import shutil

    with suppress(RequestError):
        if not load(run_id).over:
            raise CheckError(f"run {run_id} goes on", f"stop it first: spark-rl runs stop {run_id}")
    try:
        shutil.rmtree(folder(run_id))
    except OSError as error:
        raise CheckError(f"{folder(run_id)} cannot be removed: {error.strerror}", "check its permissions") from error


def _read(run_id: str) -> Run:
    with open(f"{root()}/{run_id}/{STATE}", "rb") as file:  # noqa: PTH123 - thousands of them: a Path costs as much again
        run: Run = frozen.made_of(Run, json.loads(file.read()))
    return run


def _judged(run: Run) -> Run:
    """Return a run as it is now: one whose supervisor is gone without an end is lost."""
    if run.over or is_alive(run.owner, run.updated_at):
        return run
    return replace(run, state="lost", message="its supervisor is gone without an end")


def owner_now() -> Owner:
    """Return this process as the owner of a run."""
    return Owner(host=platform.node(), boot=_boot(), pid=os.getpid(), start_ticks=_start_ticks(os.getpid()) or 0)


def is_alive(owner: Owner, updated_at: float) -> bool:
    """Say whether the supervisor of a run still runs.

    On this host its process number and start time tell; of another host (a shared home folder, a container) only the
    record itself can, which a living supervisor renews every few seconds.
    """
    if owner.host != platform.node():
        return time.time() - updated_at < SILENCE_S
    return owner.boot == _boot() and owner.start_ticks == _start_ticks(owner.pid)


@cache
def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks after boot; None when it is gone."""
    with suppress(OSError, ValueError, IndexError):
        state, *rest = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if state in (b"Z", b"X") else int(rest[18])
    return None
