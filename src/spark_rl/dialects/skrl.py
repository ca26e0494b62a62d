"""skrl 1.4 to 2.x: a tqdm bar over the env steps of one environment."""

from __future__ import annotations

import re

from spark_rl.dialects.event import Event

_BAR = re.compile(r"(?:^|\s)\d+%\|[^|]*\| (\d+)/(\d+) \[")
_LONGEST_BAR = 512


def read(text: str) -> Event | None:
    """Return what a line of skrl tells: how far its bar is. It prints no reward and names no checkpoint."""
    head = text[:_LONGEST_BAR]
    if "%|" not in head:
        return None
    found = _BAR.search(head)
    if found is None:
        return None
    return Event(phase="training", timesteps=int(found[1]), timesteps_total=int(found[2]))
