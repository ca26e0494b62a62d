"""The use case that reads what a run has learned, over all of its attempts."""

from __future__ import annotations

from itertools import groupby
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import curves, events
from spark_rl.comparison import Learned, scale_of
from spark_rl.errors import RequestError
from spark_rl.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection

    from spark_rl.curves import Curves
    from spark_rl.records import Attempt, Run


def learned(
    run: Run, tags: Collection[str] | None = None, *, horizon: float | None = None, world_size: int = 1
) -> Learned:
    """Return a run with its curves over iterations, whether it is over or not.

    Args:
        run: The run.
        tags: The tags that are wanted, by default its reward and episode length.
        horizon: Env steps per environment and iteration, where that is known; see :func:`comparison.scale_of`.
        world_size: The number of ranks.

    Raises:
        RequestError: The run has no such tag.
    """
    wanted = tags or (curves.REWARD[run.library], curves.LENGTH[run.library])
    scale = scale_of(run, horizon=horizon, world_size=world_size)
    attempts = _attempts(run)
    read = [(_read(run, attempt, wanted), attempt.first_iteration) for attempt in attempts]
    for tag in tags or ():
        if not any(tag in found for found, _ in read):
            raise _unknown(run, tag)
    return Learned(run=run, scale=scale, curves=curves.join(read, scale))


def event_folder(attempt: Attempt, library: str) -> Path | None:
    """Return where the event files of an attempt are, None while its run folder is not known.

    It is the run folder, but for Stable-Baselines3's: that resumes in the folder of the run it began with. What others
    have written there tells its time.
    """
    if attempt.log_dir is None:
        return None
    resumed = attempt.from_checkpoint if library == "sb3" else None
    return (events.sb3_folder(Path(resumed)) if resumed else None) or Path(attempt.log_dir)


def _attempts(run: Run) -> list[Attempt]:
    """Return the attempts with event files; of those that share a folder and its count, the first stands for all."""
    known = [attempt for attempt in run.attempts if attempt.log_dir]
    if run.library == "sb3":
        return known
    return [next(group) for _, group in groupby(known, lambda attempt: attempt.log_dir)]


def _read(run: Run, attempt: Attempt, tags: Collection[str] | None) -> Curves:
    folder = event_folder(attempt, run.library)
    if folder is None:
        return {}
    if run.library != "sb3":
        return events.read(folder, tags)
    end = attempt.ended_at or (run.updated_at if run.over else inf)
    return events.read(folder, tags, since=attempt.started_at, until=end)


def _unknown(run: Run, tag: str) -> RequestError:
    folders = [event_folder(attempt, run.library) for attempt in _attempts(run)]
    names = sorted({name for folder in folders if folder for name in events.tags(folder)})
    hint = did_you_mean(tag, names, "its tags") if names else "nothing is recorded before the first iteration is done"
    return RequestError(f"run {run.id} recorded nothing under {tag}", hint)
