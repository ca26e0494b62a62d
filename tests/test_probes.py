"""The small computation: Pythons that do it, fail at it, hang or do not start, and what its driver writes down."""

from __future__ import annotations

import json
import subprocess
import sys
from shlex import quote
from typing import TYPE_CHECKING

import pytest

from fakes import lab
from spark_rl import probes
from spark_rl.model import Installation

if TYPE_CHECKING:
    from pathlib import Path

DONE = {"python": "3.12.1", "torch": "2.11.0", "device": "cuda:0", "error": 1e-7, "news": "of a newer driver"}


def python(folder: Path, script: str) -> Installation:
    """Make an environment whose Python is a shell script; $2 is the file to write and $3 the ranks."""
    program = folder / "bin" / "python"
    program.parent.mkdir(parents=True)
    lab.program(program, f"#!/bin/sh\n{script}\n")
    return Installation(version="3.0.0", kind="package", path=str(folder), python=str(program))


def test_what_was_computed_comes_back(tmp_path: Path) -> None:
    on = python(tmp_path, f"echo talk; echo '{json.dumps(DONE | {'problems': {'warp': 'no'}})}' > $2; echo $3 > ranks")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        done = probes.compute(on, 4)
    assert (done.torch, done.device, done.problems) == ("2.11.0", "cuda:0", (("warp", "no"),))
    assert done.seconds < lab.PATIENCE_S
    assert (tmp_path / "ranks").read_text() == "4\n"


def test_a_checkout_computes_in_the_python_of_its_script(tmp_path: Path) -> None:
    lab.program(tmp_path / "isaaclab.sh", f"#!/bin/sh\n[ $1 = -p ] && echo '{json.dumps(DONE)}' > $3\n")
    done = probes.compute(Installation(version="2.3.2", kind="checkout", path=str(tmp_path)), 1)
    assert done.device == "cuda:0"


def test_a_python_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    doing = json.dumps({"torch": "2.11.0", "doing": "nvrtc"})
    on = python(tmp_path, f"echo '{doing}' > $2; sleep 1000 & echo $! > {quote(str(tmp_path / 'child'))}; wait")
    done = probes.compute(on, 1, timeout_s=0.5)
    assert done.problems == (("nvrtc", "it has not ended within 0.5 s"),)
    assert done.torch == "2.11.0"
    child = int((tmp_path / "child").read_text())
    lab.eventually(lambda: not lab.is_running(child), "the end of the child")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'Illegal instruction' >&2; exit 132", "it ended with status 132: Illegal instruction"),
        ("kill -SEGV $$", "it ended with status -11: "),
        ("echo '{' > $2; exit 3", "it ended with status 3: "),
    ],
)
def test_a_python_that_fails_is_a_problem(script: str, problem: str, tmp_path: Path) -> None:
    assert probes.compute(python(tmp_path, script), 1).problems == (("python", problem),)


def test_no_python_is_a_problem(tmp_path: Path) -> None:
    gone = str(tmp_path / "bin" / "python")
    on = Installation(version="3.0.0", kind="package", path=str(tmp_path), python=gone)
    ((part, text),) = probes.compute(on, 1).problems
    assert (part, text) == ("python", f"{gone} cannot be started: No such file or directory")


def test_the_driver_writes_down_what_a_python_lacks(tmp_path: Path) -> None:
    file = tmp_path / "computed.json"
    subprocess.run([sys.executable, "-I", "-S", str(probes.DRIVER), str(file), "1"], check=True, timeout=lab.PATIENCE_S)
    told = json.loads(file.read_text())
    assert told["python"] == sys.version.split()[0]
    assert set(told["problems"]) == {"torch", "nvrtc", "warp"}
    assert told["problems"]["torch"] == "ModuleNotFoundError: No module named 'torch'"
    assert "doing" not in told
