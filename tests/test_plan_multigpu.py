"""Training over several GPUs: the tutorial's command, and everything that is not possible."""

from __future__ import annotations

from typing import Any

import pytest

from planning import checkout, codes, host, package, planned, reason, refused, words
from spark_rl import documents
from spark_rl.model import Interface

CARTPOLE = "Isaac-Cartpole-Direct-v0"
EIGHT = host(gpus=8)
TORCHRUN = ("-p", "-m", "torch.distributed.run", "--nnodes=1")


@pytest.mark.parametrize(("asked", "ranks"), [("2", "2"), ("8", "8"), ("all", "8")])
@pytest.mark.parametrize("on", ["2.1.0", "2.3.2"])
@pytest.mark.parametrize("library", ["rsl_rl", "rl_games", "skrl"])
def test_2_runs_torchrun_through_isaaclab_sh(on: str, library: str, asked: str, ranks: str) -> None:
    plan = planned(on, CARTPOLE, library=library, gpus=asked, machine=EIGHT, num_envs=4096)
    script = f"scripts/reinforcement_learning/{library}/train.py"
    assert plan.argv[:7] == ("/lab/isaaclab.sh", *TORCHRUN, f"--nproc_per_node={ranks}", script)
    assert words(plan) == ["--headless", "--num_envs", "4096", "--distributed"]
    assert reason(plan, "distributed") == (
        f"{ranks} ranks, one GPU each; --num-envs counts per rank: 4096 x {ranks} = {4096 * int(ranks)}"
    )
    assert codes(plan) == {}


@pytest.mark.parametrize(("asked", "ranks"), [("2", "2"), ("all", "8")])
def test_3_has_an_entry_of_its_own(asked: str, ranks: str) -> None:
    entry = ("train_multigpu", "--rl_library", "skrl", "--num_gpus", ranks, "--task", "Isaac-Cartpole-Direct")
    plan = planned("kit", CARTPOLE, library="skrl", gpus=asked, machine=EIGHT)
    assert plan.argv == ("/env/bin/python", "-m", "isaaclab", *entry)
    plan = planned(checkout("3.0.0"), CARTPOLE, library="skrl", gpus=asked, machine=EIGHT)
    assert plan.argv == ("/lab/isaaclab.sh", *entry)


def test_what_follows_the_dashes_reaches_3_whole() -> None:
    plan = planned("kit", CARTPOLE, gpus="2", machine=EIGHT, passthrough=("--distributed", "--x"))
    assert plan.argv[-2:] == ("--distributed", "--x")


def test_one_gpu_is_not_distributed() -> None:
    for on in ("2.3.2", "kit"):
        assert planned(on, CARTPOLE, gpus="1", machine=EIGHT).argv == planned(on, CARTPOLE, machine=EIGHT).argv


@pytest.mark.parametrize(("asked", "ranks"), [("all", "2"), ("3", "3")])
def test_visible_gpus_count(asked: str, ranks: str) -> None:
    machine = host(gpus=8, environ={"CUDA_VISIBLE_DEVICES": "4, 6"})
    plan = planned("2.3.2", CARTPOLE, gpus=asked, machine=machine)
    assert f"--nproc_per_node={ranks}" in plan.argv
    assert codes(plan) == ({} if asked == "all" else {"gpus-missing": "error"})


@pytest.mark.parametrize(
    ("asked", "gpus", "message"),
    [("4", 2, "4 GPUs were asked for, and 2 can be seen"), ("2", 0, "and 0 can be seen"), ("all", 0, "no GPU can be")],
)
def test_more_gpus_than_there_are_stop_the_start(asked: str, gpus: int, message: str) -> None:
    plan = planned("2.3.2", CARTPOLE, gpus=asked, machine=host(gpus=gpus))
    assert [finding.code for finding in plan.findings if finding.level == "error"] == ["gpus-missing"]
    assert message in plan.findings[0].message
    assert ("--gpus 2, or all" in (plan.findings[0].hint or "")) is (gpus == 2)
    assert "cpu" not in plan.argv


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:0"])
def test_a_device_that_every_rank_can_mean_is_no_contradiction(device: str) -> None:
    assert codes(planned("2.3.2", CARTPOLE, gpus="2", device=device, machine=EIGHT)) == {}


def test_a_rank_that_would_train_alone_is_warned_of() -> None:
    rank = host(gpus=8, environ={"LOCAL_RANK": "3", "WORLD_SIZE": "8"})
    assert codes(planned("2.3.2", CARTPOLE, machine=rank)) == {"ranks-apart": "warning"}
    assert "ranks-apart" not in codes(planned("2.3.2", CARTPOLE, "play", machine=rank))


def test_a_host_that_names_node_0_and_trains_alone_is_warned_of() -> None:
    alone: tuple[dict[str, Any], ...] = ({}, {"nnodes": 1, "node_rank": 0})
    for asked in alone:
        plan = planned("2.3.2", CARTPOLE, machine=EIGHT, master_addr="10.0.0.1", **asked)
        assert codes(plan) == {"nodes-one": "warning"}


