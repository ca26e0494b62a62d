"""Choosing a checkpoint from what lies on disk; upstream's own selectors pick wrong ones (2.x sorts names as text)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from spark_rl.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

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
    """The chosen checkpoint and, in one line, anything about the choice that the user should know.

    ``passed_over`` says in one line which more trained checkpoints are incomplete, None where there are none.
    """

    file: CheckpointFile
    note: str | None = None
    passed_over: str | None = None


def everything(_file: CheckpointFile) -> bool:
    """Take every checkpoint for a whole one."""
    return True


def number(file: CheckpointFile, library: str) -> int | None:
    """Return the iteration (skrl, sb3: env steps) in a periodic checkpoint's name, None for any other file."""
    match = PERIODIC[library].fullmatch(file.name)
    return int(match[1]) if match else None


def number_of(path: str, library: str) -> int | None:
    """Return the same of a path, however much of it lies above the run folder."""
    parts = path.rsplit("/", 2)
    tails = (parts[-1], "/".join(parts[-2:]))
    return next((int(match[1]) for tail in tails if (match := PERIODIC[library].fullmatch(tail))), None)


def latest(
    files: Iterable[CheckpointFile], library: str, whole: Callable[[CheckpointFile], bool] = everything
) -> Choice | None:
    """Return the most trained checkpoint of the newest run that has any.

    ``whole`` is asked from that one down until it says yes; a run without a whole checkpoint does not count.
    """
    return _first_whole((file for run in _runs(files, library) for file in _most_trained(run, library)), whole)


def best(
    files: Iterable[CheckpointFile], library: str, whole: Callable[[CheckpointFile], bool] = everything
) -> Choice | None:
    """Return the checkpoint with the best reward of the newest run, the most trained one where none is kept.

    ``whole`` is asked as in :func:`latest`.
    """
    files = tuple(files)
    kept = [file for file in newest_run(files, library) if library in BEST and BEST[library].fullmatch(file.name)]
    if not kept:
        note = f"{library} kept no best checkpoint in this run: its latest one is used"
        choice = latest(files, library, whole)
        return replace(choice, note=note) if choice else None
    kept.sort(key=lambda file: file.modified, reverse=True)
    others = (file for run in _runs(files, library) for file in _most_trained(run, library) if file not in kept)
    return _first_whole(chain(kept, others), whole)


def _first_whole(files: Iterable[CheckpointFile], whole: Callable[[CheckpointFile], bool]) -> Choice | None:
    damaged: list[CheckpointFile] = []
    for file in files:
        if whole(file):
            return Choice(file=file, passed_over=_passed_over(damaged, file))
        damaged.append(file)
    return None


def _passed_over(damaged: list[CheckpointFile], used: CheckpointFile) -> str | None:
    if not damaged:
        return None
    names = [file.name if file.run == used.run else f"{file.run}/{file.name}" for file in damaged]
    are = "is" if len(names) == 1 else "are"
    place = used.name if damaged[0].run == used.run else f"{used.run}/{used.name}"
    return f"{' and '.join(names)} {are} incomplete: {place} is used"


def _runs(files: Iterable[CheckpointFile], library: str) -> Iterator[tuple[CheckpointFile, ...]]:
    """Yield the checkpoints of each run, the run that wrote last first."""
    left = tuple(files)
    while run := newest_run(left, library):
        yield run
        left = tuple(file for file in left if (file.experiment, file.run) != (run[0].experiment, run[0].run))


def _most_trained(run: tuple[CheckpointFile, ...], library: str) -> list[CheckpointFile]:
    return sorted(run, key=lambda file: _progress(file, library), reverse=True)


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
