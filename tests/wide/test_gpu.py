"""Training on a real GPU, where there is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from spark_rl import host
from spark_rl.gauges import system

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.wide
TASK = ("--task", "Isaac-Cartpole-Direct-v0", "--library", "rsl_rl", "--isaaclab", sys.prefix, "--headless")
LIMIT_S = 1800.0


@pytest.fixture(autouse=True)
def _gpu() -> None:
    if not host.probe(system.memory()).gpus:
        pytest.skip("no NVIDIA GPU can be seen")


def spark_rl(folder: Path, *words: str) -> Any:
    argv = [sys.executable, "-m", "spark_rl", *words, "--json"]
    run = subprocess.run(argv, cwd=folder, env=os.environ, capture_output=True, text=True, timeout=LIMIT_S)
    assert run.returncode == 0, run.stderr[-4000:]
    return json.loads(run.stdout)


def test_training_on_a_gpu(tmp_path: Path) -> None:
    trained = spark_rl(tmp_path, "train", *TASK, "--num-envs", "4096", "--max-iterations", "100", "--seed", "42")
    assert "--device" not in trained["plan"]["argv"]
    played = spark_rl(tmp_path, "play", *TASK, "--num-envs", "64", "--steps", "600", "--seed", "1")["played"]
    assert played["mean_length"] >= 270


def test_the_deep_doctor_computes_on_every_gpu(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "spark_rl", "doctor", "--deep", "--json", "--isaaclab", sys.prefix]
    run = subprocess.run(argv, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=LIMIT_S)
    document = json.loads(run.stdout)
    deep, count = document["deep"], len(document["host"]["gpus"])
    assert deep["problems"] == []
    assert (deep["device"], deep["warp_device"], deep["nvrtc"]) == ("cuda:0", "cuda:0", True)
    assert deep["ranks"] == (count if count > 1 else None)
