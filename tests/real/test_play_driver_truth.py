"""Train each RL library briefly on the CPU, play its checkpoint with the driver, and count again independently."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.real

SOURCE = Path(__file__).parents[2] / "src" / "spark_rl"
DRIVER = SOURCE / "drivers" / "play.py"
NUM_ENVS, STEPS = 8, 320

# The env class's own rewards and resets, written as they are computed; then the driver as if it had been started.
WITNESS = """
import importlib, json, runpy, sys

module, name, log, driver, *sys.argv[1:] = sys.argv[1:]
env_class = getattr(importlib.import_module(module), name)
compute, out = env_class._get_rewards, open(log, "w")

def witness(env):
    rewards = compute(env)
    named = rewards if isinstance(rewards, dict) else {"": rewards}
    print(json.dumps([{a: r.tolist() for a, r in named.items()}, env.reset_buf.tolist()]), file=out, flush=True)
    return rewards

env_class._get_rewards = witness
sys.argv[0] = driver
runpy.run_path(driver, run_name="__main__")
"""


@dataclass(frozen=True)
class Case:
    library: str
    task: str
    env_class: tuple[str, str]
    words: tuple[str, ...] = ()
    train_words: tuple[str, ...] = ()


CARTPOLE = ("Isaac-Cartpole-Direct", ("isaaclab_tasks.core.cartpole.cartpole_direct_env", "CartpoleEnv"))
PENDULUM = ("Isaac-Pendulum-MARL-Direct", ("isaaclab_tasks.core.pendulum.pendulum_marl_env", "PendulumMARLEnv"))
CASES = {
    "rsl_rl": Case("rsl_rl", *CARTPOLE, ("agent.device=cpu",)),
    "rl_games": Case(
        "rl_games",
        *CARTPOLE,
        ("agent.params.config.device=cpu", "agent.params.config.device_name=cpu"),
        ("agent.params.config.minibatch_size=2048", "agent.params.config.torch_compile=False"),
    ),
    "skrl": Case("skrl", *CARTPOLE),
    "sb3": Case("sb3", *CARTPOLE, ("agent.device=cpu",), ("agent.batch_size=1024",)),
    "skrl-mappo": Case("skrl", *PENDULUM, ("--algorithm", "MAPPO")),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("play")


def run(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "ISAACSIM_ASSET_ROOT": str(SOURCE / "data" / "assets")}
    return subprocess.run(
        [sys.executable, *argv], cwd=folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


def count_again(log: Path) -> dict[str, Any]:
    """Sum the witnessed rewards per environment, one episode after the other."""
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    episodes, unfinished = [], []
    for env in range(len(rows[0][1])):
        index = 0
        numbered = [
            (index := index + bool(step and rows[step - 1][1][env]), sum(r[env] for r in rewards.values()))
            for step, (rewards, _) in enumerate(rows)
        ]
        for _, group in groupby(numbered, key=lambda pair: pair[0]):
            episodes.append([reward for _, reward in group])
        if not rows[-1][1][env]:
            unfinished.append(sum(episodes.pop()))
    returns = [sum(episode) for episode in episodes]
    return {
        "steps": len(rows),
        "episodes": len(episodes),
        "mean_return": pytest.approx(sum(returns) / len(returns)),
        "min_return": pytest.approx(min(returns)),
        "max_return": pytest.approx(max(returns)),
        "mean_length": pytest.approx(sum(map(len, episodes)) / len(episodes)),
        "partial_return": pytest.approx(sum(unfinished) / len(unfinished)),
    }


@pytest.mark.parametrize("name", CASES)
def test_every_library_is_played_and_counted(folder: Path, name: str) -> None:
    case = CASES[name]
    common = [
        "--rl_library",
        case.library,
        "--task",
        case.task,
        "--device",
        "cpu",
        "physics=newton_mjwarp",
        *case.words,
    ]
    train = ["train", *common, "--num_envs", "64", "--max_iterations", "2", *case.train_words]
    trained = run(folder, "-m", "isaaclab", *train)
    assert trained.returncode == 0, trained.stderr[-2000:]

    log, result = folder / f"{name}.jsonl", folder / f"{name}.json"
    driven = [str(DRIVER), "--steps", str(STEPS), "--result", str(result), "--", "isaaclab", "play", *common]
    played = run(
        folder, "-c", WITNESS, *case.env_class, str(log), *driven, "--num_envs", str(NUM_ENVS), "--checkpoint", "latest"
    )
    assert played.returncode == 0, played.stderr[-2000:]

    document = json.loads(result.read_text())
    counted = count_again(log)
    assert {key: document[key] for key in counted} == counted
    assert document["episodes"] >= NUM_ENVS  # no episode is longer than 300 steps
    assert (document["ended"], document["num_envs"], document["max_episode_length"]) == ("steps", NUM_ENVS, 300)
    assert Path(document["checkpoint"]).is_file()
    assert Path(document["checkpoint"]).is_relative_to(folder / "logs" / case.library)
    assert set(document.get("agents", {})) == ({"cart", "pendulum"} if case.task == PENDULUM[0] else set())


def test_no_published_checkpoint_is_a_failure(folder: Path) -> None:
    words = ["--rl_library", "rsl_rl", "--task", CARTPOLE[0], "--device", "cpu", "physics=newton_mjwarp"]
    entry = ["--", "isaaclab", "play", *words, "--num_envs", "4", "--checkpoint", "pretrained"]
    played = run(folder, str(DRIVER), "--steps", "5", "--result", "none.json", *entry)
    assert played.returncode == 1
    assert played.stderr.rstrip().splitlines()[-1].startswith("play ended without a single env step")
    assert not (folder / "none.json").exists()
