"""The command line, and the commands that start runs; each says what it takes and calls one use case.

Nothing but the option tables is imported before a command runs, and annotations are values, not texts that Typer
would have to evaluate: ``--help`` and completion answer at once.
"""

import copy
import importlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from spark_rl import __version__, words
from spark_rl.errors import RequestError
from spark_rl.options import (
    Adopt,
    Algorithm,
    Assets,
    Check,
    Checkpoint,
    Detach,
    Device,
    DryRun,
    EngineName,
    Every,
    Headless,
    HostFile,
    IsaacLab,
    Json,
    Library,
    MasterAddr,
    MasterPort,
    MaxRestarts,
    MemoryReserve,
    NodeRank,
    Nodes,
    NodeTimeout,
    NumEnvs,
    NumEnvsOrAuto,
    Partition,
    Preflight,
    Raw,
    Recipe,
    SaveEvery,
    Seed,
    StallTimeout,
    Task,
    TimeLimit,
    Video,
    check_values,
    here,
)

_PASS = {"ignore_unknown_options": True, "allow_extra_args": True}

app = typer.Typer(
    name="spark-rl",
    help="Train and play robots in every NVIDIA Isaac Lab, 2.1 to 3.0.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def spark_rl(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,  # noqa: FBT002
) -> None:
    """Train and play robots in every NVIDIA Isaac Lab, 2.1 to 3.0."""
    if version:
        typer.echo(f"spark-rl {__version__}")
        raise typer.Exit


@app.command(context_settings=_PASS, epilog="KEY=VALUE words are Hydra overrides; words after -- reach the script.")
def train(
    ctx: typer.Context,
    *,
    task: Task = None,
    library: Library = None,
    algorithm: Algorithm = None,
    num_envs: NumEnvsOrAuto = None,
    headless: Headless = None,
    seed: Seed = None,
    max_iterations: Annotated[int | None, typer.Option(help="Training iterations.")] = None,
    device: Device = None,
    video: Video = None,
    run_name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    checkpoint: Checkpoint = None,
    resume: Annotated[bool | None, typer.Option("--resume", help="Train on from the latest checkpoint.")] = None,
    gpus: Annotated[
        str | None, typer.Option("--gpus", "--nproc-per-node", "--num-gpus", help="GPUs to train on: a number or all.")
    ] = None,
    distributed: Annotated[bool, typer.Option("--distributed", help="Train on all visible GPUs.")] = False,
    nnodes: Nodes = 1,
    node_rank: NodeRank = None,
    master_addr: MasterAddr = None,
    master_port: MasterPort = None,
    node_timeout: NodeTimeout = None,
    engine: EngineName = None,
    time_limit: TimeLimit = None,
    partition: Partition = None,
    adopt: Adopt = False,
    save_every: SaveEvery = None,
    max_restarts: MaxRestarts = 0,
    stall_timeout: StallTimeout = None,
    memory_reserve: MemoryReserve = None,
    detach: Detach = False,
    raw: Raw = False,
    progress_every: Every = 30.0,
    recipe: Recipe = None,
    isaaclab: IsaacLab = None,
    assets: Assets = None,
    preflight: Preflight = True,
    check: Check = True,
    dry_run: DryRun = False,
    as_json: Json = False,
    host_file: HostFile = None,
) -> None:
    """Train a policy."""
    gpus = "all" if gpus is None and distributed else gpus
    _act("train", ctx, locals())


