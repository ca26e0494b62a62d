"""Isaac Lab 3.0 trains and plays on the CPU, all of it through the command line of spark-rl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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
    argv = [sys.executable, "-m", "spark_rl", *words, *LAB]
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
def test_every_library_trains_and_plays(case: str, tmp_path: Path) -> None:
    task, library, words = CASES[case]
    code, outcome = spark_rl(
        tmp_path, "train", "--task", task, "--library", library, "--max-iterations", "3", "--seed", "1", *words
    )
    assert (code, outcome["state"]) == (0, "succeeded"), outcome
    assert Path(outcome["checkpoint"]).is_file()
    algorithm = ("--algorithm", case) if case in ("MAPPO", "IPPO") else ()
    code, outcome = spark_rl(
        tmp_path, "play", "--task", task, "--library", library, *algorithm, "--num-envs", "8", "--steps", "120"
    )
    assert (code, outcome["state"]) == (0, "succeeded"), outcome
    played = outcome["played"]
    assert (played["steps"], played["num_envs"]) == (120, 8)
    assert played["mean_reward_per_step"] is not None
    assert Path(played["checkpoint"]).is_relative_to(tmp_path)


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
    code, outcome = spark_rl(tmp_path, "train", *words, "env.nosuch.field=1")
    assert (code, outcome["state"]) == (1, "failed"), outcome


def test_the_demonstration_learns() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_RL_")}
    done = subprocess.run([TOP / "scripts" / "demo"], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "of 300 steps on average" in done.stdout
    lengths = [line.split(":")[1] for line in done.stderr.splitlines() if "Mean episode length:" in line]
    assert float(lengths[-1]) >= 270
