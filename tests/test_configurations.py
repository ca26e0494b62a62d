"""Configurations from a child, a cache and run folders, with an Isaac Lab whose Python only copies a recording."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from fakes import lab
from fakes.configured import Lab
from spark_rl import configurations, installations
from spark_rl.errors import CheckError

if TYPE_CHECKING:
    from pathlib import Path

    from spark_rl.configuration import Configuration


@pytest.fixture
def isaaclab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "lab")


def place(isaaclab: Lab, folder: Path, **values: Any) -> configurations.Place:
    base: dict[str, Any] = {
        "installation": installations.inspect(isaaclab.path),
        "task": "Isaac-Cartpole-Direct",
        "agent": "rsl_rl_cfg_entry_point",
        "play": False,
        "stamp": "cartpole:Cfg",
        "folder": folder / "cache",
    }
    return configurations.Place(**base | values)


def resolve(where: configurations.Place, *words: str) -> Configuration:
    python = (f"{where.installation.path}/bin/python",)
    return configurations.resolve(where, words, python=python, environ=dict(os.environ), cwd=where.folder.parent)


def test_it_is_asked_once_and_remembered(isaaclab: Lab, tmp_path: Path) -> None:
    where = place(isaaclab, tmp_path)
    assert configurations.recall(where, ()) is None
    found = resolve(where, "env.decimation=3")
    assert found.fields["env.decimation"].default == 2
    assert configurations.recall(where, ("agent.run_name=x",)) == found
    assert configurations.at_once(where) == found
    asked = {"task": "Isaac-Cartpole-Direct", "agent": "rsl_rl_cfg_entry_point", "play": False, "words": []}
    assert isaaclab.asked == [asked]


def test_presets_have_a_memory_of_their_own(isaaclab: Lab, tmp_path: Path) -> None:
    where = place(isaaclab, tmp_path)
    words = ("physics=newton_kamino", "env.viewer.asset_name=robot", "env.decimation=3")
    found = resolve(where, *words)
    assert found.selected == ("physics=newton_kamino",)
    assert configurations.recall(where, words) == found
    assert configurations.recall(where, ("physics=newton_mjwarp",)) is None
    plain = configurations.recall(where, ())
    assert plain is not None
    assert plain.selected == ()
    # Only what may choose a preset is asked about: a text for a key may, a number may not.
    assert [each["words"] for each in isaaclab.asked] == [["physics=newton_kamino", "env.viewer.asset_name=robot"]]


@pytest.mark.parametrize(
    "other",
    [{"task": "Isaac-Ant"}, {"agent": "skrl_cfg_entry_point"}, {"play": True}, {"stamp": "cartpole:Other"}],
)
def test_another_task_agent_action_or_registration_is_another_configuration(
    isaaclab: Lab, tmp_path: Path, other: dict[str, Any]
) -> None:
    resolve(place(isaaclab, tmp_path))
    assert configurations.recall(place(isaaclab, tmp_path, **other), ()) is None


def test_a_change_of_the_sources_is_noticed_except_on_a_keystroke(isaaclab: Lab, tmp_path: Path) -> None:
    where = place(isaaclab, tmp_path)
    found = resolve(where)
    isaaclab.source.write_text("something longer", encoding="utf-8")
    assert configurations.recall(where, ()) is None
    assert configurations.at_once(where) == found
    isaaclab.source.unlink()
    assert configurations.recall(where, ()) is None


@pytest.mark.parametrize("damage", ["", "{}\n{}", "{", "\x00", None])
def test_a_damaged_memory_is_none(isaaclab: Lab, tmp_path: Path, damage: str | None) -> None:
    where = place(isaaclab, tmp_path)
    resolve(where)
    (file,) = where.folder.iterdir()
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole[:-9] if damage is None else damage, encoding="utf-8")
    assert configurations.recall(where, ()) is None
    assert configurations.at_once(where) is None


def test_several_at_once_leave_one_whole_memory(isaaclab: Lab, tmp_path: Path) -> None:
    where = place(isaaclab, tmp_path)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: resolve(where), range(8)))
    assert configurations.recall(where, ()) == found[0]
    assert len(list(where.folder.iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_no_error(isaaclab: Lab, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    assert resolve(place(isaaclab, tmp_path)).fields


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Traceback (most recent call last):\n  x\nImportError: no torch\nthe end\n", "ImportError: no torch"),
        ("cannot find libpython\n", "cannot find libpython"),
        ("", "it ended with status 1 and said nothing"),
    ],
)
def test_a_failure_is_told_by_its_first_line_of_error(isaaclab: Lab, tmp_path: Path, said: str, told: str) -> None:
    isaaclab.complain(said)
    with pytest.raises(CheckError) as caught:
        resolve(place(isaaclab, tmp_path))
    assert caught.value.message == told


def test_what_the_task_itself_raises_is_told(isaaclab: Lab, tmp_path: Path) -> None:
    isaaclab.fail("ImportError: Task X could not load Pink")
    with pytest.raises(CheckError, match="could not load Pink"):
        resolve(place(isaaclab, tmp_path))
    assert configurations.recall(place(isaaclab, tmp_path), ()) is None


def test_a_python_that_is_gone_is_told(isaaclab: Lab, tmp_path: Path) -> None:
    where = place(isaaclab, tmp_path)
    (isaaclab.path / "bin" / "python").unlink()
    with pytest.raises(CheckError, match="cannot be started: No such file"):
        resolve(where)


def test_an_answer_that_makes_no_sense_is_told(isaaclab: Lab, tmp_path: Path) -> None:
    (isaaclab.path / "plain.json").write_text('{"schema": "spark-rl/configuration/1"}', encoding="utf-8")
    with pytest.raises(CheckError, match="makes no sense"):
        resolve(place(isaaclab, tmp_path))


def test_the_child_reaches_no_network(tmp_path: Path) -> None:
    script = f"#!/bin/sh\nenv > {tmp_path}/env\n"
    lab.program(tmp_path / "python", script)
    where = place(Lab(tmp_path / "lab"), tmp_path)
    with pytest.raises(CheckError):
        configurations.resolve(where, (), python=(str(tmp_path / "python"),), environ={"no_proxy": "*"}, cwd=tmp_path)
    seen = (tmp_path / "env").read_text(encoding="utf-8").splitlines()
    assert {"https_proxy=http://127.0.0.1:9", "HTTP_PROXY=http://127.0.0.1:9", "no_proxy="} <= set(seen)


PARAMS = """\
decimation: 2
sim:
  dt: 0.005
  gravity: !!python/tuple
  - 0.0
  - 0.0
  - -9.81
  class_type: !!python/name:os.system
  made: !!python/object/apply:builtins.slice
  - null
  - null
  text: !!python/object/apply:os.system ["touch hacked"]
