"""``spark-rl explain`` and the check of overrides as a user meets them, with an Isaac Lab that answers at once."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stand_in
from fakes import lab
from fakes.configured import Lab, document
from planning import HOSTS
from spark_rl.__main__ import run
from spark_rl.configuration import Configuration
from spark_rl.errors import RequestError
from spark_rl.explanation import explain
from spark_rl.tables import Screen
from spark_rl.trees import page

TASK = "Isaac-Cartpole-Direct"
RESOLVING = f"resolving the configuration of {TASK}, once: about 8 s\n"

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def isaaclab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return Lab(tmp_path / "lab")


@pytest.fixture
def cli(isaaclab: Lab, capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(command: str, *words: str) -> tuple[int, str, str]:
        code = run([command, "--task", TASK, "--isaaclab", str(isaaclab.path), *words])
        return code, *capsys.readouterr()

    return call


def test_a_mistyped_override_stops_a_plan_with_the_right_name(cli: Cli, isaaclab: Lab) -> None:
    code, out, err = cli("train", "env.decimatoin=8", "--dry-run")
    assert (code, out) == (2, "")
    assert err.startswith(f"{RESOLVING}error: env.decimatoin=8: there is no env.decimatoin\nhint: did you mean")
    code, _, err = cli("train", "env.decimation=banana")
    assert (code, "resolving" in err) == (2, False)
    assert len(isaaclab.asked) == 1


def test_with_json_the_error_is_one_document(cli: Cli) -> None:
    code, out, _ = cli("train", "env.decimatoin=8", "--dry-run", "--json")
    assert code == 2
    assert json.loads(out)["error"]["message"] == "env.decimatoin=8: there is no env.decimatoin"


def test_right_overrides_are_planned_and_the_reason_says_what_was_looked_at(cli: Cli) -> None:
    code, out, err = cli("train", "env.decimation=8", "--dry-run", "--json")
    plan = json.loads(out)
    assert (code, err) == (0, RESOLVING)
    assert plan["reasons"]["overrides"] == "checked against Isaac Lab 3.0.0's own configuration"
    assert "env.decimation=8" in plan["argv"]


def test_the_same_request_gives_the_same_plan_whether_asked_or_remembered(cli: Cli) -> None:
    words = ("train", "env.decimation=8", "physics=newton_kamino", "--dry-run", "--json")
    assert cli(*words)[1] == cli(*words)[1]


def test_presets_decide_which_keys_there_are(cli: Cli, isaaclab: Lab) -> None:
    cone = "env.sim.physics.solver_cfg.cone=elliptic"
    assert cli("train", cone, "--dry-run")[0] == 0
    assert "there is no" in cli("train", cone, "physics=newton_kamino", "--dry-run")[2]
    assert "there is no" in cli("train", cone, "--dry-run", "--", "physics=newton_kamino")[2]
    assert [each["words"] for each in isaaclab.asked] == [[cone], [cone, "physics=newton_kamino"]]


def test_play_has_a_configuration_of_its_own(cli: Cli, isaaclab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    file.write_text("weights", encoding="utf-8")
    for words in ((), ("--train_env_cfg",)):
        assert cli("play", "--checkpoint", str(file), "env.decimation=8", "--dry-run", *words)[0] == 0
    assert [each["play"] for each in isaaclab.asked] == [True, False]


def test_without_overrides_and_with_no_check_nothing_is_asked(cli: Cli, isaaclab: Lab) -> None:
    assert cli("train", "--dry-run")[0] == 0
    code, out, err = cli("train", "env.nope=8", "--no-check", "--dry-run")
    assert (code, err) == (0, "")
    assert "# overrides" not in out
    assert isaaclab.asked == []


def test_a_cheap_refusal_comes_before_the_child(cli: Cli, isaaclab: Lab) -> None:
    assert cli("train", "env.decimation=3", "--num-envs", "0", "--dry-run")[0] == 2
    assert isaaclab.asked == []


def test_a_real_start_is_checked_as_well(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISAACSIM_ASSET_ROOT", "/nowhere")
    assert cli("train", "env.nope.x=8")[0] == 2
    code, out, _ = cli("train", "env.decimation=8")
    assert (code, out.startswith("succeeded")) == (0, True)


@pytest.mark.parametrize("fail", [True, False])
def test_a_child_that_fails_costs_the_check_and_not_the_run(cli: Cli, isaaclab: Lab, *, fail: bool) -> None:
    isaaclab.fail("ImportError: no newton") if fail else isaaclab.complain("ImportError: no newton\n")
    code, out, _ = cli("train", "env.nope=8", "--dry-run", "--json")
    (finding,) = [each for each in json.loads(out)["findings"] if each["code"] == "overrides-unchecked"]
    assert (code, finding["level"]) == (0, "warning")
    assert "were not checked" in finding["message"]
    assert "ImportError: no newton" in finding["message"]
    code, _, err = cli("explain")
    assert (code, "ImportError: no newton" in err) == (1, True)


def test_a_plan_for_another_machine_says_that_nothing_was_checked(cli: Cli, isaaclab: Lab) -> None:
    host = str(HOSTS / "x86-workstation.json")
    code, out, _ = cli("train", "env.nope=8", "--host", host, "--dry-run", "--json")
    (finding,) = [each for each in json.loads(out)["findings"] if each["code"] == "overrides-unchecked"]
    assert (code, finding["level"], isaaclab.asked) == (0, "note", [])
    assert "another machine" in finding["message"]


def old_lab(tmp_path: Path, *, run_left: bool) -> Path:
    checkout = stand_in.checkout(tmp_path / "IsaacLab", "2.3.2")
    if run_left:
        params = checkout / "logs" / "rsl_rl" / "cartpole_direct" / "run" / "params"
        params.mkdir(parents=True)
        (params / "env.yaml").write_text("decimation: 2\nscene: {num_envs: 4096}\n", encoding="utf-8")
    return checkout


def test_2_x_is_checked_against_the_newest_run_of_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    checkout = old_lab(tmp_path, run_left=True)
    words = ["train", "--task", "Isaac-Cartpole-Direct-v0", "--isaaclab", str(checkout), "--library", "rsl_rl"]
    assert run([*words, "env.decimatoin=8", "--dry-run"]) == 2
    assert "did you mean env.decimation?" in capsys.readouterr().err
    assert run([*words, "env.decimation=8", "--dry-run"]) == 0
    assert f"checked against {checkout}/logs/rsl_rl/cartpole_direct/run/params" in capsys.readouterr().out


def test_2_x_without_a_run_says_that_nothing_was_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    checkout = old_lab(tmp_path, run_left=False)
    words = ["--task", "Isaac-Cartpole-Direct-v0", "--isaaclab", str(checkout)]
    assert run(["train", *words, "env.decimatoin=8", "--dry-run"]) == 0
    assert "the overrides were not checked: Isaac Lab 2" in capsys.readouterr().out
    assert run(["explain", *words]) == 1
    assert "no run of this task is here yet" in capsys.readouterr().err


def test_what_a_run_of_3_0_left_serves_where_the_child_fails(cli: Cli, isaaclab: Lab) -> None:
    isaaclab.complain("Error: no")
    folder = Path("logs/rsl_rl/cartpole_direct/run")
    (folder / "params").mkdir(parents=True)
    (folder / "params" / "env.yaml").write_text("decimation: 2\n", encoding="utf-8")
    (folder / "run.json").write_text(json.dumps({"task": TASK}), encoding="utf-8")
    assert cli("train", "env.decimatoin=8", "--dry-run")[0] == 2
    assert cli("train", "env.decimation=8", "--dry-run")[0] == 0
    code, out, _ = cli("train", "env.decimatoin=8", "physics=newton_kamino", "--dry-run")
    assert (code, "were not checked" in out) == (0, True)


LAB = Configuration.from_document(document(), "Isaac Lab 3.0.0's own configuration")


def shown(prefix: str, width: int = 80, on: Configuration = LAB) -> str:
    return page(explain(on, prefix, library="rsl_rl", version="3.0.0"), Screen(width=width))


def test_the_overview_counts_groups_and_names_presets() -> None:
    text = shown("")
    assert text.splitlines()[:2] == [f"{TASK}, rsl_rl", "64 keys, Isaac Lab 3.0.0's own configuration"]
    assert "  sim       10  How physics is simulated." in text
    assert "  physics=newton_mjwarp           env.sim.physics" in text
    assert "episode_length_s" in text


def test_the_keys_below_one_have_types_and_defaults() -> None:
    lines = shown("env.sim").splitlines()
    assert lines[2].split() == ["env.sim", "SimulationCfg"]
    assert "  dt                      float                       = 0.008333333333333333" in lines
    assert "      cone" in "\n".join(lines)
    assert "presets" in lines


def test_many_keys_are_counted_by_group() -> None:
    text = shown("env", on=_many())
    assert "  sim.        70 keys" in text
    assert "x69" not in text


def _many() -> Configuration:
    values = {"env": {"sim": {f"x{number}": number for number in range(70)}, "decimation": 2}}
    return Configuration.from_values(values, task="T", source="a run", objects=("env",))


def test_one_key_tells_all_about_it() -> None:
    lines = shown("env.decimation").splitlines()
    assert lines == [
        "env.decimation",
        "  type      int: a whole number",
        "  default   2",
        "  meaning   Physics steps for each action.",
        f"  source    Isaac Lab 3.0.0's own configuration of {TASK}",
        f"  write     spark-rl train --task {TASK} env.decimation=2",
    ]


@pytest.mark.parametrize(
    ("value", "written"),
    [("'none'", "'none'"), ("'adam'", "adam"), ("'a b'", "a b"), ("'7'", "'7'"), ("(1, 2)", "(1, 2)"), ("''", "")],
)
def test_the_command_to_paste_sets_the_default_itself(value: str, written: str) -> None:
    told = document()
    told["resolutions"][0]["rows"].append(["env.x", "field", None, "str", value, None])
    lines = shown("env.x", 200, Configuration.from_document(told, "x")).splitlines()
    (words,) = [shlex.split(line)[1:] for line in lines if line.startswith("  write")]
    assert words == ["spark-rl", "train", "--task", TASK, f"env.x={written}"]


def test_a_key_below_a_preset_names_it() -> None:
    assert "presets   env.sim.physics has isaacsim_physx, ovphysx" in shown("env.sim.physics.num_substeps")


def test_a_word_that_no_key_starts_with_is_searched() -> None:
    lines = shown("learning").splitlines()
    assert lines[0] == "no key starts with 'learning'; these hold it"
    assert [line.split()[0] for line in lines[1:]] == [
        "agent.algorithm.num_learning_epochs",
        "agent.algorithm.learning_rate",
    ]


def test_the_beginning_of_a_key_is_enough() -> None:
    text = shown("agent.algorithm.num_")
    assert "num_mini_batches" in text
    assert "learning_rate" not in text


def test_no_key_at_all_is_refused() -> None:
    with pytest.raises(RequestError, match="has no key with 'xyzzyx' in it"):
        shown("xyzzyx")


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("prefix", ["", "env", "env.sim", "agent", "env.viewer.eye", "num", "env.sim.physics"])
def test_no_line_is_too_long(prefix: str, width: int) -> None:
    # A command to paste is never broken inside a word.
    long = [line for line in shown(prefix, width).splitlines() if len(line) > width and "=" not in line]
    assert [line for line in long if len(line.split()) > 1] == []


def test_explain_on_the_command_line(cli: Cli, isaaclab: Lab) -> None:
    code, out, err = cli("explain", "env.scene.num_envs")
    assert (code, err) == (0, RESOLVING)
    assert "default   4096" in out
    code, out, err = cli("explain", "solver_cfg", "physics=newton_kamino")
    assert (code, "use_fk_solver" in out, "cone" in out) == (0, True, False)
    assert len(isaaclab.asked) == 2


def test_the_document(cli: Cli) -> None:
    code, out, _ = cli("explain", "env.scene", "--json")
    found: dict[str, Any] = json.loads(out)
    assert code == 0
    assert found["schema"] == "spark-rl/explain/1"
    assert [found[name] for name in ("task", "library", "agent", "prefix", "searched", "selected")] == [
        TASK,
        "rsl_rl",
        "rsl_rl_cfg_entry_point",
        "env.scene",
        False,
        [],
    ]
    assert [group["key"] for group in found["groups"]] == ["env.scene", "env.scene.clone_cfg"]
    envs = next(key for key in found["keys"] if key["key"] == "env.scene.num_envs")
    assert (envs["type"], envs["default"], envs["default_known"], envs["required"]) == ("int", 4096, True, False)
    whole = json.loads(cli("explain", "--json")[1])
    assert len(whole["keys"]) == len(LAB.leaves(""))
    assert whole["presets"][0]["options"][0] == {"name": "isaacsim_physx", "selector": "physics", "value": "PhysxCfg"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("env", "agent"), "one key at a time, not env and agent"),
        (("physics=nope",), "has no preset nope"),
        (("--library", "nope"), "nope"),
        (("xyzzyx",), "no key with"),
    ],
)
def test_what_explain_refuses(cli: Cli, words: tuple[str, ...], message: str) -> None:
    code, out, err = cli("explain", *words)
    assert (code, out, message in err) == (2, "", True)


def test_explain_needs_a_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "env"]) == 2
    assert "no task was named" in capsys.readouterr().err


def test_two_at_once_are_both_right(isaaclab: Lab, tmp_path: Path) -> None:
    words = ("explain", "--task", TASK, "--isaaclab", isaaclab.path, "env.decimation")
    env = lab.environ("train", lab.Notes(tmp_path / "notes"))
    children = [lab.spark_rl(*words, cwd=tmp_path, env=env) for _ in range(3)]
    results = [lab.finish(child) for child in children]
    assert [(code, "a whole number" in out) for code, out, _ in results] == [(0, True)] * 3
