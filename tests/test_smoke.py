"""``spark-rl smoke`` as a user types it, on stand-ins of Isaac Lab whose Python is the fake trainer."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import junit_schema
from fakes import lab
from spark_rl.__main__ import run

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

CELL = '[[cells]]\ntask = "Isaac-Cartpole-Direct-v0"\n'
RSL_RL = f'{CELL}library = "rsl_rl"\nnum_envs = 16\ntrain = 4\n'
SB3 = f'{CELL}library = "sb3"\nnum_envs = 16\ntrain = 4\n'
SKRL = f'{CELL}library = "skrl"\nnum_envs = 16\ntrain = 4\n'
LIFT = '[[cells]]\ntask = "Isaac-Lift-Cube-Franka-v0"\nlibrary = "rsl_rl"\ntrain = 2\n'
NAME = "Isaac-Cartpole-Direct-v0/rsl_rl/16"


class Desk(lab.Desk):
    """A desk at which matrices are run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.junit = folder / "junit.xml"

    def start(self, behaviour: str, matrix: str, *words: str) -> subprocess.Popen[str]:
        return lab.spark_rl(*self.words(matrix, *words), cwd=self.cwd, env=self.environ(behaviour))

    def words(self, matrix: str, *words: str) -> tuple[str, ...]:
        file = self.cwd / "matrix.toml"
        file.write_text(matrix, encoding="utf-8")
        argv = ("smoke", "--matrix", str(file), "--isaaclab", str(self.lab), "--assets", "nvidia", "--device", "cpu")
        return (*argv, "--junit", str(self.junit), *words)

    def environ(self, behaviour: str, **env: str) -> dict[str, str]:
        return lab.environ(behaviour, self.notes, TMPDIR=str(self.temp), **env)

    def smoke(self, behaviour: str, matrix: str, *words: str, **env: str) -> tuple[int, dict[str, Any]]:
        """Run a matrix to its end; whatever comes of it, its JUnit file is valid and says the same."""
        argv = self.words(matrix, "--json", *words)
        code, out, err = lab.call(*argv, cwd=self.cwd, env=self.environ(behaviour, **env))
        assert out, err
        document: dict[str, Any] = json.loads(out)
        if document["schema"] == "spark-rl/smoke/1":
            junit_schema.agree(self.junit, document)
        return code, document

    def cell(self, behaviour: str, matrix: str, *words: str) -> tuple[int, dict[str, Any]]:
        """Run a matrix of one cell and return what became of the cell."""
        code, document = self.smoke(behaviour, matrix, *words)
        (cell,) = document["cells"]
        return code, cell


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.notes.sweep()


def test_a_matrix_that_passes(desk: Desk) -> None:
    code, document = desk.smoke("pace=0.3", f"{RSL_RL}play = 20\n{SKRL}")
    assert (code, document["passed"], document["complete"]) == (0, True, True)
    assert document["counts"]["passed"] == 2
    first, second = document["cells"]
    assert (first["name"], first["status"], first["class"], first["iterations"]) == (NAME, "passed", None, 4)
    assert first["plan"]["schema"] == "spark-rl/plan/1"
    assert first["plan"]["argv"][first["plan"]["argv"].index("--num_envs") + 1] == "16"
    assert (first["played"]["steps"], second["played"]) == (20, None)
    assert first["reward"] is not None
    assert first["peak_memory_mib"] is not None
    assert first["log"]
    assert document["isaaclab"]["version"] == "3.0.0"


def test_what_passed_leaves_nothing_behind(desk: Desk) -> None:
    desk.smoke("train", RSL_RL)
    assert list(desk.temp.iterdir()) == []
    assert [file.name for file in desk.cwd.iterdir()] == ["matrix.toml"]
    assert not Path(os.environ["XDG_STATE_HOME"], "spark-rl", "runs").exists(), "smoke runs are not yours to play"


@pytest.mark.parametrize(
    ("behaviour", "kind", "message"),
    [
        ("crash", "unknown", "the physics exploded"),
        ("nothing", "unknown", "training ended with status 0"),
        ("oom-at=2", "out-of-memory", "memory"),
        ("zero-after-traceback=2", "unknown", "after"),
    ],
)
def test_a_planted_fault_is_a_failure(desk: Desk, behaviour: str, kind: str, message: str) -> None:
    code, cell = desk.cell(behaviour, RSL_RL)
    assert (code, cell["status"], cell["class"]) == (1, "failed", kind)
    assert message in cell["message"]
    assert cell["log"] or behaviour == "nothing"
    assert Path(cell["folder"]).is_dir(), "what a failure leaves is kept"
    assert "spark-rl runs" not in cell["hint"] or f"SPARK_RL_STATE={cell['folder']}/state" in cell["hint"]


