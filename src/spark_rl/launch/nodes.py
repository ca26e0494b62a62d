"""A training on several hosts: before each attempt the nodes meet, and when one is over the others learn it."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl import fabric, ranks, registry
from spark_rl.errors import CheckError, RequestError
from spark_rl.evidence import NodeEnd
from spark_rl.rollcall import Lead, Member

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_rl.judging import Verdict
    from spark_rl.launch import Start
    from spark_rl.model import Host, Plan
    from spark_rl.records import Progress
    from spark_rl.rollcall import Post

LAST_S = 120.0
"""How long a node waits for what the others came to: longer than one that hangs at its end is given."""


def check(what: Start) -> None:
    """Refuse a start on several hosts that cannot be one.

    Raises:
        RequestError: It is not said which node this is, or what was asked for works on one host alone.
    """
    if what.request.nnodes == 1:
        return
    if what.request.node_rank is None:
        raise RequestError(
            f"which of the {what.request.nnodes} nodes is this?",
            f"add --node-rank, from 0 to {what.request.nnodes - 1}; --dry-run prints the command of each",
        )


def settled(decided: Plan, host: Host) -> Plan:
    """Return a plan with its network interfaces chosen where node 0 was given by its name.

    Raises:
        CheckError: Nobody knows that name.
    """
    address = _address(decided)
    if address is None or "NCCL_SOCKET_IFNAME" in dict(decided.env):
        return decided
    try:
        found = str(socket.getaddrinfo(address[0], None, type=socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "that is no name of a host"
        raise CheckError(
            f"node 0, {address[0]}, is not known: {why}", "name it by its address: --master-addr"
        ) from error
    chosen = fabric.choose(host, found)
    reasons = dict(decided.reasons) | dict(chosen.reasons)
    return replace(
        decided,
        env=tuple(sorted((dict(decided.env) | dict(chosen.env)).items())),
        reasons=tuple(reasons.items()),
        findings=(*decided.findings, *(one for one in chosen.findings if one not in decided.findings)),
    )


@contextmanager
def meeting(what: Start, stamp: str, tell: Callable[[str], None], stopped: Callable[[], bool]) -> Iterator[Post | None]:
    """Meet the other nodes, and part from them at the end; yields None on a single host.

    The name of the run's folder is that of node 0. A post without one was stopped before all were there.

    Raises:
        CheckError: One has not come, or is about to do something else.
    """
    address, count, node = _address(what.plan), what.request.nnodes, what.request.node_rank or 0
    if address is None or count == 1:
        yield None
        return
    place = (address[0], address[1] + 1)
    host = registry.owner_now().host
    post: Lead | Member = Lead(count=count, port=place[1]) if node == 0 else Member(node=node, count=count, host=host)
    try:
        if isinstance(post, Lead):
            tell(f"node 0 of {count}: waiting for the others at port {place[1]}")
            post.stamp = stamp if post.gather(_about(what), stamp, what.limits.nodes, stopped) else None
        else:
            tell(f"node {node} of {count}: waiting for node 0 at {place[0]} port {place[1]}")
            post.gather(_about(what), place, what.limits.nodes, stopped)
        yield post
    finally:
        post.close()


_TOLD = ("iteration", "max_iterations", "reward", "length", "fps", "env_steps")
"""What node 0, which alone hears of iterations, tells the others of its progress."""


def exchanged(post: Post, progress: Progress) -> Progress:
    """Give a sign of life, and return the progress as node 0 has it."""
    post.poll(progress={} if post.node else {name: getattr(progress, name) for name in _TOLD})
    known = {name: value for name, value in post.progress.items() if name in _TOLD and value is not None}
    return replace(progress, **known) if known else progress


def is_over(post: Post) -> bool:
    """Say whether node 0 has done what it was asked, so that this node has only to close."""
    return 0 in post.ends and post.ends[0].state == "succeeded"


def is_broken(post: Post) -> bool:
    """Say whether another node failed, was stopped or is gone, so that this one cannot go on."""
    return any(end.state != "succeeded" for end in post.ends.values())


def conclude(post: Post, verdict: Verdict, stopped: Callable[[], bool]) -> tuple[NodeEnd, ...]:
    """Tell the others what this node came to, and return what they did; node 0 is always among them."""
    own = NodeEnd(
        node=post.node,
        host=registry.owner_now().host,
        state=verdict.state,
        message=verdict.message,
        weight=verdict.weight,
        failure=verdict.failure,
    )
    post.over(own, LAST_S, stopped)
    if post.node and 0 not in post.ends:
        silent = "it did not say what it came to"
        post.ends[0] = NodeEnd(node=0, host="", state="gone", message=silent, weight=verdict.weight - 1)
    return tuple(post.ends.values())


def _about(what: Start) -> dict[str, Any]:
    """Return what all nodes must have in common, by its name in words."""
    decided, request = what.plan, what.request
    return {
        "Isaac Lab": decided.isaaclab.version,
        "task": decided.task.task.id,
        "library": decided.library,
        "algorithm": decided.algorithm,
        "nodes": request.nnodes,
        "ranks": ranks.here(decided.argv),
        "environments": request.num_envs,
        "iterations": request.max_iterations,
        "seed": request.seed,
        "overrides": list(request.overrides),
        "checkpoint": _checkpoint(decided),
    }


def _checkpoint(decided: Plan) -> str | None:
    """Return the checkpoint that a plan goes on from, told by name and size: each host may keep it elsewhere."""
    name = ranks.word(decided.argv, "--checkpoint")
    if name is None:
        return None
    path = Path(decided.cwd, name)
    return f"{path.name} ({path.stat().st_size} bytes)" if path.is_file() else name


def _address(decided: Plan) -> tuple[str, int] | None:
    """Return where node 0 is and the ranks meet, None on a single host."""
    if ranks.word(decided.argv, "--node_rank") is None:
        return None
    jax = ranks.word(decided.argv, "--coordinator_address")
    if jax is not None:
        host, _, port = jax.rpartition(":")
        return host, int(port)
    return ranks.word(decided.argv, "--master_addr") or "", int(ranks.word(decided.argv, "--master_port") or 0)
