"""Isaac Labs whose Python runs the fake trainer, and real processes around them."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import pytest

import stand_in
from spark_rl.__main__ import run

if TYPE_CHECKING:
    from collections.abc import Callable

FAKES = Path(__file__).parent
TRAINER = FAKES / "trainer.py"
SOURCES = FAKES.parent.parent / "src"
PATIENCE_S = 30.0

PYTHON = f'{quote(sys.executable)} -I -S {quote(str(TRAINER))} "$@"'
"""The fake trainer in shell, given the words of a script."""


def package(folder: Path) -> Path:
    """Make an environment with Isaac Lab 3.0.0 whose ``bin/python`` is the fake trainer."""
    return program(stand_in.kitless(folder) / "bin" / "python", f"#!/bin/sh\nexec {PYTHON}\n").parent.parent


def checkout(folder: Path, version: str = "2.3.2") -> Path:
    """Make a checkout whose ``isaaclab.sh -p`` is the fake trainer, a child of the shell as upstream's is."""
    return program(
        stand_in.checkout(folder, version) / "isaaclab.sh", f'#!/bin/bash\nset -e\n[ "$1" = -p ] && shift\n{PYTHON}\n'
    ).parent


def program(path: Path, text: str) -> Path:
    """Write an executable file."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


class Desk:
    """A folder to work in, one for temporary files, and an Isaac Lab 3.0 whose Python is the fake trainer."""

    def __init__(self, folder: Path) -> None:
        self.cwd = folder / "cwd"
        self.cwd.mkdir()
        self.temp = folder / "temp"
        self.temp.mkdir()
        self.lab = package(folder / "env")
        self.notes = Notes(folder / "notes")


class Notes:
    """What the fake trainer wrote down."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder

    def sweep(self) -> None:
        """End what a test that failed has left running."""
        for file in filter(Path.is_file, self.folder.iterdir()):
            text = file.read_text(encoding="utf-8")
            pid = json.loads(text)["pid"] if file.name == "started" else text
            if file.name in ("started", "grandchild", "keeper") and is_running(int(pid)):
                os.kill(int(pid), signal.SIGKILL)

    def read(self, name: str) -> str:
        """Wait for a note and return it."""
        eventually((self.folder / name).exists, f"note {name}")
        return (self.folder / name).read_text(encoding="utf-8")

    def expect(self, name: str, text: str) -> None:
        """Wait until a note says ``text``."""
        eventually(lambda: self.read(name) == text, f"{name} = {text}")

    def started(self) -> dict[str, Any]:
        """Wait for the trainer and return what it saw."""
        seen: dict[str, Any] = json.loads(self.read("started"))
        return seen


def environ(behaviour: str, notes: Notes, **more: str) -> dict[str, str]:
    """Return the environment of a child that must ask no network and find this source tree."""
    own = {"FAKE_TRAINER": behaviour, "FAKE_NOTES": str(notes.folder), "ISAACSIM_ASSET_ROOT": "/nowhere"}
    return dict(os.environ) | own | {"PYTHONPATH": str(SOURCES)} | more


def start(*argv: str | Path, cwd: Path, env: dict[str, str], shell: str = "") -> subprocess.Popen[str]:
    """Start a program in its own session, with something to read; ``shell`` is run before it in the same process."""
    words = [str(word) for word in argv]
    command = ["/bin/sh", "-c", f'{shell}; exec "$@"', "sh", *words] if shell else words
    pipe = subprocess.PIPE
    with TRAINER.open() as typed:
        return subprocess.Popen(
            command, cwd=cwd, env=env, stdin=typed, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )


def spark_rl(*argv: str | Path, cwd: Path, env: dict[str, str], shell: str = "") -> subprocess.Popen[str]:
    """Start spark-rl as a real child."""
    return start(sys.executable, "-m", "spark_rl", *argv, cwd=cwd, env=env, shell=shell)


def call(*argv: str | Path, cwd: Path, env: dict[str, str]) -> tuple[int, str, str]:
    """Run spark-rl to its end in this process, where no signal is meant for it; return exit code, stdout and stderr.

    What it starts are real children all the same; a third of the time goes into the start of one more interpreter.
    """
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), chdir(cwd), pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - env.keys():
            patch.delenv(name)
        for name, value in env.items():
            patch.setenv(name, value)
        patch.setattr(tempfile, "tempdir", None)  # where TMPDIR says, if anywhere
        code = run([str(word) for word in argv])
    return code, out.getvalue(), err.getvalue()


def finish(child: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of a child that must end by itself."""
    out, err = child.communicate(timeout=PATIENCE_S)
    return child.returncode, out, err


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)


def is_running(pid: int) -> bool:
    """Say whether a process runs; one that ended and that nobody waits for does not."""
    return state(pid) not in ("", "Z", "X")


def state(pid: int) -> str:
    """Return the letter for a process's state, nothing when there is no such process."""
    return _stat(pid)[0]


def parent(pid: int) -> int:
    """Return the process that a process was started by, or was left to."""
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ["", "0"]
