"""Recipes: defaults for flags in a file; flags win, mistakes are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import stand_in
from spark_rl.__main__ import run
from spark_rl.settings import RECIPE_KEYS, load_recipe

if TYPE_CHECKING:
    from collections.abc import Callable

FULL = """\
task = "Isaac-Cartpole-Direct-v0"
library = "rl_games"
num_envs = 512
max_iterations = 20
seed = 7
device = "cpu"
overrides = ["agent.params.config.minibatch_size=2048"]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return tmp_path / "cartpole.toml"


@pytest.fixture
def planned(
    tmp_path: Path, recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, dict[str, Any]]]:
    lab = stand_in.kitless(tmp_path / "env")
    monkeypatch.chdir(tmp_path)  # run folders of an earlier training would say which overrides there are

    def plan(*words: str, action: str = "train") -> tuple[int, dict[str, Any]]:
        code = run([action, "--recipe", str(recipe), "--isaaclab", str(lab), "--dry-run", "--json", *words])
        return code, json.loads(capsys.readouterr().out)

    return plan


def test_every_key_reaches_the_command(recipe: Path, planned: Callable[..., tuple[int, dict[str, Any]]]) -> None:
    recipe.write_text(FULL, encoding="utf-8")
    code, document = planned()
    assert code == 0
    argv = document["argv"]
    assert document["task"]["requested"] == "Isaac-Cartpole-Direct-v0"
    for words in (
        ["--rl_library", "rl_games"],
        ["--num_envs", "512"],
        ["--max_iterations", "20"],
        ["--seed", "7"],
        ["--device", "cpu"],
    ):
        assert words[1] == argv[argv.index(words[0]) + 1]
    assert "agent.params.config.minibatch_size=2048" in argv


def test_flags_win_over_the_recipe_and_it_wins_over_settings(
    recipe: Path, planned: Callable[..., tuple[int, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe.write_text(FULL, encoding="utf-8")
    monkeypatch.setenv("SPARK_RL_LIBRARY", "sb3")
    monkeypatch.setenv("SPARK_RL_DEVICE", "cuda:1")
    code, document = planned("--seed", "9", "--library", "rsl_rl")
    assert code == 0, document
    argv = document["argv"]
    assert (document["library"], argv[argv.index("--seed") + 1]) == ("rsl_rl", "9")
    assert argv[argv.index("--device") + 1] == "cpu"


def test_overrides_of_the_command_line_come_after_those_of_the_recipe(
    recipe: Path, planned: Callable[..., tuple[int, dict[str, Any]]]
) -> None:
    recipe.write_text(FULL, encoding="utf-8")
    _, document = planned("agent.params.config.minibatch_size=1024")
    given = [word for word in document["argv"] if word.startswith("agent.params.config.minibatch_size")]
    assert given[-2:] == [
        "agent.params.config.minibatch_size=2048",
        "agent.params.config.minibatch_size=1024",
    ]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('tsak = "x"', "unknown key: tsak", "did you mean task?"),
        ("num_env = 4", "unknown key: num_env", "did you mean num_envs?"),
        ('num_envs = "many"', 'num_envs in {file} must be a whole number or "auto"', "it holds 'many'"),
        ("num_envs = 1.5", "num_envs in {file} must be a whole number", "it holds 1.5"),
        ("num_envs = true", "num_envs in {file} must be a whole number", "it holds True"),
        ("video = 1", "video in {file} must be true or false", "it holds 1"),
        ('overrides = ["--seed"]', "not a list of KEY=VALUE", "overrides = ["),
        ("overrides = [1]", "not a list of KEY=VALUE", "overrides = ["),
        ('overrides = "a=b"', "overrides in {file} must be a list", "it holds 'a=b'"),
        ("task = ", "{file} is not valid TOML", 'key = "value"'),
        ("seed = 1", "no task was named", "--task NAME"),
    ],
)
def test_a_wrong_recipe_is_told(
    text: str, message: str, hint: str, recipe: Path, planned: Callable[..., tuple[int, dict[str, Any]]]
) -> None:
    recipe.write_text(text, encoding="utf-8")
    code, document = planned()
    assert (code, document["error"]["code"]) == (2, 2)
    assert message.format(file=recipe) in document["error"]["message"]
    assert hint in document["error"]["hint"]


def test_a_recipe_leaves_the_env_count_to_the_machine(
    recipe: Path, planned: Callable[..., tuple[int, dict[str, Any]]]
) -> None:
    recipe.write_text(FULL.replace("num_envs = 512", 'num_envs = "auto"'), encoding="utf-8")
    code, document = planned()
    assert (code, "default" in document["reasons"]["num_envs"]) == (0, True), document
    code, document = planned("--num-envs", "64", "agent.params.config.minibatch_size=1024")
    assert code == 0
    assert document["argv"][document["argv"].index("--num_envs") + 1] == "64"


@pytest.mark.parametrize("kind", ["missing", "folder", "unreadable"])
def test_a_recipe_that_cannot_be_read(
    kind: str, recipe: Path, planned: Callable[..., tuple[int, dict[str, Any]]]
) -> None:
    if kind == "folder":
        recipe.mkdir()
    if kind == "unreadable":
        recipe.symlink_to("/proc/self/mem")
    code, document = planned()
    assert code == 2
    assert document["error"]["message"].startswith(f"{recipe} cannot be read: ")
    assert document["error"]["hint"] == "give the path of a TOML file"


def test_every_recipe_key_is_understood(recipe: Path) -> None:
    examples = {str: '"word"', int: "3", bool: "true", list: '["a=b"]'}
    recipe.write_text("".join(f"{key} = {examples[kind]}\n" for key, kind in RECIPE_KEYS.items()), encoding="utf-8")
    assert set(load_recipe(recipe)) == set(RECIPE_KEYS)


@pytest.mark.parametrize(
    "file",
    sorted(file for file in (Path(__file__).parent.parent / "configs").glob("*.toml") if not file.is_symlink()),
    ids=lambda f: f.stem,
)
def test_the_recipes_that_come_with_spark_rl_are_valid(file: Path) -> None:
    assert load_recipe(file)["task"].startswith("Isaac-")
