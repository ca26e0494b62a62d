"""Hosts that know of each other: real connections of this machine, and hosts that fall silent."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from spark_rl import rollcall
from spark_rl.errors import CheckError
from spark_rl.evidence import NodeEnd
from spark_rl.launch.gathering import free_port
from spark_rl.rollcall import Lead, Member, difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ABOUT = {"task": "Isaac-Ant", "environments": 4096}
LIMIT_S = 20.0


def never() -> bool:
    return False


def aside(step: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Take a step in another thread; its result, or what it raised, is put into a list."""
    came: list[object] = []

    def run() -> None:
        try:
            came.append(step())
        except CheckError as error:
            came.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, came


@contextmanager
def met(count: int = 2) -> Iterator[tuple[Lead, list[Member]]]:
    """Let so many nodes meet."""
    port = free_port()
    lead = Lead(count=count, port=port)
    members = [Member(node=node, count=count, host=f"spark-{node}") for node in range(1, count)]
    going = [aside(partial(one.gather, ABOUT, ("127.0.0.1", port), LIMIT_S, never)) for one in members]
    try:
        assert lead.gather(ABOUT, "run-name", LIMIT_S, never)
        for thread, came in going:
            thread.join(LIMIT_S)
            assert came == [True]
        yield lead, members
    finally:
        for one in (lead, *members):
            one.close()


def until(condition: Callable[[], object], *posts: Any) -> None:
    """Let posts listen until a condition holds."""
    for _ in range(200):
        if condition():
            return
        for post in posts:
            post.poll(0.05)
    raise AssertionError("it never came")


def end(node: int, state: str = "failed") -> NodeEnd:
    return NodeEnd(node=node, host=f"spark-{node}", state=state, message="it broke", weight=1.0)


def test_all_start_together_under_the_name_of_node_0() -> None:
    with met(3) as (_, members):
        assert [one.stamp for one in members] == ["run-name", "run-name"]


def test_the_end_of_one_reaches_all_others_with_its_reason() -> None:
    with met(3) as (lead, (first, second)):
        first.over(end(1), 0.0, never)
        until(lambda: 1 in lead.ends and 1 in second.ends, lead, second)
        assert lead.ends[1] == second.ends[1] == end(1)
        assert 1 not in first.ends


@pytest.mark.parametrize("who", ["member", "lead"])
def test_a_node_that_vanishes_is_gone(who: str) -> None:
    with met(3) as (lead, (first, second)):
        gone: Any = lead if who == "lead" else first
        gone.close()
        left: Any = first if who == "lead" else lead
        until(lambda: gone.node in left.ends and gone.node in second.ends, left, second)
        assert (second.ends[gone.node].state, left.ends[gone.node].message) == ("gone", "the connection broke")


def test_a_node_that_falls_silent_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    with met() as (lead, _):
        monkeypatch.setattr(rollcall, "SILENCE_S", 0.0)
        until(lambda: 1 in lead.ends, lead)
        assert lead.ends[1].message.startswith("nothing was heard of it")


def test_node_0_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollcall, "ALIVE_S", 0.0)
    with met() as (lead, (member,)):
        lead.poll(progress={"iteration": 7})
        until(lambda: member.progress, member)
        assert member.progress == {"iteration": 7}


def test_who_has_ended_waits_for_what_the_others_came_to() -> None:
    with met() as (lead, (member,)):
        thread, _ = aside(lambda: member.over(end(1, "succeeded"), LIMIT_S, never))
        until(lambda: 1 in lead.ends, lead)
        lead.over(end(0, "succeeded"), LIMIT_S, never)
        thread.join(LIMIT_S)
        assert member.ends[0].state == "succeeded"


def test_a_node_that_would_train_something_else_stops_all() -> None:
    port = free_port()
    lead, member = Lead(count=2, port=port), Member(node=1, count=2, host="spark-1")
    other = ABOUT | {"environments": 64}
    thread, came = aside(lambda: member.gather(other, ("127.0.0.1", port), LIMIT_S, never))
    with pytest.raises(CheckError, match=r"node 1 \(spark-1\) has environments 64, and node 0 has 4096"):
        lead.gather(ABOUT, "run-name", LIMIT_S, never)
    thread.join(LIMIT_S)
    lead.close()
    member.close()
    assert isinstance(came[0], CheckError)
    assert "environments 64" in came[0].message


def test_two_nodes_of_one_number_are_not_both_taken() -> None:
    with met() as (lead, _):
        port = lead._server.getsockname()[1]
        twin = Member(node=1, count=2, host="spark-9")
        thread, came = aside(lambda: twin.gather(ABOUT, ("127.0.0.1", port), LIMIT_S, never))
        until(lambda: came, lead)
        thread.join(LIMIT_S)
        twin.close()
        assert "there is a node 1 already" in str(came[0])
        assert lead.ends == {}


def test_strangers_do_not_matter() -> None:
    with met() as (lead, _):
        address = ("127.0.0.1", lead._server.getsockname()[1])
        for words in (b"GET / HTTP/1.1\n", b'["end"]\n', b'{"end": {}}\n', b'{"hello": 1}\n', b"x" * 100_000):
            with socket.create_connection(address) as stranger:
                stranger.sendall(words)
                until(lambda: len(lead._lines) == 2, lead)
            until(lambda: len(lead._lines) == 1, lead)
        assert lead.ends == {}


def test_who_does_not_come_is_named() -> None:
    lead = Lead(count=3, port=free_port())
    with pytest.raises(CheckError, match=r"node 1 and node 2 of 3 did not come within 0 s") as caught:
        lead.gather(ABOUT, "run-name", 0.0, never)
    lead.close()
    assert "--node-rank" in str(caught.value.hint)


def test_a_node_0_that_does_not_answer_is_told_with_its_address() -> None:
    port = free_port()
    with pytest.raises(CheckError, match=rf"node 0 does not answer at 127.0.0.1 port {port}: Connection refused"):
        Member(node=1, count=2, host="spark-1").gather(ABOUT, ("127.0.0.1", port), 0.0, never)


def test_a_stop_ends_the_waiting() -> None:
    lead = Lead(count=2, port=free_port())
    assert lead.gather(ABOUT, "run-name", LIMIT_S, lambda: True) is False
    lead.close()
    member = Member(node=1, count=2, host="spark-1")
    assert member.gather(ABOUT, ("127.0.0.1", free_port()), LIMIT_S, lambda: True) is False


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        with pytest.raises(CheckError, match="cannot be used") as caught:
            Lead(count=2, port=taken.getsockname()[1])
    assert "--master-port" in str(caught.value.hint)


def test_what_both_have_is_no_difference() -> None:
    assert difference(ABOUT, ABOUT | {"more": 1}, "node 1") is None
    assert difference(ABOUT, {}, "node 1") == "node 1 has task None, and node 0 has Isaac-Ant"
