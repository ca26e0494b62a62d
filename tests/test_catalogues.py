from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spark_rl import catalogues
from spark_rl.model import Installation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_rl.catalog import Catalog
    from spark_rl.model import Task

REGISTER = 'import gymnasium as gym\ngym.register(id="{}", kwargs={{"env_cfg_entry_point": "m:C"}})\n'
VERSIONS = ("2.1.0", "2.2.0", "2.3.0", "2.3.2", "3.0.0")


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def checkout(folder: Path, version: str = "2.3.2", *ids: str) -> Installation:
    source = folder / "source" / "isaaclab_tasks"
    write(source / "isaaclab_tasks" / "__init__.py")
    for number, task_id in enumerate(ids or ("Isaac-Reach-Franka-v0",)):
        write(source / "isaaclab_tasks" / f"t{number}" / "__init__.py", REGISTER.format(task_id))
    return Installation(version=version, kind="checkout", path=str(folder), sources=(str(source),))


def environment(folder: Path) -> tuple[Installation, Path]:
    site = folder / "lib" / "python3.12" / "site-packages"
    write(site / "isaaclab-3.0.0.dist-info" / "METADATA")
    write(site / "isaaclab_tasks" / "__init__.py", REGISTER.format("Isaac-Cartpole"))
    return Installation(version="3.0.0", kind="package", path=str(folder), sources=(str(site),)), site


def seen(installation: Installation, cache: Path) -> Catalog:
    """Load the tasks and remember them, as a command that succeeds does."""
    catalog = catalogues.load(installation, cache)
    catalogues.remember(catalog, installation, cache)
    return catalog


def test_a_checkout_is_scanned_and_described(tmp_path: Path) -> None:
    catalog = catalogues.load(checkout(tmp_path), None)
    (task,) = catalog.tasks
    assert (task.id, task.robot, task.category) == ("Isaac-Reach-Franka-v0", "Franka", "manipulation (reach)")
    assert (task.physics, task.kitless) == ("isaacsim_physx", False)
    assert (catalog.version, catalog.origin) == ("2.3.2", f"the sources of {tmp_path}")


def test_on_3_what_the_text_does_not_say_comes_from_the_shipped_catalogue(tmp_path: Path) -> None:
    installation, site = environment(tmp_path)
    write(site / "isaaclab_tasks" / "mine" / "__init__.py", REGISTER.format("Mine"))
    cartpole, mine = catalogues.load(installation, None).tasks
    assert (cartpole.physics, cartpole.kitless, cartpole.num_envs) == ("newton_mjwarp", True, 4096)
    assert "isaacsim_physx" in cartpole.physics_options
    assert (mine.physics, mine.kitless, mine.physics_options) == (None, None, ())


def test_only_packages_that_isaac_lab_imports_count(tmp_path: Path) -> None:
    installation, site = environment(tmp_path)
    for package in ("isaaclab_assets", "somebody", "isaaclab_tasks/test"):
        write(site / package / "__init__.py", REGISTER.format(package))
    assert catalogues.load(installation, None).ids() == ("Isaac-Cartpole",)


def test_tasks_for_demonstrations_are_listed_and_never_trainable(tmp_path: Path) -> None:
    old, (new, site) = checkout(tmp_path / "lab"), environment(tmp_path / "env")
    source = tmp_path / "lab" / "source" / "isaaclab_mimic"
    agents = '"m:C", "rsl_rl_cfg_entry_point": "m:P", "skrl_mappo_cfg_entry_point": "m:a.yaml"'
    for folder in (source, site):
        write(
            folder / "isaaclab_mimic" / "envs" / "__init__.py", REGISTER.replace('"m:C"', agents).format("Isaac-Mimic")
        )
        write(folder / "isaaclab_mimic" / "__init__.py")
    for lab in (replace(old, sources=(*old.sources, str(source))), new):
        catalog = catalogues.load(lab, None)
        task = catalog.get("Isaac-Mimic")
        assert task is not None
        assert (task.package, task.agents, task.trainable, task.multi_agent) == ("isaaclab_mimic", (), False, False)
        assert (len(catalog.tasks), catalog.origin) == (2, f"the sources of {lab.path}")
    alone = catalogues.load(replace(old, sources=(str(source),)), None)
    assert alone.ids() == catalogues.shipped("2.3.2").ids()