@pytest.mark.parametrize("address", ["10.0.0.1", "node-1.lab", "node_1", "fe80::1%eth0", "::1", "2001:db8::10.0.0.1"])
def test_an_address_or_a_name_is_one(address: str) -> None:
    assert f"node 0 is {address} port 29500" in (
        reason(planned("kit", CARTPOLE, machine=EIGHT, nnodes=2, master_addr=address), "master") or ""
    )


@pytest.mark.parametrize("on", ["2.1.0", "2.3.2", "kitless"])
def test_inside_torchrun_nothing_is_nested(on: str) -> None:
    rank = host(gpus=8, environ={"LOCAL_RANK": "3", "WORLD_SIZE": "8"})
    for asked in ("8", "all", "1"):
        plan = planned(on, CARTPOLE, gpus=asked, machine=rank)
        assert "torch.distributed.run" not in plan.argv
        assert "train_multigpu" not in plan.argv
        assert words(plan)[-1] == "--distributed"
        assert "LOCAL_RANK is set" in (reason(plan, "distributed") or "")
        assert codes(plan) == {}
    assert "--distributed" not in planned(on, CARTPOLE, machine=rank).argv


@pytest.mark.parametrize(
    ("on", "asked", "message"),
    [
        ("2.3.2", {"library": "sb3", "gpus": "2"}, "sb3 of Isaac Lab 2.3.2 trains on one GPU alone"),
        ("kitless", {"library": "sb3", "gpus": "all"}, "sb3 of Isaac Lab 3.0.0 trains on one GPU alone"),
        ("2.0.2", {"library": "rsl_rl", "gpus": "2"}, "rsl_rl of Isaac Lab 2.0.2 trains on one GPU alone"),
        ("2.3.2", {"gpus": "2", "device": "cpu"}, "cannot run with --device cpu"),
        ("kit", {"gpus": "2", "options": ("--cpu",)}, "cannot run with --device cpu"),
        ("2.3.2", {"gpus": "2", "device": "cuda:1"}, "--device cuda:1 is one GPU, and with --gpus each rank takes"),
        ("kit", {"gpus": "all", "device": "cuda:10"}, "--device cuda:10 is one GPU"),
        ("2.3.2", {"gpus": "0"}, "--gpus must be a positive whole number"),
        ("2.3.2", {"gpus": "-1"}, "--gpus must be a positive whole number"),
        ("2.3.2", {"gpus": "two"}, "--gpus must be a positive whole number"),
        ("2.3.2", {"gpus": "1.5"}, "--gpus must be a positive whole number"),
        ("2.3.2", {"gpus": ""}, "--gpus must be a positive whole number"),
        ("2.3.2", {"gpus": "²"}, "--gpus must be a positive whole number"),
    ],
)
def test_what_cannot_be_distributed_is_refused(on: str, asked: dict[str, Any], message: str) -> None:
    refusal = refused(on, CARTPOLE, machine=EIGHT, **asked)
    assert message in refusal.message
    assert refusal.hint


def test_the_hint_names_libraries_that_the_task_has() -> None:
    refusal = refused("2.3.2", "Isaac-Velocity-Flat-Unitree-A1-v0", library="sb3", gpus="2", machine=EIGHT)
    assert refusal.hint == "leave --gpus out, or use --library rsl_rl or skrl"
    assert "2.3.2" not in (refused(package(), CARTPOLE, library="sb3", gpus="2", machine=EIGHT).hint or "")


TWO: dict[str, Any] = {"nnodes": 2, "master_addr": "10.0.0.1"}
JOINED = ("--node_rank=1", "--master_addr=10.0.0.1", "--master_port=29500")
LAN = Interface(name="eth0", up=True, addresses=("10.0.0.2/24",))


def test_2_joins_hosts_by_torchrun() -> None:
    plan = planned("2.3.2", CARTPOLE, gpus="4", machine=EIGHT, node_rank=1, num_envs=4096, **TWO)
    script = "scripts/reinforcement_learning/rsl_rl/train.py"
    launcher = ("--nnodes=2", "--nproc_per_node=4", *JOINED)
    assert plan.argv[1:11] == ("-p", "-m", "torch.distributed.run", *launcher, script, "--task")
    said = "2 nodes of 4 ranks each, one GPU each; --num-envs counts per rank: 4096 x 8 = 32768"
    assert reason(plan, "distributed") == said
    assert "node 0 is 10.0.0.1 port 29500; port 29501 is spark-rl's own" in (reason(plan, "master") or "")


def test_3_joins_hosts_by_its_own_entry() -> None:
    plan = planned("kit", CARTPOLE, machine=host(), node_rank=1, master_port=4000, **TWO)
    entry = plan.argv[plan.argv.index("train_multigpu") + 3 : plan.argv.index("--task")]
    joined = ("--nnodes", "2", "--node_rank", "1", "--master_addr", "10.0.0.1", "--master_port", "4000")
    assert entry == ("--num_gpus", "1", *joined)


