"""What is settled when several ranks start: where they meet, and where each of them writes."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from planning import host, planned
from spark_rl.launch.gathering import free_port, gathered
from spark_rl.launch.settling import stamp
from spark_rl.ranks import word

EIGHT = host(gpus=8)
FOLDER = Path("/runs/1/ranks/1")
LOGS = ("--log_dir=/runs/1/ranks/1", "--tee=3", "--local_ranks_filter=0")


def plan(on: str, **asked: Any) -> Any:
    return planned(on, "Isaac-Cartpole-Direct-v0", machine=EIGHT, **{"gpus": "2"} | asked)


@pytest.mark.parametrize(("on", "count"), [("2.3.2", ("--nproc_per_node=2",)), ("kit", ("--num_gpus", "2"))])
def test_a_port_and_logs_follow_the_count(on: str, count: tuple[str, ...]) -> None:
    before = plan(on)
    argv = gathered(before, FOLDER).argv
    at = argv.index("--master_addr=127.0.0.1")
    port = int(argv[at + 1].removeprefix("--master_port="))
    assert argv[at - len(count) : at] == count
    assert (argv[at + 2 : at + 5], argv[:at] + argv[at + 5 :]) == (LOGS, before.argv)
    assert 1024 < port < 65536


def test_the_port_is_free_and_another_one_each_time() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        assert free_port() != taken.getsockname()[1]


def test_a_port_that_was_named_is_taken() -> None:
    argv = gathered(plan("2.3.2", master_port=4000), FOLDER).argv
    assert [one for one in argv if one.startswith("--master")] == ["--master_addr=127.0.0.1", "--master_port=4000"]
    joined = gathered(plan("kit", nnodes=2, master_addr="10.0.0.1"), FOLDER).argv
    assert (word(joined, "--master_addr"), joined.count("--log_dir=/runs/1/ranks/1")) == ("10.0.0.1", 1)


@pytest.mark.parametrize("on", ["2.3.2", "kit"])
def test_jax_meets_at_a_coordinator_and_keeps_no_logs(on: str) -> None:
    asked = plan(on, library="skrl", options=("--ml_framework", "jax"))
    argv = gathered(asked, FOLDER).argv
    (meeting,) = set(argv) - set(asked.argv)
    assert meeting.startswith("--coordinator_address=127.0.0.1:")


def test_one_rank_has_nobody_to_meet() -> None:
    for on in ("2.3.2", "kit"):
        alone = plan(on, gpus="1")
        assert gathered(alone, FOLDER) is alone


def test_all_ranks_share_the_name_of_one_run_folder() -> None:
    assert "--run_timestamp=name" in stamp(plan("kit"), "name").argv
    rank = host(gpus=8, environ={"LOCAL_RANK": "1"})
    inside = planned("kit", "Isaac-Cartpole-Direct-v0", machine=rank, gpus="2")
    assert stamp(inside, "name") is inside
