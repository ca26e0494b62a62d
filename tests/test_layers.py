"""The layers hold: imports point down, the core is pure, and the parts that run elsewhere know nothing of the rest."""

from __future__ import annotations

import ast
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[1] / "src" / "spark_rl"

LAYERS = (
    "__init__ errors model outcome records",
    (
        "acceptance agent_configs assets catalog checkpoints checks codec commands comparison config_classes "
        "configuration counting curves description dialects documents evidence explanation external fabric figures "
        "gpus intake jobs judging junit keys literals markdown matrix memory names override_values overrides plan "
        "profiles proofs ranks reasons redact registrations regressions scanning search selection signatures "
        "summaries supplies sweep text times tuning value_types witness words"
    ),
    (
        "acceptance_child catalogues checkpoint_files configurations engines events first_process gauges host "
        "installations interfaces logs matrices network output preload probes projects provenance rank_logs registry "
        "retrieving rollcall settings supervisor sweeps transcripts tunings"
    ),
    "acceptance_matrix completion examination launch learning prepare provisioning requests runs smoke",
    (
        "__main__ acceptance_cli acceptance_tables acting asset_tables assets_cli cli curve_tables live looking_cli "
        "options plots proving render run_tables runs_cli runs_render smoke_tables smoke_view sweep_acting sweep_cli "
        "sweep_planning sweep_plots sweep_render sweep_tables tables trees trial_acting tune_tables"
    ),
)
"""Every module and subpackage, lowest layer first. ``drivers`` runs inside Isaac Lab and belongs to none."""

PLACE = {name: layer for layer, names in enumerate(LAYERS) for name in names.split()}

IMPURE = frozenset(
    (
        *("os", "subprocess", "shutil", "signal", "time", "socket", "rich", "typer", "tempfile"),
        *("sys", "importlib", "threading", "random", "platformdirs", "urllib", "http", "logging"),
    )
)
PRINTERS = frozenset(("rich", "typer"))
TALKERS = frozenset(
    (
        *("acceptance_cli", "acting", "assets_cli", "cli", "live", "looking_cli", "options", "plots", "proving"),
        *("render", "runs_cli", "smoke_view", "sweep_cli", "sweep_render"),
    )
)
SIMULATOR = ("isaaclab", "isaacsim", "omni", "carb", "torch", "gymnasium", "warp", "newton")


