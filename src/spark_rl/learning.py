"""The use case that reads what a run has learned, over all of its attempts."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import curves, events
from spark_rl.comparison import Learned, scale_of
from spark_rl.errors import RequestError
from spark_rl.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection

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
    read = [(events.read([folder], wanted), done) for folder, done in _folders(run)]
    for tag in tags or ():
        if not any(tag in found for found, _ in read):
            raise _unknown(run, tag)
    return Learned(run=run, scale=scale, curves=curves.join(read, scale))


def _folders(run: Run) -> list[tuple[Path, int]]:
    """Return the run folders of the attempts and the iterations done before each; one folder counts once."""

    def folder(attempt: Attempt) -> str | None:
        return attempt.log_dir

    return [(Path(name), next(group).first_iteration) for name, group in groupby(run.attempts, folder) if name]


def _unknown(run: Run, tag: str) -> RequestError:
    names = sorted({name for folder, _ in _folders(run) for name in events.tags(folder)})
    hint = did_you_mean(tag, names, "its tags") if names else "nothing is recorded before the first iteration is done"
    return RequestError(f"run {run.id} recorded nothing under {tag}", hint)
