"""The commands of ``spark-rl assets``: which files a task needs, and a copy of them for a machine without network."""

from pathlib import Path
from typing import Annotated, Any

import typer

from spark_rl.options import Algorithm, Assets, IsaacLab, Json, Library, here

app = typer.Typer(
    name="assets",
    help="The models and textures that a task needs: see which are there, fetch them.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)

NeededTask = Annotated[str, typer.Option("--task", help="Task, by its name in any Isaac Lab version.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Overrides and presets, as for train.")
]


@app.command()
def status(
    overrides: Overrides = None,
    *,
    task: NeededTask,
    library: Library = None,
    algorithm: Algorithm = None,
    isaaclab: IsaacLab = None,
    assets: Assets = None,
    as_json: Json = False,
) -> None:
    """Show every file that a task's configuration names, and whether it is there."""
    from spark_rl import provisioning, render

    found = provisioning.status(_asked(locals()), render.talk)
    render.asset_status(found, as_json=as_json)
    raise typer.Exit(0 if found.complete else 1)


@app.command()
def fetch(
    overrides: Overrides = None,
    *,
    task: NeededTask,
    to: Annotated[Path, typer.Option("--to", help="Folder for the copy; --assets takes it afterwards.")],
    library: Library = None,
    algorithm: Algorithm = None,
    isaaclab: IsaacLab = None,
    assets: Assets = None,
    as_json: Json = False,
) -> None:
    """Copy what a task needs into a folder; what is whole there already is not fetched again."""
    from spark_rl import provisioning, render

    brought = provisioning.fetch(_asked(locals()), here() / to.expanduser(), render.talk)
    render.fetched(brought, as_json=as_json)
    raise typer.Exit(1 if brought.failed else 0)


def _asked(given: dict[str, Any]) -> Any:
    """Return the task as ``train`` would have it; what it needs can be told, and fetched, without the simulator."""
    from dataclasses import replace

    from spark_rl import prepare, provisioning, requests, settings

    cwd = here()
    flags = {name: given[name] for name in ("task", "library", "algorithm", "assets")}
    request = requests.build(
        "train",
        flags | {"preflight": False},
        rest=given["overrides"] or (),
        passthrough=(),
        own=(),
        recipe=None,
        settings=settings.load(cwd),
        cwd=cwd,
    )
    facts = prepare.gather(prepare.Place(cwd=cwd, isaaclab=given["isaaclab"]))
    if facts.installation.generation >= 3:
        facts = replace(facts, installation=replace(facts.installation, isaacsim=None))
    decided = prepare.decide(request, facts)
    prepare.remember(facts)
    return provisioning.Asked(plan=decided, facts=facts, assets=request.assets)
