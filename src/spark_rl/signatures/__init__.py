"""The texts by which failures are known: of Isaac Lab, Kit, PhysX, Warp, torch, NCCL and the RL libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.signatures.running import BREAKS, CAUSES
from spark_rl.signatures.signature import BREAK, CAUSE, FALLOUT, KILLED, NOISE, Signature
from spark_rl.signatures.starting import START

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BREAK", "CAUSE", "FALLOUT", "HEADER", "KILLED", "NOISE", "SIGNATURES", "Signature", "find", "may_tell"]

SIGNATURES: tuple[Signature, ...] = (*CAUSES, *START, *BREAKS)
"""Every known text; a line is taken for the first that it shows."""

HEADER = "Traceback (most recent call last)"
"""How a Python traceback begins."""


def find(line: str) -> Signature | None:
    """Return what a line is known for: the first entry of :data:`SIGNATURES` that it shows."""
    if not may_tell(line):
        return None
    return next((signature for signature in SIGNATURES if signature.match(line) is not None), None)


def may_tell(line: str) -> bool:
    """Say whether a line may show a signature or begin a traceback; for most lines this is the only question asked.

    One look at its words and a few at pieces of text take well under a microsecond.
    """
    return (
        not _WORDS.isdisjoint(line.split())
        or "rror" in line
        or "ERROR" in line
        or "STATUS" in line
        or "lloc" in line
        or "oom" in line
        or "nccl" in line
        or "crash" in line
        or "EADDR" in line
        or "Capacity" in line
    )


_PIECES = ("rror", "ERROR", "STATUS", "lloc", "oom", "nccl", "crash", "EADDR", "Capacity")
_EDGES = frozenset(
    (
        *("nan", "unrecognized", "choice:", "preset(s)", "mismatched", "PytorchStreamReader", "loading", "%"),
        *("MoviePy", "WARN", "lost", "lost.", "fault", "malloc():", "free():", "exitcode", "(SIGKILL)", "switching"),
        *("--video", "ordinal", "--gpu-architecture"),
    )
)
"""Words by which the texts are known that have no word between two others."""

_COMMON = ("value", "device")
"""Words that every healthy run prints."""


def _words() -> Iterator[str]:
    """Yield a word of each text that holds none of the pieces: its longest one that stands between two others."""
    for literal in (HEADER, *(literal for signature in SIGNATURES for literal in signature.literals)):
        inner = max((word for word in literal.split(" ")[1:-1] if word not in _COMMON), key=len, default="")
        if len(inner) > 2 and not any(piece in literal for piece in _PIECES):
            yield inner


_WORDS = frozenset(_words()) | _EDGES
