"""What a trainer's output tells, line by line: one dialect for each RL library and generation of Isaac Lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.dialects import isaaclab, rl_games, rsl_rl, sb3, skrl
from spark_rl.dialects.event import Event
from spark_rl.dialects.lines import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    Dialect = Callable[[str], Event | None]

__all__ = ["Event", "read"]

_LIBRARIES = {"rsl_rl": rsl_rl.read, "rl_games": rl_games.read, "skrl": skrl.read, "sb3": sb3.read}


def read(library: str, generation: int) -> Dialect:
    """Return the dialect that ``library`` speaks under Isaac Lab 2 or 3.

    A dialect takes one line of output without its end (a carriage return ends a line too) and returns what it tells,
    None where it tells nothing. It remembers nothing: a block of lines is an event for each line, and whoever reads
    folds them. Colours, a rank's prefix and lines of any length do not matter to it.

    Args:
        library: An RL library; of one that is not known, only Isaac Lab's own lines are understood.
        generation: Isaac Lab's major version.
    """
    own = _LIBRARIES.get(library)
    general = isaaclab.GENERATIONS.get(generation, isaaclab.read_3)

    def dialect(line: str) -> Event | None:
        text = plain(line)
        if not text:
            return None
        return (own(text) if own else None) or general(text)

    return dialect
