"""Several hosts as an engine, without a scheduler: each starts its own part of one training, and torchrun joins them.

Nothing here reaches another host: :func:`render` says what is to be started on each, :func:`submit` starts the part of
this one. The submission's options are ``node_rank``, ``master_addr`` and ``master_port``.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from spark_rl import ranks
from spark_rl.engines import local
from spark_rl.errors import RequestError

if TYPE_CHECKING:
    from spark_rl.engines import Submission

poll, survey, cancel = local.poll, local.survey, local.cancel


def commands(submission: Submission) -> tuple[tuple[str, ...], ...]:
    """Return the command of each node, node 0's first.

    Raises:
        RequestError: The submission does not say where node 0 is.
    """
    options = dict(submission.options)
    address = options.get("master_addr")
    if address is None:
        raise RequestError("several hosts need the address of node 0", "add --master-addr ADDRESS")
    port = int(options.get("master_port") or ranks.PORT)
    nodes = range(submission.nodes)
    return tuple(ranks.placed(submission.commands[0], (submission.nodes, node), (address, port)) for node in nodes)


def render(submission: Submission) -> str:
    """Return the command of each node, each after a line that names it.

    Raises:
        RequestError: The submission does not say where node 0 is.
    """
    lines = [f"# node {node}\n{shlex.join(command)}\n" for node, command in enumerate(commands(submission))]
    return "".join(lines)


def submit(submission: Submission) -> str:
    """Start this node's part.

    Raises:
        RequestError: The submission does not say where node 0 is.
        CheckError: It cannot be started.
    """
    node = int(dict(submission.options).get("node_rank") or 0)
    return local.submit(replace(submission, commands=(commands(submission)[node],), nodes=1))
