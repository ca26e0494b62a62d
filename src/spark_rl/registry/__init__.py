"""The runs on disk: every train and play leaves a folder with its record.

Below the state folder lies ``runs/ID`` with ``start.json`` (what was known before the start), ``state.json`` (how far
the run is; a :class:`spark_rl.records.Run`) and ``output.log`` (what its child printed).
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from spark_rl import codec, selection
from spark_rl.errors import CheckError, RequestError
from spark_rl.records import Run
from spark_rl.registry import files, reading
from spark_rl.registry.claims import claim, release
from spark_rl.registry.files import folder, output, path
from spark_rl.registry.owners import HEARTBEAT_LIMIT_S, is_alive, is_lost, owner_now
from spark_rl.registry.reading import entries, entry
from spark_rl.selection import BadRecord, Listing, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


__all__ = [
    "HEARTBEAT_LIMIT_S",
    "claim",
    "create",
    "entries",
    "entry",
    "folder",
    "is_alive",
    "is_damaged",
    "is_lost",
    "listing",
    "load",
    "load_start",
    "output",
    "owner_now",
    "path",
    "release",
    "remove",
    "resolve",
    "save",
    "save_start",
]

START_SCHEMA = "spark-rl/start/1"


def create(start: Mapping[str, Any], draft: Run) -> Run:
    """Make the record of a new run and return the run with its id; no secret of either part reaches the disk.

    Args:
        start: What is known before the start, as a JSON document; kept as ``start.json``.
        draft: The run; its id does not count.

    Raises:
        CheckError: The record cannot be written.
    """
    try:
        run = replace(draft, id=files.allocate())
    except OSError as error:
        raise _unwritable(error) from error
    try:
        _write_start(run.id, start)
        files.write(path(run.id) / files.STATE, codec.encode(run))
    except OSError as error:
        shutil.rmtree(path(run.id), ignore_errors=True)
        raise _unwritable(error) from error
    return run


def _write_start(run_id: str, start: Mapping[str, Any]) -> None:
    files.write(path(run_id) / files.START, {"schema": START_SCHEMA, "id": run_id} | dict(start))


def save_start(run_id: str, start: Mapping[str, Any]) -> None:
    """Write what was known before a run's start once more; it never raises for what a disk does."""
    with suppress(OSError):
        _write_start(run_id, start)


def _unwritable(error: OSError) -> CheckError:
    return CheckError(
        f"the record of the run cannot be written to {folder()}: {error.strerror or error}",
        "name a folder for records with SPARK_RL_STATE",
    )


def save(run: Run) -> str | None:
    """Write the state of a run, and return why that was not possible, or None.

    It never raises for what a disk does; the next call heals, also when the run's folder was removed.
    """
    state = path(run.id) / files.STATE
    try:
        files.prepare()
        state.parent.mkdir(exist_ok=True)
        files.write(state, codec.encode(run))
    except OSError as error:
        return f"the record of run {run.id} cannot be written: {error.strerror or error}"
    return None


def load(run_id: str) -> Run:
    """Return a run; one whose owner is gone is ``lost``.

    Raises:
        RequestError: There is no such run, or its record cannot be read.
    """
    found = _entry(run_id)
    if found is None:
        return selection.resolve(run_id, entries())
    if isinstance(found, BadRecord):
        raise selection.unreadable(found)
    return found


def _entry(text: str) -> Run | BadRecord | None:
    """Return what is recorded under a number; None where the text is none, or there is no such run."""
    return entry(text) if files.is_id(text) else None


def is_damaged(run_id: str) -> bool:
    """Say whether there is a run of this number whose record cannot be read."""
    return isinstance(_entry(run_id), BadRecord)


def load_start(run_id: str) -> dict[str, Any]:
    """Return what was known before a run's start, empty when that cannot be read."""
    try:
        document = json.loads((path(run_id) / files.START).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def listing(wanted: Selection) -> Listing:
    """Return the wanted runs, newest first, and the records on the way to them that cannot be read.

    Raises:
        CheckError: The state folder cannot be read.
    """
    return selection.select(reading.rows(), wanted)


def of_task(task: str, library: str, action: Literal["train", "play", "tune"] = "train") -> Iterator[Run]:
    """Yield the runs of exactly one task and library, newest first, each read only when it is asked for."""
    wanted = Selection(task=task, library=library, action=action)
    for row in listing(wanted).runs:
        found = entry(row.id) if row.task == task else None
        if isinstance(found, Run):
            yield found


def resolve(text: str, cwd: Path) -> Run:
    """Return the run that a person means: see :func:`spark_rl.selection.resolve`; a path is relative to ``cwd``.

    Raises:
        RequestError: No run or more than one is meant, or its record cannot be read.
    """
    if isinstance(found := _entry(text), Run):
        return found
    return selection.resolve(text, entries(), os.path.normpath(cwd / Path(text).expanduser()))


def remove(run_id: str) -> None:
    """Remove the record of a run that is over, output included; what Isaac Lab wrote stays.

    The folder with the highest id stays behind, empty but for a mark, so that its id is not given again.

    Raises:
        RequestError: There is no such run, or it still runs.
        CheckError: The files cannot be removed.
    """
    found = _entry(run_id) or load(run_id)
    if isinstance(found, Run) and not found.over:
        raise RequestError(f"run {found.id} still runs", f"stop it first: spark-rl runs stop {found.id}")
    try:
        _clear(path(found.id), newest=int(found.id) >= max(files.ids(), default=0))
        if isinstance(found, Run) and found.job is not None and found.job.ident:
            _clear_job(found.job.ident)
    except OSError as error:
        raise CheckError(f"run {found.id} cannot be removed: {error.strerror}", f"see {path(found.id)}") from error


def copies(run: Run) -> Iterator[tuple[int, Path]]:
    """Yield the records that the further nodes of a run's job keep of it, each with the number of its node."""
    ident = run.job.ident if run.job is not None else ""
    for place in (folder() / "jobs").glob(f"{ident}-node[0-9]*") if ident else ():
        yield int(place.name.rpartition("node")[2]), place / "runs" / run.id


def _clear_job(ident: str) -> None:
    """Remove what a job left beside the records: its output, and what its further nodes recorded."""
    for left in (folder() / "jobs").glob(f"{ident}[.-]*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def _clear(record: Path, *, newest: bool) -> None:
    if not newest:
        shutil.rmtree(record)
        return
    (record / files.REMOVED).touch()
    for file in [file for file in record.iterdir() if file.name != files.REMOVED]:
        shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink()
