"""Handing a training over to an engine: what is submitted, the record that waits for it, and its start in the job."""

from __future__ import annotations

import re
import shlex
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl import commands, engines, registry, times
from spark_rl.counting import SAVE_KEYS
from spark_rl.engines import slurm
from spark_rl.errors import CheckError, RequestError
from spark_rl.launch import recording
from spark_rl.launch.settling import refuse
from spark_rl.model import Gpu
from spark_rl.records import Job, Run
from spark_rl.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_rl.engines import Submission
    from spark_rl.launch import Start
    from spark_rl.model import Request, Settings
    from spark_rl.plan import Facts

LOCAL = "local"
"""The engine that is this spark-rl itself."""

ENGINES = (LOCAL, "slurm")
"""Those that take a training."""

SAVES = 10
"""So many checkpoints at least are saved within a time limit: what a stop loses is a tenth of it."""

LONGEST_S = 1800
"""The longest time between two checkpoints of a run that a time limit will stop."""

AUTO = "auto: settled where the job runs, by what `spark-rl tune` measured there"
"""Why a plan for a node has no number of environments."""

GRACE_S = 20.0
"""Time for whoever submitted a job to write its id down: the job may start sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How a training is handed over: to which ``engine``, for how long (``8h``), where, and on how many ``nodes``.

    ``more`` are words of its command that no request holds.
    """

    engine: str
    settings: Settings
    time: str | None = None
    partition: str | None = None
    nodes: int = 1
    more: tuple[str, ...] = ()


def engine(name: str) -> str:
    """Return the name of an engine.

    Raises:
        RequestError: There is none of that name.
    """
    if name not in ENGINES:
        raise RequestError(f"there is no engine {name} for a training", did_you_mean(name, ENGINES, "engines"))
    return name


def options(settings: Settings, partition: str | None = None) -> tuple[tuple[str, str], ...]:
    """Return the engine's own options as the settings hold them, ``partition`` instead of the setting's.

    Raises:
        RequestError: A setting would make no batch script, or another one than it says.
    """
    names = ("partition", "account", "gres", "setup", "container", "sbatch")
    values = {name: (settings.text(f"slurm_{name}") or "").strip() for name in names}
    values["partition"] = partition or values["partition"]
    for name, value in values.items():
        _check_option(name, value)
    return tuple((name, value) for name, value in values.items() if value)


def _check_option(name: str, value: str) -> None:
    if name not in ("setup", "sbatch") and len(value.splitlines()) > 1:
        raise RequestError(f"slurm_{name} must be one line", f"it holds {value!r}")
    if name == "gres" and (count := re.search(r":\d+$", value)):
        raise RequestError(
            f"slurm_gres is what a GPU is called, and {value} says how many as well",
            f'slurm_gres = "{value[: count.start()]}"; --gpus N says how many',
        )
    if name in ("container", "sbatch"):
        try:
            shlex.split(value)
        except ValueError as error:
            raise RequestError(f"slurm_{name} opens a quotation and does not close it", f"it holds {value}") from error


def cpus(settings: Settings) -> int:
    """Return the CPUs of a node that a job takes, 1 where nobody says.

    Raises:
        RequestError: It is no such number.
    """
    value = settings.get("slurm_cpus").value
    if value is not None and int(value) < 1:
        raise RequestError(f"slurm_cpus must be at least 1, not {value}", "leave it out for one")
    return int(value or 1)


def limit_s(wanted: Wanted) -> int | None:
    """Return the time limit in seconds, None where the partition's own is left.

    Raises:
        RequestError: It is no time.
    """
    said = wanted.settings.text("slurm_time")
    if wanted.time:
        return times.limit(wanted.time, "--time")
    return times.limit(said, "slurm_time") if said else None


