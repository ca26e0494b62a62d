"""Choosing a checkpoint from what lies on disk; upstream's own selectors pick wrong ones (2.x sorts names as text)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_rl.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spark_rl.model import CheckpointFile

PERIODIC: Mapping[str, re.Pattern[str]] = {
    "rsl_rl": re.compile(r"model_(\d+)\.pt"),
    "rl_games": re.compile(r"nn/last_.*_ep_(\d+)_rew_.*\.pth"),
    "skrl": re.compile(r"checkpoints/agent_(\d+)\.(?:pt|pickle)"),
    "sb3": re.compile(r"model_(\d+)_steps\.zip"),
}
"""File of a periodic checkpoint below its run folder; the number is an iteration (skrl, sb3: env steps)."""

BEST: Mapping[str, re.Pattern[str]] = {
    "rl_games": re.compile(r"nn/(?!last_).*\.pth"),
    "skrl": re.compile(r"checkpoints/best_agent\.(?:pt|pickle)"),
}
"""File of the checkpoint with the best reward, for the libraries that keep one."""

FINAL: Mapping[str, re.Pattern[str]] = {"sb3": re.compile(r"model\.zip")}
"""File that a library writes only when training ends."""

GLOBS: Mapping[str, tuple[str, ...]] = {
    "rsl_rl": ("model_*.pt",),
    "rl_games": ("nn/*.pth",),
    "skrl": ("checkpoints/*.pt", "checkpoints/*.pickle"),
    "sb3": ("model*.zip",),
}
"""Where checkpoints of a library lie below a run folder."""


_SKRL_RUN = re.compile(r"_(amp|ppo|ippo|mappo)_(?:torch|jax)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The chosen checkpoint and, in one line, anything about the choice that the user should know."""

    file: CheckpointFile
    note: str | None = None


def number(file: CheckpointFile, library: str) -> int | None:
    """Return the iteration (skrl, sb3: env steps) in a periodic checkpoint's name, None for any other file."""
    match = PERIODIC[library].fullmatch(file.name)
    return int(match[1]) if match else None


def number_of(path: str, library: str) -> int | None:
    """Return the same of a path, however much of it lies above the run folder."""
    parts = path.rsplit("/", 2)
    tails = (parts[-1], "/".join(parts[-2:]))
    return next((int(match[1]) for tail in tails if (match := PERIODIC[library].fullmatch(tail))), None)


def latest(files: Iterable[CheckpointFile], library: str) -> Choice | None:
    """Return the most trained checkpoint of the newest run that has any."""
    run = newest_run(files, library)
    return Choice(file=max(run, key=lambda file: _progress(file, library))) if run else None


def best(files: Iterable[CheckpointFile], library: str) -> Choice | None:
    """Return the checkpoint with the best reward of the newest run, the most trained one where none is kept."""
    run = newest_run(files, library)
    if not run:
        return None
    kept = [file for file in run if library in BEST and BEST[library].fullmatch(file.name)]
    if kept:
        return Choice(file=max(kept, key=lambda file: file.modified))
    return Choice(
        file=max(run, key=lambda file: _progress(file, library)),
        note=f"{library} kept no best checkpoint in this run: its latest one is used",
    )


def newest_run(files: Iterable[CheckpointFile], library: str) -> tuple[CheckpointFile, ...]:
    """Return the checkpoints of the run that wrote last; a run folder without any does not count."""
    known = tuple(file for file in files if is_checkpoint(file.name, library))
    if not known:
        return ()
    newest = max(known, key=lambda file: (file.modified, file.run))
    return tuple(file for file in known if (file.experiment, file.run) == (newest.experiment, newest.run))


def is_checkpoint(name: str, library: str) -> bool:
    """Say whether ``name`` (a path below a run folder) is a checkpoint that ``library`` writes."""
    return any(library in table and table[library].fullmatch(name) for table in (PERIODIC, BEST, FINAL))


def of_task(
    files: Iterable[CheckpointFile], *, task_id: str, experiment: str | None, algorithm: str, library: str
) -> tuple[CheckpointFile, ...]:
    """Return the checkpoints that belong to a task.

    A run that names its task (3.0) is taken at its word; another counts by its experiment folder. skrl's run folders
    carry the algorithm, and a policy of another algorithm cannot be loaded.
    """
    mine = (
        f for f in files if (f.task == task_id if f.task else experiment is not None and f.experiment == experiment)
    )
    if library != "skrl":
        return tuple(mine)
    named = ((file, _SKRL_RUN.search(file.run)) for file in mine)
    return tuple(file for file, match in named if match is None or match[1].upper() == algorithm)


def matching(files: Iterable[CheckpointFile], *, run: str, name: str) -> tuple[CheckpointFile, ...]:
    """Return the files that 2.x would mean by ``--load_run RUN --checkpoint NAME``: both are regular expressions.

    Raises:
        RequestError: One of them is none.
    """
    runs, names = _expression("--load_run", run), _expression("--checkpoint", name)
    return tuple(file for file in files if runs.match(file.run) and names.match(file.name.rsplit("/", 1)[-1]))


def _expression(option: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise RequestError(
            f"{option} is read as a regular expression, and {text!r} is none: {error}", "for example .* for any name"
        ) from error


def _progress(file: CheckpointFile, library: str) -> tuple[int, float]:
    """Order checkpoints of one run: a final file beats periodic ones, and those go before the best file."""
    if library in FINAL and FINAL[library].fullmatch(file.name):
        return (2, file.modified)
    iteration = number(file, library)
    return (0, file.modified) if iteration is None else (1, iteration)
