"""Reading what Isaac Lab left on disk: run folders, checkpoints, videos."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from spark_rl.checkpoints import GLOBS, is_checkpoint
from spark_rl.errors import RequestError
from spark_rl.model import CheckpointFile
from spark_rl.text import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path


def list_checkpoints(root: Path, library: str) -> tuple[CheckpointFile, ...]:
    """Return every checkpoint of ``library`` below ``root/logs``, the run's working directory being ``root``."""
    base = root / "logs" / library
    files: list[CheckpointFile] = []
    for run in (folder for folder in base.glob("*/*") if folder.is_dir()):
        files += list_run(run, library)
    return tuple(files)


def named_checkpoint(path: Path, library: str) -> tuple[CheckpointFile, ...]:
    """Return the checkpoint at ``path``, or all of the run folder at ``path``.

    A file may have any name: it counts as one run's checkpoint.

    Raises:
        RequestError: Nothing is there, or the folder holds no checkpoint of ``library``.
    """
    if path.is_dir():
        found = tuple(list_run(path, library))
        if not found:
            raise RequestError(f"{path} holds no checkpoint of {library}", "give the file itself")
        return found
    if not path.is_file():
        near = sorted(file.name for file in path.parent.glob("*") if file.is_file()) if path.parent.is_dir() else []
        hint = did_you_mean(path.name, near, "files there") if near else "--checkpoint latest takes the newest run's"
        raise RequestError(f"the checkpoint {path} does not exist", hint)
    run = next((folder for folder in path.parents if folder.name not in ("nn", "checkpoints")), path.parent)
    name = path.relative_to(run).as_posix()
    stat = path.stat()
    return (
        CheckpointFile(
            path=str(path),
            run=run.name,
            name=name,
            experiment=run.parent.name,
            modified=stat.st_mtime,
            size=stat.st_size,
        ),
    )


def list_run(run: Path, library: str) -> list[CheckpointFile]:
    """Return the checkpoints of one run folder; what vanishes while being read is left out."""
    task = _manifest_task(run)
    found = []
    for file in (file for glob in GLOBS[library] for file in run.glob(glob)):
        name = file.relative_to(run).as_posix()
        if not is_checkpoint(name, library):
            continue
        try:
            stat = file.stat()
        except OSError:
            continue
        found.append(
            CheckpointFile(
                path=str(file),
                run=run.name,
                name=name,
                experiment=run.parent.name,
                modified=stat.st_mtime,
                task=task,
                size=stat.st_size,
            )
        )
    return found


def list_videos(root: Path, library: str, since: float) -> tuple[str, ...]:
    """Return the non-empty videos below ``root/logs`` written since ``since`` (epoch seconds), oldest first."""
    videos = (root / "logs" / library).glob("*/**/videos/**/*.mp4")
    fresh = [(file.stat().st_mtime, str(file)) for file in videos if file.stat().st_size > 0]
    return tuple(path for modified, path in sorted(fresh) if modified >= since)


def _manifest_task(run: Path) -> str | None:
    """Return the task that Isaac Lab 3.0's own manifest names."""
    try:
        task = json.loads((run / "run.json").read_text(encoding="utf-8"))["task"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return task if isinstance(task, str) else None
