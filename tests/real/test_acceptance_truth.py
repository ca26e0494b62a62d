"""The acceptance test of the launcher: the plans of every trainable task of 3.0.0 through Isaac Lab's own parsers."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from spark_rl import catalogues

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real


def smoke(cwd: Path, *words: str) -> tuple[int, dict[str, Any]]:
    child = subprocess.run(
        [sys.executable, "-m", "spark_rl", "smoke", "--plan-only", "--json", "--isaaclab", sys.prefix, *words],
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert child.returncode in (0, 1), child.stderr
    return child.returncode, json.loads(child.stdout)


def rejected(document: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (cell["task"], cell["library"], cell["action"], cell["reason"])
        for cell in document["cells"]
        if cell["state"] == "rejected"
    ]


def test_isaac_lab_rejects_no_plan_of_any_trainable_task(tmp_path: Path) -> None:
    code, document = smoke(tmp_path)
    assert rejected(document) == []
    assert (code, document["unparsed"]) == (0, None)
    trainable = {task.id: task for task in catalogues.shipped("3.0.0").tasks if task.trainable}
    assert len(trainable) > 100
    assert {cell["task"] for cell in document["cells"]} == set(trainable)
    assert all(cell["parsed"] for cell in document["cells"]), "a plan that nobody parsed"
    refused = {cell["task"] for cell in document["cells"] if cell["state"] == "refused"}
    assert refused == {name for name, task in trainable.items() if task.kitless is False}
    assert [*tmp_path.iterdir()] == []


def test_planted_faults_are_found(tmp_path: Path) -> None:
    cartpole = ("--only", "Isaac-Cartpole-Direct/*")
    code, document = smoke(tmp_path, *cartpole, "--", "--no_such_option")
    assert code == 1
    assert len(rejected(document)) == len(document["cells"]) == 8
    assert all("unrecognized arguments: --no_such_option" in reason for *_, reason in rejected(document))
    code, document = smoke(tmp_path, *cartpole, "--", "presets=no_such_preset")
    assert code == 1
    assert len(rejected(document)) == 8
    assert all("no_such_preset" in reason for *_, reason in rejected(document))
    code, document = smoke(tmp_path, *cartpole, "--", "--viz", "kit")
    assert code == 1
    assert all("Isaac Lab would start Isaac Sim" in reason for *_, reason in rejected(document))
