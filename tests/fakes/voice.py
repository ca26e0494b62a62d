"""What every fake training does alike: its command line, its run folder, what Isaac Lab says around it."""

from __future__ import annotations

import json
import sys
import time
from itertools import count, pairwise
from pathlib import Path
from typing import ClassVar

from fakes import files

SILENT = False


def say(*lines: str, end: str = "\n") -> None:
    """Print lines and see to it that they arrive at once."""
    if not SILENT:
        sys.stdout.write("\n".join(lines) + end)
        sys.stdout.flush()


def option(argv: list[str], *names: str) -> str | None:
    """Return the value of an option, ``--name value`` or ``--name=value``."""
    for name in names:
        for word, after in pairwise([*argv, ""]):
            if word == name:
                return after
            if word.startswith(f"{name}="):
                return word.partition("=")[2]
    return None


class Voice:
    """One training of one library; ``old`` means Isaac Lab 2.0 or 2.1, ``generation`` 2 or 3."""

    library: ClassVar[str]
    horizon: ClassVar[int]
    save: ClassVar[int]
    suffix: str = ""

    def __init__(self, argv: list[str], *, iterations: int, save: int | None, generation: int, old: bool) -> None:
        self.argv = argv
        self.generation = generation
        self.old = old
        self.save_interval = save or self.save
        self.num_envs = int(option(argv, "--num_envs") or 64)
        self.task = option(argv, "--task") or "Isaac-Cartpole-Direct"
        self.iterations = int(option(argv, "--max_iterations") or iterations)
        self.loaded = self.find_checkpoint()
        self.content = files.read_checkpoint(self.loaded) if self.loaded else {}
        self.root = Path("logs", self.library, self.experiment()).resolve()
        self.stamp, self.run = self.claim()
        self.first, self.last = self.span()

    def experiment(self) -> str:
        return "cartpole_direct"

    def span(self) -> tuple[int, int]:
        return 0, self.iterations

    def find_checkpoint(self) -> Path | None:
        path = option(self.argv, "--checkpoint")
        return Path(path) if path else None

    def claim(self) -> tuple[str, Path]:
        """Make a run folder that nobody has, a second after the newest one."""
        for second in count():
            stamp = option(self.argv, "--run_timestamp") or f"2026-01-02_03-{second // 60:02}-{second % 60:02}"
            run = self.root / (stamp + self.suffix + self.run_name())
            try:
                run.mkdir(parents=True)
            except FileExistsError:
                if option(self.argv, "--run_timestamp"):
                    return stamp, run
            else:
                return stamp, run
        raise AssertionError

    def run_name(self) -> str:
        return ""

    def named(self) -> str:
        return self.stamp + self.suffix

    def event_file(self) -> Path:
        return self.run / f"events.out.tfevents.{int(time.time())}.fake.0"

    def agent(self) -> str:
        raise NotImplementedError

    def begin(self) -> None:
        """Say what Isaac Lab says until the agent trains, and leave what it leaves by then."""
        self.write_manifest()
        say(*(self.start_3() if self.generation >= 3 else self.start_2()))
        files.write_configs(self.run, self.agent(), self.num_envs)
        if self.loaded:
            say(*self.loading())
        event_file = self.event_file()
        self.events, self.event_folder = files.Events(event_file), event_file.parent

    def loading(self) -> tuple[str, ...]:
        return (f"[INFO]: Loading model checkpoint from: {self.loaded}",)

    def write_manifest(self) -> None:
        if self.generation >= 3:
            manifest = {"version": 1, "library": self.library, "task": self.task, "metadata": {}}
            (self.run / "run.json").write_text(json.dumps(manifest), encoding="utf-8")

    def start_3(self) -> tuple[str, ...]:
        return (
            "[INFO]: Parsing configuration from: isaaclab_tasks.core.cartpole.cartpole_direct_env_cfg:CartpoleEnvCfg",
            f"│ RL library    {self.library:<31}  │",
            "",
            "[1/3] Launching simulation",
            f"[INFO] Logging experiment in directory: {self.root}",
            f"Exact experiment name requested from command line: {self.named()}",
            "[2/3] Creating environment",
            "[INFO]: Base environment:",
            "[INFO]: Completed setting up the environment...",
            "[3/3] Preparing agent",
        )

    def start_2(self) -> tuple[str, ...]:
        return (
            "[INFO] Using python from: /opt/conda/envs/lab/bin/python",
            "[INFO][AppLauncher]: Loading experience file: /opt/IsaacLab/apps/isaaclab.python.headless.kit",
            "Loading user config located at: '/opt/isaacsim/kit/data/Kit/Isaac-Sim/5.1/user.config.json'",
            "[1.231s] [ext: omni.usd.schema.semantics-0.0.0] startup",
            "[6.402s] app ready",
            "[INFO]: Parsing configuration from: isaaclab_tasks.direct.cartpole.cartpole_env:CartpoleEnvCfg",
            f"[INFO] Logging experiment in directory: {self.root}",
            f"Exact experiment name requested from command line: {self.named()}",
            "[INFO]: Base environment:",
            "[INFO]: Completed setting up the environment...",
        )

    def reward(self, done: int) -> float:
        return round(4.0 - 4.0 * 0.98**done, 4)

    def length(self, done: int) -> float:
        return min(300.0, 6.0 + 2.0 * done)

    def iteration(self, done: int, reward: float) -> None:
        """Tell of an iteration that is done, and save if it is time."""
        raise NotImplementedError

    def end(self) -> None:
        """Save and tell the end."""
        raise NotImplementedError

    def interrupted(self) -> None:
        """Do what is done when INT comes: nothing, but Stable-Baselines3 saves."""

    def time_told(self) -> None:
        if not self.old:
            say("Training time: 12.34 seconds")

    def checkpoints(self) -> list[Path]:
        """Return the checkpoints of this run folder, the newest one last."""
        found = (path for kind in ("*.pt", "*.pth", "*.zip") for path in self.run.rglob(kind))
        return sorted(found, key=lambda path: path.stat().st_mtime_ns)

    def store(self, name: str, content: dict[str, object]) -> None:
        files.write_checkpoint(self.run / name, content)
