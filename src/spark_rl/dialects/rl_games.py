"""rl_games 1.6: one line an epoch, and one for each checkpoint."""

from __future__ import annotations

import re

from spark_rl.dialects.event import Event
from spark_rl.dialects.lines import number

_EPOCH = re.compile(r"fps step: .* fps total: (\d+) epoch: (\d+)(?:/(\d+))? frames: ")
_BEST = "saving next best rewards:"
_ENDS = ("MAX EPOCHS NUM!", "MAX FRAMES NUM!", "Maximum reward achieved. Network won!")
_STARTS = ("fps step: ", "=> saving checkpoint '", "=> loading checkpoint '", _BEST, *_ENDS)


def _epoch(text: str) -> Event | None:
    """Read an epoch's line; its ``frames`` are those before the epoch, so they are left alone."""
    found = _EPOCH.match(text[:200])
    if found is None:
        return None
    fps, epoch, total = found.groups()
    return Event(phase="training", iteration=int(epoch), max_iterations=int(total) if total else None, fps=float(fps))


def read(text: str) -> Event | None:
    """Return what a line of rl_games tells.

    Epochs count from 1 and, resumed, on from the checkpoint's toward the same absolute total. A checkpoint is named
    before it is written (rl_games/algos_torch/torch_ext.py).
    """
    if not text.startswith(_STARTS):
        return None
    if text.startswith("fps step: "):
        return _epoch(text)
    if text.startswith("=> "):
        path = text.partition("'")[2].removesuffix("'")
        return Event(checkpoint=path) if text.startswith("=> saving") else Event(loaded=path)
    if text.startswith(_BEST):
        return Event(reward=number(text.removeprefix(_BEST).strip(" [")))
    return Event(phase="closing", finished=True)
