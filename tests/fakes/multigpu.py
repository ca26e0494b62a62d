"""Isaac Lab 3.0's own multi-GPU launcher around rank.py: ``multigpu.py -m isaaclab train_multigpu WORDS``."""

from __future__ import annotations

import sys
from pathlib import Path

from isaaclab.cli.multigpu import MultiGpuLauncherCfg, run_multigpu_cli

LAUNCHER = MultiGpuLauncherCfg(
    prog="train_multigpu",
    description="Train the stand-in.",
    worker_script=str(Path(__file__).with_name("rank.py")),
    rl_libraries=("rsl_rl", "rl_games", "skrl"),
)

if __name__ == "__main__":
    assert sys.argv[1:4] == ["-m", "isaaclab", "train_multigpu"]
    sys.exit(run_multigpu_cli(sys.argv[4:], LAUNCHER))
