"""What a witness keeps of an output, in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Iterable


def excerpt(lines: Iterable[str]) -> tuple[str, ...]:
    witness = Witness()
    for line in lines:
        witness.feed(line)
    return witness.lines()