@pytest.mark.parametrize("behaviour", ["hang", "stall-at=2"])
def test_a_cell_that_hangs_is_ended(desk: Desk, behaviour: str) -> None:
    code, cell = desk.cell(behaviour, f'{RSL_RL}stall = "4s"\n')
    assert (code, cell["status"], cell["class"]) == (1, "failed", "stall")
    assert not lab.is_running(desk.notes.started()["pid"])


def test_a_skip_is_no_pass(desk: Desk) -> None:
    code, document = desk.smoke("train", LIFT)
    (cell,) = document["cells"]
    assert (code, cell["status"], document["passed"]) == (1, "skipped", False)
    assert "needs Isaac Sim" in cell["message"]


def test_a_skip_that_may_not_be_is_a_failure(desk: Desk) -> None:
    code, cell = desk.cell("train", LIFT, "--require", "lift")
    assert (code, cell["status"], cell["class"]) == (1, "failed", "required")
    assert cell["message"].startswith("required, but ")


@pytest.mark.parametrize(
    ("cell", "status", "message"),
    [
        (f'{CELL}library = "skrl"\nalgorithm = "AMP"\ntrain = 2\n', "skipped", "skrl has no AMP config"),
        ('[[cells]]\ntask = "Isaac-Lift-Franka"\nlibrary = "sb3"\ntrain = 2\n', "skipped", "sb3 has no agent config"),
        ('[[cells]]\ntask = "Isaac-Catrpole"\ntrain = 2\n', "failed", "has no task Isaac-Catrpole"),
        (f'{CELL}library = "rl_games"\nnum_envs = 7\ntrain = 2\n', "failed", "rl_games needs env count"),
    ],
)
def test_what_is_missing_is_skipped_and_what_is_wrong_fails(desk: Desk, cell: str, status: str, message: str) -> None:
    code, found = desk.cell("train", cell)
    assert (code, found["status"]) == (1, status)
    assert message in found["message"]
    assert found["plan"] is None


def test_assets_out_of_reach_are_a_skip(desk: Desk) -> None:
    ant = '[[cells]]\ntask = "Isaac-Ant-Direct"\nlibrary = "rsl_rl"\ntrain = 2\n'
    environ = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "ISAACSIM_ASSET_ROOT": ""}
    code, document = desk.smoke("train", ant, "--assets", "auto", **environ)
    assert (code, document["cells"][0]["status"]) == (1, "skipped")
    assert "asset host cannot be reached" in document["cells"][0]["message"]


def test_a_run_is_killed_and_resumed(desk: Desk) -> None:
    matrix = f'{CELL}library = "rsl_rl"\nnum_envs = 16\ntrain = 45\nkill = 4\nplay = 10\n'
    code, cell = desk.cell("1:pace=0.2", matrix)
    assert (code, cell["status"], cell["message"]) == (0, "passed", "done"), cell
    assert (cell["iterations"], cell["attempts"], cell["played"]["steps"]) == (45, 2, 10)
    assert cell["name"].endswith("/resume")


def test_a_run_that_cannot_be_killed_in_time_proves_nothing(desk: Desk) -> None:
    code, cell = desk.cell("train", f'{CELL}library = "rsl_rl"\nnum_envs = 16\ntrain = 3\nkill = 2\n')
    assert (code, cell["status"], cell["class"]) == (1, "failed", "request")
    assert "before it could be killed" in cell["message"]


def test_a_play_that_fails_fails_the_cell(desk: Desk) -> None:
    code, cell = desk.cell("steps=3", f"{RSL_RL}play = 20\n")
    assert (code, cell["status"], cell["iterations"]) == (1, "failed", 4)
    assert cell["message"].startswith("play: only 3 of 20 steps were played")


def test_two_jobs_run_at_once(desk: Desk) -> None:
    code, document = desk.smoke("pace=0.3", RSL_RL + SKRL, "--jobs", "2", "--folder", str(desk.cwd / "kept"))
    assert code == 0
    began = {}
    for cell in document["cells"]:
        state = json.loads(Path(cell["folder"], "state", "runs", "1", "state.json").read_bytes())
        began[cell["library"]] = (state["started_at"], state["ended_at"])
    assert began["rsl_rl"][0] < began["skrl"][1]
    assert began["skrl"][0] < began["rsl_rl"][1]


