"""Several ranks of one training: how many a command starts, and which of them failed first."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from spark_rl.evidence import RankEnd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_rl.evidence import Evidence
    from spark_rl.reasons import Reason

_RANK = re.compile(r"rank\s*:\s*(\d+) \(local_rank:\s*(\d+)\)")
_EXIT = re.compile(r"exitcode\s*:\s*(-?\d+)")


COUNTS = ("--nproc_per_node", "--num_gpus")
"""The option that says how many ranks a host has: torchrun's, and that of Isaac Lab 3's own entry."""


PORT = 29500
"""Where the ranks of several hosts meet unless another port is named; spark-rl itself takes the next one."""


def placed(command: Sequence[str], place: tuple[int, int], master: tuple[str, int]) -> tuple[str, ...]:
    """Return a command of spark-rl for one of several hosts.

    Args:
        command: The command, without what says which host it is for.
        place: How many hosts there are, and which of them this is.
        master: Address and port of node 0.
    """
    pairs = (
        ("--nnodes", place[0]),
        ("--node-rank", place[1]),
        ("--master-addr", master[0]),
        ("--master-port", master[1]),
    )
    at = command.index("--") if "--" in command else len(command)
    return (*command[:at], *(str(word) for pair in pairs for word in pair), *command[at:])


def are_started(argv: Sequence[str]) -> bool:
    """Say whether a command starts ranks."""
    return any(name in argv for name in ("torch.distributed.run", "skrl.utils.distributed.jax", "train_multigpu"))


def here(argv: Sequence[str]) -> int:
    """Return how many ranks a command starts on its host, 1 where it is left to torchrun."""
    named = (word(argv, name) or "" for name in COUNTS) if are_started(argv) else ()
    return next((int(text) for text in named if text.isdecimal()), 1)


def world_size(argv: Sequence[str]) -> int:
    """Return how many ranks train together, on every host that the command knows of."""
    return here(argv) * _number(argv, "--nnodes", 1)


def base(argv: Sequence[str]) -> int:
    """Return the number among all ranks of the first one of this host."""
    return here(argv) * _number(argv, "--node_rank", 0)


def _number(argv: Sequence[str], name: str, default: int) -> int:
    text = word(argv, name) if are_started(argv) else None
    return int(text) if text and text.isdecimal() else default


def word(argv: Sequence[str], name: str) -> str | None:
    """Return the value of an option of a command, ``--name=value`` or ``--name value``."""
    for one, after in pairwise((*argv, "")):
        if one == name:
            return after
        if one.startswith(f"{name}="):
            return one.partition("=")[2]
    return None


class Summary:
    """Reads line by line the list with which torchrun ends when a rank has failed."""

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.first: int | None = None
        self._local: int | None = None
        self._root = False

    def feed(self, line: str) -> None:
        """Take the next line of the output."""
        if "Root Cause (first" in line:
            self._root = True
        elif "(local_rank:" in line and (found := _RANK.search(line)):
            self._local = int(found[2])
        elif self._local is not None and "exitcode" in line and (found := _EXIT.search(line)):
            self.statuses[self._local] = int(found[1])
            if self._root:
                self.first = self._local
            self._local = None

    def ends(self, outputs: Mapping[int, tuple[str, ...]], *, base: int = 0) -> tuple[RankEnd, ...]:
        """Return how the ranks of this host ended.

        Args:
            outputs: What each printed, by its number on this host.
            base: The number of the first of them among all ranks.
        """
        return tuple(
            RankEnd(
                number=base + local,
                exit_status=self.statuses.get(local),
                first=local == self.first,
                output=outputs.get(local, ()),
            )
            for local in sorted({*self.statuses, *outputs})
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """The rank that failed first, and why."""

    end: RankEnd
    reason: Reason


def culprit(evidence: Evidence) -> Culprit | None:
    """Return the rank whose end explains most, None where no rank explains more than another.

    What torchrun calls the root cause is the first end that it saw: of two that end in the same tenth of a second that
    is any of them. So what a rank printed counts first, and torchrun's word where that says the same of several.
    """
    found = [Culprit(end=end, reason=reason) for end in evidence.ranks if (reason := _why(end, evidence)) is not None]
    if not found or (len(found) > 1 and _all_alike(found)):
        return None
    return min(found, key=lambda one: (one.reason.rank, not one.end.first, one.end.number))


def _why(end: RankEnd, evidence: Evidence) -> Reason | None:
    """Return why one rank ended; TERM is what torchrun sends to those that are left."""
    from spark_rl.reasons import find_reason  # every plan reads this module, and none needs the failures

    if not end.exit_status and not end.output:
        return None
    return find_reason(
        replace(
            evidence,
            ranks=(),
            output=end.output,
            exit_status=1 if end.exit_status is None else end.exit_status,
            sent=(*evidence.sent, "SIGTERM"),
            ended_by=None,
            published=None,
        )
    )


def _all_alike(found: list[Culprit]) -> bool:
    """Say whether every rank failed by itself and in the same way."""
    return len({(one.reason.rank, one.reason.what, one.reason.line) for one in found}) == 1
