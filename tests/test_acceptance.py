"""``spark-rl smoke --plan-only``: a whole catalogue, with an Isaac Lab whose parsers are a few lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

import junit_schema
import stand_in
from fakes.entrypoints import Lab
from planning import HOSTS
from spark_rl import acceptance_tables, catalogues
from spark_rl.__main__ import run
from spark_rl.acceptance import Answer, Attempt, Cell, Report, Verdict, judge
from spark_rl.model import ALGORITHMS, Installation
from spark_rl.tables import Screen

if TYPE_CHECKING:
    from pathlib import Path

CARTPOLE = "Isaac-Cartpole-Direct/rsl_rl/PPO/train"
Cli = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def isaaclab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return Lab(tmp_path / "lab")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Run the command; return its exit code, the document and what it said."""

    def call(*words: str, lab: Path | None = None) -> tuple[int, dict[str, Any], str]:
        where = ["--isaaclab", str(lab or tmp_path / "lab")]
        code = run(["smoke", "--plan-only", "--json", *where, *words])
        out, err = capsys.readouterr()
        return code, json.loads(out), err

    return call


def states(document: dict[str, Any]) -> dict[str, str]:
    return {
        "/".join((cell["task"], cell["library"], cell["agent"] or cell["algorithm"], cell["action"])): cell["state"]
        for cell in document["cells"]
    }


def test_every_agent_config_of_every_trainable_task_is_a_cell_and_is_parsed(isaaclab: Lab, cli: Cli) -> None:
    code, document, err = cli()
    tasks = [task for task in catalogues.shipped("3.0.0").tasks if task.trainable]
    assert code == 0
    assert document["schema"] == "spark-rl/acceptance/1"
    assert {cell["task"] for cell in document["cells"]} == {task.id for task in tasks}
    assert len(document["cells"]) == 2 * sum(len(task.agents) for task in tasks)
    assert document["parsed"] == len(document["cells"])
    assert f"parses {document['parsed']} command lines" in err
    for cell in document["cells"]:
        needs_kit = cell["task"] in isaaclab.kit
        assert cell["state"] == ("refused" if needs_kit else "accepted"), cell
        assert not needs_kit or "needs Isaac Sim" in cell["reason"]
        assert cell["argv"][-1] != ""
    counts = Counter(cell["state"] for cell in document["cells"])
    assert document["counts"] == {"accepted": 0, "planned": 0, "refused": 0, "rejected": 0} | counts


def test_the_plans_are_told_to_a_ci_as_runs_are(
    isaaclab: Lab, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    code, document, _ = cli("--only", "*/train", "--junit", str(tmp_path / "plans.xml"), "--", "--nope")
    suite = junit_schema.validate((tmp_path / "plans.xml").read_text(encoding="utf-8"))
    told = (suite.get("tests"), suite.get("failures"), suite.get("skipped"))
    counts = document["counts"]
    assert code == 1
    assert told == (str(len(document["cells"])), str(counts["rejected"]), str(counts["refused"]))
    assert f"{counts['rejected']} rejected" in (tmp_path / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [("--jobs", "3"), ("--require", "x"), ("--fail-fast",), ("--device", "cpu")])
def test_what_only_runs_have_means_nothing_for_plans(isaaclab: Lab, cli: Cli, words: tuple[str, ...]) -> None:
    code, document, _ = cli(*words)
    assert (code, document["error"]["message"]) == (
        2,
        f"{words[0]} has no meaning with --plan-only: nothing is run",
    )


def test_an_agent_config_that_no_algorithm_leads_to_is_named(isaaclab: Lab, cli: Cli) -> None:
    document = cli()[1]
    named = [cell for cell in document["cells"] if cell["agent"]]
    assert named
    assert all(f"--agent={cell['agent']}" in cell["argv"] for cell in named)
    assert all(cell["agent"] for cell in document["cells"] if cell["algorithm"] not in ALGORITHMS)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--", "--nope"), "isaaclab: error: unrecognized arguments: --nope"),
        (("env.bad=1",), "ValueError: there is no env.bad"),
        (("env.ends=0",), "it ended with status 0 and started nothing"),
        (("env.ends=3",), "it ended with status 3 and started nothing"),
    ],
)
def test_what_isaac_lab_does_not_take_is_a_failure(
    isaaclab: Lab, cli: Cli, words: tuple[str, ...], reason: str
) -> None:
    code, document, _ = cli("--only", CARTPOLE, *words)
    assert code == 1
    assert not document["passed"]
    assert states(document) == {CARTPOLE: "rejected"}
    assert document["cells"][0]["reason"] == reason


