"""Reports of matrices that nobody ran."""

from __future__ import annotations

from typing import Any

import planning
from runs import NOW
from spark_rl.matrix import Cell
from spark_rl.proofs import Report, Result

ANT = Cell(name="Isaac-Ant-v0/rsl_rl/16", task="Isaac-Ant-v0", library="rsl_rl", num_envs=16, train=4)
LIFT = Cell(name="Isaac-Lift-v0", task="Isaac-Lift-v0", train=4)
HOP = Cell(name="Isaac-Hop-v0/skrl", task="Isaac-Hop-v0", library="skrl", train=4)
RUN = Cell(name="Isaac-Run-v0/sb3", task="Isaac-Run-v0", library="sb3", train=4)


def passed(cell: Cell = ANT, **values: Any) -> Result:
    """Describe a cell that passed."""
    base: dict[str, Any] = {"cell": cell, "status": "passed", "message": "done", "seconds": 31.25, "iterations": 4}
    return Result(**base | {"env_steps_per_s": 1234.5, "reward": 1.5, "peak_memory_mib": 2048} | values)


def failed(cell: Cell = HOP, **values: Any) -> Result:
    """Describe a cell that failed."""
    base: dict[str, Any] = {"cell": cell, "status": "failed", "kind": "nan", "folder": "/runs/hop", "seconds": 5.0}
    told = {
        "message": "the | <physics> exploded",
        "hint": "see the log",
        "log": ("\x1b[31mred\x1b[0m", "a ~~~~ \x00 b"),
    }
    return Result(**base | told | values)


def skipped(cell: Cell = LIFT) -> Result:
    """Describe a cell that was skipped."""
    return Result(cell=cell, status="skipped", message="it needs Isaac Sim", hint="install it")


def report(*results: Result, **values: Any) -> Report:
    """Describe a report of some cells."""
    base: dict[str, Any] = {
        "matrix": "smoke.toml",
        "spark_rl": "0.1.0",
        "isaaclab": planning.package(),
        "host": planning.host(),
        "hostname": "box",
        "started_at": NOW,
        "seconds": 90.5,
        "results": results,
    }
    return Report(**base | values)
