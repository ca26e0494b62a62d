"""Sweeps on a real Ray: its nodes and workers are real, the trainer is the fake one."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes import lab
from spark_rl import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.wide
LIMIT_S = 240.0
RATE = "agent.algorithm.learning_rate"
TRAINER = f"save=4 scale={RATE}"
"""A trainer that saves often, and whose reward is in proportion to its learning rate."""

FILE = """\
seeds = {seeds}
{top}
[recipe]
task = "Isaac-Cartpole-Direct-v0"
library = "rsl_rl"
max_iterations = {iterations}
device = "cpu"

[space]
"agent.algorithm.learning_rate" = {space}

{tables}
[trial]
memory = "200MiB"
"""


@pytest.fixture(autouse=True)
def _ray() -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: scripts/setup wide")


class Desk:
    """A folder with a sweep's file, and an Isaac Lab 3.0 whose Python is the fake trainer."""

    def __init__(self, folder: Path, temp: str) -> None:
        self.temp = temp
        self.cwd = folder / "cwd"
        self.cwd.mkdir()
        self.lab = lab.package(folder / "env")
        self.notes = lab.Notes(folder / "notes")
        self.children: list[subprocess.Popen[str]] = []

    def write(self, space: str, *, top: str = "", tables: str = "", seeds: str = "[1]", iterations: int = 30) -> None:
        text = FILE.format(space=space, top=top, tables=tables, seeds=seeds, iterations=iterations)
        (self.cwd / "lr.toml").write_text(text, encoding="utf-8")

    def env(self, behaviour: str) -> dict[str, str]:
        quiet = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
        found = lab.environ(f"{TRAINER} {behaviour}", self.notes, TMPDIR=self.temp, **quiet)
        del found["FAKE_NOTES"]  # several trainers at once would share them
        return found

    def start(self, behaviour: str, *words: str) -> subprocess.Popen[str]:
        argv = ("sweep", "lr.toml", "--isaaclab", str(self.lab), "--json", *words)
        child = lab.spark_rl(*argv, cwd=self.cwd, env=self.env(behaviour))
        self.children.append(child)
        return child

    def sweep(self, behaviour: str, *words: str) -> tuple[int, dict[str, Any], str]:
        return ended(self.start(behaviour, *words))

    def reports(self, number: int) -> list[dict[str, Any]]:
        files = self.cwd.glob(f"logs/sweeps/*/trials/{number}/reports.jsonl")
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def far(self, number: int, iteration: int) -> Callable[[], bool]:
        """Return what says whether a trial has reported an iteration."""
        return lambda: any(report["iteration"] >= iteration for report in self.reports(number))

    def left(self) -> list[str]:
        """Return what still runs of this test: everything of a sweep names its folder, or Ray's own."""
        return [line for line in commands() if any(mark in line for mark in (str(self.cwd), str(self.lab), self.temp))]


