"""rsl_rl 2.2 to 5.x: a block of ``name: value`` lines after each iteration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spark_rl.dialects.event import Event
from spark_rl.dialects.lines import count, number

if TYPE_CHECKING:
    from collections.abc import Callable

_ITERATION = re.compile(r"Learning iteration (\d+)/(\d+)")


def _iteration(text: str) -> Event | None:
    """Read the iteration, which counts from 0 though it is done: the checkpoint of the same number is yet to come."""
    found = _ITERATION.fullmatch(text)
    if found is None:
        return None
    return Event(phase="training", iteration=int(found[1]) + 1, max_iterations=int(found[2]))


_VALUES: dict[str, Callable[[str], Event]] = {
    "Mean reward": lambda value: Event(reward=number(value)),
    "Mean total reward": lambda value: Event(reward=number(value)),
    "Mean episode length": lambda value: Event(length=number(value)),
    "Computation": lambda value: Event(fps=number(value)),
    "Steps per second": lambda value: Event(fps=number(value)),
    "Total timesteps": lambda value: Event(env_steps=count(value)),
    "Total steps": lambda value: Event(env_steps=count(value)),
    "Iteration time": lambda value: Event(iteration_seconds=number(value)),
}


def read(text: str) -> Event | None:
    """Return what a line of rsl_rl tells.

    Its blocks have had these names: 2.x and 3.x ``Computation`` and ``Total timesteps``, 5.x ``Steps per second`` and
    ``Total steps`` (rsl_rl/utils/logger.py). No line tells of a checkpoint.
    """
    if text.startswith("Learning iteration "):
        return _iteration(text)
    name, colon, value = text[:80].partition(":")
    make = _VALUES.get(name) if colon else None
    return make(value) if make else None
