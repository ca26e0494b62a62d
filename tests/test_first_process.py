"""spark-rl as the first process of a container: real process numbers, signals and orphans."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes import lab
from spark_rl import registry

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTAINER = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc")
ORPHANED = """
import pathlib, subprocess, time
subprocess.run(["sh", "-c", "sleep 0.2 &"])
time.sleep(0.6)
stats = [file.read_text().rpartition(")")[2].split() for file in pathlib.Path("/proc").glob("[0-9]*/stat")]
raise SystemExit(sum(stat[0] == "Z" for stat in stats))
"""
"""Leaves an orphan to the first process, and exits with the number of zombies."""


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    tried = subprocess.run([*CONTAINER, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"no process numbers of its own can be had here: {tried.stderr.strip()}")


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[lab.Notes]:
    notes = lab.Notes(tmp_path / "notes")
    yield notes
    notes.sweep()


def program(text: str) -> list[str]:
    """Return the words that run ``text`` behind a first process."""
    return [*CONTAINER, sys.executable, "-c", f"from spark_rl import first_process\nfirst_process.divide()\n{text}"]


def run(text: str, folder: Path, number: int = 0) -> int:
    """Run ``text`` behind a first process, send that one a signal once ``text`` has said something, return its code."""
    env = os.environ | {"PYTHONPATH": str(lab.SOURCES)}
    child = subprocess.Popen(program(text), cwd=folder, env=env, stdout=subprocess.PIPE, text=True)
    try:
        if number:
            assert child.stdout is not None
            child.stdout.readline()
            os.kill(first_process(child), number)
        return lab.finish(child)[0]
    finally:
        child.kill()


def first_process(child: subprocess.Popen[str]) -> int:
    """Return the number by which this side knows the first process."""
    return int(Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text(encoding="ascii"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("raise SystemExit(7)", 7),
        ("import os; os.kill(os.getpid(), 9)", 137),
        ("import os; raise SystemExit(os.getpid() == 1)", 0),
    ],
)
def test_it_ends_as_its_child_does(tmp_path: Path, text: str, code: int) -> None:
    assert run(text, tmp_path) == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_nobody_handles_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    text = "import signal; signal.signal(2, signal.SIG_DFL); print('here', flush=True); signal.pause()"
    assert run(text, tmp_path, number) == 128 + number


def test_orphans_are_waited_for(tmp_path: Path) -> None:
    assert run(ORPHANED, tmp_path) == 0


def test_without_it_they_stay(tmp_path: Path) -> None:
    assert subprocess.run([*CONTAINER, sys.executable, "-c", ORPHANED], cwd=tmp_path).returncode == 1


def test_an_interrupt_from_the_terminal_arrives_once(tmp_path: Path) -> None:
    text = (
        "import signal, time; heard = []; signal.signal(2, lambda *_: heard.append(1)); print('here', flush=True)\n"
        "while not heard: time.sleep(0.01)\n"
        "time.sleep(0.5); raise SystemExit(len(heard))"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execvpe(CONTAINER[0], program(text), os.environ | {"PYTHONPATH": str(lab.SOURCES)})
    seen = b""
    while b"here" not in seen:
        seen += os.read(terminal, 1024)
    os.write(terminal, b"\x1a\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 1


def test_a_training_is_stopped_and_recorded(tmp_path: Path, notes: lab.Notes) -> None:
    words = ("train", "--task", "Isaac-Cartpole-Direct-v0", "--library", "rsl_rl", "--num-envs", "64")
    isaaclab = lab.package(tmp_path / "env")
    child = lab.start(
        *(*CONTAINER, sys.executable, "-m", "spark_rl", *words, "--isaaclab", isaaclab, "--json"),
        cwd=tmp_path,
        env=lab.environ("polite", notes),
    )
    notes.started()
    asked = time.monotonic()
    os.kill(first_process(child), signal.SIGTERM)
    code, out, err = lab.finish(child)
    assert (code, json.loads(out)["state"]) == (143, "interrupted"), err
    assert time.monotonic() - asked < 5
    assert registry.load("1").state == "interrupted"


def test_nothing_can_be_detached_from_a_container(tmp_path: Path, notes: lab.Notes) -> None:
    words = ("train", "--task", "Isaac-Cartpole-Direct-v0", "--isaaclab", lab.package(tmp_path / "env"), "--detach")
    child = lab.start(
        *CONTAINER, sys.executable, "-m", "spark_rl", *words, cwd=tmp_path, env=lab.environ("train", notes)
    )
    code, _, err = lab.finish(child)
    assert code == 2
    assert "docker run --detach" in err
    assert not (notes.folder / "started").exists()
