"""A small computation in Isaac Lab's own Python: what reading its files cannot tell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl.outcome import Computation

if TYPE_CHECKING:
    from spark_rl.model import Installation

DRIVER = Path(__file__).parent / "drivers" / "compute.py"
TIMEOUT_S = 180.0
"""The first import of torch from a cold disk takes half a minute, the ranks have a minute of their own."""


def compute(installation: Installation, ranks: int, timeout_s: float = TIMEOUT_S) -> Computation:
    """Run the driver in the Python of ``installation``, over ``ranks`` GPUs, and return what it found.

    A Python that cannot be started, ends with an error or does not end is a problem in the result.
    """
    python = (installation.python,) if installation.python else (f"{installation.path}/isaaclab.sh", "-p")
    with tempfile.TemporaryDirectory(prefix="spark-rl-") as folder:
        file = Path(folder) / "computed.json"
        began = time.monotonic()
        ended = _run((*python, str(DRIVER), str(file), str(ranks)), timeout_s)
        return _computation(_read(file), ended, time.monotonic() - began)


def _run(argv: tuple[str, ...], timeout_s: float) -> str | None:
    """Run a program to its end; return what went wrong."""
    with tempfile.TemporaryFile("w+", errors="replace") as told:
        # A file and not a pipe: what the child leaves behind would keep a pipe open.
        try:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=told, start_new_session=True
            )
        except OSError as error:
            return f"{argv[0]} cannot be started: {error.strerror}"
        try:
            status = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return f"it has not ended within {timeout_s:g} s"
        finally:
            _end(child)
        told.seek(0)
        last = next((line.strip() for line in reversed(told.readlines()) if line.strip()), "")
        return f"it ended with status {status}: {last}" if status else None


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child's whole group, which may have ranks in it."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    child.wait()


def _read(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _computation(values: dict[str, Any], ended: str | None, seconds: float) -> Computation:
    problems = dict(values.pop("problems", {}))
    doing = values.pop("doing", "python")
    if ended is not None:
        problems[doing] = ended
    known = {field.name for field in fields(Computation)}
    plain = {name: value for name, value in values.items() if name in known}
    told = tuple((str(part), str(text)) for part, text in problems.items())
    return Computation(**plain, problems=told, seconds=round(seconds, 1))