@app.command(context_settings=_PASS, epilog="KEY=VALUE words are Hydra overrides; words after -- reach the script.")
def play(
    ctx: typer.Context,
    *,
    task: Task = None,
    library: Library = None,
    algorithm: Algorithm = None,
    checkpoint: Checkpoint = None,
    num_envs: NumEnvs = None,
    run: Annotated[
        str | None, typer.Option("--run", help="Play this run: its number, name, folder, or latest.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Play so many steps, then report the returns.")] = None,
    headless: Headless = None,
    seed: Seed = None,
    device: Device = None,
    video: Video = None,
    resume: Annotated[bool | None, typer.Option("--resume", hidden=True)] = None,
    recipe: Recipe = None,
    isaaclab: IsaacLab = None,
    assets: Assets = None,
    preflight: Preflight = True,
    check: Check = True,
    dry_run: DryRun = False,
    as_json: Json = False,
    host_file: HostFile = None,
    raw: Raw = False,
    progress_every: Every = 30.0,
) -> None:
    """Play a trained policy, by default that of the newest run of the task that succeeded."""
    _act("play", ctx, locals())


@app.command(context_settings=_PASS, epilog="KEY=VALUE words are Hydra overrides; words after -- reach the script.")
def tune(
    ctx: typer.Context,
    *,
    task: Task = None,
    library: Library = None,
    algorithm: Algorithm = None,
    counts: Annotated[str | None, typer.Option(help="Env counts to measure: 64,128,256. Default: a ladder.")] = None,
    max_envs: Annotated[int | None, typer.Option(min=1, help="Largest env count to try.")] = None,
    max_iterations: Annotated[
        int | None, typer.Option("--iterations", min=4, help="Training iterations of each short run; 20.")
    ] = None,
    memory_reserve: MemoryReserve = None,
    device: Device = None,
    recipe: Recipe = None,
    isaaclab: IsaacLab = None,
    assets: Assets = None,
    preflight: Preflight = True,
    check: Check = True,
    png: Annotated[Path | None, typer.Option(help="Write the curve as a picture.")] = None,
    as_json: Json = False,
) -> None:
    """Measure which env count fits this machine, by short trainings; --num-envs auto then uses it."""
    _act("tune", ctx, {**locals(), "host_file": None})


