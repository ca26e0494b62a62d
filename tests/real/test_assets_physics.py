from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spark_rl import assets

pytestmark = pytest.mark.real

SWING = Path(__file__).with_name("swing.py")
README = Path(assets.root()) / "README.md"
SCRIPT = Path(__file__).parents[2] / "scripts" / "make_assets.py"

CART_DAMPING = 10.0
"""Of the actuators in Isaac Lab's two robot configs [N s/m]."""

PENDULUM_ARMATURE = 0.05
"""Of ``pole_to_pendulum`` in the MARL task's scene [kg m^2]."""

# Run by Isaac Lab's Python: prints the hosted files that the resolved default config of each task names.
NEEDS = """
import contextlib, json, os, sys
os.environ.update(ISAACSIM_ASSET_ROOT="/hosted", NEWTON_ASSET_DIR="/hosted-newton")
import gymnasium
from isaaclab_tasks.utils.hydra import resolve_task_config

def strings(value, seen):
    if isinstance(value, str):
        yield value
    elif id(value) not in seen:
        seen.add(id(value))
        value = getattr(value, "__dict__", value)
        value = value.values() if isinstance(value, dict) else value
        for item in value if isinstance(value, (list, tuple, set, type({}.values()))) else ():
            yield from strings(item, seen)

needs = {}
for spec in list(gymnasium.registry.values()):
    if "env_cfg_entry_point" in spec.kwargs and not spec.kwargs.get("deprecated"):
        with contextlib.redirect_stdout(sys.stderr):
            config, _ = resolve_task_config(spec.id, None, overrides=[])
        words = {str(word) for word in strings(config, set())}
        hosted = [w for w in words if w.startswith(("/hosted", "http:", "https:", "omniverse:"))]
        needs[spec.id] = sorted(word.removeprefix("/hosted/") for word in hosted)
print(json.dumps(needs))
"""


def isaaclab(*arguments: str, root: str = "") -> Any:
    """Run Isaac Lab's Python and return the JSON in the last line that it prints."""
    environ = {**os.environ, "ISAACSIM_ASSET_ROOT": root or assets.root()}
    child = subprocess.run([sys.executable, *arguments], env=environ, capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr[-3000:]
    return json.loads(child.stdout.splitlines()[-1])


def documented(*rods: str) -> dict[str, Any]:
    """Return the numbers of scripts/make_assets.py, which a fast test finds in the README, as swing.py reads them."""
    spec = importlib.util.spec_from_file_location("make_assets", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    made: Any = importlib.util.module_from_spec(spec)
    sys.modules["make_assets"] = made
    spec.loader.exec_module(made)
    parts = [getattr(made, rod) for rod in rods]
    return {
        "cart": made.CART.mass,
        "rods": [[part.mass, part.length, part.centre, part.inertia[0]] for part in parts],
        "armature": [0.0, 0.0, PENDULUM_ARMATURE][: 1 + len(rods)],
        "damping": [CART_DAMPING, 0.0, 0.0][: 1 + len(rods)],
        "gravity": 9.81,
    }


def modes(task: str, model: dict[str, Any], root: str = "") -> list[tuple[complex, complex]]:
    """Return the rate of each mode by the theory and by the simulation [1/s]; the imaginary part is that of a swing."""
    pairs = isaaclab(str(SWING), task, json.dumps(model), root=root)
    return [(complex(*theory), complex(*seen)) for theory, seen in pairs]


def agrees(found: list[tuple[complex, complex]]) -> bool:
    """Return whether swings agree within 0.4 %, and the cart's decay, coarse at 120 steps a second, within 4 %."""
    return all(abs(seen - theory) < (0.004 if theory.imag else 0.04) * abs(theory) for theory, seen in found)


@pytest.mark.parametrize(
    ("task", "rods"),
    [("Isaac-Cartpole-Direct", ("POLE",)), ("Isaac-Pendulum-MARL-Direct", ("UPPER", "LOWER"))],
)
def test_modes_of_the_hanging_pendulum_are_those_of_the_documented_masses_and_lengths(
    task: str, rods: tuple[str, ...]
) -> None:
    found = modes(task, documented(*rods))
    periods = [math.tau / theory.imag for theory, _ in found if theory.imag]

    assert agrees(found), found
    assert len(periods) == len(rods)
    assert " and ".join(f"{period:.3f} s" for period in periods) in README.read_text(encoding="utf-8").replace(
        "\n", " "
    )


def test_a_cart_heavier_by_a_fifth_does_not_pass_for_the_documented_one(tmp_path: Path) -> None:
    shutil.copytree(assets.root(), tmp_path, dirs_exist_ok=True)
    file = tmp_path / assets.CARTPOLE
    text = file.read_text(encoding="utf-8")
    assert text.count("physics:mass = 4\n") == 1
    file.write_text(text.replace("physics:mass = 4\n", "physics:mass = 4.8\n"), encoding="utf-8")

    found = modes("Isaac-Cartpole-Direct", documented("POLE"), root=str(tmp_path))

    assert not agrees(found), found


def test_the_covered_tasks_are_those_whose_hosted_assets_are_all_embedded() -> None:
    needs = isaaclab("-c", NEEDS)
    files = {str(path.relative_to(assets.root())) for path in Path(assets.root()).rglob("*.usd*")}

    covered = {task: tuple(needed) for task, needed in needs.items() if needed and set(needed) <= files}

    assert len(needs) > 100
    assert covered == {task: tuple(sorted(needed)) for task, needed in assets.EMBEDDED_TASKS.items()}
