"""Several ranks under real torchrun and Isaac Lab's own launcher: a stand-in trains over gloo, as NCCL needs GPUs."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes import lab
from ranked import Hall
from spark_rl import registry

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "PATIENCE_S", 180.0)


@pytest.fixture(params=["2.3.2", "3.0.0"])
def hall(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Hall]:
    hall = Hall(tmp_path, old=request.param == "2.3.2")
    yield hall
    hall.sweep()


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Hall]:
    hall = Hall(tmp_path, old=False)
    yield hall
    hall.sweep()


def outcome(hall: Hall, behaviour: str, *words: str) -> tuple[int, dict[str, Any]]:
    """Train with two ranks to the end."""
    code, out, err = lab.finish(hall.train(behaviour, "--gpus", "2", "--json", *words))
    assert out, err
    return code, json.loads(out)


def training(hall: Hall, *words: str) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a training that goes on and on, and return it with its ranks once they train."""
    child = hall.train("pace=0.2", "--gpus", "2", "--max-iterations", "5000", *words)
    pids = hall.pids(2)
    lab.eventually(lambda: bool(registry.load("1").progress.iteration), "an iteration")
    return child, pids


def nobody_is_left(pids: list[int]) -> None:
    lab.eventually(lambda: not any(map(lab.is_running, pids)), "the end of every rank")


def test_all_ranks_train_into_one_folder_and_are_written_down(hall: Hall) -> None:
    code, told = outcome(hall, "train", "--max-iterations", "6")
    assert (code, told["state"], told["iteration"]) == (0, "succeeded", 6)
    run = registry.load("1")
    assert (run.world_size, run.num_envs) == (2, 64)
    assert run.progress.env_steps == 6 * 64 * 2 * 16
    (argv,) = [attempt.argv for attempt in run.attempts]
    assert any(word.startswith("--master_port=") for word in argv)
    code, out, _ = lab.finish(hall.start("train", "runs", "log", "1", "--rank", "1"))
    assert (code, out) == (0, "rank 1 of 2 trains\n")
    code, out, _ = lab.finish(hall.start("train", "runs", "log", "1"))
    assert "rank 0 of 2 trains" in out
    assert "rank 1 of 2 trains" not in out
    code, _, err = lab.finish(hall.start("train", "runs", "log", "1", "--rank", "2"))
    assert (code, "run 1 has no log of rank 2" in err, "it has 0, 1 here" in err) == (2, True, True)


def test_the_rank_that_crashed_is_named(hall: Hall) -> None:
    code, told = outcome(hall, "crash-at=3@1", "--max-iterations", "6")
    assert (code, told["state"]) == (1, "failed")
    assert told["message"].startswith("rank 1 failed first: training ")
    assert told["message"].endswith("RuntimeError: the physics exploded")
    assert "spark-rl runs log 1 --rank 1" in told["hint"]


def test_a_rank_that_is_killed_is_named_and_takes_the_others_with_it(new: Hall) -> None:
    child, pids = training(new)
    os.kill(pids[1], signal.SIGKILL)
    code, out, _ = lab.finish(child)
    assert code == 1
    assert "rank 1 failed first: training was ended by SIGKILL" in out
    nobody_is_left(pids)


def test_a_stop_leaves_no_rank_behind(hall: Hall) -> None:
    child, pids = training(hall)
    os.kill(child.pid, signal.SIGINT)
    code, out, _ = lab.finish(child)
    assert (code, "interrupted" in out) == (130, True)
    nobody_is_left(pids)


def test_a_killed_spark_rl_leaves_no_rank_behind(new: Hall) -> None:
    child, pids = training(new)
    child.kill()
    child.communicate()
    nobody_is_left(pids)
    assert registry.load("1").state == "lost"


def test_a_crashed_rank_is_restarted_and_a_run_is_resumed_as_on_one_gpu(new: Hall) -> None:
    code, told = outcome(new, "1:segv-at=5@1", "--max-iterations", "8", "--save-every", "2", "--max-restarts", "1")
    assert (code, told["state"], told["attempts"], told["iteration"]) == (0, "succeeded", 2, 8)
    first, second = registry.load("1").attempts
    assert first.failure == "native-crash"
    assert 0 < second.first_iteration <= 5
    code, out, _ = lab.finish(new.start("train", "runs", "resume", "1", "--max-iterations", "12", "--json"))
    assert (code, json.loads(out)["iteration"]) == (0, 12)
    assert registry.load("1").world_size == 2


def test_two_trainings_of_one_host_do_not_meet(tmp_path: Path) -> None:
    halls = [Hall(tmp_path / name, old=True) for name in ("one", "other")]
    going = [hall.train("train", "--gpus", "2", "--max-iterations", "5") for hall in halls]
    assert [lab.finish(child)[0] for child in going] == [0, 0]


