"""The use case that reads what a run has learned, over all of its attempts."""

from __future__ import annotations

from itertools import groupby
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import curves, events, logs
from spark_rl.comparison import Learned, scale_of
from spark_rl.errors import CheckError, RequestError
from spark_rl.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection

    from spark_rl.curves import Curves
    from spark_rl.records import Attempt, Run


WORDS = {"reward": curves.REWARD, "length": curves.LENGTH}
"""What a person may say in place of a tag."""


def learned(run: Run, tags: Collection[str] | None = None) -> Learned:
    """Return a run with its curves over iterations, whether it is over or not.

    Args:
        run: The run.
        tags: The tags that are wanted, or ``reward`` and ``length``; by default these two.

    Raises:
        RequestError: The run has no such tag.
        CheckError: It has recorded nothing yet.
    """
    tags = [WORDS.get(tag, {run.library: tag})[run.library] for tag in tags or ()]
    wanted = tags or (curves.REWARD[run.library], curves.LENGTH[run.library])
    params = logs.read_params(Path(run.log_dir)) if run.log_dir else logs.Params()
    scale = scale_of(run, horizon=params.horizon, world_size=run.world_size)
    attempts = _attempts(run)
    read = [(_read(run, attempt, wanted), attempt.first_iteration) for attempt in attempts]
    for tag in tags:
        if not any(tag in found for found, _ in read):
            raise _unknown(run, tag)
    return Learned(run=run, scale=scale, curves=curves.join(read, scale))


def _attempts(run: Run) -> list[Attempt]:
    """Return the attempts with event files; of those that share a folder and its count, the first stands for all."""
    known = [attempt for attempt in run.attempts if attempt.log_dir]
    if run.library == "sb3":
        return known
    return [next(group) for _, group in groupby(known, lambda attempt: attempt.log_dir)]


def _read(run: Run, attempt: Attempt, tags: Collection[str] | None) -> Curves:
    folder = events.home(attempt, run.library)
    if folder is None:
        return {}
    if run.library != "sb3":
        return events.read(folder, tags)
    end = attempt.ended_at or (run.updated_at if run.over else inf)
    return events.read(folder, tags, since=attempt.started_at, until=end)


def _unknown(run: Run, tag: str) -> CheckError | RequestError:
    folders = [events.home(attempt, run.library) for attempt in _attempts(run)]
    names = sorted({name for folder in folders if folder for name in events.tags(folder)})
    if not names:
        return CheckError(f"run {run.id} has recorded nothing", "the first values come after the first iteration")
    return RequestError(f"run {run.id} recorded nothing under {tag}", did_you_mean(tag, names, "its tags"))
