"""The course of a cell: its command lines, and what its steps come to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import planning
import runs
from proven import ANT
from spark_rl.matrix import Play
from spark_rl.model import Request
from spark_rl.smoke.course import Words, course
from spark_rl.smoke.steps import Ended, Place, Step

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from spark_rl.matrix import Cell
    from spark_rl.proofs import Result

REQUEST = Request(
    action="train",
    task="Isaac-Ant-v0",
    cwd="/home/ada",
    library="rsl_rl",
    num_envs=16,
    max_iterations=4,
    seed=0,
    device="cpu",
    save_every="2",
    overrides=("env.decimation=4", "agent.seed=3"),
)
KILLED = replace(ANT, kill=2, play=Play(steps=20, num_envs=8, task="Isaac-Ant-Play-v0"))
DONE = {"state": "succeeded", "message": "done", "plan": {"schema": "spark-rl/plan/1"}, "played": {"steps": 20}}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(folder=tmp_path, environ={}, stall_s=900.0)


def words(cell: Cell = ANT) -> Words:
    return Words(cell=cell, request=REQUEST, plan=planning.planned("kitless", "Isaac-Ant-v0"))


def taken(cell: Cell, place: Place, ends: Sequence[dict[str, Any]]) -> tuple[list[str], Result]:
    """Take a course through steps that end as described; return their actions and the result."""
    steps = course(words(cell), place)
    step, actions = next(steps), list[str]()
    for end in ends:
        actions.append(step.action)
        try:
            step = steps.send(ended(step, **end))
        except StopIteration as stop:
            return actions, stop.value
    raise AssertionError(f"it goes on with {step.action}")


def ended(step: Step, **values: Any) -> Ended:
    base: dict[str, Any] = {"status": 0, "seconds": 10.0, "document": DONE, "run": runs.done(), "peak_mib": 500}
    return Ended(step=step, **base | values)


def resumed(**values: Any) -> dict[str, Any]:
    run = runs.done()
    (attempt,) = run.attempts
    return {"run": replace(run, attempts=(attempt, replace(attempt, **values)))}


def test_the_command_lines() -> None:
    common = ["--device", "cpu", "--assets", "auto", "--isaaclab", planning.ENV, "--headless", "--json"]
    task = ["--task", "Isaac-Ant-v0", "--library", "rsl_rl", "--num-envs", "16", "--max-iterations", "4", "--seed", "0"]
    kept = ["--save-every", "2", "--stall-timeout", "900s"]
    assert list(words().train().words) == ["train", *task, *kept, *common, *REQUEST.overrides]
    assert words().play() is None
    play = words(KILLED).play()
    assert play is not None
    named = ["--run", "1", "--task", "Isaac-Ant-Play-v0", "--num-envs", "8", "--steps", "20"]
    assert list(play.words) == ["play", *named, *common, "env.decimation=4"]
    assert list(words().resume().words) == ["runs", "resume", "1", "--stall-timeout", "900s", "--json"]


def test_a_training_alone(place: Place) -> None:
    actions, result = taken(ANT, place, [{}])
    assert (actions, result.status, result.message, result.seconds) == (["train"], "passed", "done", 10.0)
    assert (result.plan, result.folder) == (DONE["plan"], str(place.folder))


def test_killed_resumed_and_played(place: Place) -> None:
    ends = [{"killed": True, "peak_mib": 700}, resumed(from_checkpoint="/m.pt"), {"peak_mib": 600}]
    actions, result = taken(KILLED, place, ends)
    assert (actions, result.status) == (["train", "resume", "play"], "passed")
    assert (result.seconds, result.peak_memory_mib, result.attempts) == (30.0, 700, 2)
    assert result.played == {"steps": 20}


def test_what_was_not_resumed_proves_nothing(place: Place) -> None:
    actions, result = taken(KILLED, place, [{"killed": True}, resumed(from_checkpoint=None)])
    assert (actions, result.status) == (["train", "resume"], "failed")
    assert "began anew" in result.message
    _, result = taken(KILLED, place, [{}])
    assert "over before it could be killed" in result.message


@pytest.mark.parametrize(
    ("end", "status", "kind", "message"),
    [
        ({"status": 1, "document": {"state": "failed", "failure": "nan", "message": "NaN"}}, "failed", "nan", "NaN"),
        ({"status": 1}, "failed", "unknown", "done"),
        ({"status": 2, "document": {"error": {"kind": "request", "message": "no"}}}, "failed", "request", "no"),
        ({"status": 3, "document": None}, "failed", "bug", "spark-rl ended with status 3 and said nothing"),
        ({"status": -9, "stopped": "stall"}, "failed", "stall", "no sign of life for 15 min 00 s"),
        ({"status": 130, "stopped": "request"}, "interrupted", None, "stopped on request"),
        ({"status": 130, "stopped": "fail-fast"}, "interrupted", None, "another cell failed"),
    ],
)
def test_a_training_that_did_not_pass_is_not_played(
    end: dict[str, Any], status: str, kind: str | None, message: str, place: Place
) -> None:
    actions, result = taken(KILLED, place, [end])
    assert result.plan is not None
    assert (actions, result.status, result.kind) == (["train"], status, kind)
    assert result.message.startswith(message)


def test_a_stop_while_it_is_killed_resumes_nothing(place: Place) -> None:
    actions, result = taken(KILLED, place, [{"killed": True, "stopped": "request"}])
    assert (actions, result.status) == (["train"], "interrupted")


def test_a_play_that_failed_keeps_what_the_training_measured(place: Place) -> None:
    cell = replace(ANT, play=Play(steps=20))
    failed = {"status": 1, "document": {"state": "failed", "failure": "unknown", "message": "only 3 steps"}}
    _, result = taken(cell, place, [{}, failed])
    assert (result.status, result.message, result.iterations) == ("failed", "play: only 3 steps", 150)


def test_the_last_lines_have_no_secrets_and_no_colours(place: Place) -> None:
    output = place.record("1") / "output.log"
    output.parent.mkdir(parents=True)
    output.write_text("x\n" * 100 + "\x1b[31mAPI_KEY=abcdefgh12345678\x1b[0m\n\n", encoding="utf-8")
    _, result = taken(ANT, place, [{"status": 1}])
    assert len(result.log) == 30
    assert "abcdefgh" not in result.log[-1]
    assert "\x1b" not in result.log[-1]
