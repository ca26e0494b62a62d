"""A folder with a sweep of the fake trainer, and an engine that runs its trials when it is told to."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from fakes import lab
from fakes.configured import Lab
from spark_rl import engines
from spark_rl.__main__ import run
from spark_rl.engines import State, Status, Submission, ray

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pytest

RATE = "agent.algorithm.learning_rate"
RECIPE = """\
[recipe]
task = "Isaac-Cartpole-Direct-v0"
library = "rsl_rl"
max_iterations = 20
device = "cpu"
"""
SPACE = f'[space]\n"{RATE}" = {{ grid = [1.0, 2.0] }}\n'


class Desk:
    """A folder with a sweep's file, and an Isaac Lab 3.0 whose Python is the fake trainer."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.cwd = folder / "cwd"
        self.cwd.mkdir()
        monkeypatch.chdir(self.cwd)
        self.lab = Lab(folder / "env").path
        self.notes = lab.Notes(folder / "notes")
        self.capsys = capsys
        monkeypatch.setattr(engines, "MODULES", {"slurm": "slurm"})
        self.file = self.cwd / "lr.toml"
        self.file.write_text(RECIPE + SPACE, encoding="utf-8")
        for name, value in lab.environ(f"scale={RATE} save=4", self.notes).items():
            if name.startswith("FAKE_") or name in ("ISAACSIM_ASSET_ROOT", "PYTHONPATH"):
                monkeypatch.setenv(name, value)

    def run(self, *words: str) -> tuple[int, str, str]:
        code = run(["sweep", str(self.file), "--isaaclab", str(self.lab), *words])
        told = self.capsys.readouterr()
        return code, told.out, told.err

    def document(self, *words: str) -> tuple[int, dict[str, Any]]:
        code, out, _ = self.run("--json", *words)
        document: dict[str, Any] = json.loads(out)
        return code, document


class Array:
    """An engine that runs each element when it is told to, one after the other."""

    def __init__(self) -> None:
        self.submissions: list[Submission] = []
        self.state: State = "done"

    def render(self, submission: Submission) -> str:
        return ray.render(submission)

    def submit(self, submission: Submission) -> str:
        self.submissions.append(submission)
        return str(len(self.submissions))

    def poll(self, ident: str) -> Status:
        return Status(state=self.state, native=self.state.upper(), reason="as told")

    def survey(self, idents: Iterable[str]) -> dict[str, Status]:
        return {ident: self.poll(ident) for ident in idents}

    def cancel(self, ident: str) -> None:
        assert ident == str(len(self.submissions))
        self.state = "cancelled"

    def environ(self, element: int) -> dict[str, str]:
        """Return what an element of the newest array sees."""
        submission = self.submissions[-1]
        task = {"SLURM_ARRAY_JOB_ID": str(len(self.submissions)), "SLURM_ARRAY_TASK_ID": submission.numbers[element]}
        return os.environ | dict(submission.env) | {name: str(value) for name, value in task.items()}

    def run(self, element: int, **env: str) -> tuple[int, str]:
        submission = self.submissions[-1]
        argv, environ = submission.commands[element], self.environ(element) | env
        child = subprocess.run(argv, cwd=submission.cwd, env=environ, capture_output=True, text=True, timeout=60)
        return child.returncode, child.stderr
