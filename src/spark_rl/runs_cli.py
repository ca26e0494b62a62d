"""The commands of ``spark-rl runs``: what was started here, how far it is, and how to go on."""

from pathlib import Path
from typing import Annotated

import typer

from spark_rl.errors import RequestError
from spark_rl.options import (
    Detach,
    DryRun,
    EngineName,
    Every,
    Json,
    MaxRestarts,
    MemoryReserve,
    Partition,
    Raw,
    StallTimeout,
    TimeLimit,
)

app = typer.Typer(
    name="runs",
    help="The runs that were started here: list, look, compare, stop, go on.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)

RunName = Annotated[str, typer.Argument(metavar="RUN", help="Number of a run, its name, its folder, or latest.")]


@app.command("list")
def list_runs(
    *,
    task: Annotated[str | None, typer.Option("--task", help="Only runs of tasks with this in their name.")] = None,
    library: Annotated[str | None, typer.Option("--library", "--rl-library", help="Only runs of this library.")] = None,
    state: Annotated[str | None, typer.Option(help="Only runs in these states: running, or failed,lost.")] = None,
    action: Annotated[str, typer.Option(help="train, play, tune or all.")] = "train",
    since: Annotated[str | None, typer.Option(help="Only runs started since: 3h, 2d.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Only so many; a table has 50.")] = None,
    as_json: Json = False,
) -> None:
    """List the runs, the newest first."""
    from spark_rl import runs, runs_render

    limit = limit or (None if as_json else 50)
    chosen = runs.select(task=task, library=library, state=state, action=action, since=since, limit=limit)
    runs_render.runs(chosen, limit=limit, as_json=as_json)


@app.command()
def show(run: RunName, *, as_json: Json = False) -> None:
    """Show all that is known of a run."""
    from spark_rl import registry, runs, runs_render

    found = runs.get(run)
    runs_render.run(found, registry.load_start(found.id), str(registry.path(found.id)), as_json=as_json)


@app.command()
def path(
    run: RunName,
    *,
    log_dir: Annotated[bool, typer.Option("--log-dir", help="Isaac Lab's run folder.")] = False,
    checkpoint: Annotated[bool, typer.Option("--checkpoint", help="Its newest whole checkpoint.")] = False,
    output: Annotated[bool, typer.Option("--output", help="The file with all that it printed.")] = False,
) -> None:
    """Print where a run keeps its own."""
    from spark_rl import render, runs

    wanted = "log_dir" if log_dir else "checkpoint" if checkpoint else "output" if output else "folder"
    render.out(runs.path(run, wanted))


@app.command()
def log(
    run: RunName,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on while it runs.")] = False,
    tail: Annotated[int | None, typer.Option("--tail", "-n", min=0, help="Only the last lines.")] = None,
    rank: Annotated[int | None, typer.Option("--rank", min=0, help="Only what this rank of several printed.")] = None,
) -> None:
    """Print what a run printed."""
    from spark_rl import render, runs

    for chunk in runs.log(run, follow=follow, tail=tail, rank=rank, tell=render.talk):
        render.raw(chunk)


@app.command()
def plot(
    run: RunName,
    tag: Annotated[str | None, typer.Argument(help="What to plot: reward, length, or a tag that it recorded.")] = None,
    *,
    png: Annotated[Path | None, typer.Option(help="Write a picture instead.")] = None,
    as_json: Json = False,
) -> None:
    """Plot a curve of a run over all its attempts, by default its mean reward."""
    from spark_rl import learning, runs, runs_render

    learned = learning.learned(runs.get(run), (tag or "reward",))
    runs_render.curves((learned,), next(iter(learned.curves), None), png=png, as_json=as_json)


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="Two runs or more.")],
    *,
    threshold: Annotated[float | None, typer.Option(help="Mean reward whose first reaching counts.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write the curves as a picture.")] = None,
    as_json: Json = False,
) -> None:
    """Compare runs: one table, and their rewards as curves."""
    from spark_rl import comparison, learning, runs, runs_render

    learned = [learning.learned(run) for run in {run.id: run for run in map(runs.get, names)}.values()]
    runs_render.comparison(comparison.compare(learned, threshold), learned, png=png, as_json=as_json)


@app.command()
def resume(
    run: RunName,
    *,
    max_iterations: Annotated[int | None, typer.Option(min=1, help="Iterations the whole run is to have.")] = None,
    max_restarts: MaxRestarts = 0,
    stall_timeout: StallTimeout = None,
    memory_reserve: MemoryReserve = None,
    detach: Detach = False,
    raw: Raw = False,
    progress_every: Every = 30.0,
    engine: EngineName = None,
    time_limit: TimeLimit = None,
    partition: Partition = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Go on with a run from its newest whole checkpoint, to the iterations it was to have."""
    given = {**locals()}
    from dataclasses import replace

    from spark_rl import acting, prepare, runs

    found = runs.resumable(run)
    request, isaaclab = runs.request_of(found)
    facts = prepare.gather(prepare.Place(cwd=Path(request.cwd), isaaclab=isaaclab))
    request = replace(runs.complete(request, found), max_iterations=max_iterations, resume=False)
    acting.carry_out(request, facts, found, given)


@app.command()
def stop(run: RunName, *, as_json: Json = False) -> None:
    """Stop a run as Ctrl-C would, and wait for its end."""
    from spark_rl import render, runs, runs_render

    runs_render.stopped(runs.stop(run, tell=render.talk), as_json=as_json)


@app.command()
def attach(run: RunName, *, progress_every: Every = 30.0) -> None:
    """Watch a run that goes on elsewhere; Ctrl-C leaves it running."""
    from spark_rl import runs, runs_render

    raise typer.Exit(runs_render.attached(runs.follow(run), every=progress_every))


@app.command()
def rm(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs whose records go.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget runs: their records and output. Isaac Lab's folders, with the checkpoints, stay."""
    from spark_rl import render, runs

    chosen = runs.removable(names)
    numbers = ", ".join(chosen)
    if not yes and not render.confirmed(f"forget run {numbers}? (Isaac Lab's folders stay)"):
        raise RequestError("nothing was removed: nobody said yes", "add --yes to remove without being asked")
    runs.remove(chosen)
    render.talk(f"note: forgotten: run {numbers}")
