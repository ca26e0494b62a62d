"""Plans for Isaac Lab 3.0 against its own parsers and config resolver, up to where the simulation would start."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from planning import CWD, planned
from spark_rl import acceptance_child
from spark_rl.acceptance import Answer
from spark_rl.model import CheckpointFile

pytestmark = pytest.mark.real

CARTPOLE = "Isaac-Cartpole-Direct-v0"


def asked(cases: list[list[str]]) -> tuple[Answer, ...]:
    """Return what Isaac Lab says to each (action, word ...)."""
    child = acceptance_child.Child(python=(sys.executable,), environ=os.environ, cwd=Path.cwd())
    return acceptance_child.ask(child, cases, lambda _count: None)


def tutorial() -> list[dict[str, Any]]:
    """Return the tutorial's commands that a kit-less installation can run."""
    table = (Path(__file__).parents[1] / "tutorial.tsv").read_text(encoding="utf-8").splitlines()
    golden = (Path(__file__).parents[1] / "golden" / "tutorial-3.0.0.txt").read_text(encoding="utf-8").splitlines()
    rows = zip(csv.DictReader(table, delimiter="\t"), golden, strict=True)
    return [
        {
            "task": row["task"],
            "action": row["action"],
            "library": row["library"],
            "algorithm": row["algorithm"] or None,
            "num_envs": int(row["num_envs"]) if row["num_envs"] else None,
            "headless": row["headless"] == "yes" or None,
        }
        for row, line in rows
        if "exit 2" not in line
    ]


def checkpoint(library: str, name: str) -> tuple[CheckpointFile, ...]:
    path = f"{CWD}/logs/{library}/x/run/{name}"
    return (CheckpointFile(path=path, run="run", name=name, experiment="x", task="Isaac-Cartpole-Direct"),)


REQUESTS: list[dict[str, Any]] = [
    *tutorial(),
    *(
        {"task": CARTPOLE, "library": library, "device": "cpu", "seed": 3, "max_iterations": 2}
        for library in ("rsl_rl", "sb3")
    ),
    {"task": CARTPOLE, "library": "rl_games", "device": "cpu", "num_envs": 512, "run_name": "2024"},
    {
        "task": CARTPOLE,
        "library": "skrl",
        "device": "cuda:1",
        "run_name": "true",
        "options": ("--ml_framework", "torch"),
    },
    {"task": CARTPOLE, "run_name": "walk.v2+fast", "options": ("--experiment_name", "mine", "--logger", "tensorboard")},
    {"task": CARTPOLE, "video": True, "options": ("--video_length", "100", "--video_interval", "50")},
    {"task": CARTPOLE, "headless": False},
    {"task": CARTPOLE, "options": ("--viz", "newton"), "headless": True},
    {"task": CARTPOLE, "overrides": ("physics=newton", "env.decimation=4", "agent.run_name=x")},
    {"task": CARTPOLE, "overrides": ("++agent.seed=1",)},
    {"task": "Isaac-Cartpole-Depth-v0", "overrides": ("presets=newton_mjwarp",)},
    {"task": "Isaac-Cartpole-Showcase-Tuple-MultiDiscrete-Direct-v0"},
    {"task": "Isaac-Velocity-Flat-Unitree-A1-v0", "library": "sb3", "overrides": ("physics=newton_mjwarp",)},
    {"task": "Isaac-Cart-Double-Pendulum-Direct-v0"},
    {"task": "Isaac-Cart-Double-Pendulum-Direct-v0", "library": "skrl", "algorithm": "PPO"},
    {"task": "Isaac-Cart-Double-Pendulum-Direct-v0", "library": "rl_games"},
    {"task": "Isaac-Cartpole-v0", "options": ("--agent", "rsl_rl_with_symmetry_cfg_entry_point")},
    {"task": CARTPOLE, "resume": True, "checkpoints": checkpoint("rsl_rl", "model_5.pt")},
    {"task": CARTPOLE, "library": "sb3", "checkpoint": "best", "checkpoints": checkpoint("sb3", "model.zip")},
    {"task": CARTPOLE, "action": "play", "seed": 1, "checkpoints": checkpoint("rsl_rl", "model_5.pt"), "video": True},
    {"task": CARTPOLE, "action": "play", "library": "rl_games", "checkpoints": checkpoint("rl_games", "nn/a.pth")},
    {"task": CARTPOLE, "action": "play", "checkpoint": "pretrained", "options": ("--real-time",)},
    {"task": CARTPOLE, "action": "play", "options": ("--train_env_cfg",), "overrides": ("env.decimation=4",)},
]

REFUSED = [
    ["train", "--rl_library", "rsl_rl", "--task", "Isaac-Cartpole-Direct", "--headless"],
    ["train", "--rl_library", "rsl_rl", "--task", CARTPOLE],
    ["train", "--rl_library", "rl_games", "--task", "IsaacContrib-Factory-PegInsert-Direct", "physics=newton_mjwarp"],
    ["train", "--rl_library", "sb3", "--task", "Isaac-Reach-Franka"],
    ["train", "--rl_library", "skrl", "--task", "Isaac-Cartpole-Direct", "--run_name", "x"],
    ["train", "--rl_library", "rsl_rl", "--task", "Isaac-Cartpole-Camera", "presets=depth", "presets=rgb"],
]


def test_every_plan_reaches_the_simulation_and_no_wrong_command_does() -> None:
    plans = [planned("kitless", **request) for request in REQUESTS]
    cases = [list(plan.argv[plan.argv.index("isaaclab") + 1 :]) for plan in plans]
    answers = asked(cases + REFUSED)
    stopped = [(case, answer) for case, answer in zip(cases, answers, strict=False) if answer != Answer()]
    assert stopped == []
    assert all(answer.error for answer in answers[len(cases) :])