def test_packages_that_announce_tasks_count_where_they_lie(tmp_path: Path) -> None:
    installation, site = environment(tmp_path)
    write(site / "mine" / "tasks.py", REGISTER.format("Mine"))
    write(site / "mine" / "__init__.py")
    announced = "[console_scripts]\nx = other:main\n\n[isaaclab.tasks]\nmine = mine.tasks\n"
    write(site / "mine-1.dist-info" / "entry_points.txt", announced)
    write(tmp_path / "project" / "src" / "theirs" / "__init__.py", REGISTER.format("Theirs"))
    write(site / "theirs-1.dist-info" / "entry_points.txt", "[isaaclab.tasks]\ntheirs = theirs\n[x]\ny = other\n")
    url = {"url": (tmp_path / "project").as_uri(), "dir_info": {"editable": True}}
    write(site / "theirs-1.dist-info" / "direct_url.json", json.dumps(url))
    write(site / "other" / "__init__.py", REGISTER.format("Other"))
    assert catalogues.load(installation, None).ids() == ("Isaac-Cartpole", "Mine", "Theirs")


def test_a_checkout_of_3_sees_the_packages_of_its_environment(tmp_path: Path) -> None:
    site = tmp_path / "env" / "lib" / "python3.12" / "site-packages"
    write(site / "mine" / "__init__.py", REGISTER.format("Mine"))
    write(site / "mine-1.dist-info" / "entry_points.txt", "[isaaclab.tasks]\nmine = mine\n")
    found = checkout(tmp_path, "3.0.0", "Isaac-Cartpole")
    with_python = Installation(
        version="3.0.0",
        kind="checkout",
        path=found.path,
        sources=found.sources,
        python=str(tmp_path / "env" / "bin" / "python"),
    )
    assert catalogues.load(with_python, None).ids() == ("Isaac-Cartpole", "Mine")


def test_a_project_folder_is_read_through_its_source_folder(tmp_path: Path) -> None:
    write(tmp_path / "source" / "mine" / "mine" / "__init__.py", REGISTER.format("Template-Mine-v0"))
    assert [path for path, _ in catalogues.read_sources(tmp_path)] == ["mine/__init__.py"]


