"""An Isaac Lab 3.0 whose parsers are a few lines: the driver that asks them is the real one, in a real child."""

from __future__ import annotations

import json
import sys
from shlex import quote
from typing import TYPE_CHECKING

import stand_in
from fakes import lab
from spark_rl import catalogues

if TYPE_CHECKING:
    from pathlib import Path

_APP = """
def validate_launch(config, arguments=None):
    return None, config
"""

_DISPATCH = """
import argparse, importlib, json, os, pathlib, sys

KIT = json.loads(pathlib.Path(__file__).with_name("kit.json").read_text())

def run_cli(action, words):
    parser = argparse.ArgumentParser(prog="isaaclab", allow_abbrev=False)
    for name in ("--rl_library", "--task", "--algorithm", "--agent", "--device", "--checkpoint"):
        parser.add_argument(name)
    known, overrides = parser.parse_known_args(words)
    if unknown := [word for word in overrides if "=" not in word]:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if known.task.startswith("My-") and "SPARK_RL_TASK_MODULES" not in os.environ:
        raise ValueError(f"no task {known.task}")
    keys = dict(word.split("=", 1) for word in overrides)
    if "env.ends" in keys:
        return int(keys["env.ends"])
    if "env.dies" in keys:
        os._exit(9)
    if "env.bad" in keys:
        raise ValueError("\\n there is no env.bad\\nmore")
    print("noise", flush=True)
    importlib.import_module(f"isaaclab_rl.entrypoints.backends.{action}_{known.rl_library}").start(
        ["the physics"] if known.task in KIT else []
    )
"""

_BACKEND = """
def launch_simulation(config, arguments=None):
    raise AssertionError("the simulation was started")

def start(config):
    with launch_simulation(config, None):
        pass
"""


class Lab:
    """An environment with such an Isaac Lab and no Isaac Sim; ``kit`` are the tasks that need it there.

    A ``checkout`` has Isaac Sim linked into it, and ``isaaclab.sh`` chooses its Python.
    """

    def __init__(self, folder: Path, *, checkout: bool = False) -> None:
        self.path = stand_in.checkout(folder, "3.0.0") if checkout else stand_in.kitless(folder)
        self.modules = folder / "modules"
        entrypoints = self.modules / "isaaclab_rl" / "entrypoints"
        (entrypoints / "backends").mkdir(parents=True)
        (self.modules / "isaaclab").mkdir()
        (self.modules / "isaaclab" / "app.py").write_text(_APP, encoding="utf-8")
        (entrypoints / "dispatch.py").write_text(_DISPATCH, encoding="utf-8")
        for action in ("train", "play"):
            for library in stand_in.LIBRARIES:
                (entrypoints / "backends" / f"{action}_{library}.py").write_text(_BACKEND, encoding="utf-8")
        self._kit = entrypoints / "kit.json"
        self.kit = {task.id for task in catalogues.shipped("3.0.0").tasks if task.kitless is False}
        python = f'PYTHONPATH={quote(str(self.modules))} exec {quote(sys.executable)} -S "$@"'
        if checkout:
            lab.program(self.path / "isaaclab.sh", f'#!/bin/sh\n[ "$1" = -p ] && shift\n{python}\n')
        else:
            lab.program(self.path / "bin" / "python", f"#!/bin/sh\n{python}\n")

    @property
    def kit(self) -> set[str]:
        """The tasks that need Isaac Sim."""
        return set(json.loads(self._kit.read_text(encoding="utf-8")))

    @kit.setter
    def kit(self, tasks: set[str]) -> None:
        self._kit.write_text(json.dumps(sorted(tasks)), encoding="utf-8")
