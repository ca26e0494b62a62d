"""This machine as an engine: commands go on in the background, one after the other, whatever becomes of this shell."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl.engines import Status
from spark_rl.errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_rl.engines import Submission

_STOPPED = ("130", "143")
"""Exit codes of a command that INT or TERM stopped."""


def render(submission: Submission) -> str:
    """Return the shell script that runs the commands and keeps the first exit code that is not 0."""
    lines = ["stopped= code=0", "trap 'stopped=1' INT TERM", f"cd {shlex.quote(submission.cwd)} || exit 1"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in submission.env]
    log = shlex.quote(submission.log)
    for command in submission.commands:
        run = f"{shlex.join(command)} </dev/null >>{log} 2>&1"
        keep = '{ one=$?; [ "$code" != 0 ] || code=$one; }'
        lines.append(f'[ "$stopped" ] || {run} || {keep}')
    return "\n".join((*lines, f"echo $code >{log}.code", "exit $code", ""))


def submit(submission: Submission) -> str:
    """Start the script in a session of its own, and return its process, start time and log.

    Raises:
        CheckError: It cannot be started.
    """
    try:
        Path(submission.log).parent.mkdir(parents=True, exist_ok=True)
        _code(submission.log).unlink(missing_ok=True)
        child = subprocess.Popen(
            ["/bin/sh", "-c", render(submission)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise CheckError(f"{submission.name} cannot be started here: {error.strerror}", "see its folders") from error
    # Nobody here waits for it: its own exit code is in the file beside the log.
    child.returncode = 0
    return f"{child.pid}:{_ticks(child.pid)}:{submission.log}"


def poll(ident: str) -> Status:
    """Return how the commands are."""
    pid, ticks, log = ident.split(":", 2)
    with suppress(OSError):
        code = _code(log).read_text(encoding="ascii").strip()
        if code in _STOPPED:
            return Status(state="cancelled", native=f"exit code {code}")
        return Status(state="failed" if code != "0" else "done", native=f"exit code {code}")
    if _ticks(int(pid)) == ticks:
        return Status(state="running", native=f"process {pid}")
    return Status(state="gone", native="no process", reason="it was killed, or this machine was started anew")


def survey(idents: Iterable[str]) -> dict[str, Status]:
    """Return how many are."""
    return {ident: poll(ident) for ident in idents}


def cancel(ident: str) -> None:
    """Stop the command as Ctrl-C would, and begin no further one."""
    pid, ticks, _ = ident.split(":", 2)
    if _ticks(int(pid)) == ticks:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(int(pid), signal.SIGINT)


def _code(log: str) -> Path:
    return Path(f"{log}.code")


def _ticks(pid: int) -> str | None:
    """Return when a process started, in clock ticks after boot, None when there is none: its number may come again."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return fields[19] if fields[0] not in "ZX" else None
    return None