@app.command(context_settings=_PASS, epilog="With --plan-only: KEY=VALUE words and words after -- reach every plan.")
def smoke(
    ctx: typer.Context,
    *,
    matrix: Annotated[
        str | None, typer.Option("--matrix", metavar="FILE", help="TOML file of cells, or the name of a shipped one.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Only cells with this in the name.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Not the cells with this.")] = None,
    require: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Cells whose skip is a failure.")] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Cells at once. Default: by GPUs, or by cores.")
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failure.")] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML.")] = None,
    baseline: Annotated[Path | None, typer.Option(metavar="FILE", help="Compare with this --json report.")] = None,
    max_slowdown: Annotated[
        float | None, typer.Option(min=0, metavar="PERCENT", help="Fail when a cell is so much slower than before.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(metavar="PATH", help="Keep runs and logs here.")] = None,
    device: Device = None,
    isaaclab: IsaacLab = None,
    assets: Assets = None,
    plan_only: Annotated[
        bool,
        typer.Option("--plan-only", help="Start nothing: plan every task, and have Isaac Lab parse it."),
    ] = False,
    host_file: HostFile = None,
    as_json: Json = False,
) -> None:
    """Prove that this installation trains and plays: a matrix of short real runs, and a report."""
    given = {**locals()}
    from spark_rl import proving

    check_values(given)
    own = [name for param in ctx.command.params for name in (*param.opts, *param.secondary_opts)]
    proving.act(given, here(), rest=ctx.args, passthrough=ctx.obj or (), own=own)


_REQUEST_FLAGS = frozenset(
    (
        *("task", "library", "algorithm", "num_envs", "headless", "seed", "max_iterations", "device", "video"),
        *("run_name", "checkpoint", "resume", "gpus", "steps", "assets", "save_every", "run", "preflight"),
        *("nnodes", "node_rank", "master_addr", "master_port"),
    )
)


def _act(action: Any, ctx: typer.Context, given: dict[str, Any]) -> None:
    from spark_rl import acting, prepare, requests, settings

    check_values(given)
    cwd = here()
    if given.get("run"):
        from spark_rl import runs

        played = runs.get(given["run"])
        given |= {name: given[name] or getattr(played, name) for name in ("task", "library", "algorithm")}
        given["run"] = played.id
    request = requests.build(
        "play" if action == "play" else "train",
        {name: value for name, value in given.items() if name in _REQUEST_FLAGS},
        rest=ctx.args,
        passthrough=ctx.obj or (),
        own=[name for param in ctx.command.params for name in (*param.opts, *param.secondary_opts)],
        recipe=given["recipe"],
        settings=settings.load(cwd),
        cwd=cwd,
    )
    facts = prepare.gather(prepare.Place(cwd=cwd, isaaclab=given["isaaclab"], host_file=given["host_file"]))
    if action == "tune":
        acting.tune(request, facts, given)
        return
    run = None
    if action == "train" and request.resume:
        from spark_rl import runs

        run = runs.newest(*prepare.meant(request, facts))
        request = runs.merged(run, request) if run else request
    acting.carry_out(request, facts, run, given)


def call(argv: Sequence[str]) -> int:
    """Run the command that ``argv`` names and return its exit code.

    Raises:
        SparkError: The command could not do what was asked.
    """
    from spark_rl.text import did_you_mean

    command = _command(argv[:1])
    if os.environ.get("_SPARK_RL_COMPLETE"):
        from spark_rl import completion as completions

        typer.echo(completions.answer(argv, command, os.environ, here()))
        return 0
    given, passthrough = words.split_passthrough(argv)
    if given and not given[0].startswith("-") and given[0] not in command.commands:
        shown = [name for name, one in command.commands.items() if not one.hidden]
        raise RequestError(f"unknown command {given[0]}", did_you_mean(given[0], shown, "commands"))
    try:
        code = command.main(
            args=list(words.normalized(given, _options(command))) or ["--help"],
            prog_name="spark-rl",
            standalone_mode=False,
            obj=passthrough,
        )
    except TyperException as error:
        raise _usage_error(error, command) from error
    return int(code or 0)


_GROUPS = ("runs", "assets")
_OTHERS = ("looking", "sweep")


def _command(name: Sequence[str]) -> Any:
    """Return the command line, with the one command that is asked for where there is one: each costs a millisecond."""
    commands = list(app.registered_commands)
    for other in _OTHERS:
        if not {*name} & {*_GROUPS, *map(_name, commands)}:
            commands += importlib.import_module(f"spark_rl.{other}_cli").app.registered_commands
    asked = [entry for entry in commands if _name(entry) in name]
    groups = [word for word in name if word in _GROUPS]
    only = copy.copy(app)
    only.registered_groups = []
    for group in groups or (() if asked else _GROUPS):
        only.add_typer(importlib.import_module(f"spark_rl.{group}_cli").app)
    only.registered_commands = [] if groups else asked or commands
    return typer.main.get_command(only)


def _name(entry: Any) -> str:
    name: str = entry.name or entry.callback.__name__
    return name


def _options(command: Any) -> Iterable[str]:
    """Return every spelling of every option."""
    names = (name for param in command.params for name in (*param.opts, *param.secondary_opts) if name.startswith("-"))
    below = (name for sub in getattr(command, "commands", {}).values() for name in _options(sub))
    return dict.fromkeys((*names, *below))


def _usage_error(error: TyperException, command: Any) -> RequestError:
    from spark_rl.text import either, nearest

    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "spark-rl"
    message = error.format_message().rstrip(".")
    option = getattr(error, "option_name", None)
    if option is not None and message.endswith("requires an argument"):
        return RequestError(f"{option} needs a value", f"write {option} VALUE")
    if option is None or not message.startswith("No such option"):
        return RequestError(message[:1].lower() + message[1:], f"see {where} --help")
    options = _options(command)
    close = nearest(option, options)
    hint = f"did you mean {either(close)}?" if close else f"see {where} --help"
    if option in options:
        hint = f"see the options of {where} --help; an option follows its command: spark-rl train {option}"
    return RequestError(f"{where} has no option {option}", hint)
