"""Checkpoints and run names, handed over in each library's and version's own way."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from spark_rl import times
from spark_rl.counting import SAVE_KEYS
from spark_rl.errors import RequestError
from spark_rl.model import Finding
from spark_rl.plan.parts import NOTHING, Part, because, join, whole_number

if TYPE_CHECKING:
    from spark_rl.checkpoints import Choice
    from spark_rl.model import CheckpointFile
    from spark_rl.plan.parts import Context

_RUN_NAME = re.compile(r"[^\W_][\w.+@ -]*|_[\w.+@ -]+")
_TEXT = re.compile(r"(?!(?:true|false|null|none|nan|inf)\b)[A-Za-z_][\w.-]*", re.IGNORECASE)
REMOTE = ("wandb:", "https://wandb.ai/")
"""How a checkpoint begins that Isaac Lab 3.0 fetches by itself."""


def wanted(context: Context) -> str | None:
    """Return what the request says about a checkpoint: ``latest``, ``best``, ``pretrained``, a path, or None."""
    request = context.request
    if request.checkpoint is not None:
        return request.checkpoint
    if request.resume or request.action == "play" or request.load_run is not None:
        return "latest"
    return None


def checkpoint(context: Context) -> Part:
    """Resolve the checkpoint to a file and hand it over.

    Raises:
        RequestError: No such checkpoint exists, or this version cannot take it.
    """
    name = wanted(context)
    if name is None:
        return NOTHING
    if name == "pretrained":
        return _pretrained(context)
    if name.startswith(REMOTE):
        return _remote(context, name)
    choice = _choose(context, name)
    if choice is None:
        return _damaged(context, name) or _missing(context, name)
    notes = [note for note in (choice.file.origin, choice.note) if note]
    note = f" ({'; '.join(notes)})" if notes else ""
    return join(
        (
            Part(words=_hand_over(context, choice.file)),
            Part(reasons=because("checkpoint", f"{name}: {choice.file.path}{note}")),
            _resume_truth(context),
        )
    )


def _damaged(context: Context, name: str) -> Part | None:
    """Return the plan for a checkpoint that is incomplete, with the error that forbids its start; None without one."""
    repaired = tuple(replace(file, whole=True) for file in context.checkpoints)
    choice = _choose(replace(context, checkpoints=repaired), name)
    if choice is None:
        return None
    finding = Finding(
        code="checkpoint-incomplete",
        level="error",
        message=f"the checkpoint {choice.file.path} is incomplete",
        hint="--checkpoint latest takes the newest whole one"
        if name != "latest"
        else "train anew: there is no whole one",
    )
    reasons = because("checkpoint", f"{name}: {choice.file.path}, which is incomplete")
    return Part(words=_hand_over(context, choice.file), reasons=reasons, findings=(finding,))


def choose(context: Context) -> CheckpointFile | None:
    """Return the checkpoint that a request means among the context's files, None where there is none."""
    name = wanted(context)
    choice = _choose(context, name) if name is not None else None
    return choice.file if choice else None


def _choose(context: Context, name: str) -> Choice | None:
    from spark_rl import checkpoints

    files, library = context.checkpoints, context.target.library
    load_run = context.request.load_run
    if load_run is not None:
        pattern = name if name not in ("latest", "best") else r".*"
        return checkpoints.latest(checkpoints.matching(_mine(context), run=load_run, name=pattern), library)
    if name in ("latest", "best"):
        pick = checkpoints.latest if name == "latest" else checkpoints.best
        return pick(_mine(context), library)
    return checkpoints.latest(files, library) or _any(files)


def _any(files: tuple[CheckpointFile, ...]) -> Choice | None:
    """Return the one file that was named, whatever its name."""
    from spark_rl import checkpoints

    return checkpoints.Choice(file=files[0]) if files and files[0].whole else None


def _mine(context: Context) -> tuple[CheckpointFile, ...]:
    from spark_rl import checkpoints

    target = context.target
    return checkpoints.of_task(
        context.checkpoints,
        task_id=target.task.task.id,
        experiment=experiment(context),
        algorithm=target.algorithm,
        library=target.library,
    )


def experiment(context: Context) -> str | None:
    """Return the experiment folder's name, None where neither the request nor the task's source says it."""
    target = context.target
    if target.library == "sb3":
        return target.task.task.train_id or target.task.task.id
    keys = {
        "rsl_rl": ("agent.experiment_name",),
        "rl_games": ("agent.params.config.name",),
        "skrl": ("agent.agent.experiment.directory",),
    }[target.library]
    option = target.given.get("--experiment_name") if not context.old else None
    return target.override(*keys) or option or target.agent.experiment


def _missing(context: Context, name: str) -> Part:
    """Report a checkpoint that is not there: an error when it was asked for, a finding when play looked by itself."""
    target = context.target
    where = f"logs/{target.library}/{experiment(context) or '*'} below {run_folder(context)}"
    message = f"no checkpoint of {target.task.task.id} with {target.library} was found in {where}"
    trained = target.task.task.train_id or target.task.task.id
    hint = f"train one first: spark-rl train --task {trained} --library {target.library}"
    if context.request.checkpoint is not None or context.request.action == "train":
        raise RequestError(message, hint if name in ("latest", "best") else "see the run folders there")
    return Part(findings=(Finding(code="checkpoint-missing", level="error", message=message, hint=hint),))


def run_folder(context: Context) -> str:
    """Return the run's working directory: Isaac Lab puts ``logs/`` there."""
    return context.facts.installation.path if context.old else context.request.cwd