def fitted(request: Request, wanted: Wanted, library: str) -> Request:
    """Return the request with a save interval that fits the time limit, unless it says how often to save."""
    time_s, key = limit_s(wanted), SAVE_KEYS.get(library)
    own = key is not None and any(word.lstrip("+").startswith(f"{key}=") for word in request.overrides)
    if time_s is None or own or request.save_every is not None:
        return request
    seconds = max(1, min(LONGEST_S, time_s // SAVES))
    return replace(request, save_every=f"{seconds}s" if seconds % 60 else f"{seconds // 60}m")


def supposed(facts: Facts, request: Request) -> Facts:
    """Return facts with the GPUs that a node will give: where a job is submitted there often is none.

    Raises:
        RequestError: The request does not say how many.
    """
    gpus = tuple(Gpu(index=index, name="a GPU of the cluster") for index in range(_gpus(request)))
    return replace(facts, host=replace(facts.host, gpus=gpus)) if facts.here else facts


def planned(request: Request, **changes: Any) -> Request:
    """Return a request as it is planned here for a node: the machine is looked at there, and ``auto`` settled."""
    reason = AUTO if request.auto_envs else request.num_envs_reason
    return replace(request, preflight=False, num_envs_reason=reason, **changes)


def refuse_auto(request: Request) -> None:
    """Stop at ``auto`` environments for several nodes.

    Raises:
        RequestError: They are asked for.
    """
    if request.auto_envs and request.nnodes > 1:
        raise RequestError(
            f"--num-envs auto is settled on each node, and {request.nnodes} nodes need the same number",
            "name the number: --num-envs 4096",
        )


def _gpus(request: Request) -> int:
    if request.device == "cpu":
        return 0
    if request.gpus is not None and not request.gpus.isdecimal():
        raise RequestError("a job must say how many GPUs it wants of a node", "name them: --gpus 4")
    return int(request.gpus or 1)


def submission(request: Request, wanted: Wanted) -> Submission:
    """Return what is submitted for a request: spark-rl itself, which takes the waiting record up in the job.

    Raises:
        RequestError: A setting makes no sense.
    """
    settings = wanted.settings
    # What was asked for wins over the settings that the job reads.
    own = ("--assets", "auto") if request.assets == "auto" and settings.text("assets") else ()
    return engines.Submission(
        name=request.run_name or request.task,
        commands=((*program(settings), *commands.train(request, (*own, *wanted.more, "--adopt"))),),
        cwd=request.cwd,
        log=str(registry.folder() / "jobs" / "%j.log"),
        env=(("SPARK_RL_STATE", str(registry.folder())),),
        nodes=wanted.nodes,
        gpus=_gpus(request),
        cpus=cpus(settings),
        time_s=limit_s(wanted),
        options=options(settings, wanted.partition),
    )


def program(settings: Settings) -> tuple[str, ...]:
    """Return how spark-rl is called: as here, but in a container by its name."""
    if settings.text("slurm_container"):
        return ("spark-rl",)
    own = Path(sys.argv[0])
    return (str(own),) if own.name == "spark-rl" and own.is_absolute() else (sys.executable, "-m", "spark_rl")


def submit(what: Start, told: Submission, name: str) -> Run:
    """Record the run, submit it, and return it.

    Raises:
        RequestError: The request is wrong.
        CheckError: The engine is not there or refuses it, or the record cannot be written.
    """
    refuse(what.plan.findings)
    Path(told.log).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    run = _waiting(replace(what, job=Job(engine=name)))
    try:
        ident = engines.load(name).submit(replace(told, run=run.id))
    except CheckError:
        registry.save(what.continues or replace(run, state="failed"))
        if what.continues is None:
            registry.remove(run.id)
        raise
    finally:
        registry.release(run.id)
    run = replace(run, job=Job(engine=name, ident=ident, log=told.log.replace("%j", ident)))
    registry.save(run)
    return run


def _waiting(what: Start) -> Run:
    """Record a run that nobody supervises yet, a new one or one that goes on."""
    if what.continues is None:
        return registry.create(recording.start_of(what), recording.draft(what))
    return recording.begun(what)


def inside(environ: Mapping[str, str]) -> str:
    """Return the id of the job that this process runs in.

    Raises:
        RequestError: It runs in none.
    """
    ident = slurm.here(environ)
    if ident is None:
        raise RequestError("--adopt is for the inside of a Slurm job", "leave it out")
    return ident


def taken_up(environ: Mapping[str, str]) -> tuple[Job, Run | None]:
    """Return the job that this process runs in, and the run that it is to go on with, None for a new one.

    Raises:
        RequestError: This is no job.
    """
    ident = inside(environ)
    number = environ.get(slurm.RUN_VARIABLE)
    job = Job(engine="slurm", ident=ident, waits=False)
    again = environ.get("SLURM_RESTART_COUNT", "0") != "0"
    run = _awaited(number, ident) if number else _of(ident) if again else None
    return (job, None) if run is None else (replace(job, log=run.job.log if run.job else None), run)


def _awaited(number: str, ident: str) -> Run:
    """Return the run of a number once it knows its job; after a while it is taken as it is."""
    until = time.monotonic() + GRACE_S
    while True:
        run = registry.load(number)
        if (run.job is not None and run.job.ident == ident) or time.monotonic() >= until:
            return run
        time.sleep(0.2)


def _of(ident: str) -> Run | None:
    """Return the run that a job made when it started before; a new one may have the id of an old one."""
    runs = (entry for entry in registry.entries() if isinstance(entry, Run))
    return next((run for run in runs if run.job is not None and run.job.ident == ident), None)