def scans(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    from spark_rl import scanning

    calls: list[int] = []
    real = scanning.scan

    def counted(sources: Iterable[tuple[str, str]]) -> scanning.Scan:
        calls.append(1)
        return real(sources)

    monkeypatch.setattr(scanning, "scan", counted)
    return calls


def test_a_scan_is_remembered_until_a_source_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = scans(monkeypatch)
    installation, cache = checkout(tmp_path / "lab"), tmp_path / "cache"
    first = seen(installation, cache)
    assert seen(installation, cache) == first
    assert len(calls) == 1
    package = tmp_path / "lab" / "source" / "isaaclab_tasks" / "isaaclab_tasks"
    added = write(package / "new" / "__init__.py", REGISTER.format("Isaac-New-v0"))
    assert "Isaac-New-v0" in seen(installation, cache).ids()
    before = added.stat()
    added.write_text(REGISTER.format("Isaac-Now-v0"), encoding="utf-8")
    os.utime(added, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert "Isaac-Now-v0" in seen(installation, cache).ids()
    added.unlink()
    assert seen(installation, cache) == first


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"cache": 1}', "\0"])
def test_a_damaged_cache_is_rebuilt(tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = scans(monkeypatch)
    installation, cache = checkout(tmp_path / "lab"), tmp_path / "cache"
    first = seen(installation, cache)
    (file,) = cache.iterdir()
    whole = file.read_text(encoding="utf-8")
    file.write_text(damage, encoding="utf-8")
    assert seen(installation, cache) == first
    assert file.read_text(encoding="utf-8") == whole
    assert len(calls) == 2


@pytest.mark.parametrize(
    "foreign", [{"cache": "spark-rl/catalogue-cache/0"}, {"stamp": "another"}, {"crc": 0}, {"more": 1}]
)
def test_a_cache_of_another_spark_rl_is_not_believed(tmp_path: Path, foreign: dict[str, object]) -> None:
    installation, cache = checkout(tmp_path / "lab"), tmp_path / "cache"
    first = seen(installation, cache)
    (file,) = cache.iterdir()
    head, body = file.read_text(encoding="utf-8").split("\n")
    file.write_text(f"{json.dumps(json.loads(head) | foreign)}\n{body.replace('Reach', 'Lift')}", encoding="utf-8")
    assert catalogues.load(installation, cache) == first


def test_nothing_is_written_before_it_is_asked_for(tmp_path: Path) -> None:
    installation, cache = checkout(tmp_path / "lab"), tmp_path / "cache"
    catalog = catalogues.load(installation, cache)
    assert not cache.exists()
    catalogues.remember(catalog, installation, cache)
    (file,) = cache.iterdir()
    file.write_text("mine", encoding="utf-8")
    catalogues.remember(replace(catalog, stamp=None), installation, cache)
    assert file.read_text(encoding="utf-8") == "mine"


def test_a_change_between_scan_and_writing_is_seen_the_next_time(tmp_path: Path) -> None:
    installation, cache = checkout(tmp_path / "lab"), tmp_path / "cache"
    catalog = catalogues.load(installation, cache)
    package = tmp_path / "lab" / "source" / "isaaclab_tasks" / "isaaclab_tasks"
    write(package / "new" / "__init__.py", REGISTER.format("Isaac-New-v0"))
    catalogues.remember(catalog, installation, cache)
    assert "Isaac-New-v0" in catalogues.load(installation, cache).ids()


def test_a_keystroke_sees_what_was_seen_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = scans(monkeypatch)
    installation, cache = checkout(tmp_path / "lab"), tmp_path / "cache"
    assert catalogues.at_once(installation, cache) == catalogues.shipped("2.3.2")
    assert catalogues.at_once(installation, None) == catalogues.shipped("2.3.2")
    assert calls == []
    first = seen(installation, cache)
    write(tmp_path / "lab" / "source" / "isaaclab_tasks" / "isaaclab_tasks" / "new.py", REGISTER.format("Isaac-New-v0"))
    assert catalogues.at_once(installation, cache) == first


def test_the_text_of_a_known_release_needs_no_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = scans(monkeypatch)
    monkeypatch.setattr(catalogues, "_DATA", tmp_path / "data")
    shutil.copytree(Path(catalogues.__file__).parent / "data", tmp_path / "data")
    installation = checkout(tmp_path / "lab")
    texts = [text for source in installation.sources for text in catalogues.read_sources(Path(source))]
    write(tmp_path / "data" / "releases.json", json.dumps({catalogues.digest(texts): "2.1.0"}))
    catalog = catalogues.load(installation, None)
    assert catalog.tasks == catalogues.shipped("2.1.0").tasks
    assert (catalog.version, catalog.origin, calls) == ("2.3.2", f"the sources of {tmp_path / 'lab'}", [])
    changed = tmp_path / "lab" / "source" / "isaaclab_tasks" / "isaaclab_tasks" / "t0" / "__init__.py"
    changed.write_text(changed.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert catalogues.load(installation, None).ids() == ("Isaac-Reach-Franka-v0",)
    assert calls == [1]


def test_a_project_beside_a_known_release_is_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = checkout(tmp_path / "lab")
    write(tmp_path / "project" / "mine" / "__init__.py", REGISTER.format("Mine"))
    both = replace(found, sources=(*found.sources, str(tmp_path / "project")))
    assert catalogues.load(both, None).ids() == ("Isaac-Reach-Franka-v0", "Mine")
    alone = replace(found, sources=(str(tmp_path / "project"),))
    catalog = catalogues.load(alone, None)
    assert len(catalog.tasks) == 193
    assert catalog.get("Mine")
    assert catalog.origin == "the list of 2.3.2 that comes with spark-rl, mine"


def test_every_shipped_catalogue_knows_its_release() -> None:
    file = Path(catalogues.__file__).parent / "data" / "releases.json"
    assert sorted(json.loads(file.read_text(encoding="utf-8")).values()) == list(VERSIONS)


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    occupied = write(tmp_path / "file")
    installation = checkout(tmp_path / "lab")
    assert seen(installation, occupied) == catalogues.load(installation, None)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "x").mkdir()
    assert seen(installation, occupied / "deeper").tasks


def test_many_at_once_leave_one_whole_cache(tmp_path: Path) -> None:
    installation, cache = checkout(tmp_path / "lab"), tmp_path / "cache"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: seen(installation, cache), range(16)))
    assert set(map(repr, found)) == {repr(found[0])}
    assert [file.suffix for file in cache.iterdir()] == [".json"]


def test_without_sources_the_shipped_catalogue_serves_and_says_so(tmp_path: Path) -> None:
    gone = Installation(version="2.3.2", kind="checkout", path="/gone", sources=(str(tmp_path / "gone"),))
    assert catalogues.load(gone, None) == catalogues.shipped("2.3.2")
    empty = checkout(tmp_path, "2.3.2")
    write(tmp_path / "source" / "isaaclab_tasks" / "isaaclab_tasks" / "t0" / "__init__.py")
    assert seen(empty, tmp_path / "cache").origin == "the list of 2.3.2 that comes with spark-rl"
    assert not (tmp_path / "cache").exists()


