"""Isaac Labs whose trainer is a stand-in of several ranks, under real torchrun; needs torch in this Python."""

from __future__ import annotations

import os
import signal
import sys
from shlex import quote
from typing import TYPE_CHECKING, Any

import stand_in
from fakes import lab

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

RANK = lab.FAKES / "rank.py"
LIBRARIES = ("rsl_rl", "skrl")
TASK = ("--task", "Isaac-Cartpole-Direct-v0", "--num-envs", "64", "--no-preflight", "--assets", "nvidia")


def checkout(folder: Path) -> Path:
    """Make a checkout of 2.3.2 whose Python is this one, with the stand-in as its training script."""
    made = stand_in.checkout(folder, "2.3.2")
    lab.program(made / "isaaclab.sh", f'#!/bin/bash\nset -e\n[ "$1" = -p ] && shift\n{quote(sys.executable)} "$@"\n')
    for library in LIBRARIES:
        script = made / "scripts" / "reinforcement_learning" / library / "train.py"
        script.parent.mkdir(parents=True)
        script.symlink_to(RANK)
    return made


def package(folder: Path) -> Path:
    """Make an environment with 3.0.0 whose multi-GPU entry is Isaac Lab's own, around the stand-in."""
    python = stand_in.kitless(folder) / "bin" / "python"
    entry = lab.FAKES / "multigpu.py"
    return lab.program(python, f'#!/bin/sh\nexec {quote(sys.executable)} {quote(str(entry))} "$@"\n').parent.parent


class Hall:
    """A folder with a stand-in of Isaac Lab, in which trainings of several ranks are started."""

    def __init__(self, folder: Path, *, old: bool, inside: tuple[str, ...] = (), loopback: bool = True) -> None:
        """Make it; ``inside`` is put before each command, ``loopback`` tells gloo to keep to this machine."""
        self.folder, self.inside, self.loopback = folder, inside, loopback
        folder.mkdir(parents=True, exist_ok=True)
        self.lab = checkout(folder / "IsaacLab") if old else package(folder / "env")
        self.notes = lab.Notes(folder / "notes")

    def environ(self, behaviour: str, **more: str) -> dict[str, str]:
        """Return the environment of a training."""
        own = {"CUDA_VISIBLE_DEVICES": "0,1,2,3", "OMP_NUM_THREADS": "1"}
        gloo = {"GLOO_SOCKET_IFNAME": "lo"} if self.loopback else {}
        return lab.environ(behaviour, self.notes, **own | gloo | more)

    def start(self, behaviour: str, *words: str, gpus: int = 4, **env: str) -> subprocess.Popen[str]:
        """Start ``spark-rl WORDS`` on a host that seems to have GPUs."""
        argv: tuple[str | Path, ...] = (*self.inside, sys.executable, lab.FAKES / "with_gpus.py", str(gpus), *words)
        return lab.start(*argv, cwd=self.folder, env=self.environ(behaviour, **env))

    def train(self, behaviour: str, *words: str, library: str = "rsl_rl", **env: Any) -> subprocess.Popen[str]:
        """Start a training."""
        named = ("--library", library, "--isaaclab", str(self.lab))
        return self.start(behaviour, "train", *TASK, *named, *words, **env)

    def pids(self, count: int) -> list[int]:
        """Wait for so many ranks, and return their processes."""
        return [int(self.notes.read(f"rank-{rank}")) for rank in range(count)]

    def sweep(self) -> None:
        """End what a test that failed has left running."""
        for file in self.notes.folder.glob("rank-*"):
            if lab.is_running(int(file.read_text(encoding="utf-8"))):
                os.kill(int(file.read_text(encoding="utf-8")), signal.SIGKILL)
