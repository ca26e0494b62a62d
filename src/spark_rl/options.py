"""The options that commands share, and where they were given."""

from pathlib import Path
from typing import Annotated, Any

import typer

from spark_rl.errors import RequestError

Task = Annotated[str | None, typer.Option("--task", help="Task, by its name in any Isaac Lab version.")]
Library = Annotated[
    str | None, typer.Option("--library", "--rl-library", help="RL library: rsl_rl, rl_games, skrl or sb3.")
]
Algorithm = Annotated[str | None, typer.Option(help="PPO, MAPPO, IPPO or AMP; the last three are skrl's.")]
NumEnvs = Annotated[int | None, typer.Option(help="Environments to simulate (per GPU).")]
NumEnvsOrAuto = Annotated[
    str | None,
    typer.Option("--num-envs", metavar="N|auto", help="Environments to simulate (per GPU), or auto."),
]
Headless = Annotated[
    bool | None, typer.Option("--headless/--no-headless", help="No window. Train: yes. Play: where no display is.")
]
Seed = Annotated[int | None, typer.Option(help="Seed of environment and agent; -1 draws one.")]
Device = Annotated[str | None, typer.Option(help="Device of simulation and agent: auto (the free GPU), cuda:0, cpu.")]
Video = Annotated[bool | None, typer.Option("--video", help="Record a video.")]
Checkpoint = Annotated[str | None, typer.Option(help="latest, best, pretrained (play), or the path of a file.")]
Recipe = Annotated[Path | None, typer.Option(help="TOML file with defaults for these flags.")]
IsaacLab = Annotated[str | None, typer.Option("--isaaclab", help="Checkout, or environment with Isaac Lab 3.0.")]
Assets = Annotated[str | None, typer.Option(help="auto, nvidia, embedded, or a folder.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
HostFile = Annotated[
    Path | None, typer.Option("--host", help="Plan for the machine that this doctor --json document describes.")
]


Nodes = Annotated[int, typer.Option("--nnodes", help="Hosts that train together; start it on each of them.")]
NodeRank = Annotated[int | None, typer.Option("--node-rank", help="Which of them this is, from 0.")]
MasterAddr = Annotated[str | None, typer.Option("--master-addr", help="Address of node 0, the same on each of them.")]
MasterPort = Annotated[int | None, typer.Option("--master-port", help="Port there; the next one is used as well.")]
NodeTimeout = Annotated[
    str | None, typer.Option("--node-timeout", help="How long the hosts wait for each other at the start; 5m.")
]
SaveEvery = Annotated[str | None, typer.Option(help="Save a checkpoint every so many iterations: 50, or 10m.")]
MaxRestarts = Annotated[int, typer.Option(min=0, help="Restarts after a native crash or a stall.")]
MemoryReserve = Annotated[
    str | None, typer.Option(help="Memory that is left to the system; a run that takes more is ended: 8GiB.")
]
StallTimeout = Annotated[str | None, typer.Option(help="End a run without a new iteration for so long: 30m.")]
Detach = Annotated[bool, typer.Option("--detach", help="Let it run without this terminal.")]
Raw = Annotated[bool, typer.Option("--raw", help="Show what Isaac Lab prints instead of the progress.")]
Every = Annotated[float, typer.Option("--progress-every", help="Seconds between two lines without a terminal.")]
Preflight = Annotated[
    bool, typer.Option("--preflight/--no-preflight", help="Check the machine before the start (the default).")
]
Check = Annotated[bool, typer.Option("--check/--no-check", help="Check KEY=VALUE words against the task's config.")]

EngineName = Annotated[
    str | None, typer.Option("--engine", help="Where it runs: local, or slurm, which submits a job.")
]
TimeLimit = Annotated[
    str | None, typer.Option("--time", help="Time limit of a job: 8h; the run goes on in the next start.")
]
Partition = Annotated[str | None, typer.Option("--partition", help="Partition of Slurm that a job is for.")]
Adopt = Annotated[bool, typer.Option("--adopt", hidden=True, help="Take up the record that waits for this job.")]


def here() -> Path:
    """Return the working directory.

    Raises:
        RequestError: It was removed.
    """
    try:
        return Path.cwd()
    except OSError as error:
        raise RequestError("the working directory does not exist any more", "cd to one that does") from error


def check_values(given: dict[str, Any]) -> None:
    """Refuse ``--task --headless``: the parser takes the second option for the first one's value.

    Raises:
        RequestError: A value is an option.
    """
    for name, value in given.items():
        if isinstance(value, str | Path) and str(value).startswith("--"):
            option = f"--{name.removesuffix('_file').replace('_', '-')}"
            raise RequestError(f"{option} needs a value, and {value} follows", f"write {option} VALUE")