def test_a_plan_that_would_start_isaac_sim_where_there_is_none_is_a_failure(isaaclab: Lab, cli: Cli) -> None:
    isaaclab.kit |= {"Isaac-Cartpole-Direct"}
    code, document, _ = cli("--only", "Isaac-Cartpole-Direct/*/train")
    assert code == 1
    assert set(states(document).values()) == {"rejected"}
    assert document["cells"][0]["reason"] == "Isaac Lab would start Isaac Sim for the physics, and there is none"


def test_a_refusal_that_isaac_lab_does_not_share_is_a_failure(isaaclab: Lab, cli: Cli) -> None:
    wronged = min(isaaclab.kit & {cell["task"] for cell in cli()[1]["cells"]})
    isaaclab.kit -= {wronged}
    code, document, _ = cli()
    assert code == 1
    rejected = [cell for cell in document["cells"] if cell["state"] == "rejected"]
    assert {cell["task"] for cell in rejected} == {wronged}
    assert "Isaac Lab would start it without Isaac Sim" in rejected[0]["reason"]


def test_a_refusal_for_another_reason_than_the_simulator_is_not_parsed(isaaclab: Lab, cli: Cli) -> None:
    code, document, err = cli("--only", CARTPOLE, "physics=none_such")
    assert code == 1, "nothing can be started"
    assert (document["cells"][0]["state"], document["parsed"], err) == ("refused", 0, "")
    assert "has no physics=none_such" in document["cells"][0]["reason"]


def test_a_python_that_ends_too_soon_names_the_command_line(isaaclab: Lab, cli: Cli) -> None:
    code, document, _ = cli("--only", CARTPOLE, "env.dies=1")
    assert code == 1
    message = document["error"]["message"]
    assert "Isaac Lab's Python ended at: train --rl_library rsl_rl --task Isaac-Cartpole-Direct" in message
    assert message.endswith("it said: nothing")


def test_an_isaac_lab_that_cannot_be_imported_is_said_and_nothing_is_judged(isaaclab: Lab, cli: Cli) -> None:
    (isaaclab.modules / "isaaclab" / "app.py").write_text("import no_such_module\n")
    code, document, _ = cli("--only", CARTPOLE)
    assert code == 1
    assert "cannot be asked: ModuleNotFoundError: No module named 'no_such_module'" in document["error"]["message"]


def test_a_library_that_is_not_there_fails_its_own_cells_alone(isaaclab: Lab, cli: Cli) -> None:
    (isaaclab.modules / "isaaclab_rl" / "entrypoints" / "backends" / "train_skrl.py").write_text("import skrl_gone\n")
    document = cli("--only", "Isaac-Cartpole-Direct/*/train")[1]
    assert {cell["library"]: cell["state"] for cell in document["cells"]} == {
        "rsl_rl": "accepted",
        "rl_games": "accepted",
        "skrl": "rejected",
        "sb3": "accepted",
    }


def test_a_checkout_is_asked_through_its_own_script(isaaclab: Lab, cli: Cli, tmp_path: Path) -> None:
    checkout = Lab(tmp_path / "IsaacLab", checkout=True)
    code, document, _ = cli(lab=checkout.path)
    assert code == 0
    assert set(states(document).values()) == {"accepted"}, "Isaac Sim is there: no task is refused"
    assert document["parsed"] == len(document["cells"])


