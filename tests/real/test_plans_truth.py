"""Plans for Isaac Lab 3.0 against its own parsers and config resolver, up to where the simulation would start."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from planning import CWD, planned
from spark_rl.model import CheckpointFile

pytestmark = pytest.mark.real

# Run by Isaac Lab's Python: each command line goes through the real entry until it would launch the simulation.
CHILD = """
import importlib, io, json, sys, warnings
from contextlib import redirect_stderr, redirect_stdout

warnings.simplefilter("ignore")
from isaaclab_rl.entrypoints import dispatch

class Launched(BaseException):
    pass

def launch(*args, **kwargs):
    raise Launched

for action in ("train", "play"):
    for library in ("rsl_rl", "rl_games", "skrl", "sb3"):
        importlib.import_module(f"isaaclab_rl.entrypoints.backends.{action}_{library}").launch_simulation = launch

def outcome(action, words):
    said = io.StringIO()
    sys.argv = ["isaaclab"]
    try:
        with redirect_stdout(said), redirect_stderr(said):
            code = dispatch.run_cli(action, words)
    except Launched:
        return "launched"
    except BaseException as error:
        return f"{type(error).__name__}: {error} {said.getvalue()[-300:]}"
    return f"ended with {code} {said.getvalue()[-300:]}"

cases = json.load(sys.stdin)
print("RESULT", json.dumps([outcome(action, words) for action, *words in cases]))
"""

CARTPOLE = "Isaac-Cartpole-Direct-v0"


def accepted(cases: list[list[str]]) -> list[str]:
    """Return what became of each (action, word ...): ``launched``, or what Isaac Lab said against it."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD], input=json.dumps(cases), capture_output=True, text=True, timeout=600, check=True
    )
    line = next(line for line in child.stdout.splitlines() if line.startswith("RESULT "))
    return [str(result) for result in json.loads(line.removeprefix("RESULT "))]


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
    results = accepted(cases + REFUSED)
    stopped = [(case, said) for case, said in zip(cases, results, strict=False) if said != "launched"]
    assert stopped == []
    assert "launched" not in results[len(cases) :]
