"""The files of the registry: where they lie, ids, and writing and reading a record as a whole."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl import codec, redact
from spark_rl.selection import BadRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_rl.records import Run
    from spark_rl.summaries import Stamp

START, STATE, OUTPUT, REMOVED, LOCK = "start.json", "state.json", "output.log", "removed", "lock"
_COUNTER, _INDEX = "last", "index.json"
_ID_DIGITS = 9
"""Longer numbers are no ids: nobody has a thousand million runs."""

_REASON_LENGTH = 200
"""What is wrong with a record may quote it."""

_YOUNG_S = 60.0
"""A folder without a record that is younger is being made by another spark-rl."""


def folder() -> Path:
    """Return the state folder: ``$SPARK_RL_STATE``, or ``spark-rl`` below ``$XDG_STATE_HOME`` or ``~/.local/state``."""
    own = os.environ.get("SPARK_RL_STATE")
    if own:
        return Path(os.path.abspath(Path(own).expanduser()))  # noqa: PTH100 - a link stays the path that was given
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "spark-rl"


def path(run_id: str) -> Path:
    """Return the folder of a run's record, there or not."""
    return runs() / run_id


def output(run_id: str) -> Path:
    """Return the file that holds what a run's child printed."""
    return path(run_id) / OUTPUT


def runs() -> Path:
    """Return the folder of all records."""
    return folder() / "runs"


def index() -> Path:
    """Return the file of the index."""
    return folder() / _INDEX


def is_id(text: str) -> bool:
    """Say whether a text can be the id of a run."""
    return text.isascii() and text.isdecimal() and len(text) <= _ID_DIGITS and not text.startswith("0")


def ids() -> list[int]:
    """Return the ids of all folders there are.

    Raises:
        OSError: The folder of all records cannot be read.
    """
    with suppress(FileNotFoundError), os.scandir(runs()) as found:
        return [int(entry.name) for entry in found if is_id(entry.name)]
    return []


def prepare() -> None:
    """Make the folder of all records, for its owner alone.

    Raises:
        OSError: It cannot be made.
    """
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    runs().mkdir(exist_ok=True)


def allocate() -> str:
    """Make the folder of a new run and return its id: making a folder succeeds once, on any number of hosts.

    Raises:
        OSError: No folder can be made.
    """
    prepare()
    number = max(_counter(), *ids(), 0) + 1
    while not _made(path(str(number))):
        number += 1
    with suppress(OSError):
        replace(folder() / _COUNTER, f"{number}\n".encode())
    return str(number)


def _made(new: Path) -> bool:
    try:
        new.mkdir()
    except FileExistsError:
        return False
    return True


def _counter() -> int:
    """Return the newest id that the counter remembers: it matters only where the newest folders were deleted."""
    try:
        text = (folder() / _COUNTER).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return 0
    return int(text) if is_id(text) else 0


def write(file: Path, document: Mapping[str, Any]) -> None:
    """Write a document without its secrets, those of this process's environment included.

    Raises:
        OSError: It could not be written; what was there before still is.
    """
    replace(file, packed(redact.document(dict(document), redact.variables(os.environ))))


def packed(document: Mapping[str, Any]) -> bytes:
    """Return a document as a line of JSON."""
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def replace(file: Path, content: bytes) -> None:
    """Write a file as a whole or not at all.

    Raises:
        OSError: It could not be written; what was there before still is.
    """
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        new.write_bytes(content)
        new.replace(file)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


def read(run_id: str, where: str) -> tuple[Stamp, Run | BadRecord | None]:
    """Return the record in the folder ``where`` as it is written, and its stamp; None where there is no run."""
    file = f"{where}/{STATE}"
    seen = 0, 0
    try:
        seen, content = _content(file)
        return seen, _run(run_id, content)
    except FileNotFoundError:
        return seen, _unrecorded(run_id, where)
    except OSError as error:
        return seen, BadRecord(id=run_id, path=file, reason=error.strerror or str(error))
    except (ValueError, RecursionError) as error:
        return seen, BadRecord(id=run_id, path=file, reason=str(error)[:_REASON_LENGTH])


def _run(run_id: str, content: bytes) -> Run:
    run = codec.decode(json.loads(content))
    if run.id != run_id:
        raise ValueError(f"it is the record of run {run.id[:20]}")
    return run


def _content(file: str) -> tuple[Stamp, bytes]:
    # A third of the time that Path takes, ten thousand times.
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        stat = os.fstat(descriptor)
        return (stat.st_mtime_ns, stat.st_size), os.read(descriptor, max(stat.st_size, 1))
    finally:
        os.close(descriptor)


def stamp(where: str) -> Stamp | None:
    """Return the stamp of the record in the folder ``where``, None where there is none."""
    try:
        stat = os.stat(f"{where}/{STATE}")  # noqa: PTH116 - as in _content
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _unrecorded(run_id: str, where: str) -> BadRecord | None:
    try:
        young = time.time() - Path(where).stat().st_mtime < _YOUNG_S
    except OSError:
        return None
    if young or Path(where, REMOVED).exists():
        return None
    return BadRecord(id=run_id, path=f"{where}/{STATE}", reason="it is not there")
