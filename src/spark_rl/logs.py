"""Reading what Isaac Lab left on disk: run folders, checkpoints, videos."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl.checkpoints import FINAL, GLOBS, is_checkpoint, number
from spark_rl.counting import Scale, saved
from spark_rl.errors import RequestError
from spark_rl.model import CheckpointFile
from spark_rl.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spark_rl.model import Plan
    from spark_rl.records import Attempt, Run

PRETRAINED = ".pretrained_checkpoints"
"""Folder below the working directory that keeps NVIDIA's published checkpoints (2.x and 3.0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What lies where a plan's run leaves its own: videos and exported policies, with their change time.

    Two of them, from before and after a run, tell what that run wrote without asking a clock.
    """

    videos: frozenset[tuple[float, str]] = frozenset()
    exported: frozenset[tuple[float, str]] = frozenset()

    def since(self, before: Traces) -> Traces:
        """Return what was added or changed since ``before``."""
        return Traces(videos=self.videos - before.videos, exported=self.exported - before.exported)


def traces(decided: Plan, *, video: bool) -> Traces:
    """Return what is there of a plan's run: videos where the run records one, exported policies where it plays."""
    folders = tuple(_recording_folders(decided))
    return Traces(
        videos=frozenset(_files(folders, "*.mp4")) if video else frozenset(),
        exported=frozenset(_files(folders, "exported/policy.*")) if decided.action == "play" else frozenset(),
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


def _files(folders: Iterable[Path], pattern: str) -> Iterator[tuple[float, str]]:
    """Yield the files that are not empty, with their change time (seconds since the epoch)."""
    for file in (file for folder in folders for file in folder.rglob(pattern)):
        with suppress(OSError):
            if file.stat().st_size > 0:
                yield file.stat().st_mtime, str(file)


def has_published(decided: Plan) -> bool:
    """Say whether a published checkpoint of the plan's task was downloaded; Isaac Lab ends with 0 if there is none."""
    folder = Path(decided.cwd, PRETRAINED, decided.library)
    names = [name for name in (decided.task.task.id, decided.task.task.train_id) if name]
    files = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return any(file.startswith((f"{name}_", f"{name}/")) for file in files for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """What a trainer has said of where it writes: the experiment's folder, and the run folder's name or path."""

    root: str | None = None
    run: str | None = None

    def joined(self, root: str | None, run: str | None) -> Printed:
        """Return this with what is new."""
        return Printed(root=root or self.root, run=run or self.run) if root or run else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What a run dumped of its configuration; None where it did not say.

    ``horizon`` is the number of env steps per environment and iteration. ``normalizes`` says that sb3 keeps running
    statistics of its observations.
    """

    max_iterations: int | None = None
    horizon: int | None = None
    num_envs: int | None = None
    normalizes: bool = False


def run_folders(root: Path, library: str) -> frozenset[Path]:
    """Return the run folders of ``library`` below ``root/logs``."""
    with suppress(OSError):
        return frozenset(path for path in (root / "logs" / library).glob("*/*") if path.is_dir())
    return frozenset()


def locate(root: Path, library: str, printed: Printed, before: frozenset[Path]) -> Path | None:
    """Return the folder of a run that has just started, None while it cannot be told.

    Args:
        root: The run's working directory.
        library: The RL library.
        printed: What the trainer has said.
        before: The run folders that were there before it started.
    """
    if printed.run is not None:
        base = Path(printed.root or root / "logs" / library)
        named = base / Path(printed.run).name
        # Libraries add the run's name, or the algorithm, to the time stamp that they print.
        found = [path for path in (named, *base.glob(f"{_escaped(named.name)}_*")) if path.is_dir()]
        new = [path for path in found if path not in before]
        if new or found:
            return max(new or found[:1], key=_changed)
    new = [path for path in run_folders(root, library) - before if (path / "params").is_dir()]
    return max(new, key=_changed, default=None)


def _escaped(name: str) -> str:
    from glob import escape

    return escape(name)


def _changed(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def read_params(run: Path) -> Params:
    """Read what a run dumped to ``params/agent.yaml`` and ``params/env.yaml``; what is missing or damaged is None."""
    agent, envs = _yaml(run / "params" / "agent.yaml"), _num_envs(run / "params" / "env.yaml")
    config = _inside(agent, "params", "config")
    return Params(
        num_envs=envs,
        max_iterations=_whole(agent.get("max_iterations") or config.get("max_epochs")),
        horizon=_whole(
            agent.get("num_steps_per_env")
            or config.get("horizon_length")
            or _inside(agent, "agent").get("rollouts")
            or agent.get("n_steps")
        ),
        normalizes=str(agent.get("normalize_input")).lower() == "true",
    )


def _yaml(file: Path) -> dict[str, Any]:
    """Read a YAML file as texts, lists and mappings; Python objects in it are not made."""
    import yaml

    class Loader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]
        pass

    Loader.add_multi_constructor("", _plain)
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), Loader)  # noqa: S506 - it constructs nothing
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return document if isinstance(document, dict) else {}


def _plain(loader: Any, _tag: str, node: Any) -> Any:
    if node.id == "mapping":
        return loader.construct_mapping(node, deep=True)
    return loader.construct_sequence(node, deep=True) if node.id == "sequence" else loader.construct_scalar(node)


def _num_envs(file: Path) -> int | None:
    """Return ``scene.num_envs``; the file is large, and parsing all of it would take half a second."""
    scene = False
    with suppress(OSError, UnicodeDecodeError):
        for line in file.read_text(encoding="utf-8").splitlines():
            if not line.startswith(" "):
                scene = line.startswith("scene:")
            elif scene and line.startswith("  num_envs:"):
                return _whole(line.partition(":")[2].strip())
    return None


def _inside(document: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        value = document.get(name)
        document = value if isinstance(value, dict) else {}
    return document


def _whole(text: Any) -> int | None:
    return int(text) if isinstance(text, str) and text.isdecimal() else None


def scale_of(run: Run, attempt: Attempt) -> Scale:
    """Return what an iteration of an attempt is, from what it dumped."""
    params = read_params(Path(attempt.log_dir)) if attempt.log_dir else Params()
    return Scale(
        library=run.library,
        horizon=params.horizon,
        num_envs=params.num_envs or run.num_envs,
        first=attempt.first_iteration,
        target=run.progress.max_iterations,
    )


def held(file: CheckpointFile, scale: Scale, done: int | None) -> int | None:
    """Return how many iterations a checkpoint holds, None where that cannot be told.

    Args:
        file: The checkpoint.
        scale: What an iteration of its attempt is.
        done: The iterations that were done at the attempt's end: a file without a number is written then, and after a
            stop as well.
    """
    count = number(file, scale.library)
    if count is not None:
        return saved(count, scale)
    final = FINAL.get(scale.library)
    return done if final is not None and final.fullmatch(file.name) else None
