"""The release as its users get it: built, looked into, installed into an empty environment. Needs a package index."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from spark_rl import __version__

pytestmark = pytest.mark.real

TOP = Path(__file__).parents[2]
TREES = ("src", "tests", "scripts", "configs", ".github", ".ci")
FAST = ("test_layers", "test_tutorial", "test_catalogues", "test_workflows", "test_release", "test_dialects")
"""Fast tests that read what lies beside the package: data, golden files, recordings, workflows."""


@dataclass(frozen=True)
class Release:
    wheel: Path
    sdist: Path


def ran(*argv: str | Path, cwd: Path, **more: str) -> str:
    """Run a program that must succeed, away from this repository's sources; return its output."""
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [*argv], cwd=cwd, env=environ | more, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def files(root: Path) -> set[str]:
    """Return the files of a tree without what Python leaves there."""
    found = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(root)) for path in found}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    folder = tmp_path_factory.mktemp("dist")
    told = ran(TOP / "scripts" / "build", folder, cwd=folder, PYTHON=sys.executable)
    wheel, sdist = (Path(line) for line in told.splitlines())
    return Release(wheel, sdist)


@pytest.fixture(scope="module")
def unpacked(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(release.sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"spark_rl-{__version__}"


@pytest.fixture(scope="module")
def installed(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, and what it depends on, into an environment that has nothing else; return its programs."""
    folder = tmp_path_factory.mktemp("empty") / "env"
    venv.create(folder, with_pip=True)
    ran(folder / "bin" / "python", "-m", "pip", "install", "--quiet", str(release.wheel), cwd=folder)
    return folder / "bin"


def test_the_wheel_holds_the_package_and_nothing_else(release: Release) -> None:
    with zipfile.ZipFile(release.wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"spark_rl-{__version__}.dist-info/METADATA").decode()
    own = {name for name in names if name.startswith("spark_rl/")}
    assert own == {f"spark_rl/{name}" for name in files(TOP / "src" / "spark_rl")}
    assert {"spark_rl/py.typed", "spark_rl/drivers/accept.py", "spark_rl/data/catalogue/3.0.0.json"} <= own
    assert any(name.endswith("cartpole.usd") for name in own)
    assert {name.split("/")[0] for name in names - own} == {f"spark_rl-{__version__}.dist-info"}
    assert f"\nVersion: {__version__}\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert "# spark-rl" in metadata, "the index shows no README"


def test_the_source_distribution_holds_the_repository(unpacked: Path) -> None:
    for tree in TREES:
        assert files(unpacked / tree) == {
            name for name in files(TOP / tree) if not name.startswith("spark_rl.egg-info")
        }
    for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "Dockerfile", "pyproject.toml"):
        assert (unpacked / name).read_bytes() == (TOP / name).read_bytes()
    assert os.access(unpacked / "scripts" / "test", os.X_OK)


def test_the_fast_tests_run_from_the_source_distribution(unpacked: Path) -> None:
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not real and not wide")
    around = {"PYTHONPATH": str(unpacked / "src"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    here, there = (ran(*pytest_, "--collect-only", cwd=top, **around).splitlines() for top in (TOP, unpacked))
    assert len(here) > 1000
    assert [line for line in there if "::" in line] == [line for line in here if "::" in line]
    said = ran(*pytest_, *(f"tests/{name}.py" for name in FAST), cwd=unpacked, **around)
    assert "passed" in said.splitlines()[-1]
    assert "skipped" not in said.splitlines()[-1]


def test_the_wheel_runs_in_an_empty_environment(installed: Path, tmp_path: Path) -> None:
    spark_rl = installed / "spark-rl"
    assert ran(installed / "python", "-m", "pip", "check", cwd=tmp_path).strip() == "No broken requirements found."
    assert ran(spark_rl, "--version", cwd=tmp_path).strip() == f"spark-rl {__version__}"
    assert "Isaac-Cartpole-Direct" in ran(spark_rl, "list-envs", "cartpole", "--plain", cwd=tmp_path)
    cartpole = ("--task", "Isaac-Cartpole-Direct", "--isaaclab", sys.prefix)
    plan = json.loads(ran(spark_rl, "train", *cartpole, "--assets", "embedded", "--dry-run", "--json", cwd=tmp_path))
    assets = Path(plan["env"]["ISAACSIM_ASSET_ROOT"])
    assert assets.is_relative_to(installed.parent)
    assert files(assets / "Isaac") == files(TOP / "src" / "spark_rl" / "data" / "assets" / "Isaac")


def test_the_drivers_of_the_wheel_run_in_isaac_labs_python(installed: Path, tmp_path: Path) -> None:
    only = ("smoke", "--plan-only", "--only", "Isaac-Cartpole-Direct/*", "--isaaclab", sys.prefix, "--json")
    report = json.loads(ran(installed / "spark-rl", *only, cwd=tmp_path))
    assert report["counts"]["accepted"] == report["parsed"] == 8


def test_the_wheel_is_typed_for_those_who_import_it(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text("from spark_rl.model import Gpu\n\nreveal_type(Gpu(index=0, name='x').name)\n")
    mypy = (sys.executable, "-m", "mypy", "--strict", "--python-executable", installed / "python", "user.py")
    assert 'Revealed type is "str"' in ran(*mypy, cwd=tmp_path, NO_COLOR="1").replace("builtins.", "")