def test_a_file_that_is_no_text_is_passed_over(tmp_path: Path) -> None:
    installation = checkout(tmp_path)
    (tmp_path / "source" / "isaaclab_tasks" / "isaaclab_tasks" / "bad.py").write_bytes(b"\xff\xfegym.register(")
    assert catalogues.load(installation, None).ids() == ("Isaac-Reach-Franka-v0",)


@pytest.mark.parametrize(
    ("version", "nearest"),
    [
        ("2.0.0", "2.1.0"),
        ("2.1.1", "2.1.0"),
        ("2.2.1", "2.2.0"),
        ("2.3.1", "2.3.0"),
        ("2.3.2.post1", "2.3.2"),
        ("3.0.0", "3.0.0"),
        ("3.4.1", "3.0.0"),
        ("4.0", "3.0.0"),
    ],
)
def test_the_nearest_lower_version_of_the_generation_serves(version: str, nearest: str) -> None:
    catalog = catalogues.shipped(version)
    assert (catalog.version, catalog.origin) == (version, f"the list of {nearest} that comes with spark-rl")


@pytest.mark.parametrize(
    ("version", "count", "mimic", "play"),
    [
        ("2.1.0", 123, 5, 28),
        ("2.2.0", 134, 8, 31),
        ("2.3.0", 159, 17, 36),
        ("2.3.2", 175, 17, 43),
        ("3.0.0", 142, 17, 0),
    ],
)
def test_shipped_catalogues_are_whole(version: str, count: int, mimic: int, play: int) -> None:
    catalog = catalogues.shipped(version)
    assert len(set(catalog.ids())) == len(catalog.tasks)
    assert Counter(task.package for task in catalog.tasks) == {"isaaclab_tasks": count, "isaaclab_mimic": mimic}
    assert sum("-Play" in task_id for task_id in catalog.ids()) == play
    assert catalog.undecided == ()
    for task in catalog.tasks:
        assert not (task.package == "isaaclab_mimic" and task.trainable)
        assert task.category
        assert task.summary
        assert task.robot or task.id == "IsaacContrib-Multitask-Manipulation"
        assert task.num_envs or task.id.startswith("Isaac-Navigation-Flat-Anymal-C")
        for agent in task.agents:
            assert agent.target
            assert agent.horizon
            assert (agent.experiment is None) == (agent.library == "sb3")
            assert (agent.minibatch is None) == (agent.library != "rl_games")


def own(version: str) -> list[Task]:
    """Return the shipped tasks that train and play import."""
    return [task for task in catalogues.shipped(version).tasks if task.package == "isaaclab_tasks"]


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_every_task_of_2_runs_physx_in_isaac_sim(version: str) -> None:
    assert {(task.physics, task.kitless) for task in catalogues.shipped(version).tasks} == {("isaacsim_physx", False)}


def test_cameras_of_2_are_the_tasks_that_need_enable_cameras() -> None:
    seeing = {task.id for task in own("2.3.2") if task.cameras}
    by_name = {task_id for task_id in seeing if re.search("Camera|RGB|Depth|Vision|Visuomotor|Blueprint", task_id)}
    assert seeing - by_name == {"Isaac-NutPour-GR1T2-Pink-IK-Abs-v0", "Isaac-ExhaustPipe-GR1T2-Pink-IK-Abs-v0"}
    assert Counter(task_id.split("-")[1] for task_id in by_name) == {"Cartpole": 15, "Repose": 2, "Stack": 6}


def test_physics_of_3_is_what_isaac_lab_resolves() -> None:
    tasks = own("3.0.0")
    assert Counter((task.physics, task.kitless) for task in tasks) == {
        ("isaacsim_physx", False): 66,
        (None, False): 14,
        ("newton_mjwarp", True): 49,
        ("newton_kamino", True): 5,
        ("newton_mjwarp_vbd_proxy", True): 6,
        ("newton_coupled", True): 2,
    }
    assert sum(task.default_agent is None for task in tasks) == 94
    assert sum(task.replaced_by is not None for task in tasks) == 3


def test_a_remembered_catalogue_needs_no_parser(tmp_path: Path) -> None:
    installation, cache = checkout(tmp_path / "lab"), tmp_path / "cache"
    seen(installation, cache)
    code = (
        "import sys; from pathlib import Path; from spark_rl import catalogues, model\n"
        "version, path, source, cache = sys.argv[1:]\n"
        "lab = model.Installation(version=version, kind='checkout', path=path, sources=(source,))\n"
        "assert catalogues.load(lab, Path(cache)).tasks\n"
        "print(sorted({'yaml', 'difflib', 'spark_rl.scanning'} & set(sys.modules)))"
    )
    words = [installation.version, installation.path, *installation.sources, str(cache)]
    child = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "[]"
