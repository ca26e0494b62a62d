"""A start on several hosts: what is refused, what is settled, and what a node learns from node 0."""

from __future__ import annotations

from typing import Any

import pytest

from planning import facts, host, package, planned
from runs import progress
from spark_rl.errors import CheckError, RequestError
from spark_rl.evidence import NodeEnd
from spark_rl.launch import Start, limited, nodes
from spark_rl.model import Interface, Request
from spark_rl.records import Progress
from spark_rl.rollcall import Member

CARTPOLE = "Isaac-Cartpole-Direct"
HERE = Interface(name="near0", up=True, addresses=("127.0.0.1/8", "::1/128"))


def start(**asked: Any) -> Start:
    request = Request(action="train", task=CARTPOLE, cwd="/", **asked)
    plan = planned("kitless", CARTPOLE, machine=host(interfaces=(HERE,)), **asked)
    return Start(plan=plan, request=request, facts=facts(package()))


def test_a_host_must_say_which_it_is() -> None:
    with pytest.raises(RequestError, match=r"which of the 2 nodes is this\?") as caught:
        nodes.check(start(nnodes=2, master_addr="10.0.0.1"))
    assert "from 0 to 1" in (caught.value.hint or "")


def test_hosts_do_not_begin_again_together() -> None:
    several = start(nnodes=2, node_rank=0, master_addr="10.0.0.1")
    with pytest.raises(RequestError, match="--max-restarts works on one host"):
        limited(several, stall=None, max_restarts=1, detach=False)
    assert limited(start(), stall=None, max_restarts=3, detach=False).max_restarts == 3


def test_one_host_is_asked_for_nothing() -> None:
    nodes.check(start())
    alone = start().plan
    assert nodes.settled(alone, host()) is alone


def test_a_node_0_that_was_named_is_looked_up_at_the_start() -> None:
    before = start(nnodes=2, node_rank=1, master_addr="localhost").plan
    assert "NCCL_SOCKET_IFNAME" not in dict(before.env)
    after = nodes.settled(before, host(interfaces=(HERE,)))
    assert dict(after.env)["NCCL_SOCKET_IFNAME"] == "near0"
    assert dict(after.reasons)["NCCL_SOCKET_IFNAME"].startswith("near0 is in the network of ")
    assert [name for name, _ in after.reasons].count("NCCL_SOCKET_IFNAME") == 1


def test_a_name_that_nobody_knows_stops_the_start() -> None:
    with pytest.raises(CheckError, match=r"node 0, a\.\.b, is not known: that is no name"):
        nodes.settled(start(nnodes=2, node_rank=1, master_addr="a..b").plan, host())


def member() -> Member:
    return Member(node=1, count=2, host="spark-1")


def test_a_node_has_the_progress_of_node_0() -> None:
    post = member()
    assert nodes.exchanged(post, Progress()) == Progress()
    post.progress = {"iteration": 7, "max_iterations": 9, "reward": None, "phase": "closing"}
    told = nodes.exchanged(post, progress())
    assert (told.iteration, told.max_iterations, told.reward, told.phase) == (7, 9, 12.34, "training")


@pytest.mark.parametrize(
    ("state", "over", "broken"),
    [("succeeded", True, False), ("failed", False, True), ("gone", False, True), ("interrupted", False, True)],
)
def test_the_end_of_node_0_is_the_end_of_all(state: str, over: bool, broken: bool) -> None:
    post = member()
    assert (nodes.is_over(post), nodes.is_broken(post)) == (False, False)
    post.ends[0] = NodeEnd(node=0, host="spark-0", state=state, message="", weight=0)
    assert (nodes.is_over(post), nodes.is_broken(post)) == (over, broken)
