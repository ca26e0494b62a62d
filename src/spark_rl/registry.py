"""The runs on disk: every train and play leaves a folder with its record.

Below the state folder lies ``runs/ID`` with ``start.json`` (what was known before the start), ``state.json`` (how far
the run is; a :class:`spark_rl.records.Run`) and ``output.log`` (what its child printed).
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl import codec, redact, selection
from spark_rl.errors import CheckError, RequestError
from spark_rl.records import Owner, Run
from spark_rl.selection import BadRecord, Listing, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEARTBEAT_LIMIT_S = 600.0
"""Age of the heartbeat from which a run of another machine counts as lost."""

_START, _STATE, _OUTPUT, _REMOVED = "start.json", "state.json", "output.log", "removed"
_COUNTER = "next"
_ID_DIGITS = 9
"""Longer numbers are no ids: nobody has a thousand million runs."""

_YOUNG_S = 60.0
"""A folder without a record that is younger is being made by another spark-rl."""


def folder() -> Path:
    """Return the state folder: ``$SPARK_RL_STATE``, or ``spark-rl`` below ``$XDG_STATE_HOME`` or ``~/.local/state``."""
    own = os.environ.get("SPARK_RL_STATE")
    if own:
        return Path(os.path.abspath(Path(own).expanduser()))  # noqa: PTH100 - a link stays the path that was given
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "spark-rl"


def path(run_id: str) -> Path:
    """Return the folder of a run, there or not."""
    return _runs() / run_id


def output(run_id: str) -> Path:
    """Return the file that holds what a run's child printed."""
    return path(run_id) / _OUTPUT


def create(start: Mapping[str, Any], draft: Run) -> Run:
    """Make the record of a new run and return it with its id; no secret of either part reaches the disk.

    Args:
        start: What is known before the start, as a JSON document; kept as ``start.json``.
        draft: The run; its id does not count.

    Raises:
        CheckError: The record cannot be written.
    """
    try:
        run = replace(draft, id=_allocate())
    except OSError as error:
        raise _unwritable(error.strerror or str(error)) from error
    try:
        _write(path(run.id) / _START, {"schema": "spark-rl/start/1", "id": run.id} | dict(start))
        _write(path(run.id) / _STATE, codec.encode(run))
    except OSError as error:
        shutil.rmtree(path(run.id), ignore_errors=True)
        raise _unwritable(error.strerror or str(error)) from error
    return run


def save(run: Run) -> str | None:
    """Write the state of a run, and return why that was not possible, or None.

    It never raises for what a disk does; the next call heals, also when the run's folder was removed.
    """
    try:
        try:
            _write(path(run.id) / _STATE, codec.encode(run))
        except FileNotFoundError:
            path(run.id).mkdir(parents=True, exist_ok=True)
            _write(path(run.id) / _STATE, codec.encode(run))
    except OSError as error:
        return f"the record of run {run.id} cannot be written: {error.strerror or error}"
    return None


def load(run_id: str) -> Run:
    """Return a run; one whose owner is gone is ``lost``.

    Raises:
        RequestError: There is no such run, or its record cannot be read.
    """
    entry = _read(run_id) if _is_id(run_id) else None
    if entry is None:
        return selection.resolve(run_id, entries())
    if isinstance(entry, BadRecord):
        raise selection.unreadable(entry)
    return entry


