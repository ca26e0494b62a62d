"""The checkpoint files that a request may mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl.plan import Context
from spark_rl.plan.policy import REMOTE, choose, run_folder, wanted

if TYPE_CHECKING:
    from spark_rl import counting
    from spark_rl.curves import Curve
    from spark_rl.model import CheckpointFile, Request
    from spark_rl.plan import Facts, Target
    from spark_rl.records import Run


def candidates(request: Request, facts: Facts, target: Target) -> tuple[CheckpointFile, ...]:
    """Return the files that may be meant, the incomplete ones in the way of the choice marked."""
    context = Context(request=request, facts=facts, target=target)
    name = wanted(context)
    if name is None or name == "pretrained" or name.startswith(REMOTE):
        return ()
    from spark_rl import logs

    if name not in ("latest", "best") and request.load_run is None:
        files = logs.named_checkpoint(Path(request.cwd, Path(name).expanduser()), target.library)
        return _vetted(replace(context, checkpoints=files))
    files = logs.list_checkpoints(Path(run_folder(context)), target.library)
    if request.action == "play" and request.load_run is None:
        files = _preferred(files, request, target)
    if name == "best":
        files = _rated(files, target.library)
    return _vetted(replace(context, checkpoints=files))


def _vetted(context: Context) -> tuple[CheckpointFile, ...]:
    """Return the context's files, those that would be chosen and are incomplete marked as that."""
    from spark_rl import checkpoint_files

    while True:
        file = choose(context)
        if file is None or checkpoint_files.is_whole(file.path):
            return context.checkpoints
        marked = (replace(one, whole=False) if one == file else one for one in context.checkpoints)
        context = replace(context, checkpoints=tuple(marked))


def _preferred(files: tuple[CheckpointFile, ...], request: Request, target: Target) -> tuple[CheckpointFile, ...]:
    """Return the files to play from: those of the run that was named, else of the newest run that succeeded.

    Runs that nobody recorded count too; runs that did not succeed only where nothing else is there.
    """
    from spark_rl import registry

    if request.run is not None:
        return _files_of(registry.load(request.run))
    task = target.task.task.train_id or target.task.task.id
    recorded = [run for run in registry.of_task(task, target.library) if run.algorithm == target.algorithm]
    good = next((found for run in recorded if run.state == "succeeded" and (found := _files_of(run))), ())
    folders = {attempt.log_dir for run in recorded for attempt in run.attempts}
    unknown = tuple(file for file in files if file.path.removesuffix(f"/{file.name}") not in folders)
    if good or unknown:
        return (*good, *unknown)
    return next((found for run in recorded if (found := _files_of(run))), files)


def _files_of(run: Run) -> tuple[CheckpointFile, ...]:
    from spark_rl import logs

    folders = dict.fromkeys(attempt.log_dir for attempt in run.attempts if attempt.log_dir)
    origin = f"run {run.id}, {run.state}"
    return tuple(
        replace(file, origin=origin) for folder in folders for file in logs.list_run(Path(folder), run.library)
    )


def _rated(files: tuple[CheckpointFile, ...], library: str) -> tuple[CheckpointFile, ...]:
    """Return the files of the newest run with the mean reward that was recorded when each was saved."""
    from spark_rl import checkpoints, counting, curves, events, logs

    found = []
    known: dict[Path, tuple[Curve | None, counting.Scale]] = {}
    for file in checkpoints.newest_run(files, library):
        folder = Path(file.path.removesuffix(f"/{file.name}"))
        if folder not in known:
            params, tag = logs.read_params(folder), curves.REWARD[library]
            scale = counting.Scale(library=library, horizon=params.horizon, num_envs=params.num_envs)
            recorded = events.read(folder, (tag,)).get(tag)
            known[folder] = recorded and curves.in_iterations(recorded, scale), scale
        curve, scale = known[folder]
        number = checkpoints.number(file, library)
        held = counting.saved(number, scale) if number is not None else None
        found.append(replace(file, reward=_reward(curve, held)))
    return tuple(found)


def _reward(curve: Curve | None, held: int | None) -> float | None:
    """Return the mean reward after ``held`` iterations, the best one where that number is not known."""
    if curve is None:
        return None
    best = curve.best[1] if curve.best else None
    return best if held is None else curve.until(held).final
