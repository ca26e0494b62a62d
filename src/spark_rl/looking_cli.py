"""The commands that start no run: tasks, what they can be told, this machine and its settings."""

from pathlib import Path
from typing import Annotated

import typer

from spark_rl.options import Algorithm, IsaacLab, Json, Library, Task, here

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(name="list-envs")
def list_envs(
    query: Annotated[list[str] | None, typer.Argument(help="Words that a task's name, robot or category has.")] = None,
    *,
    category: Annotated[str | None, typer.Option(help="Only this category.")] = None,
    robot: Annotated[str | None, typer.Option(help="Only this robot.")] = None,
    library: Annotated[str | None, typer.Option("--library", "--rl-library", help="Only tasks it can train.")] = None,
    algorithm: Annotated[str | None, typer.Option(help="Only tasks with a config for this algorithm.")] = None,
    physics: Annotated[str | None, typer.Option(help="Only tasks that run with it: newton, physx, kitless.")] = None,
    multi_agent: Annotated[bool, typer.Option("--multi-agent", help="Only multi-agent tasks.")] = False,
    amp: Annotated[bool, typer.Option("--amp", help="Only tasks with motion priors.")] = False,
    cameras: Annotated[bool, typer.Option("--cameras", help="Only tasks that render camera images.")] = False,
    trainable: Annotated[bool, typer.Option("--trainable", help="Only tasks that an RL library can train.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="One task a line, with tabs between the fields.")] = False,
    isaaclab: IsaacLab = None,
    as_json: Json = False,
) -> None:
    """List the tasks of this Isaac Lab."""
    given = {**locals()}
    from spark_rl import prepare, render, search

    asked = search.Query(words=tuple(query or ()), **{name: given[name] for name in search.FILTERS})
    catalog = prepare.tasks(prepare.Place(cwd=here(), isaaclab=isaaclab))
    chosen = search.find(catalog, asked)
    render.listing(chosen, "json" if as_json else "plain" if plain else "table", total=len(catalog.tasks))
    if not chosen.tasks:
        render.talk(f"hint: {search.suggest(catalog, asked)}")
    raise typer.Exit(0 if chosen.tasks else 1)


@app.command()
def describe(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Task, by its name in any Isaac Lab version.")],
    *,
    isaaclab: IsaacLab = None,
    as_json: Json = False,
) -> None:
    """Show all that is known of a task, and the commands that train and play it."""
    from spark_rl import prepare, render

    found = prepare.describe(prepare.Place(cwd=here(), isaaclab=isaaclab), task)
    render.document(found.to_document()) if as_json else render.description(found)


@app.command()
def explain(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[PREFIX] [PRESET...]", help="A key or a part of one; physics=NAME.")
    ] = None,
    *,
    task: Task = None,
    library: Library = None,
    algorithm: Algorithm = None,
    isaaclab: IsaacLab = None,
    as_json: Json = False,
) -> None:
    """Browse what a task can be told: keys for KEY=VALUE words, their types and defaults, and the presets."""
    from spark_rl import prepare, render, requests

    cwd = here()
    request, prefix = requests.explaining(words or (), task=task, library=library, algorithm=algorithm, cwd=cwd)
    facts = prepare.gather(prepare.Place(cwd=cwd, isaaclab=isaaclab))
    found = prepare.explain(request, facts, prefix, render.talk)
    prepare.remember(facts)
    render.document(found.to_document()) if as_json else render.explanation(found)


@app.command()
def completion(shell: Annotated[str, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print the script that completes commands: eval "$(spark-rl completion bash)"."""
    from spark_rl import completion as completions
    from spark_rl import render

    render.out(completions.script(shell))


@app.command()
def doctor(
    *,
    deep: Annotated[
        bool, typer.Option("--deep", help="Compute something in Isaac Lab's Python, on every GPU.")
    ] = False,
    isaaclab: IsaacLab = None,
    host_file: Annotated[
        Path | None, typer.Option("--host", help="Check the machine that this doctor --json document describes.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check this machine."""
    from spark_rl import documents, examination, render

    look = examination.examine_deeply if deep else examination.examine
    seen = look(here(), isaaclab, host_file)
    told = documents.doctor(seen.host, seen.installations, seen.findings, seen.computation)
    render.document(told) if as_json else render.doctor(seen.sections)
    raise typer.Exit(1 if any(finding.level == "error" for finding in seen.findings) else 0)


@app.command()
def config(*, as_json: Json = False) -> None:
    """Show every setting, and where its value comes from."""
    from spark_rl import documents, render, settings

    values = settings.load(here())
    render.document(documents.config(values)) if as_json else render.config(values)