def load_start(run_id: str) -> dict[str, Any]:
    """Return what was known before a run's start, empty when that cannot be read."""
    try:
        document = json.loads((path(run_id) / _START).read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def entries() -> Iterator[Run | BadRecord]:
    """Yield every run, newest first, each read only when it is asked for.

    Raises:
        CheckError: The state folder cannot be read.
    """
    try:
        numbers = sorted(_ids(), reverse=True)
    except OSError as error:
        raise CheckError(f"{_runs()} cannot be read: {error.strerror}", "check its permissions") from error
    for number in numbers:
        entry = _read(str(number))
        if entry is not None:
            yield entry


def listing(wanted: Selection) -> Listing:
    """Return the wanted runs, newest first, and the records that cannot be read."""
    return selection.select(entries(), wanted)


def resolve(text: str, cwd: Path) -> Run:
    """Return the run that a person means; a path is relative to ``cwd``.

    Raises:
        RequestError: No run or more than one is meant, or its record cannot be read.
    """
    if _is_id(text):
        return load(text)
    named = os.path.normpath(cwd / Path(text).expanduser())
    return selection.resolve(text, entries(), named)


def remove(run_id: str) -> None:
    """Remove the record of a run that is over, output included; what Isaac Lab wrote stays.

    The folder with the highest id stays behind, empty, so that its id is not given again.

    Raises:
        RequestError: There is no such run, or it still runs.
        CheckError: The files cannot be removed.
    """
    entry = _read(run_id) if _is_id(run_id) else None
    if entry is None:
        load(run_id)
    if isinstance(entry, Run) and not entry.over:
        raise RequestError(f"run {run_id} still runs", f"stop it first: spark-rl runs stop {run_id}")
    try:
        if int(run_id) >= max(_ids(), default=0):
            (path(run_id) / _REMOVED).touch()
        for file in list(path(run_id).iterdir()):
            if file.name != _REMOVED:
                file.unlink()
        if not (path(run_id) / _REMOVED).exists():
            path(run_id).rmdir()
    except OSError as error:
        raise CheckError(f"run {run_id} cannot be removed: {error.strerror}", f"see {path(run_id)}") from error


def owner_now() -> Owner:
    """Return this process as the owner of a run."""
    ticks = _start_ticks(os.getpid())
    return Owner(host=os.uname().nodename, boot=_boot(), pid=os.getpid(), start_ticks=ticks or 0)


def is_alive(owner: Owner) -> bool | None:
    """Say whether an owner still runs; None where this cannot be seen from here.

    A process number alone would be reused: the start time must be the same too. Another host's processes, and those
    of a container with its own numbers, cannot be seen.
    """
    here, there = _boot().split("/"), owner.boot.split("/")
    if owner.host != os.uname().nodename:
        return None
    if here[0] != there[0]:
        return False
    if here[1:] != there[1:] and there[1:]:
        return None
    return _start_ticks(owner.pid) == owner.start_ticks


def is_lost(run: Run, now: float) -> bool:
    """Say whether a run that should go on has no owner any more.

    Where the owner cannot be seen (home folders are shared between machines, and with containers), its heartbeat
    decides: older than :data:`HEARTBEAT_LIMIT_S` is lost.
    """
    if run.over:
        return False
    alive = is_alive(run.owner)
    return now - run.updated_at > HEARTBEAT_LIMIT_S if alive is None else not alive


def _boot() -> str:
    """Return the id of this boot and of the namespace that process numbers belong to.

    Containers that share the network with their machine have its host name and boot, yet numbers of their own.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid').strip('pid:[]')}"  # noqa: PTH115
    except OSError:
        return ""


def _start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks after boot; None when it is not there, or only its remains."""
    try:
        # The name before the last bracket may hold anything, brackets and blanks included.
        values = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if values[0] in (b"Z", b"X") else int(values[19])
    except (OSError, ValueError, IndexError):
        return None


def _runs() -> Path:
    return folder() / "runs"


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < len(text) <= _ID_DIGITS and not text.startswith("0")


def _ids() -> list[int]:
    with suppress(FileNotFoundError), os.scandir(_runs()) as found:
        return [int(entry.name) for entry in found if _is_id(entry.name)]
    return []


def _allocate() -> str:
    """Make the folder of a new run and return its id: making a folder succeeds once, on any number of hosts."""
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    _runs().mkdir(exist_ok=True)
    number = max(_counter(), *_ids(), 0) + 1
    while True:
        try:
            path(str(number)).mkdir()
        except FileExistsError:
            number += 1
            continue
        with suppress(OSError):
            _replace(folder() / _COUNTER, f"{number}\n".encode())
        return str(number)


def _counter() -> int:
    """Return the last id that the counter remembers: it matters only where the newest folders were deleted."""
    try:
        text = (folder() / _COUNTER).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return 0
    return int(text) if _is_id(text) else 0


def _read(run_id: str) -> Run | BadRecord | None:
    """Return a run or why it cannot be read; None where there is none."""
    file = path(run_id) / _STATE
    try:
        run = codec.decode(json.loads(file.read_bytes()))
    except FileNotFoundError:
        return _unrecorded(run_id, file)
    except OSError as error:
        return BadRecord(id=run_id, path=str(file), reason=error.strerror or str(error))
    except (ValueError, RecursionError) as error:
        return BadRecord(id=run_id, path=str(file), reason=str(error))
    if run.id != run_id:
        return BadRecord(id=run_id, path=str(file), reason=f"it is the record of run {run.id[:20]}")
    if is_lost(run, time.time()):
        return replace(run, state="lost", message=run.message or "spark-rl ended without a last word")
    return run


def _unrecorded(run_id: str, file: Path) -> BadRecord | None:
    try:
        young = time.time() - file.parent.stat().st_mtime < _YOUNG_S
    except OSError:
        return None
    if young or (file.parent / _REMOVED).exists():
        return None
    return BadRecord(id=run_id, path=str(file), reason="it is not there")


def _write(file: Path, document: Mapping[str, Any]) -> None:
    shown = redact.document(dict(document), redact.variables(os.environ))
    _replace(file, json.dumps(shown, separators=(",", ":")).encode() + b"\n")


def _replace(file: Path, content: bytes) -> None:
    """Write a file as a whole or not at all.

    Raises:
        OSError: It could not be written; what was there before still is.
    """
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        new.write_bytes(content)
        os.replace(new, file)  # noqa: PTH105 - one name in this module and in its tests for the moment that counts
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


def _unwritable(why: str) -> CheckError:
    return CheckError(
        f"the record of the run cannot be written to {folder()}: {why}",
        "name a folder for records with SPARK_RL_STATE",
    )
