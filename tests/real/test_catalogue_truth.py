from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spark_rl import catalogues, installations
from spark_rl.scanning import Scan, scan

if TYPE_CHECKING:
    from types import ModuleType

pytestmark = pytest.mark.real

SITE = Path(sysconfig.get_paths()["purelib"])
WHEEL_VERSION = "2.3.2.post1"
UNRESOLVED = "Isaac-G1-SteeringWheel-Locomanipulation"
"""Its config imports OpenCV, which comes with Isaac Sim, and asks NVIDIA's asset host."""


def maker() -> ModuleType:
    """Return the script that makes the shipped catalogues, as a module."""
    path = Path(__file__).parents[2] / "scripts" / "make_catalogue.py"
    spec = importlib.util.spec_from_file_location("make_catalogue", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def live() -> dict[str, dict[str, Any]]:
    """What Isaac Lab itself registers and resolves."""
    facts: dict[str, dict[str, Any]] = maker().resolved(sys.executable)
    return facts


@pytest.fixture(scope="module")
def scanned() -> Scan:
    return scan(catalogues.read_sources(SITE))


def test_the_scan_finds_what_isaac_lab_registers(live: dict[str, dict[str, Any]], scanned: Scan) -> None:
    """``isaaclab_tasks`` as train and play import it, and of ``isaaclab_mimic`` what its import adds."""
    assert scanned.undecided == ()
    registered = Counter(facts["package"] for facts in live.values())
    assert registered == {"isaaclab_tasks": 142, "isaaclab_mimic": 17}
    assert {task.id: task.package for task in scanned.tasks} == {name: live[name]["package"] for name in live}
    assert {task.package for task in scanned.tasks if task.trainable} == {"isaaclab_tasks"}
    for task in scanned.tasks:
        keys = set(live[task.id]["kwargs"])
        assert {agent.entry_point for agent in task.agents} == {key for key in keys if key in live[task.id]["agents"]}
        assert (task.env_cfg is not None) == ("env_cfg_entry_point" in keys)
        assert (task.default_agent is not None) == ("default_agent" in keys)
        assert (task.replaced_by is not None) == ("deprecated" in keys)


def test_figures_read_from_text_are_those_that_isaac_lab_resolves(
    live: dict[str, dict[str, Any]], scanned: Scan
) -> None:
    compared = 0
    for task in scanned.tasks:
        if task.num_envs is not None and live[task.id]["env"]:
            assert task.num_envs == live[task.id]["env"]["num_envs"], task.id
        for agent in task.agents:
            for name, value in live[task.id]["agents"][agent.entry_point].items():
                if getattr(agent, name) is not None:
                    compared += 1
                    assert getattr(agent, name) == value, (task.id, agent.entry_point, name)
    assert compared > 550


def test_the_shipped_catalogue_is_what_isaac_lab_resolves(live: dict[str, dict[str, Any]]) -> None:
    assert [name for name, facts in live.items() if not facts["env"]] == [UNRESOLVED]
    for task in catalogues.shipped("3.0.0").tasks:
        facts = dict(live[task.id]["env"])
        if task.id != UNRESOLVED:
            facts["physics_options"] = tuple(facts["physics_options"])
        assert {name: getattr(task, name) for name in facts} == facts, task.id
        for agent in task.agents:
            figures = live[task.id]["agents"][agent.entry_point]
            assert {name: getattr(agent, name) for name in figures} == figures, (task.id, agent.entry_point)


def test_an_unchanged_installation_is_known_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tasks are those shipped, without a scan: the scanner is not even there."""
    monkeypatch.setitem(sys.modules, "spark_rl.scanning", None)
    catalog = catalogues.load(installations.inspect(Path(sys.prefix)), None)
    assert catalog.tasks == catalogues.shipped("3.0.0").tasks
    assert catalog.origin == f"the sources of {sys.prefix}"


def test_the_scan_of_the_2_3_2_wheel_is_the_shipped_catalogue(request: pytest.FixtureRequest) -> None:
    folder = Path(request.config.cache.mkdir(f"isaaclab-{WHEEL_VERSION}"))
    if not list(folder.glob("*.whl")):
        download = ["download", "--no-deps", "--quiet", "--python-version", "3.11", f"isaaclab=={WHEEL_VERSION}"]
        subprocess.run([sys.executable, "-m", "pip", *download, "--dest", str(folder)], check=True, timeout=300)
    texts = _texts(next(folder.glob("*.whl")))
    found = scan(texts)
    releases = Path(catalogues.__file__).parent / "data" / "releases.json"
    assert json.loads(releases.read_text(encoding="utf-8"))[catalogues.digest(texts)] == "2.3.2"
    tasks = {task.id for task in found.tasks if task.package == "isaaclab_tasks"}
    assert (len(tasks), sum("-Play" in task_id for task_id in tasks)) == (175, 43)
    registered = re.findall(
        r'^    id="(.+)",$', "".join(text for path, text in texts if "mimic/" in path), re.MULTILINE
    )
    assert sorted(task.id for task in found.tasks if task.id not in tasks) == sorted({*registered} - tasks)
    assert len({*registered} - tasks) == 17
    assert found.undecided == ()
    assert catalogues.described(found.tasks, "2.3.2") == catalogues.shipped("2.3.2").tasks


def _texts(wheel: Path) -> list[tuple[str, str]]:
    """Return the texts of the two packages that register tasks."""
    inside = re.compile(r"isaaclab/source/(isaaclab_tasks|isaaclab_mimic)/(\1/.*\.(py|yaml))")
    with zipfile.ZipFile(wheel) as archive:
        found = (inside.fullmatch(name) for name in archive.namelist())
        return [(match[2], archive.read(match[0]).decode()) for match in found if match]
