"""Reading what Isaac Lab left on disk: run folders, checkpoints, videos."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl.checkpoints import GLOBS, is_checkpoint
from spark_rl.errors import RequestError
from spark_rl.model import CheckpointFile
from spark_rl.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spark_rl.model import Plan

PRETRAINED = ".pretrained_checkpoints"
"""Folder below the working directory that keeps NVIDIA's published checkpoints (2.x and 3.0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What lies where a plan's run leaves its own: checkpoints, and videos with their change time.

    Two of them, from before and after a run, tell what that run wrote without asking a clock.
    """

    checkpoints: frozenset[CheckpointFile] = frozenset()
    videos: frozenset[tuple[float, str]] = frozenset()

    def since(self, before: Traces) -> Traces:
        """Return what was added or changed since ``before``."""
        return Traces(checkpoints=self.checkpoints - before.checkpoints, videos=self.videos - before.videos)


def traces(decided: Plan, *, video: bool) -> Traces:
    """Return what is there of a plan's run, videos only where the run records one."""
    root, library = Path(decided.cwd), decided.library
    training = decided.action == "train"
    return Traces(
        checkpoints=frozenset(list_checkpoints(root, library)) if training else frozenset(),
        videos=frozenset(_videos(_recording_folders(decided))) if video else frozenset(),
    )


def list_checkpoints(root: Path, library: str) -> tuple[CheckpointFile, ...]:
    """Return every checkpoint of ``library`` below ``root/logs``, the run's working directory being ``root``."""
    base = root / "logs" / library
    return tuple(_checkpoints(base.rglob, library, base))


def list_run(run: Path, library: str) -> tuple[CheckpointFile, ...]:
    """Return the checkpoints of one run folder."""
    return tuple(_checkpoints(run.glob, library, run.parent.parent))


def named_checkpoint(path: Path, library: str) -> tuple[CheckpointFile, ...]:
    """Return the checkpoint at ``path``, or all of the run folder at ``path``.

    A file may have any name: it counts as one run's checkpoint.

    Raises:
        RequestError: Nothing is there, or the folder holds no checkpoint of ``library``.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - a link stays the path that was given
    try:
        if path.is_dir():
            return _named_run(path, library)
        if not path.is_file():
            raise RequestError(f"the checkpoint {path} does not exist", _near(path))
        return (_named_file(path),)
    except OSError as error:
        raise RequestError(
            f"the checkpoint {path} cannot be read: {error.strerror}", "check its permissions"
        ) from error


def _named_run(path: Path, library: str) -> tuple[CheckpointFile, ...]:
    found = list_run(path, library)
    if not found:
        raise RequestError(f"{path} holds no checkpoint of {library}", "give the file itself")
    return found


def _named_file(path: Path) -> CheckpointFile:
    run = next((folder for folder in path.parents if folder.name not in ("nn", "checkpoints")), path.parent)
    return _checkpoint_file(path, run, run.parent.parent, None)


def _near(path: Path) -> str:
    names = sorted(file.name for file in path.parent.glob("*") if file.is_file())
    return did_you_mean(path.name, names, "files there") if names else "--checkpoint latest takes the newest run's"


def _checkpoints(find: Callable[[str], Iterable[Path]], library: str, base: Path) -> Iterator[CheckpointFile]:
    """Yield the checkpoints that ``find`` finds; what vanishes while being read is left out."""
    task = cache(_manifest_task)
    for pattern in GLOBS[library]:
        for file in find(pattern):
            run = file.parents[len(Path(pattern).parts) - 1]
            if is_checkpoint(file.relative_to(run).as_posix(), library):
                with suppress(OSError, ValueError):
                    yield _checkpoint_file(file, run, base, task(run))


def _checkpoint_file(file: Path, run: Path, base: Path, task: str | None) -> CheckpointFile:
    stat = file.stat()
    return CheckpointFile(
        path=str(file),
        run=run.name,
        name=file.relative_to(run).as_posix(),
        experiment=run.parent.relative_to(base).as_posix(),
        modified=stat.st_mtime,
        task=task,
        size=stat.st_size,
    )


def _manifest_task(run: Path) -> str | None:
    """Return the task that Isaac Lab 3.0's own manifest names."""
    try:
        task = json.loads((run / "run.json").read_text(encoding="utf-8"))["task"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return task if isinstance(task, str) else None


def _recording_folders(decided: Plan) -> Iterator[Path]:
    """Yield where a run's videos go: train's below its logs, play's below the run folder of its checkpoint."""
    root, library = Path(decided.cwd), decided.library
    yield root / "logs" / library
    if decided.action == "play":
        yield root / PRETRAINED / library
        played = [Path(after) for word, after in pairwise(decided.argv) if word == "--checkpoint"]
        yield from (file.parents[len(Path(GLOBS[library][0]).parts) - 1] for file in played if file.is_absolute())


def _videos(folders: Iterable[Path]) -> Iterator[tuple[float, str]]:
    """Yield the videos that are not empty, with their change time (seconds since the epoch)."""
    for file in (file for folder in folders for file in folder.rglob("*.mp4")):
        with suppress(OSError):
            if file.stat().st_size > 0:
                yield file.stat().st_mtime, str(file)


def has_published(decided: Plan) -> bool:
    """Say whether a published checkpoint of the plan's task was downloaded; Isaac Lab ends with 0 if there is none."""
    folder = Path(decided.cwd, PRETRAINED, decided.library)
    names = [name for name in (decided.task.task.id, decided.task.task.train_id) if name]
    files = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return any(file.startswith((f"{name}_", f"{name}/")) for file in files for name in names)
