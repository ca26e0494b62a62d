"""Engines that need nothing but this machine: real processes, and what is known of them afterwards."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from fakes import lab
from spark_rl import engines
from spark_rl.engines import Submission, local, torchrun
from spark_rl.errors import CheckError, RequestError

if TYPE_CHECKING:
    from pathlib import Path

SLEEP = (sys.executable, "-c", "import time; print('began', flush=True); time.sleep(600)")


def submission(folder: Path, *commands: tuple[str, ...], **values: Any) -> Submission:
    return Submission(name="test", commands=commands, cwd=str(folder), log=str(folder / "log"), **values)


def over(ident: str) -> engines.Status:
    lab.eventually(lambda: local.poll(ident).state != "running", "the end")
    return local.poll(ident)


def begun(folder: Path) -> None:
    log = folder / "log"
    lab.eventually(lambda: log.exists() and "began" in log.read_text(encoding="utf-8"), "a beginning")


@pytest.mark.parametrize("name", ["local", "torchrun"])
def test_an_engine_is_loaded_by_its_name(name: str) -> None:
    engine = engines.load(name)
    assert all(hasattr(engine, word) for word in ("render", "submit", "poll", "survey", "cancel"))


def test_commands_run_one_after_the_other_with_their_environment(tmp_path: Path) -> None:
    say = ("/bin/sh", "-c", 'echo "$1 $WHO in $PWD"', "sh")
    ident = local.submit(submission(tmp_path, (*say, "one"), (*say, "two"), env=(("WHO", "it's me"),)))
    assert (over(ident).state, over(ident).native) == ("done", "exit code 0")
    assert (tmp_path / "log").read_text(encoding="utf-8") == f"one it's me in {tmp_path}\ntwo it's me in {tmp_path}\n"


def test_the_first_failure_is_what_it_came_to(tmp_path: Path) -> None:
    ident = local.submit(submission(tmp_path, ("sh", "-c", "exit 3"), ("sh", "-c", "exit 4"), ("true",)))
    assert over(ident) == engines.Status(state="failed", native="exit code 3")


def test_what_is_cancelled_stops_and_begins_nothing_more(tmp_path: Path) -> None:
    catching = "trap 'exit 130' INT; echo began; while :; do sleep 0.05; done"
    ident = local.submit(submission(tmp_path, ("sh", "-c", catching), ("sh", "-c", "echo second")))
    begun(tmp_path)
    assert local.survey((ident,))[ident].state == "running"
    local.cancel(ident)
    assert over(ident) == engines.Status(state="cancelled", native="exit code 130")
    assert "second" not in (tmp_path / "log").read_text(encoding="utf-8")
    local.cancel(ident)


def test_what_was_killed_is_gone(tmp_path: Path) -> None:
    ident = local.submit(submission(tmp_path, SLEEP))
    begun(tmp_path)
    os.killpg(int(ident.split(":", maxsplit=1)[0]), signal.SIGKILL)
    assert over(ident).state == "gone"


def test_what_cannot_be_started_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    wrong = Submission(name="test", commands=(("true",),), cwd=str(tmp_path), log=str(tmp_path / "file" / "log"))
    with pytest.raises(CheckError, match="cannot be started here"):
        local.submit(wrong)


def test_the_script_is_what_runs(tmp_path: Path) -> None:
    script = local.render(submission(tmp_path, ("echo", "a b"), env=(("X", "1 2"),)))
    assert f"cd {shlex.quote(str(tmp_path))}" in script
    assert "export X='1 2'" in script
    assert "echo 'a b' </dev/null" in script


MASTER = (("master_addr", "10.0.0.1"), ("master_port", "4000"))


def test_each_host_has_a_command_of_its_own(tmp_path: Path) -> None:
    told = torchrun.render(submission(tmp_path, ("spark-rl", "train", "--task", "T"), nodes=2, options=MASTER))
    line = "spark-rl train --task T --nnodes 2 --node-rank {} --master-addr 10.0.0.1 --master-port 4000"
    assert told.splitlines() == ["# node 0", line.format(0), "# node 1", line.format(1)]


def test_a_host_starts_its_own_part(tmp_path: Path) -> None:
    own = submission(tmp_path, ("echo",), nodes=2, options=(*MASTER, ("node_rank", "1")))
    over(torchrun.submit(own))
    words = "--nnodes 2 --node-rank 1 --master-addr 10.0.0.1 --master-port 4000\n"
    assert (tmp_path / "log").read_text(encoding="utf-8") == words


def test_hosts_need_an_address(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="need the address of node 0"):
        torchrun.render(submission(tmp_path, ("echo",), nodes=2))