def test_cells_with_names_alike_are_told_apart(desk: Desk) -> None:
    longer = RSL_RL.replace("train = 4", "train = 5")
    assert longer != RSL_RL
    code, document = desk.smoke("train", f'{RSL_RL}label = "a b"\n{longer}label = "a_b"\n', "--jobs", "1")
    assert (code, [cell["iterations"] for cell in document["cells"]]) == (0, [4, 5])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--fail-fats",), "unknown option --fail-fats"),
        (("--plan-only", "--fail-fats"), "unknown option --fail-fats"),
        (("--plan-only", "--task", "Isaac-Ant-v0"), "--task is what the matrix varies"),
        (("--max-slowdown", "20"), "--max-slowdown is a percentage against a baseline"),
        (("env.decimation=4",), "env.decimation=4 reaches plans alone"),
        (("--matrix", "~nobody-here/m.toml"), "the matrix ~nobody-here/m.toml cannot be read"),
        (("--matrix", "m" * 300), "cannot be read: File name too long"),
    ],
)
def test_words_that_mean_nothing_are_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    assert run(["smoke", *words]) == 2
    assert message in capsys.readouterr().err


def test_the_first_failure_ends_all_with_fail_fast(desk: Desk) -> None:
    code, document = desk.smoke("1:crash", RSL_RL + SKRL, "--fail-fast", "--jobs", "1")
    assert (code, document["complete"]) == (1, False)
    assert [cell["status"] for cell in document["cells"]] == ["failed", "not-run"]


def test_ctrl_c_leaves_a_true_partial_report_and_no_child(desk: Desk) -> None:
    child = desk.start("2:hang", RSL_RL + SKRL + SB3, "--json", "--jobs", "1")
    lab.eventually(lambda: "skrl" in desk.notes.started()["argv"], "the second cell")
    trainer = desk.notes.started()["pid"]
    child.send_signal(signal.SIGINT)
    code, out, _ = lab.finish(child)
    document = json.loads(out)
    assert (code, document["complete"], document["passed"], document["stopped_by"]) == (130, False, False, 2)
    assert [cell["status"] for cell in document["cells"]] == ["passed", "interrupted", "not-run"]
    junit_schema.agree(desk.junit, document)
    assert not lab.is_running(trainer)


def test_a_smoke_that_is_killed_leaves_no_child(desk: Desk) -> None:
    child = desk.start("deaf", RSL_RL)
    trainer = desk.notes.started()["pid"]
    child.kill()
    lab.finish(child)
    lab.eventually(lambda: not lab.is_running(trainer), "the trainer's end")
    assert 'skipped="0"' not in desk.junit.read_text(), "the report knows no result yet"


def test_a_report_that_cannot_be_written_is_told_before_anything_runs(desk: Desk) -> None:
    code, document = desk.smoke("train", RSL_RL, "--junit", "/proc/nowhere/junit.xml")
    assert (code, document["schema"]) == (1, "spark-rl/error/1")
    assert "the report /proc/nowhere/junit.xml cannot be written" in document["error"]["message"]
    assert not any(desk.notes.folder.iterdir())
    assert list(desk.temp.iterdir()) == []


def test_only_and_exclude_choose(desk: Desk) -> None:
    code, document = desk.smoke("train", RSL_RL + SKRL, "--only", "cartpole", "--exclude", "*/skrl/*")
    assert (code, [cell["library"] for cell in document["cells"]]) == (0, ["rsl_rl"])
    code, document = desk.smoke("train", RSL_RL + SKRL, "--only", "ant")
    assert (code, document["error"]["message"]) == (2, "--only ant matches no cell")


def test_a_summary_is_written_where_github_wants_one(desk: Desk) -> None:
    summary = desk.cwd / "summary.md"
    summary.write_text("before\n")
    desk.smoke("", LIFT, GITHUB_STEP_SUMMARY=str(summary))
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("before\n## ❌ spark-rl smoke: 1 skipped\n")


def test_a_baseline_tells_what_became_worse(desk: Desk) -> None:
    cells = [{"name": name, "status": "passed", "env_steps_per_s": 1e12} for name in (NAME, "gone")]
    document = {"schema": "spark-rl/smoke/1", "isaaclab": {"version": "2.3.2"}, "cells": cells}
    file = desk.cwd / "before.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    code, now = desk.smoke("pace=0.3", RSL_RL, "--baseline", str(file), "--max-slowdown", "20")
    assert (code, now["passed"], now["baseline"]["isaaclab"]) == (1, True, "2.3.2")
    assert [one["name"] for one in now["baseline"]["slower"]] == [NAME]
    assert now["baseline"]["lost"] == ["gone"]


def test_a_person_reads_a_table(desk: Desk) -> None:
    code, out, err = lab.finish(desk.start("train", RSL_RL + LIFT))
    assert code == 0
    assert "passed: 1 passed, 1 skipped" in out
    assert f"passed: {NAME}, 4/4 iterations" in err
    assert ["Isaac-Lift-Cube-Franka-v0/rsl_rl", "skipped"] in [line.split() for line in out.splitlines()]