def test_the_interface_of_the_node_is_chosen() -> None:
    plan = planned("kit", CARTPOLE, machine=host(interfaces=(LAN,)), node_rank=1, **TWO)
    assert dict(plan.env) == {"NCCL_SOCKET_IFNAME": "eth0", "GLOO_SOCKET_IFNAME": "eth0"}
    alone = planned("kit", CARTPOLE, gpus="1", machine=host(interfaces=(LAN,)))
    assert "NCCL_SOCKET_IFNAME" not in dict(alone.env)


@pytest.mark.parametrize("on", ["2.3.2", "kit"])
def test_the_plan_tells_the_command_of_every_node(on: str) -> None:
    asked: dict[str, Any] = {"gpus": "2", "num_envs": 64, "overrides": ("env.decimation=4",), "passthrough": ("--x",)}
    plan = planned(on, CARTPOLE, machine=EIGHT, **asked, **TWO)
    assert [node.node_rank for node in plan.nodes] == [0, 1]
    assert plan.nodes[0].argv == plan.argv
    words = [word.replace("node_rank=1", "node_rank=0") for word in plan.nodes[1].argv]
    differing = [pair for pair in zip(words, plan.argv, strict=True) if pair[0] != pair[1]]
    assert differing == ([] if on == "2.3.2" else [("1", "0")])
    told = ("--nnodes", "2", "--node-rank", "1", "--master-addr", "10.0.0.1", "--master-port", "29500", "--", "--x")
    named = ("spark-rl", "train", "--task", CARTPOLE, "--num-envs", "64", "--gpus", "2", "--isaaclab")
    command = plan.nodes[1].command
    assert (command[:9], command[10:]) == (named, ("env.decimation=4", *told))
    assert documents.plan(plan)["nodes"][1]["node_rank"] == 1
    assert "nodes" not in documents.plan(planned(on, CARTPOLE, gpus="2", machine=EIGHT))


def test_a_host_with_the_address_of_another_node_is_warned_of() -> None:
    asked: dict[str, Any] = {"nnodes": 2, "master_addr": "10.0.0.2", "machine": host(interfaces=(LAN,))}
    assert codes(planned("kit", CARTPOLE, node_rank=1, **asked)) == {"nodes-address": "warning"}
    assert codes(planned("kit", CARTPOLE, node_rank=0, **asked)) == {}
    assert codes(planned("kit", CARTPOLE, **asked)) == {}


def test_node_0_is_this_host_where_nobody_says_otherwise() -> None:
    plan = planned("kit", CARTPOLE, nnodes=2, machine=host(interfaces=(LAN,)))
    assert plan.argv[plan.argv.index("--master_addr") + 1] == "10.0.0.2"
    assert "this host's own address" in (reason(plan, "master") or "")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"nnodes": 0}, "--nnodes must be at least 1"),
        ({"nnodes": 2, "node_rank": 2}, "--node-rank 2 is none of 2"),
        ({"nnodes": 2, "node_rank": -1}, "--node-rank -1 is none of 2"),
        ({"node_rank": 1}, "--node-rank 1 is none of 1"),
        ({"nnodes": 2}, "--nnodes needs the address of node 0"),
        ({"nnodes": 2, "node_rank": 1}, "--nnodes needs the address of node 0"),
        ({**TWO, "master_port": 65535}, "--master-port must be from 1 to 65534"),
        *(
            ({**TWO, "master_addr": address}, f"--master-addr must be an address or a name, not {address!r}")
            for address in ("", "10.0.0.1:29500", "node1:29500", "two hosts", "tcp://10.0.0.1")
        ),
        ({**TWO, "device": "cuda:1"}, "--device cuda:1 is one GPU, and with --nnodes"),
        ({**TWO, "library": "sb3"}, "sb3 of Isaac Lab 3.0.0 trains on one GPU alone"),
        ({**TWO, "device": "cpu"}, "cannot run with --device cpu"),
    ],
)
def test_what_are_no_hosts_is_refused(asked: dict[str, Any], message: str) -> None:
    refusal = refused("kit", CARTPOLE, machine=EIGHT, **asked)
    assert message in refusal.message
    assert refusal.hint


def test_inside_torchrun_there_are_no_hosts_to_join() -> None:
    rank = host(gpus=8, environ={"LOCAL_RANK": "3"})
    assert "--nnodes has no meaning" in refused("kit", CARTPOLE, machine=rank, **TWO).message


@pytest.mark.parametrize("on", ["2.3.2", "kit"])
def test_jax_has_a_launcher_of_its_own(on: str) -> None:
    asked: dict[str, Any] = {"library": "skrl", "options": ("--ml_framework", "jax"), "gpus": "2", "machine": EIGHT}
    plan = planned(on, CARTPOLE, node_rank=1, **asked, **TWO)
    text = " ".join(plan.argv).replace("=", " ")
    assert "--node_rank 1 --coordinator_address 10.0.0.1:29500" in text
    assert ("skrl.utils.distributed.jax" in plan.argv) is (on == "2.3.2")
    assert codes(plan) == {"jax-ranks": "note"}
    assert "--master_addr" not in text
