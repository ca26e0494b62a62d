"""Isaac Lab 3.0 trains and plays on the CPU, all of it through the command line of spark-rl."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from spark_rl import registry
from spark_rl.records import Run

pytestmark = pytest.mark.real

TOP = Path(__file__).parents[2]
LAB = ("--isaaclab", sys.prefix, "--assets", "embedded", "--json")
CASES = {
    "rsl_rl": ("Isaac-Cartpole-Direct-v0", "rsl_rl", ("--num-envs", "64")),
    "skrl": ("Isaac-Cartpole-Direct-v0", "skrl", ("--num-envs", "64")),
    "sb3": ("Isaac-Cartpole-Direct-v0", "sb3", ("--num-envs", "64")),
    "rl_games": (
        "Isaac-Cartpole-Direct-v0",
        "rl_games",
        ("--num-envs", "64", "agent.params.config.minibatch_size=2048", "agent.params.config.torch_compile=False"),
    ),
    "MAPPO": ("Isaac-Cart-Double-Pendulum-Direct-v0", "skrl", ("--num-envs", "64", "--algorithm", "MAPPO")),
    "IPPO": ("Isaac-Cart-Double-Pendulum-Direct-v0", "skrl", ("--num-envs", "64", "--algorithm", "IPPO")),
}


def spark_rl(cwd: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Run a command and return its exit code and the document it printed."""
    argv = [sys.executable, "-m", "spark_rl", *words, *(LAB if words[0] != "runs" else ("--json",))]
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr[-3000:]
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which one short training of rsl_rl has run."""
    cwd = tmp_path_factory.mktemp("trained")
    words = ("--task", "Isaac-Cartpole-Direct-v0", "--library", "rsl_rl", "--num-envs", "64")
    code, outcome = spark_rl(cwd, "train", *words, "--max-iterations", "3")
    assert (code, outcome["state"]) == (0, "succeeded"), outcome
    return cwd


@pytest.mark.parametrize("case", CASES)
def test_a_killed_training_goes_on_to_its_budget_and_is_played(case: str, tmp_path: Path) -> None:
    task, library, words = CASES[case]
    train = (
        "train",
        "--task",
        task,
        "--library",
        library,
        "--max-iterations",
        "40",
        "--seed",
        "1",
        "--save-every",
        "4",
    )
    killed = kill_at(tmp_path, 5, *train, *words)
    assert killed["state"] == "failed", killed
    assert "SIGKILL" in killed["message"]
    done, run = killed["iteration"], killed["run"]

    code, outcome = spark_rl(tmp_path, "runs", "resume", run)
    assert (code, outcome["state"], outcome["run"], outcome["attempts"]) == (0, "succeeded", run, 2), outcome
    assert (outcome["iteration"], outcome["max_iterations"]) == (40, 40)
    first, second = registry.load(run).attempts
    assert 0 <= done - second.first_iteration <= 5, "at most one save interval is repeated"
    assert first.log_dir != second.log_dir

    code, outcome = spark_rl(tmp_path, "play", "--run", run, "--num-envs", "8", "--steps", "120")
    assert (code, outcome["state"]) == (0, "succeeded"), outcome
    played = outcome["played"]
    assert (played["steps"], played["num_envs"]) == (120, 8)
    assert played["mean_reward_per_step"] is not None
    assert Path(played["checkpoint"]).is_relative_to(str(second.log_dir))
    exported = {Path(file).name for file in outcome["exported"]}
    assert exported >= {"policy.onnx", "policy.pt"} if library == "rsl_rl" else not exported

    code, answer = spark_rl(tmp_path, "runs", "plot", run)
    assert code == 0, answer
    curve = answer["runs"][0]["curves"][0]
    assert curve["iterations"] == sorted(set(curve["iterations"]))
    assert curve["iterations"][-1] >= 36
    code, answer = spark_rl(tmp_path, "runs", "compare", run)
    assert (code, answer["runs"][0]["iteration"]) == (0, 40)


def kill_at(cwd: Path, iteration: int, *words: str) -> dict[str, Any]:
    """Train, kill the trainer outright once its record tells of an iteration, and return what came of it."""
    argv = [sys.executable, "-m", "spark_rl", *words, *LAB]
    child = subprocess.Popen(argv, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    while child.poll() is None:
        mine = [run for run in registry.entries() if isinstance(run, Run) and run.owner.pid == child.pid]
        if mine and (mine[0].progress.iteration or 0) >= iteration and mine[0].progress.checkpoint:
            (reaper,) = children(child.pid)
            (trainer,) = children(reaper)
            os.kill(trainer, signal.SIGKILL)
            break
        time.sleep(0.05)
    document: dict[str, Any] = json.loads(child.communicate()[0])
    return document


def children(pid: int) -> list[int]:
    return [int(name) for name in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_training_goes_on_from_a_checkpoint(trained: Path) -> None:
    words = ("--task", "Isaac-Cartpole-Direct-v0", "--library", "rsl_rl", "--num-envs", "64")
    code, outcome = spark_rl(trained, "train", *words, "--max-iterations", "2", "--checkpoint", "latest")
    assert (code, outcome["state"]) == (0, "succeeded"), outcome
    assert Path(outcome["checkpoint"]).name == "model_3.pt", "rsl_rl begins again with the iteration it was saved in"


def test_a_video_is_recorded_without_isaac_sim(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":99")
    words = ("--task", "Isaac-Cartpole-Direct-v0", "--library", "rsl_rl", "--num-envs", "4")
    code, outcome = spark_rl(trained, "play", *words, "--headless", "--video", "--video_length", "20")
    assert (code, outcome["state"]) == (0, "succeeded"), outcome
    assert [Path(video).stat().st_size > 1000 for video in outcome["videos"]] == [True]


def test_a_task_without_a_checkpoint_fails_before_it_starts(tmp_path: Path) -> None:
    code, document = spark_rl(tmp_path, "play", "--task", "Isaac-Cartpole", "--steps", "10")
    assert (code, document["schema"]) == (2, "spark-rl/error/1")
    assert not any(tmp_path.iterdir())


def test_an_override_that_isaac_lab_rejects_is_a_failure(tmp_path: Path) -> None:
    words = ("--task", "Isaac-Cartpole-Direct-v0", "--library", "rsl_rl", "--num-envs", "8", "--max-iterations", "1")
    code, outcome = spark_rl(tmp_path, "train", *words, "env.nosuch.field=1", "--no-check")
    assert (code, outcome["state"]) == (1, "failed"), outcome


def test_the_demonstration_learns() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_RL_")}
    done = subprocess.run([TOP / "scripts" / "demo"], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "of 300 steps on average" in done.stdout
    run = registry.load("1")
    assert run.progress.length is not None
    assert run.progress.length >= 270
