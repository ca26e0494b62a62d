"""Isaac Lab's own parsers, asked about command lines in one child of its Python."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl.acceptance import Answer
from spark_rl.errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["DRIVER", "Child", "ask"]

DRIVER = str(Path(__file__).parent / "drivers" / "accept.py")
_HINT = "spark-rl doctor --deep tells more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """How Isaac Lab's Python is started: the words before the driver, the whole environment, the working directory."""

    python: tuple[str, ...]
    environ: Mapping[str, str]
    cwd: Path


def ask(child: Child, cases: Sequence[Sequence[str]], tell: Callable[[int], None]) -> tuple[Answer, ...]:
    """Return Isaac Lab's answer to each command line, in order.

    Args:
        child: How to start its Python.
        cases: Command lines without the program; each begins with ``train`` or ``play``.
        tell: Called with the number of answers so far.

    Raises:
        CheckError: Isaac Lab cannot be asked, or its Python ended before all was answered.
    """
    answers: list[Answer] = []
    reading, writing = os.pipe()
    with (
        open(reading, encoding="utf-8") as lines,  # noqa: PTH123 - a pipe has no name
        tempfile.TemporaryFile("w+", errors="replace") as told,
        tempfile.TemporaryFile("w+") as asked,
    ):
        json.dump([list(words) for words in cases], asked)
        asked.seek(0)
        running = _started(child, asked, told, writing)
        try:
            for line in _told(lines):
                if "failed" in line:
                    raise CheckError(f"Isaac Lab's parsers cannot be asked: {line['failed']}", _HINT)
                if "finished" in line:
                    return tuple(answers)
                answers.append(Answer(error=line["error"], kit=tuple(line["kit"])))
                tell(len(answers))
        finally:
            _end(running)
        told.seek(0)
        raise CheckError(_broken(cases, len(answers), told.read()), _HINT)


def _started(child: Child, asked: Any, told: Any, writing: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [*child.python, DRIVER, f"/dev/fd/{writing}"],
            cwd=child.cwd,
            env={**child.environ, "OMP_NUM_THREADS": "1"},
            stdin=asked,
            stdout=subprocess.DEVNULL,
            stderr=told,
            pass_fds=(writing,),
            start_new_session=True,
        )
    except OSError as error:
        raise CheckError(f"{child.python[0]} cannot be started: {error.strerror}", _HINT) from error
    finally:
        os.close(writing)


def _told(lines: Any) -> Iterator[dict[str, Any]]:
    """Yield the driver's lines; one that was cut off is the last."""
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            return
        yield value


def _end(running: subprocess.Popen[bytes]) -> None:
    """End the child's whole group."""
    with suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def _broken(cases: Sequence[Sequence[str]], done: int, told: str) -> str:
    """Return what is to be said of a child that ended too early."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith(("Fatal", "Timeout"))), lines[-1] if lines else "nothing")
    where = f"at: {' '.join(cases[done])}" if done < len(cases) else "after the last command line"
    return f"Isaac Lab's Python ended {where}; it said: {said}"