def test_tasks_of_a_project_are_parsed_with_the_project_on_the_path(
    isaaclab: Lab, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = tmp_path / "project" / "my_robot" / "__init__.py"
    walk.parent.mkdir(parents=True)
    keys = '"env_cfg_entry_point": "my_robot.env:Env", "rsl_rl_cfg_entry_point": "my_robot.agent:Agent"'
    walk.write_text(f'import gymnasium as gym\n\ngym.register(id="My-Walk", entry_point="m:Env", kwargs={{{keys}}})\n')
    monkeypatch.setenv("SPARK_RL_TASKS", str(tmp_path / "project"))
    code, document, err = cli("--only", "My-Walk", "--only", CARTPOLE)
    assert code == 0, document
    assert states(document) == dict.fromkeys(
        (CARTPOLE, "My-Walk/rsl_rl/PPO/train", "My-Walk/rsl_rl/PPO/play"), "accepted"
    )
    assert "parses 1 command line:" in err
    assert "parses 2 command lines:" in err


@pytest.mark.parametrize("version", ["2.1.0", "2.2.0", "2.3.0", "2.3.2"])
def test_of_isaac_lab_2_plans_are_made_and_it_is_said_that_nothing_was_parsed(
    isaaclab: Lab, cli: Cli, tmp_path: Path, version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout = stand_in.checkout(tmp_path / "IsaacLab", version)
    code, document, err = cli(lab=checkout)
    assert (code, err, document["parsed"]) == (0, "", 0)
    assert document["unparsed"] == f"Isaac Lab {version} starts the simulator before it parses its configuration"
    assert set(states(document).values()) <= {"planned", "refused"}
    assert document["counts"]["planned"] > 400
    reasons = {cell["reason"] for cell in document["cells"] if cell["state"] == "refused"}
    assert all("multiple of its minibatch size" in reason or "--agent" in reason for reason in reasons), reasons
    assert run(["smoke", "--plan-only", "--isaaclab", str(checkout), "--only", "Isaac-Ant-v0"]) == 0
    assert "nothing was parsed: Isaac Lab 2" in capsys.readouterr().out


def test_for_another_machine_nothing_is_parsed(isaaclab: Lab, cli: Cli) -> None:
    code, document, _ = cli("--only", CARTPOLE, "--host", str(HOSTS / "dgx-spark.json"))
    assert code == 0
    assert document["unparsed"] == "the plans are for another machine"
    assert states(document) == {CARTPOLE: "planned"}


def test_cells_are_chosen_by_their_names(isaaclab: Lab, cli: Cli) -> None:
    found = states(cli("--only", "cartpole-direct/SKRL", "--only", CARTPOLE, "--exclude", "*/play")[1])
    assert found == {CARTPOLE: "accepted", "Isaac-Cartpole-Direct/skrl/PPO/train": "accepted"}
    code, document, _ = cli("--only", "Isaac-Carpole")
    assert code == 2
    assert document["error"]["message"] == "no cell of the matrix is left"


CELL = Cell(task="T", library="rsl_rl", algorithm="PPO", action="train")
KITLESS = Installation(version="3.0.0", kind="package", path="/env", isaacsim=False)


def test_the_page_counts_and_names_every_rejection() -> None:
    refused = Attempt(cell=CELL, refusal="T needs Isaac Sim", assuming=True, argv=("python", "train"))
    verdicts = (
        judge(Attempt(cell=CELL, argv=("python", "a b")), Answer(), KITLESS),
        judge(Attempt(cell=CELL, argv=("python", "a b")), Answer(error="no"), KITLESS),
        judge(refused, Answer(kit=("physics",)), KITLESS),
        *(
            Verdict(
                cell=Cell(task=f"T{n}", library="sb3", algorithm="PPO", action="play"),
                state="refused",
                reason=f"T{n} no",
            )
            for n in range(5)
        ),
    )
    page = acceptance_tables.page(
        Report(isaaclab=KITLESS, verdicts=verdicts, seconds=12.4), Screen(width=100, colour=False)
    )
    assert page == PAGE.strip()


PAGE = """
Isaac Lab 3.0.0 (package) in /env: 6 tasks, 8 requests

               accepted  refused  rejected
rsl_rl  train         1        1         1
sb3     play          0        5         0

refused 5: the task no
  T0
  T1
  T2
  and 2 more

refused 1: the task needs Isaac Sim
  T

rejected T/rsl_rl/PPO/train
  no
  python 'a b'

1 accepted, 6 refused, 1 rejected; Isaac Lab parsed 3 command lines, in 12 s with the planning
"""
