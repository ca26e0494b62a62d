"""Matrices: what a file says as cells, which of them are meant, and those that come with spark-rl."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import planning
from spark_rl import matrices
from spark_rl.errors import LackError, RequestError
from spark_rl.matrix import STALL_S, Cell, Play, choose, matches, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

TOP = Path(__file__).parents[1]
TASK = 'task = "Isaac-Ant-v0"\n'


def cells(text: str) -> tuple[Cell, ...]:
    return parse(tomllib.loads(text), "m.toml")


def names(found: Iterable[Cell]) -> list[str]:
    return [cell.name for cell in found]


def test_lists_multiply() -> None:
    found = cells(f'[[cells]]\n{TASK}library = ["rsl_rl", "skrl"]\nnum_envs = [16, 32]\ntrain = 3\n')
    assert names(found) == [
        "Isaac-Ant-v0/rsl_rl/16",
        "Isaac-Ant-v0/rsl_rl/32",
        "Isaac-Ant-v0/skrl/16",
        "Isaac-Ant-v0/skrl/32",
    ]
    assert found[0] == Cell(
        name="Isaac-Ant-v0/rsl_rl/16", task="Isaac-Ant-v0", library="rsl_rl", num_envs=16, train=3, stall_s=STALL_S
    )


def test_every_key_counts_and_tables_win_over_defaults() -> None:
    (cell,) = cells(
        '[defaults]\ntrain = 3\nseed = 1\nplay = 20\n[[cells]]\ntask = "T"\nlibrary = "skrl"\nalgorithm = "MAPPO"\n'
        'num_envs = 8\ntrain = 50\nkill = 4\ndevice = "cpu"\nseed = 0\noverrides = ["a.b=1"]\nstall = "90s"\n'
        'memory = "2GiB"\nlabel = "odd"\nplay = { steps = 5, num_envs = 2, task = "T-Play" }\n'
    )
    assert cell == Cell(
        name="T/skrl/MAPPO/8/resume/odd",
        task="T",
        train=50,
        library="skrl",
        algorithm="MAPPO",
        num_envs=8,
        kill=4,
        play=Play(steps=5, num_envs=2, task="T-Play"),
        device="cpu",
        seed=0,
        overrides=("a.b=1",),
        stall_s=90.0,
        memory_mib=2048,
    )
    assert cell.actions == "train 50 iterations, killed after 4 and resumed, play 5 steps"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "m.toml has no cells", "[[cells]]"),
        ("cells = 3", "m.toml has no cells", "[[cells]]"),
        ("[[cell]]\ntrain = 1", "m.toml has an unknown key: cell", "did you mean cells?"),
        (f"[[cells]]\n{TASK}", "cells table 1 of m.toml has no train", "train = 5"),
        ("[[cells]]\ntrain = 1", "cells table 1 of m.toml has no task", "task = "),
        (f"[[cells]]\n{TASK}tarin = 1", "has an unknown key: tarin", "did you mean train?"),
        (f"[[cells]]\n{TASK}train = 0", "train in cells table 1 of m.toml must be a whole number from 1 on", "0"),
        (f"[[cells]]\n{TASK}train = true", "must be a whole number", "True"),
        (f'[[cells]]\n{TASK}train = 1\nlibrary = "rslrl"', "library in cells table 1 of m.toml is unknown", "rsl_rl"),
        (f"[[cells]]\n{TASK}train = 1\nlibrary = []", "library in cells table 1 of m.toml is an empty list", "leave"),
        (f'[[cells]]\n{TASK}train = 1\ndevice = "cuda:1"', "device in cells table 1 of m.toml is unknown", "cuda"),
        (f"[[cells]]\n{TASK}train = 4\nkill = 4", "kill in cells table 1 of m.toml must be less than train", "kill"),
        (f'[[cells]]\n{TASK}train = 4\noverrides = ["x"]', "is not a list of KEY=VALUE texts", "overrides = "),
        (f'[[cells]]\n{TASK}train = 4\nplay = "20"', "play in cells table 1 of m.toml must be a number", "play = 20"),
        (f"[[cells]]\n{TASK}train = 4\nplay = 0", "steps of play in cells table 1 of m.toml cannot be 0", "play ="),
        (f"[[cells]]\n{TASK}train = 4\nplay = {{ step = 2 }}", "must be a number of steps", "play = 20"),
        (f"[[cells]]\n{TASK}train = 4\nplay = {{ steps = 2, env = 3 }}", "has an unknown key: env", "num_envs"),
        (f'[[cells]]\n{TASK}train = 4\nstall = "soon"', "stall in cells table 1 of m.toml must be a time", "30m"),
        (f'[[cells]]\n{TASK}train = 4\nmemory = "much"', "memory in cells table 1 of m.toml must be an amount", "8GiB"),
        (f"[[cells]]\n{TASK}train = 4\n[[cells]]\n{TASK}train = 5", "two cells of m.toml are called", "label"),
        (f"defaults = 3\n[[cells]]\n{TASK}train = 4", "defaults in m.toml must be a table", "[defaults]"),
    ],
)
def test_a_wrong_matrix_is_told(text: str, message: str, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        cells(text)
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("ant", True),
        ("RSL_RL", True),
        ("*/rsl_rl/*", True),
        ("ant*", False),
        ("rsl", True),
        ("skrl", False),
        ("", True),
    ],
)
def test_patterns_mean_the_whole_name_or_a_part_of_it(pattern: str, meant: bool) -> None:
    assert matches("Isaac-Ant-v0/rsl_rl/16", (pattern,)) is meant


def test_cells_are_chosen() -> None:
    found = cells(f'[[cells]]\n{TASK}library = ["rsl_rl", "skrl", "sb3"]\ntrain = 3\n')
    assert names(choose(found, only=["rl"], exclude=["*/skrl"])) == ["Isaac-Ant-v0/rsl_rl"]
    for option in ("only", "exclude", "require"):
        with pytest.raises(RequestError, match=f"--{option} cartpole matches no cell"):
            choose(found, **{option: ["cartpole"]})
    with pytest.raises(RequestError, match="--require sb3 matches no cell"):
        choose(found, exclude=["sb3"], require=["sb3"])
    with pytest.raises(RequestError, match="every cell is excluded"):
        choose(found, exclude=["*"])


def test_a_file_that_is_no_matrix_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        matrices.load(str(tmp_path / "absent.toml"))
    assert "cannot be read" in caught.value.message
    assert str(caught.value.hint).endswith("smoke, smoke-isaacsim or smoke-tutorial")
    (tmp_path / "bad.toml").write_text("[[cells", encoding="utf-8")
    with pytest.raises(RequestError, match="is not valid TOML"):
        matrices.load(str(tmp_path / "bad.toml"))


def test_a_file_of_yours_wins_over_a_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(matrices.load("smoke.toml")[1]) > 1
    (tmp_path / "smoke.toml").write_text(f"[[cells]]\n{TASK}train = 4\n", encoding="utf-8")
    assert names(matrices.load("smoke.toml")[1]) == ["Isaac-Ant-v0"]


def test_configs_shows_what_is_shipped() -> None:
    shown = {file.stem: file.resolve() for file in (TOP / "configs").glob("smoke*.toml")}
    packed = {file.stem: file for file in (TOP / "src" / "spark_rl" / "data" / "matrices").glob("*.toml")}
    assert shown == packed
    assert matrices.shipped() == tuple(sorted(packed))


def plan(cell: Cell, on: str) -> None:
    asked = {name: getattr(cell, name) for name in ("library", "algorithm", "num_envs", "seed", "device")}
    planning.planned(on, cell.task, max_iterations=cell.train, overrides=cell.overrides, **asked)


@pytest.mark.parametrize("cell", matrices.load("smoke")[1], ids=lambda cell: cell.name)
@pytest.mark.parametrize("on", ["kitless", "kit", "2.3.2"])
def test_the_default_matrix_is_planned_everywhere(cell: Cell, on: str) -> None:
    plan(cell, on)


def test_the_default_matrix_covers_what_it_says() -> None:
    found = matrices.load("smoke")[1]
    assert {cell.library for cell in found} == {"rsl_rl", "rl_games", "skrl", "sb3"}
    assert {cell.algorithm for cell in found} >= {"MAPPO", "IPPO"}
    assert any(cell.kill for cell in found)
    assert all(cell.play for cell in found)


@pytest.mark.parametrize("cell", matrices.load("smoke-isaacsim")[1], ids=lambda cell: cell.name)
@pytest.mark.parametrize("on", ["kit", "2.3.2"])
def test_the_matrix_for_isaac_sim_is_planned_where_there_is_one(cell: Cell, on: str) -> None:
    plan(cell, on)


def test_the_matrix_for_isaac_sim_needs_it() -> None:
    needing = []
    for cell in matrices.load("smoke-isaacsim")[1]:
        try:
            plan(cell, "kitless")
        except LackError:
            needing.append(cell.task)
    assert len(set(needing)) >= 5


def test_the_matrix_of_the_tutorial_is_its_twenty_commands() -> None:
    with (TOP / "tests" / "tutorial.tsv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    commands: list[tuple[str | None, ...]] = []
    for cell in matrices.load("smoke-tutorial")[1]:
        envs = "" if cell.num_envs is None else str(cell.num_envs)
        commands.append(("train", cell.library, cell.task, envs, cell.algorithm or ""))
        if cell.play:
            commands.append(("play", cell.library, cell.play.task, str(cell.play.num_envs), ""))
    keys = ("action", "library", "task", "num_envs", "algorithm")
    assert commands == [tuple(row[key] for key in keys) for row in rows]
