"""A request as a command: what is read back from its words is the same request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from spark_rl import cli, commands
from spark_rl.model import Request

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"library": "skrl", "algorithm": "MAPPO", "seed": 7, "video": True, "headless": True},
        {"device": "cpu", "headless": False, "run_name": "two words", "checkpoint": "latest", "preflight": False},
        {"gpus": "4", "save_every": "6m", "max_iterations": 300, "num_envs": 4096, "assets": "embedded"},
        {
            "options": ("--video_length", "200"),
            "overrides": ("env.x=[1, 2]", "~agent.y"),
            "passthrough": ("--x", "a=b"),
        },
    ],
)
def test_a_request_is_read_back_from_its_words(
    asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(action="train", task="Isaac-Ant-v0", cwd=str(tmp_path), **asked)
    read: list[Request] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("spark_rl.prepare.gather", lambda _place: None)
    monkeypatch.setattr("spark_rl.prepare.sized", lambda one, _facts, **_: one)
    monkeypatch.setattr("spark_rl.acting.carry_out", lambda one, *_: read.append(one))
    assert cli.call(commands.train(request)) == 0
    assert read == [request]
