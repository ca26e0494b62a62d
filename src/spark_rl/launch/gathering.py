"""Where the ranks of one attempt meet, and where each of them writes: settled when it starts."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

from spark_rl import ranks

if TYPE_CHECKING:
    from pathlib import Path

    from spark_rl.model import Plan


def gathered(decided: Plan, folder: Path) -> Plan:
    """Return a plan whose ranks have a place to meet and write to files of their own; rank 0 is shown as well.

    On one host they meet on a port that is free now, so that a second training does not meet the first one. JAX has
    no logs by rank.

    Args:
        decided: The plan; one that starts no ranks comes back as it is.
        folder: Where the files go.
    """
    if not ranks.are_started(decided.argv):
        return decided
    jax = any(word.startswith("jax") for word in (ranks.word(decided.argv, "--ml_framework") or "",))
    words = (*_meeting(decided, jax=jax), *(() if jax else _logs(folder)))
    at = 1 + next(place for place, word in enumerate(decided.argv) if word.partition("=")[0] in ranks.COUNTS)
    at += decided.argv[at - 1] in ranks.COUNTS
    return replace(decided, argv=(*decided.argv[:at], *words, *decided.argv[at:]))


def _meeting(decided: Plan, *, jax: bool) -> tuple[str, ...]:
    if ranks.word(decided.argv, "--master_port") or ranks.word(decided.argv, "--coordinator_address"):
        return ()
    port = free_port()
    if jax:
        return (f"--coordinator_address=127.0.0.1:{port}",)
    return ("--master_addr=127.0.0.1", f"--master_port={port}")


def _logs(folder: Path) -> tuple[str, ...]:
    return (f"--log_dir={folder}", "--tee=3", "--local_ranks_filter=0")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("", 0))
        port: int = listening.getsockname()[1]
        return port
