"""Runs that nobody started: records to write, read, list and show."""

from __future__ import annotations

from typing import Any

from spark_rl import registry
from spark_rl.records import Attempt, Owner, Progress, Run

NOW = 1_800_000_000.0
"""When these runs happen: 2027-01-15T08:00:00Z."""

LOG = "/home/ada/logs/rsl_rl/ant/2027-01-15_08-00-00"


def run(**values: Any) -> Run:
    """Describe a training run of this process that has begun just now."""
    base: dict[str, Any] = {
        "id": "",
        "action": "train",
        "task": "Isaac-Ant-Direct-v0",
        "library": "rsl_rl",
        "algorithm": "PPO",
        "version": "2.3.2",
        "cwd": "/home/ada",
        "argv": ("python", "train.py", "--task", "Isaac-Ant-Direct-v0"),
        "state": "running",
        "started_at": NOW,
        "updated_at": NOW,
        "owner": registry.owner_now(),
    }
    return Run(**base | values)


def done(**values: Any) -> Run:
    """Describe a training run that succeeded, every field set."""
    attempt = Attempt(
        argv=("python", "train.py"),
        started_at=NOW,
        ended_at=NOW + 60,
        iteration=150,
        log_dir=LOG,
        checkpoint=f"{LOG}/model_149.pt",
        exit_status=0,
        state="succeeded",
        message="done",
    )
    base: dict[str, Any] = {
        "state": "succeeded",
        "updated_at": NOW + 60,
        "ended_at": NOW + 60,
        "run_name": "first",
        "num_envs": 4096,
        "attempts": (attempt,),
        "message": "done",
        "progress": progress(iteration=150, checkpoint=f"{LOG}/model_149.pt", checkpoint_iteration=150),
    }
    return run(**base | values)


def progress(**values: Any) -> Progress:
    """Describe a training that is 120 of 150 iterations far."""
    base: dict[str, Any] = {
        "phase": "training",
        "phases": (("launching", 1.5), ("simulator", 10.25)),
        "iteration": 120,
        "max_iterations": 150,
        "env_steps": 11_796_480,
        "fps": 54321.5,
        "iteration_seconds": 2.0,
        "reward": 12.34,
        "length": 487.25,
        "log_dir": LOG,
    }
    return Progress(**base | values)


def owner(**values: Any) -> Owner:
    """Describe this process, or one that differs in ``values``."""
    here = registry.owner_now()
    known: dict[str, Any] = {name: getattr(here, name) for name in ("host", "boot", "pid", "start_ticks")}
    return Owner(**known | values)


def recorded(count: int = 1, **values: Any) -> list[Run]:
    """Make records of runs that are over, and return the runs with their ids."""
    return [registry.create({}, done(**values)) for _ in range(count)]
