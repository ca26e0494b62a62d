from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from spark_rl import assets

SCRIPT = Path(__file__).parents[1] / "scripts" / "make_assets.py"
ROOT = Path(assets.root())


@pytest.fixture(scope="module")
def make_assets() -> Any:
    spec = importlib.util.spec_from_file_location("make_assets", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["make_assets"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_folder_holds_what_the_script_writes_and_the_tasks_use(make_assets: Any) -> None:
    found = {str(path.relative_to(ROOT)): path for path in ROOT.rglob("*") if path.is_file()}
    found.pop("README.md")

    assert {name: path.read_text(encoding="utf-8") for name, path in found.items()} == make_assets.files()
    assert found.keys() == {asset for needed in assets.EMBEDDED_TASKS.values() for asset in needed}


def test_check_writes_nothing_and_ends_1_when_a_file_is_out_of_date(
    make_assets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make_assets, "ASSETS", tmp_path)

    monkeypatch.setattr(sys, "argv", ["make_assets.py", "--check"])
    assert make_assets.main() == 1
    assert list(tmp_path.iterdir()) == []

    monkeypatch.setattr(sys, "argv", ["make_assets.py"])
    assert make_assets.main() == 0
    (tmp_path / assets.CARTPOLE).write_text("changed", encoding="utf-8")

    monkeypatch.setattr(sys, "argv", ["make_assets.py", "--check"])
    assert make_assets.main() == 1


def test_the_readme_states_the_numbers_in_the_files(make_assets: Any) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    boxes = [("both", make_assets.RAIL), ("both", make_assets.CART)]
    rods = [
        ("cartpole.usd", make_assets.POLE),
        ("cart_double_pendulum.usd", make_assets.UPPER),
        ("cart_double_pendulum.usd", make_assets.LOWER),
    ]
    for file, part in boxes + rods:
        shape = f"rod {part.length:g}" if (file, part) in rods else "box " + " x ".join(f"{s:g}" for s in part.size)
        moments = ", ".join(f"{moment:g}" for moment in part.inertia)
        row = f"| {file} | {part.name} | {part.mass:g} | {shape} | {part.centre:g} | {moments} |"
        assert row in readme.splitlines()
    assert f"radius {make_assets.ROD_RADIUS:g} m" in readme
    assert f"| -{make_assets.CART_LIMIT:g} to {make_assets.CART_LIMIT:g} m |" in readme


@pytest.mark.parametrize(
    ("asset", "joints"),
    [
        (assets.CARTPOLE, ["world_to_slider", "slider_to_cart", "cart_to_pole"]),
        (assets.DOUBLE_PENDULUM, ["world_to_slider", "slider_to_cart", "cart_to_pole", "pole_to_pendulum"]),
    ],
)
def test_joints_have_the_names_of_isaac_labs_robot_configs(asset: str, joints: list[str]) -> None:
    text = (ROOT / asset).read_text(encoding="utf-8")

    assert re.findall(r'def Physics\w+Joint "(\w+)"', text) == joints


def test_covers_a_task_by_its_exact_name() -> None:
    assert assets.covers("Isaac-Cartpole-Direct")
    assert not assets.covers("Isaac-Ant-Direct")
    assert not assets.covers("Isaac-Cartpole-v0")
