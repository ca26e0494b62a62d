"""Stable-Baselines3: a bar over the env steps of all environments (2.2 and later), and a table of values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spark_rl.dialects.event import Event
from spark_rl.dialects.lines import count, number

if TYPE_CHECKING:
    from collections.abc import Callable

_BAR = re.compile(r"\d+% [━╸╺ ]*([\d,]+)/([\d,]+)\s+\[[^,\]]*,\s*([\d,.]+|\?) it/s")
_SAVING = re.compile(r"Saving model checkpoint to (.+\.zip)$")
_LONGEST_BAR = 1024

_VALUES: dict[str, Callable[[str], Event]] = {
    "ep_rew_mean": lambda value: Event(reward=number(value)),
    "ep_len_mean": lambda value: Event(length=number(value)),
    "fps": lambda value: Event(fps=number(value)),
    "iterations": lambda value: Event(phase="training", iteration=count(value)),
    "total_timesteps": lambda value: Event(phase="training", timesteps=count(value), env_steps=count(value)),
}


def _bar(text: str) -> Event | None:
    found = _BAR.search(text[:_LONGEST_BAR])
    if found is None:
        return None
    done, total, rate = found.groups()
    return Event(
        phase="training",
        timesteps=count(done),
        timesteps_total=count(total),
        env_steps=count(done),
        fps=number(rate),
    )


def _row(text: str) -> Event | None:
    name, _, value = text[:120].strip("| ").partition("|")
    make = _VALUES.get(name.rstrip())
    return make(value) if make else None


def _file(text: str) -> Event | None:
    """Read a checkpoint's path; that of the last one stands alone on its line."""
    if text.startswith("/"):
        return Event(checkpoint=text) if text.endswith("/model.zip") else None
    found = _SAVING.match(text)
    return Event(checkpoint=found[1]) if found else None


def read(text: str) -> Event | None:
    """Return what a line of Stable-Baselines3 tells.

    A bar that goes to a file or a pipe is printed once, when training ends: until then, only the table (every
    ``--log_interval`` env steps, each iteration in Isaac Lab 2.0 and 2.1) and the checkpoints tell of progress.
    """
    if text.startswith("|"):
        return _row(text)
    if text.startswith(("/", "Saving model checkpoint to ")):
        return _file(text)
    if "it/s ]" in text[:_LONGEST_BAR]:
        return _bar(text)
    return None
