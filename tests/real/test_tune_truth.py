"""A climb over env counts with Isaac Lab 3.0 on the CPU, and a training with what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real

TASK = ("--task", "Isaac-Cartpole-Direct-v0", "--library", "rsl_rl")
LAB = ("--isaaclab", sys.prefix, "--assets", "embedded", "--device", "cpu", "--json")


def spark_rl(cwd: Path, *words: str) -> dict[str, Any]:
    argv = [sys.executable, "-m", "spark_rl", *words, *TASK, *LAB]
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_a_climb_measures_and_training_uses_it(tmp_path: Path) -> None:
    found = spark_rl(tmp_path, "tune", "--counts", "16,32,64", "--iterations", "8")
    rungs = found["rungs"]
    assert [(rung["num_envs"], rung["state"]) for rung in rungs] == [
        (16, "measured"),
        (32, "measured"),
        (64, "measured"),
    ]
    for rung in rungs:
        assert rung["throughput"] == pytest.approx(16 * rung["num_envs"] / rung["iteration_seconds"])
        assert 100 < rung["memory_mib"] < 20_000
    assert found["largest"] == 64
    assert list(tmp_path.iterdir()) == []

    planned = spark_rl(tmp_path, "train", "--num-envs", "auto", "--dry-run")
    assert planned["reasons"]["num_envs"].startswith(f"auto: {found['knee']}, the knee")
    assert planned["argv"][planned["argv"].index("--num_envs") + 1] == str(found["knee"])
