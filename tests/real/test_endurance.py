"""A trainer that is killed outright twenty times at random moments still gets its budget done."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes import lab
from spark_rl import registry

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.real

KILLS, BUDGET, INTERVAL = 20, 400, 5


@pytest.mark.parametrize("library", ["rsl_rl", "rl_games", "skrl", "sb3"])
def test_twenty_kills_cost_at_most_one_save_interval_each(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    draw, notes = random.Random(library), lab.Notes(tmp_path / "notes")
    env = lab.environ("pace=0.05", notes)
    place = ("--isaaclab", str(lab.package(tmp_path / "env")))
    words = ("train", "--task", "Isaac-Cartpole-Direct-v0", "--library", library, *place, "--num-envs", "64", "--json")
    more = ("agent.params.config.minibatch_size=2048",) if library == "rl_games" else ()
    limits = ("--max-iterations", str(BUDGET), "--save-every", str(INTERVAL), *more)
    kills = 0
    child = lab.spark_rl(*words, *limits, cwd=tmp_path, env=env)
    while True:
        document = killed_or_done(child, draw.uniform(0.4, 1.4) if kills < KILLS else None)
        if document["state"] == "succeeded":
            break
        kills += 1
        assert "SIGKILL" in document["message"], document
        child = lab.spark_rl("runs", "resume", "1", "--json", cwd=tmp_path, env=env)
    run = registry.load("1")
    assert kills == KILLS
    assert (run.state, run.progress.iteration, len(run.attempts)) == ("succeeded", BUDGET, KILLS + 1)
    for before, after in zip(run.attempts, run.attempts[1:], strict=False):
        assert 0 <= (before.iteration or 0) - after.first_iteration <= INTERVAL + 1, (before, after)
    assert iterations_done(run) >= BUDGET


def killed_or_done(child: subprocess.Popen[str], after: float | None) -> dict[str, Any]:
    """Kill the trainer a while after it has begun to train, or let it come to its end; return what came of it."""
    while after is not None and child.poll() is None:
        trainer = next(iter(below(child.pid)), None)
        if trainer is not None and registry.path("1").exists():
            time.sleep(after)
            os.kill(trainer, signal.SIGKILL)
            break
        time.sleep(0.01)
    code, out, err = lab.finish(child)
    assert out, (code, err)
    document: dict[str, Any] = json.loads(out)
    return document


def below(pid: int) -> list[int]:
    """Return the trainer below spark-rl and its reaper, if it is there."""
    try:
        (reaper,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(name) for name in Path(f"/proc/{reaper}/task/{reaper}/children").read_text().split()]
    except (OSError, ValueError):
        return []


def iterations_done(run: Any) -> int:
    """Return the iterations that the attempts did between them, each counted from where it went on."""
    return sum((attempt.iteration or 0) - attempt.first_iteration for attempt in run.attempts)