def test_the_layers_hold() -> None:
    assert violations(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("model.py", "from spark_rl.text import nearest", "model (layer 0) imports text (layer 1)"),
        ("errors.py", "import spark_rl.cli", "errors (layer 0) imports cli (layer 4)"),
        ("catalog.py", "from spark_rl import launch", "catalog (layer 1) imports launch (layer 3)"),
        ("plan/view.py", "from spark_rl.host import probe", "plan (layer 1) imports host (layer 2)"),
        ("plan/view.py", "from ..host import probe", "plan (layer 1) imports host (layer 2)"),
        ("plan/view.py", "from .. import launch", "plan (layer 1) imports launch (layer 3)"),
        ("text.py", "if TYPE_CHECKING:\n    from spark_rl.logs import Traces", "text (layer 1) imports logs (layer 2)"),
        ("text.py", "def late():\n    from spark_rl import settings", "text (layer 1) imports settings (layer 2)"),
        ("host.py", "from spark_rl.logs import list_run", "host (layer 2) imports logs of its own layer"),
        ("launch.py", "from spark_rl import render", "launch (layer 3) imports render (layer 4)"),
        ("requests.py", "import spark_rl.launch", "requests (layer 3) imports launch of its own layer"),
        ("render.py", "from spark_rl import cli", "render imports cli"),
        ("errors.py", "import os", "errors is pure and imports os"),
        ("plan/policy.py", "import os.path as paths", "plan is pure and imports os"),
        ("plan/policy.py", "from subprocess import run", "plan is pure and imports subprocess"),
        ("profiles/moved.py", "import time", "profiles is pure and imports time"),
        ("names.py", "import importlib", "names is pure and imports importlib"),
        ("assets.py", "from pathlib import Path", "assets is pure and imports pathlib.Path"),
        ("words.py", "open('x')", "words is pure and calls open"),
        ("words.py", "datetime.now()", "words is pure and reads the clock"),
        ("launch.py", "import typer", "launch prints: it imports typer"),
        ("settings.py", "def late():\n    from rich.table import Table", "settings prints: it imports rich"),
        ("launch.py", "import isaaclab.app", "launch imports isaaclab of the simulator"),
        ("scanning.py", "from torch import nn", "scanning imports torch of the simulator"),
        ("drivers/play.py", "from spark_rl.model import Plan", "drivers imports model"),
        ("drivers/play.py", "from ..model import Plan", "drivers imports model"),
        ("launch.py", "from spark_rl.drivers import play", "launch imports drivers"),
        ("newcomer.py", "", "newcomer has no layer"),
        ("motors/local.py", "", "motors has no layer"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, file: str, line: str, found: str) -> None:
    root = tmp_path / "spark_rl"
    shutil.copytree(PACKAGE, root, ignore=shutil.ignore_patterns("data", "__pycache__"))
    planted = root / file
    planted.parent.mkdir(exist_ok=True)
    before = planted.read_text(encoding="utf-8") if planted.exists() else ""
    planted.write_text(f"{before}\n{line}\n", encoding="utf-8")
    assert [line for line in violations(root) if line not in _known()] == [found]


def test_a_module_that_is_gone_is_taken_off_the_list(tmp_path: Path) -> None:
    root = tmp_path / "spark_rl"
    shutil.copytree(PACKAGE, root, ignore=shutil.ignore_patterns("data", "__pycache__"))
    (root / "text.py").unlink()
    assert "text has a layer and no file" in violations(root)


def test_a_circle_of_imports_is_found(tmp_path: Path) -> None:
    root = tmp_path / "spark_rl"
    shutil.copytree(PACKAGE, root, ignore=shutil.ignore_patterns("data", "__pycache__"))
    with (root / "text.py").open("a", encoding="utf-8") as file:
        file.write("\nfrom spark_rl import words\n")
    assert [line for line in violations(root) if line not in _known()] == ["profiles, text, words import each other"]


@cache
def _known() -> list[str]:
    """Return what is wrong without any planting; ``test_the_layers_hold`` tells it."""
    return violations(PACKAGE)


def violations(root: Path) -> list[str]:
    """Return what is wrong with the imports below ``root``, one line each."""
    units = {file: file.relative_to(root).with_suffix("").parts[0] for file in sorted(root.rglob("*.py"))}
    wrong = [f"{unit} has no layer" for unit in dict.fromkeys(units.values()) if unit not in {*PLACE, "drivers"}]
    wrong += [f"{name} has a layer and no file" for name in PLACE if name not in units.values()]
    edges: dict[str, set[str]] = {}
    names = frozenset(path.stem for path in root.iterdir())
    for file, unit in units.items():
        text = file.read_text(encoding="utf-8")
        package = ("spark_rl", *file.relative_to(root).parent.parts)
        imported = [_absolute(*found, package) for found in _imports(text)]
        own = {name for name in (_own(dotted, names) for dotted in imported) if name is not None}
        if unit == "drivers":
            wrong += [f"drivers imports {name}" for name in sorted(own)]
        elif unit in PLACE:
            edges.setdefault(unit, set()).update(own - {unit})
            wrong += [*_wrong_directions(unit, own), *_wrong_outside(unit, imported, text)]
    return list(dict.fromkeys(wrong)) or list(_circles(edges))  # what points up closes circles too


@cache
def _imports(text: str) -> tuple[tuple[int, str], ...]:
    """Return (level, dotted name) of everything a text imports, wherever in it; ``from a import b`` gives ``a.b``."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.level, ".".join(filter(None, (node.module, alias.name)))) for alias in node.names]
    return tuple(found)


@cache
def _opens(text: str) -> bool:
    calls = (node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    return any(isinstance(function, ast.Name) and function.id == "open" for function in calls)


def _absolute(level: int, name: str, package: tuple[str, ...]) -> str:
    return ".".join((*package[: len(package) - level + 1], name)) if level else name


def _own(dotted: str, names: frozenset[str]) -> str | None:
    """Return the module or subpackage of ours, one of ``names``, that a dotted name lies in, None for a foreign one."""
    parts = dotted.split(".")
    if parts[0] != "spark_rl":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in names else "__init__"


def _wrong_directions(unit: str, own: set[str]) -> Iterator[str]:
    layer = PLACE[unit]
    for other in sorted(own - {unit}):
        if other == "drivers":
            yield f"{unit} imports drivers"
        elif PLACE.get(other, 0) > layer:
            yield f"{unit} (layer {layer}) imports {other} (layer {PLACE[other]})"
        elif PLACE.get(other) == layer and layer in (2, 3):
            yield f"{unit} (layer {layer}) imports {other} of its own layer"
        elif unit == "render" and other in ("cli", "__main__"):
            yield f"render imports {other}"


def _wrong_outside(unit: str, imported: list[str], text: str) -> Iterator[str]:
    for dotted in imported:
        top = dotted.split(".")[0]
        if PLACE[unit] < 2 and (top in IMPURE or dotted == "pathlib.Path"):
            yield f"{unit} is pure and imports {top if top in IMPURE else dotted}"
        elif top in PRINTERS and unit not in TALKERS:
            yield f"{unit} prints: it imports {top}"
        elif top.startswith(SIMULATOR) and top != "spark_rl":
            yield f"{unit} imports {top} of the simulator"
    if PLACE[unit] < 2 and _opens(text):
        yield f"{unit} is pure and calls open"
    if PLACE[unit] < 2 and ".now(" in text:
        yield f"{unit} is pure and reads the clock"


def _circles(edges: dict[str, set[str]]) -> Iterator[str]:
    """Yield each group of units that reach each other."""
    reach = {unit: _reach(unit, edges) for unit in edges}
    mutual = {
        unit: tuple(sorted({unit} | {other for other in reach[unit] if unit in reach.get(other, ())})) for unit in edges
    }
    groups = sorted({group for group in mutual.values() if len(group) > 1})
    yield from (f"{', '.join(group)} import each other" for group in groups)


def _reach(unit: str, edges: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    left = [unit]
    while left:
        new = edges.get(left.pop(), set()) - seen
        seen |= new
        left += new
    return seen