"""


def run_folder(root: Path, name: str, params: str = PARAMS, *, at: float = 1000.0, manifest: str = "") -> Path:
    folder = root / "logs" / "rsl_rl" / "cartpole" / name
    (folder / "params").mkdir(parents=True)
    (folder / "params" / "env.yaml").write_text(params, encoding="utf-8")
    (folder / "params" / "agent.yaml").write_text("seed: 42\n", encoding="utf-8")
    os.utime(folder / "params" / "env.yaml", (at, at))
    if manifest:
        (folder / "run.json").write_text(f'{{"task": "{manifest}"}}', encoding="utf-8")
    return folder


def left(root: Path, *, library: str = "rsl_rl", manifested: bool = False) -> Configuration | None:
    return configurations.left_by_runs(root, library, "cartpole", task="T", manifested=manifested)


def test_the_newest_run_tells_the_configuration_and_its_yaml_makes_no_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_folder(tmp_path, "older", "decimation: 4\n", at=1000.0)
    newest = run_folder(tmp_path, "newer", at=2000.0)
    found = left(tmp_path)
    assert found is not None
    assert found.source == str(newest / "params")
    assert found.fields["env.decimation"].default == 2
    assert found.fields["env.sim.gravity"].default == (0.0, 0.0, -9.81)
    assert found.fields["agent"].form == "group"
    assert not (tmp_path / "hacked").exists()


def test_a_run_of_another_task_does_not_count_where_runs_tell_theirs(tmp_path: Path) -> None:
    run_folder(tmp_path, "other", at=2000.0, manifest="Other")
    assert left(tmp_path, manifested=True) is None
    own = run_folder(tmp_path, "own", at=1000.0, manifest="T")
    found = left(tmp_path, manifested=True)
    assert found is not None
    assert found.source == str(own / "params")


@pytest.mark.parametrize("params", ["", "- a\n", "a: [", "!!python/tuple [1]\n"])
def test_parameters_that_cannot_be_read_are_passed_over(tmp_path: Path, params: str) -> None:
    run_folder(tmp_path, "broken", params, at=2000.0)
    assert left(tmp_path) is None
    run_folder(tmp_path, "whole", at=1000.0)
    assert left(tmp_path) is not None


def test_without_runs_nothing_is_known(tmp_path: Path) -> None:
    assert left(tmp_path) is None