def ended(child: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    out, err = child.communicate(timeout=LIMIT_S)
    assert out, err
    return child.returncode, json.loads(out), err


def commands() -> list[str]:
    found = subprocess.run(["ps", "-eo", "pid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    return [line for line in found.splitlines() if line.split()[1][0] != "Z" and "ps -eo" not in line]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as temp:  # a short path
        desk = Desk(tmp_path, temp)
        yield desk
        for child in desk.children:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
                child.communicate(timeout=LIMIT_S)


def attempts(trial: dict[str, Any]) -> list[tuple[int, str]]:
    return [(one.first_iteration, one.state) for one in registry.load(trial["run"]).attempts]


def test_a_grid_with_seeds_is_ranked(desk: Desk) -> None:
    desk.write("{ grid = [0.5, 2.0, 1.0] }", seeds="[1, 2]")
    code, found, err = desk.sweep("")
    assert code == 0, err
    assert [row["values"][RATE] for row in found["ranking"]] == [2.0, 1.0, 0.5]
    assert [row["trials"] for row in found["ranking"]] == [[3, 4], [5, 6], [1, 2]]
    assert {trial["state"] for trial in found["trials"]} == {"complete"}
    assert found["ranking"][0]["median"] == pytest.approx(2 * 1.818, abs=0.01)
    recipe = Path(found["recipe"]).read_text()
    assert f'overrides = ["{RATE}=2"]' in recipe
    assert [run.run_name for run in registry.entries() if not hasattr(run, "reason")] == [
        f"lr-{trial['number']}" for trial in sorted(found["trials"], key=lambda one: -int(one["run"]))
    ]
    assert desk.left() == []
    assert list(Path(desk.temp).iterdir()) == []


def test_ctrl_c_stops_every_run_and_resume_goes_on(desk: Desk) -> None:
    desk.write("{ grid = [1.0, 2.0, 3.0] }")
    child = desk.start("pace=0.3")
    wait_for(desk.far(1, 9), "the first trial")
    os.kill(child.pid, signal.SIGINT)
    code, found, _ = ended(child)
    assert (code, found["state"]) == (130, "unfinished")
    begun = [trial for trial in found["trials"] if trial["run"]]
    assert begun
    assert {trial["state"] for trial in begun} == {"unfinished"}
    assert desk.left() == []

    code, again, err = desk.sweep("", "--resume")
    assert (code, again["state"], again["folder"]) == (0, "complete", found["folder"]), err
    for trial in begun:
        (same,) = (one for one in again["trials"] if one["number"] == trial["number"])
        assert same["run"] == trial["run"]
        (_, stopped), (first, state) = attempts(same)
        assert (stopped, state) == ("interrupted", "succeeded")
        assert first >= 4 or trial["number"] != 1


def test_nothing_survives_a_sweep_that_is_killed(desk: Desk) -> None:
    desk.write("{ grid = [1.0, 2.0] }")
    child = desk.start("pace=0.3")
    wait_for(desk.far(1, 9), "the first trial")
    child.kill()
    child.communicate()
    wait_for(lambda: desk.left() == [], "the end of all that it started")
    code, again, err = desk.sweep("", "--resume")
    assert (code, again["state"]) == (0, "complete"), err
    _, (first, state) = attempts(again["trials"][0])
    assert (first >= 8, state) == (True, "succeeded")


def test_optuna_learns_over_seeds_and_goes_on(desk: Desk) -> None:
    top = 'search = "optuna"\n'
    desk.write("{ uniform = [0.0, 1.0] }", top=top, tables="[budget]\ncombinations = 4\nparallel = 2\n", seeds="[1, 2]")
    child = desk.start("pace=0.2")
    wait_for(desk.far(3, 9), "the second combination")
    os.kill(child.pid, signal.SIGINT)
    code, first, _ = ended(child)
    assert code == 130
    assert {trial["state"] for trial in first["trials"]} >= {"complete", "unfinished"}
    code, found, err = desk.sweep("", "--resume")
    assert (code, found["state"], len(found["trials"]), len(found["ranking"])) == (0, "complete", 8, 4), err
    for trial in first["trials"]:
        (same,) = (one for one in found["trials"] if one["number"] == trial["number"])
        assert (same["values"], same["seed"]) == (trial["values"], trial["seed"])
    rates = [row["values"][RATE] for row in found["ranking"]]
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 4
    assert all(0.0 <= rate <= 1.0 for rate in rates)


def test_asha_stops_the_worst_and_their_runs(desk: Desk) -> None:
    desk.write(
        "{ grid = [4.0, 3.0, 2.0, 1.0] }",
        top='scheduler = "asha"\n',
        tables="[asha]\ngrace = 5\nreduction = 2\n\n[budget]\nparallel = 1\n",
        iterations=24,
    )
    code, found, err = desk.sweep("pace=0.4")
    assert (code, found["state"]) == (0, "complete"), err
    states = {trial["values"][RATE]: trial["state"] for trial in found["trials"]}
    assert states[4.0] == "complete"
    assert states[1.0] == "stopped"
    stopped = [trial for trial in found["trials"] if trial["state"] == "stopped"]
    assert all(5 <= trial["iteration"] < 24 for trial in stopped)
    assert {registry.load(trial["run"]).state for trial in stopped} == {"interrupted"}
    assert found["ranking"][0]["values"][RATE] == 4.0
    assert desk.sweep("", "--resume")[1]["trials"] == found["trials"]


def test_a_run_that_fails_does_not_end_the_sweep(desk: Desk) -> None:
    desk.write("{ grid = [1.0, 2.0] }")
    code, found, err = desk.sweep("nan-at=7")
    assert code == 1, err
    assert {trial["state"] for trial in found["trials"]} == {"failed"}
    assert found["recipe"] is None
    code, again, _ = desk.sweep("", "--resume")
    assert (code, {trial["state"] for trial in again["trials"]}) == (0, {"complete"})


# --- a cluster of two nodes


class Cluster:
    """A Ray of two nodes on this host, each with one CPU; each node is a session of its own."""

    def __init__(self, desk: Desk, temp: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.desk, self.temp, self.address = desk, temp, f"127.0.0.1:{port}"
        self.nodes: list[subprocess.Popen[bytes]] = []
        self.start("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={temp}", "--num-cpus=1")

    def start(self, *words: str) -> None:
        argv = [sys.executable, "-m", "ray.scripts.scripts", "start", *words]
        argv += ["--node-ip-address=127.0.0.1", "--object-store-memory=80000000", "--memory=1000000000", "--block"]
        with Path(self.temp, f"node-{len(self.nodes)}.log").open("wb") as log:
            child = subprocess.Popen(
                argv, env=self.desk.env("pace=0.3"), stdout=log, stderr=log, start_new_session=True
            )
        self.nodes.append(child)
        wait_for(lambda: b"Ray runtime started" in Path(log.name).read_bytes(), f"node {len(self.nodes)}")

    def join(self) -> None:
        self.start(f"--address={self.address}", "--num-cpus=1")

    def kill(self, node: int) -> None:
        """Kill everything of a node at once, as a power cut would."""
        sid = str(self.nodes[node].pid)
        found = subprocess.run(["ps", "-eo", "pid=,sess=,args="], capture_output=True, text=True, check=True).stdout
        lines = [line.split(maxsplit=2) for line in found.splitlines()]
        members = [int(pid) for pid, session, _ in lines if session == sid]
        for pid in members:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.nodes[node].wait()


@pytest.fixture
def cluster(desk: Desk) -> Iterator[Cluster]:
    # Sockets lie below, and their paths may not be long.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as temp:
        found = Cluster(desk, temp)
        try:
            found.join()
            yield found
        finally:
            for node in reversed(range(len(found.nodes))):
                found.kill(node)


def test_no_trial_is_lost_with_its_node(desk: Desk, cluster: Cluster) -> None:
    desk.write("{ grid = [1.0, 2.0, 3.0] }", iterations=40)
    child = desk.start("pace=0.3", "--address", cluster.address)
    wait_for(lambda: desk.far(1, 9)() and desk.far(2, 9)(), "a trial on each node")
    cluster.kill(1)
    code, found, err = ended(child)
    assert (code, found["state"]) == (0, "complete"), err
    assert [trial["iteration"] for trial in found["trials"]] == [40, 40, 40]
    again = [attempts(trial) for trial in found["trials"] if len(attempts(trial)) > 1]
    assert len(again) == 1
    ((_, before), (first, state)) = again[0]
    assert before in ("lost", "interrupted")
    assert (first >= 8, state) == (True, "succeeded")
    assert "its node or worker died" in err


def test_what_no_node_has_is_refused(desk: Desk, cluster: Cluster) -> None:
    desk.write("{ grid = [1.0, 2.0] }")
    text = (desk.cwd / "lr.toml").read_text()
    (desk.cwd / "lr.toml").write_text(f"{text}cpus = 2\n")
    code, found, _ = desk.sweep("", "--address", cluster.address)
    assert code == 1
    assert found["error"]["message"] == "no node has what a trial takes: 2 CPUs, 0 GPUs, 200 MiB of memory"