def _hand_over(context: Context, file: CheckpointFile) -> tuple[str, ...]:
    target = context.target
    style = target.profile.checkpoint_style(target.library, context.request.action)
    if style == "path":
        return ("--checkpoint", file.path)
    if style == "none":
        raise RequestError(
            f"{target.library} of Isaac Lab {context.facts.installation.version} cannot train on from a checkpoint",
            "use another library, or Isaac Lab 2.2.1 or newer",
        )
    root = f"{run_folder(context)}/logs/{target.library}/{experiment(context) or file.experiment}"
    if file.path != f"{root}/{file.run}/{file.name}":
        raise RequestError(
            f"{file.path} lies outside {root}, the only place where this version looks",
            f"put it into a run folder there, for example {root}/imported/model_0.pt",
        )
    return ("--resume", "--load_run", _exactly(file.run), "--checkpoint", _exactly(file.name))


def _exactly(name: str) -> str:
    """Return a regular expression that matches ``name`` alone; 2.x matches prefixes."""
    return f"^{re.escape(name)}$"


def _pretrained(context: Context) -> Part:
    if context.request.action == "train":
        raise RequestError(
            "a published checkpoint cannot be trained on by its name",
            "play it once with --checkpoint pretrained, then pass the file that is cached in .pretrained_checkpoints",
        )
    if context.old:
        return Part(words=("--use_pretrained_checkpoint",))
    return Part(words=("--checkpoint", "pretrained"))


def _remote(context: Context, name: str) -> Part:
    if context.old or context.target.library != "rsl_rl":
        raise RequestError(
            "a Weights & Biases run can be loaded by rsl_rl of Isaac Lab 3.0 alone",
            "download the file and pass its path",
        )
    return Part(words=("--checkpoint", name))


def _resume_truth(context: Context) -> Part:
    if context.request.action != "train" or context.target.library != "skrl":
        return NOTHING
    return Part(
        findings=(
            Finding(
                code="skrl-resume",
                level="warning",
                message="skrl loads weights, optimizer and preprocessors; its count and its schedules start anew",
                hint="count the iterations yourself with --max-iterations",
            ),
        )
    )


def run_name(context: Context) -> Part:
    """Hand the run's name over where the library has a place for it, else keep it as spark-rl's own label."""
    name = context.request.run_name
    if name is None:
        return NOTHING
    if not _RUN_NAME.fullmatch(name):
        raise RequestError(f"--run-name {name!r} is no name for a folder", "for example --run-name fast-walk_2")
    target = context.target
    place = target.profile.run_name(target.library)
    if place is None:
        return Part(reasons=because("run_name", f"{target.library} has no place for it: kept as spark-rl's own label"))
    if place.startswith("--"):
        return Part(words=(place, name))
    # A name such as 2024 or true would reach the config as a number or a truth value.
    word = f"{place}={name if _TEXT.fullmatch(name) else repr(name)}"
    return Part(overrides=(word,), findings=(_SAME_FOLDER,) if target.profile.run_name_replaces(target.library) else ())


_SAME_FOLDER = Finding(
    code="run-name-replaces",
    level="warning",
    message="rl_games names the run folder by the run name alone: a second run of it writes into the same folder",
    hint="take a new name for each run",
)


UNKNOWN_PACE_S = 5.0
"""Seconds an iteration is taken to last while nobody knows: rather too many checkpoints than too few."""


def saving(context: Context) -> Part:
    """Set how often the library saves a checkpoint.

    Raises:
        RequestError: An override sets it too, or the library counts env steps and its horizon is not known.
    """
    request, target = context.request, context.target
    if request.save_every is None or request.action != "train":
        return NOTHING
    count = _interval(context)
    reason = because("save_every", f"a checkpoint every {_iterations(count)}{_from_time(context)}")
    key = SAVE_KEYS.get(target.library)
    if key is None:
        return Part(reasons=reason)
    if target.override(key) is not None:
        raise RequestError(f"--save-every and {key} both set how often {target.library} saves", "leave one of them out")
    unit = _horizon(context) if target.library == "skrl" else 1
    return Part(overrides=(f"{key}={count * unit}",), reasons=reason)


def saver(context: Context) -> tuple[str, ...]:
    """Return the words that start sb3's training behind spark-rl's own driver: its scripts fix how often they save."""
    if context.request.save_every is None or context.request.action != "train" or context.target.library in SAVE_KEYS:
        return ()
    every = _interval(context) * _horizon(context)
    return (str(PurePath(context.facts.driver).with_name("saving.py")), "--every", str(every), "--")


def _interval(context: Context) -> int:
    """Return the iterations between two checkpoints."""
    text = context.request.save_every or ""
    if text.isdecimal():
        return whole_number(text, "--save-every")
    return max(1, round(times.seconds(text, "--save-every") / (context.facts.pace or UNKNOWN_PACE_S)))


def _from_time(context: Context) -> str:
    text, pace = context.request.save_every or "", context.facts.pace
    if text.isdecimal():
        return ""
    if pace is None:
        return f": {text}, if an iteration takes {UNKNOWN_PACE_S:.0f} s (no earlier run here tells)"
    return f": {text}, an iteration having taken {times.span(pace)} last time"


def _horizon(context: Context) -> int:
    target = context.target
    key = {"skrl": "agent.agent.rollouts", "sb3": "agent.n_steps"}[target.library]
    given = target.override(key)
    horizon = int(given) if given is not None and given.isdecimal() else target.agent.horizon
    if not horizon:
        raise RequestError(
            f"{target.library} saves by env steps, and the source of {target.task.task.id} does not say how many make "
            "an iteration",
            f"name them: {key}=N",
        )
    return horizon


def _iterations(count: int) -> str:
    return "iteration" if count == 1 else f"{count} iterations"
