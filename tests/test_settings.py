"""Four sources in an order of rising weight, and every wrong file told in two lines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import stand_in
from spark_rl import settings
from spark_rl.__main__ import run
from spark_rl.errors import RequestError
from spark_rl.settings import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = {"library": ("skrl", "sb3", "rl_games"), "device": ("cpu", "cuda:1", "cuda:2")}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder / "spark-rl.toml"


@pytest.fixture
def user() -> Path:
    file = Path(os.environ["XDG_CONFIG_HOME"], "spark-rl", "spark-rl.toml")
    file.parent.mkdir(parents=True)
    return file


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, tuple[Any, str]]]:
    def read() -> dict[str, tuple[Any, str]]:
        assert run(["config", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["schema"] == "spark-rl/config/1"
        return {entry["name"]: (entry["value"], entry["source"]) for entry in document["settings"]}

    return read


@pytest.mark.parametrize("key", VALUES)
def test_each_source_outweighs_the_one_before(
    key: str,
    project: Path,
    user: Path,
    monkeypatch: pytest.MonkeyPatch,
    shown: Callable[[], dict[str, tuple[Any, str]]],
) -> None:
    low, middle, high = VALUES[key]
    assert shown()[key] == (None, "default")
    project.write_text(f'{key} = "{low}"\n', encoding="utf-8")
    assert shown()[key] == (low, str(project))
    user.write_text(f'{key} = "{middle}"\n', encoding="utf-8")
    assert shown()[key] == (middle, str(user))
    monkeypatch.setenv(f"SPARK_RL_{key.upper()}", high)
    assert shown()[key] == (high, f"SPARK_RL_{key.upper()}")


def test_a_flag_outweighs_them_all(
    project: Path, user: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project.write_text('library = "sb3"\n', encoding="utf-8")
    user.write_text('library = "rl_games"\n', encoding="utf-8")
    monkeypatch.setenv("SPARK_RL_LIBRARY", "skrl")
    monkeypatch.setenv("SPARK_RL_ISAACLAB", str(tmp_path / "nowhere"))
    lab = str(stand_in.kitless(tmp_path / "env"))
    words = ["train", "--task", "Isaac-Cartpole-Direct", "--dry-run", "--json"]
    assert run([*words, "--isaaclab", lab]) == 0
    assert json.loads(capsys.readouterr().out)["library"] == "skrl"
    assert run([*words, "--isaaclab", lab, "--library", "rsl_rl"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["library"], document["isaaclab"]["path"]) == ("rsl_rl", lab)


def test_each_value_keeps_its_own_source(
    project: Path, user: Path, monkeypatch: pytest.MonkeyPatch, shown: Callable[[], dict[str, tuple[Any, str]]]
) -> None:
    project.write_text("headless = true\n", encoding="utf-8")
    user.write_text('device = "cpu"\n', encoding="utf-8")
    monkeypatch.setenv("SPARK_RL_LIBRARY", "sb3")
    assert shown() == dict.fromkeys(KEYS, (None, "default")) | {
        "library": ("sb3", "SPARK_RL_LIBRARY"),
        "device": ("cpu", str(user)),
        "headless": (True, str(project)),
    }


def test_the_text_form_shows_value_and_source(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project.write_text("headless = false\n", encoding="utf-8")
    assert run(["config"]) == 0
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["headless"] == ["false", str(project)]
    assert lines["device"] == ["-", "default"]
    assert set(lines) == set(KEYS)


def test_the_nearest_project_file_counts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write_text('library = "sb3"\n', encoding="utf-8")
    below = project.parent / "a" / "b"
    below.mkdir(parents=True)
    assert settings.load(below).get("library").source == str(project)
    nearer = below.parent / "spark-rl.toml"
    nearer.write_text('library = "skrl"\n', encoding="utf-8")
    assert settings.load(below).get("library").source == str(nearer)


@pytest.mark.parametrize(("text", "value"), [("1", True), ("Yes", True), ("off", False), ("0", False)])
def test_a_switch_in_the_environment(text: str, value: bool, project: Path) -> None:
    assert settings.load(project.parent, {"SPARK_RL_HEADLESS": text}).flag("headless") is value


def test_an_empty_variable_is_not_set(project: Path) -> None:
    assert settings.load(project.parent, {"SPARK_RL_LIBRARY": ""}).get("library").source == "default"


@pytest.mark.parametrize("key", ["isaaclab", "assets"])
def test_a_relative_path_starts_at_its_file(key: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write_text(f'{key} = "../lab"\n', encoding="utf-8")
    below = project.parent / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert settings.load(below).text(key) == str(project.parent.parent / "lab")


@pytest.mark.parametrize(("text", "expected"), [("~/lab", "{home}/lab"), ("/opt/lab", "/opt/lab")])
def test_an_absolute_path_stays(text: str, expected: str, project: Path) -> None:
    project.write_text(f'isaaclab = "{text}"\nassets = "embedded"\n', encoding="utf-8")
    loaded = settings.load(project.parent)
    assert loaded.text("isaaclab") == expected.format(home=os.environ["HOME"])
    assert loaded.text("assets") == "embedded"


def test_a_file_with_a_byte_order_mark_is_read(project: Path) -> None:
    project.write_bytes(b'\xef\xbb\xbflibrary = "sb3"\n')
    assert settings.load(project.parent).text("library") == "sb3"


WRONG = {
    "unknown key": ('libary = "skrl"', "unknown key: libary", "did you mean library?"),
    "a table": ('[train]\nlibrary = "skrl"', "unknown key: train", "known keys: isaaclab, library"),
    "text for a switch": ('headless = "yes"', "headless in {file} must be true or false", "it holds 'yes'"),
    "number for a text": ("device = 0", "device in {file} must be a text", "it holds 0"),
    "broken TOML": ("library = skrl", "{file} is not valid TOML", 'key = "value"'),
    "given twice": ('library = "skrl"\nlibrary = "sb3"', "{file} is not valid TOML", 'key = "value"'),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_told_in_two_lines(name: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, message, hint = WRONG[name]
    project.write_text(text, encoding="utf-8")
    assert run(["config"]) == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"]
    assert message.format(file=project) in lines[0]
    assert str(project) in lines[0]
    assert hint in lines[1]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_told_in_json(name: str, user: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, message, hint = WRONG[name]
    user.write_text(text, encoding="utf-8")
    assert run(["config", "--json"]) == 2
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert err == ""
    assert (error["code"], error["kind"]) == (2, "request")
    assert message.format(file=user) in error["message"]
    assert hint in error["hint"]


def test_a_file_that_is_not_text(project: Path) -> None:
    project.write_bytes(b'library = "\xff"')
    with pytest.raises(RequestError, match="cannot be read: it is not UTF-8 text"):
        settings.load(project.parent)


def test_a_file_that_cannot_be_read(project: Path) -> None:
    # A regular file whose reading fails for root as well.
    project.symlink_to("/proc/self/mem")
    with pytest.raises(RequestError, match="cannot be read: Input/output error") as caught:
        settings.load(project.parent)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["maybe", "2", "truely"])
def test_a_variable_of_the_wrong_type(
    text: str, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPARK_RL_HEADLESS", text)
    assert run(["config"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: SPARK_RL_HEADLESS must be true or false, not {text!r}",
        "hint: SPARK_RL_HEADLESS=1 or SPARK_RL_HEADLESS=0",
    ]
