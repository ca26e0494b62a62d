"""The command of sweeps, and the one that runs a single trial where an engine has placed it."""

from pathlib import Path
from typing import Annotated

import typer

from spark_rl.options import Adopt, Check, DryRun, Every, IsaacLab, Json, Partition, Preflight, TimeLimit

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="TOML file with a recipe and a search space.")],
    *,
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster: HOST:PORT, or auto. Default: one of its own.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="ray (the default); slurm: a job array; local: one after the other.")
    ] = None,
    time_limit: TimeLimit = None,
    partition: Partition = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest sweep of this file.")] = False,
    results: Annotated[bool, typer.Option("--results", help="Show what it came to, as far as it is.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End what slurm or local has of it: --resume goes on.")] = False,
    png: Annotated[Path | None, typer.Option(help="Write the score over each parameter as a picture.")] = None,
    isaaclab: IsaacLab = None,
    preflight: Preflight = True,
    check: Check = True,
    progress_every: Every = 30.0,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Train many variants of a recipe, rank them, and write the best one down as a recipe."""
    given = {**locals()}
    from spark_rl import sweep_acting

    raise typer.Exit(sweep_acting.sweep(file, given))


@app.command(hidden=True)
def trial(
    folder: Annotated[Path, typer.Argument(help="Folder of the sweep.")],
    number: Annotated[int, typer.Argument(help="Number of the trial.")],
    *,
    values: Annotated[str | None, typer.Option(help="The values that a search suggested, as JSON.")] = None,
    leash: Annotated[bool, typer.Option("--leash", help="Stop when standard input ends.")] = False,
    adopt: Adopt = False,
) -> None:
    """Run one trial of a sweep, or go on with it: engines start this."""
    from spark_rl import trial_acting

    raise typer.Exit(trial_acting.trial(folder, number, values, leash=leash, adopt=adopt))