class Hosts:
    """Two hosts that are both this machine; each has a registry of its own."""

    def __init__(self, folder: Path) -> None:
        from spark_rl.launch.gathering import free_port

        self.halls = [Hall(folder / f"host-{node}", old=False) for node in (0, 1)]
        self.states = [str(folder / f"state-{node}") for node in (0, 1)]
        self.meeting = ("--nnodes", "2", "--master-addr", "127.0.0.1", "--master-port", str(free_port()))

    def start(self, behaviour: str, node: int, *words: str) -> subprocess.Popen[str]:
        own = ("--gpus", "1", "--node-rank", str(node), "--max-iterations", "8", "--node-timeout", "60s")
        return self.halls[node].train(behaviour, *self.meeting, *own, *words, SPARK_RL_STATE=self.states[node])

    def both(self, behaviour: str) -> list[subprocess.Popen[str]]:
        return [self.start(behaviour, node) for node in (0, 1)]

    def pids(self) -> list[int]:
        """Wait until they train, and return the ranks."""
        record = Path(self.states[0], "runs", "1", "state.json")
        lab.eventually(lambda: record.exists() and '"iteration"' in record.read_text(encoding="utf-8"), "an iteration")
        return [int(hall.notes.read(f"rank-{node}")) for node, hall in enumerate(self.halls)]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    hosts = Hosts(tmp_path)
    yield hosts
    for hall in hosts.halls:
        hall.sweep()


def test_two_hosts_train_together(hosts: Hosts) -> None:
    ends = [lab.finish(child) for child in hosts.both("train")]
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert "model_7.pt" in ends[0][1]
    record = json.loads((hosts.halls[1].folder.parent / "state-1/runs/1/state.json").read_text(encoding="utf-8"))
    assert (record["state"], record["world_size"]) == ("succeeded", 2)


def test_the_node_whose_rank_crashed_is_named_on_both(hosts: Hosts) -> None:
    zero, one = [lab.finish(child) for child in hosts.both("crash-at=3@1")]
    assert (zero[0], one[0]) == (1, 1)
    assert "run 1, rank 1 failed first: training" in one[1]
    assert "run 1, node 1 (" in zero[1]
    for _, out, _ in (zero, one):
        assert "RuntimeError: the physics exploded" in out


@pytest.mark.parametrize("victim", [0, 1])
def test_when_a_node_dies_the_other_stops_and_says_which(hosts: Hosts, victim: int) -> None:
    children = [hosts.start("pace=0.5", node, "--max-iterations", "500") for node in (0, 1)]
    pids = hosts.pids()
    children[victim].kill()
    code, out, _ = lab.finish(children[1 - victim])
    assert (code, f"node {victim} (" in out, "is gone" in out) == (1, True, True)
    children[victim].communicate()
    nobody_is_left(pids)


def test_a_stop_of_one_stops_the_other(hosts: Hosts) -> None:
    children = [hosts.start("pace=0.5", node, "--max-iterations", "500") for node in (0, 1)]
    pids = hosts.pids()
    os.kill(children[1].pid, signal.SIGINT)
    zero, one = [lab.finish(child) for child in children]
    assert (zero[0], one[0]) == (1, 130)
    assert "was stopped on request" in zero[1]
    nobody_is_left(pids)


def test_hosts_that_would_train_different_things_do_not_start(hosts: Hosts) -> None:
    children = [hosts.start("train", 0), hosts.start("train", 1, "--seed", "3")]
    ends = [lab.finish(child) for child in children]
    assert [code for code, _, _ in ends] == [1, 1]
    for _, _, err in ends:
        assert "has seed 3, and node 0 has None" in err
    assert not (hosts.halls[0].notes.folder / "rank-0").exists()


def test_a_node_that_does_not_come_is_named(hosts: Hosts) -> None:
    code, _, err = lab.finish(hosts.start("train", 0, "--node-timeout", "1s"))
    assert (code, "node 1 of 2 did not come within 1 s" in err) == (1, True)


def of_jax(hall: Hall, behaviour: str) -> tuple[int, dict[str, Any]]:
    """Train with two ranks of skrl's JAX launcher, which ends with 0 whatever its ranks end with."""
    words = ("--ml-framework", "jax", "--gpus", "2", "--max-iterations", "6", "--json")
    code, out, err = lab.finish(hall.train(behaviour, *words, library="skrl"))
    assert out, err
    return code, json.loads(out)


def test_the_ranks_of_jax_train_together(hall: Hall) -> None:
    code, told = of_jax(hall, "train")
    assert (code, told["state"], told["iteration"]) == (0, "succeeded", 6), told
    assert registry.load("1").world_size == 2


def test_a_rank_of_jax_that_crashes_is_no_success(hall: Hall) -> None:
    code, told = of_jax(hall, "crash-at=3@1")
    assert (code, told["state"]) == (1, "failed"), told
    assert "RuntimeError: the physics exploded" in told["message"]
