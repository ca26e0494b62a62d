"""What runs leave on disk, and telling what a run wrote from what was there."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from spark_rl import logs
from spark_rl.checkpoints import GLOBS
from spark_rl.errors import RequestError
from spark_rl.model import Installation, Plan, Resolved, Task

if TYPE_CHECKING:
    from pathlib import Path

WRITTEN = {
    "rsl_rl": ["model_0.pt", "model_1000.pt"],
    "rl_games": ["nn/cartpole.pth", "nn/last_cartpole_ep_50_rew_1.2.pth", "nn/last_cartpole_ep_150_rew__3.4_.pth"],
    "skrl": ["checkpoints/agent_16.pt", "checkpoints/best_agent.pt", "checkpoints/agent_32.pickle"],
    "sb3": ["model_1000_steps.zip", "model.zip"],
}
OTHER = ["params/env.yaml", "exported/policy.pt", "events.out.tfevents.1", "model_vecnormalize.pkl", "model_x.pt"]


def touch(path: Path, text: str = "x", modified: float | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if modified is not None:
        os.utime(path, (modified, modified))
    return path


def plan(cwd: Path, library: str = "rsl_rl", action: str = "train", *words: str) -> Plan:
    task = Resolved(requested="Isaac-Ant", task=Task(id="Isaac-Ant", package="isaaclab_tasks"))
    return Plan(
        action="train" if action == "train" else "play",
        task=task,
        library=library,
        algorithm="PPO",
        isaaclab=Installation(version="3.0.0", kind="package", path="/env"),
        argv=("python", *words),
        cwd=str(cwd),
    )


@pytest.mark.parametrize("library", WRITTEN)
def test_checkpoints_of_each_library(tmp_path: Path, library: str) -> None:
    run = tmp_path / "logs" / library / "cartpole" / "2026-01-02_03-04-05"
    for name in [*WRITTEN[library], *OTHER]:
        touch(run / name, modified=1234.5)
    found = logs.list_checkpoints(tmp_path, library)
    assert sorted(file.name for file in found) == sorted(WRITTEN[library])
    for file in found:
        assert (file.run, file.experiment, file.task) == (run.name, "cartpole", None)
        assert (file.path, file.modified, file.size) == (str(run / file.name), 1234.5, 1)
    assert set(logs.list_run(run, library)) == set(found)
    for other in set(WRITTEN) - {library}:
        assert logs.list_checkpoints(tmp_path, other) == ()


def test_an_experiment_may_have_folders_of_its_own(tmp_path: Path) -> None:
    touch(tmp_path / "logs" / "rsl_rl" / "lab" / "cartpole" / "run" / "model_0.pt")
    (file,) = logs.list_checkpoints(tmp_path, "rsl_rl")
    assert (file.experiment, file.run) == ("lab/cartpole", "run")


def test_a_file_outside_any_run_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path / "logs" / "rsl_rl" / "model_0.pt")
    assert logs.list_checkpoints(tmp_path, "rsl_rl") == ()


def test_no_logs_are_no_checkpoints(tmp_path: Path) -> None:
    assert logs.list_checkpoints(tmp_path, "rsl_rl") == ()


@pytest.mark.parametrize(
    ("text", "task"),
    [(json.dumps({"task": "Isaac-Ant"}), "Isaac-Ant"), ("{", None), ("[]", None), ('{"task": 3}', None)],
)
def test_a_run_names_its_task(tmp_path: Path, text: str, task: str | None) -> None:
    run = tmp_path / "logs" / "rl_games" / "ant" / "run"
    touch(run / "nn" / "ant.pth")
    touch(run / "run.json", text)
    assert [file.task for file in logs.list_checkpoints(tmp_path, "rl_games")] == [task]


def test_what_vanishes_is_left_out(tmp_path: Path) -> None:
    run = tmp_path / "logs" / "rsl_rl" / "ant" / "run"
    touch(run / "model_0.pt")
    (run / "model_1.pt").symlink_to(tmp_path / "gone")
    assert [file.name for file in logs.list_checkpoints(tmp_path, "rsl_rl")] == ["model_0.pt"]


@pytest.mark.parametrize("folder", ["", "nn", "checkpoints"])
def test_a_file_of_any_name_is_a_checkpoint(tmp_path: Path, folder: str) -> None:
    file = touch(tmp_path / "experiment" / "run" / folder / "my policy.pt", "12345")
    (found,) = logs.named_checkpoint(tmp_path / "experiment" / "other" / ".." / "run" / folder / file.name, "rsl_rl")
    assert (found.path, found.run, found.experiment, found.size) == (str(file), "run", "experiment", 5)


def test_a_run_folder_gives_all_of_its_checkpoints(tmp_path: Path) -> None:
    for name in WRITTEN["skrl"]:
        touch(tmp_path / "ant" / "run" / name)
    found = logs.named_checkpoint(tmp_path / "ant" / "run", "skrl")
    assert sorted(file.name for file in found) == sorted(WRITTEN["skrl"])


def test_a_folder_without_checkpoints_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"{tmp_path} holds no checkpoint of sb3"):
        logs.named_checkpoint(tmp_path, "sb3")


def test_a_missing_checkpoint_names_the_nearest(tmp_path: Path) -> None:
    touch(tmp_path / "model_149.pt")
    with pytest.raises(RequestError, match="does not exist") as caught:
        logs.named_checkpoint(tmp_path / "model_150.pt", "rsl_rl")
    assert caught.value.hint == "did you mean model_149.pt?"
    with pytest.raises(RequestError, match="does not exist") as caught:
        logs.named_checkpoint(tmp_path / "none" / "model_150.pt", "rsl_rl")
    assert caught.value.hint == "--checkpoint latest takes the newest run's"


def test_videos_count_when_they_hold_something(tmp_path: Path) -> None:
    videos = tmp_path / "logs" / "rsl_rl" / "ant" / "run" / "videos" / "train"
    touch(videos / "clip_0000.mp4", modified=7.0)
    touch(videos / "clip_0001.mp4", "")
    touch(videos / "notes.txt")
    assert logs.traces(plan(tmp_path), video=True).videos == {(7.0, f"{videos}/clip_0000.mp4")}
    assert logs.traces(plan(tmp_path), video=False).videos == frozenset()


@pytest.mark.parametrize(("library", "file"), [("rsl_rl", "model_9.pt"), ("skrl", "checkpoints/agent_9.pt")])
def test_play_records_beside_the_checkpoint_it_plays(tmp_path: Path, library: str, file: str) -> None:
    run = tmp_path / "elsewhere" / "run"
    video = touch(run / "videos" / "play" / "clip.mp4", modified=7.0)
    played = plan(tmp_path / "cwd", library, "play", "--checkpoint", str(run / file))
    assert logs.traces(played, video=True).videos == {(7.0, str(video))}
    regular_expression = plan(tmp_path / "cwd", library, "play", "--checkpoint", "^model_9$")
    assert logs.traces(regular_expression, video=True).videos == frozenset()


def test_play_of_a_published_checkpoint_records_beside_it(tmp_path: Path) -> None:
    video = touch(tmp_path / ".pretrained_checkpoints" / "rsl_rl" / "Isaac-Ant" / "videos" / "play" / "a.mp4")
    assert [path for _, path in logs.traces(plan(tmp_path, action="play"), video=True).videos] == [str(video)]


@pytest.mark.parametrize(
    ("file", "there"),
    [
        ("Isaac-Ant_newtonmjwarp_none_rsl_rl.pt", True),
        ("Isaac-Ant/checkpoint.pt", True),
        ("Isaac-Ant-Direct_newtonmjwarp_none_rsl_rl.pt", False),
        ("Isaac-Ant-Direct/checkpoint.pt", False),
        (None, False),
    ],
)
def test_a_published_checkpoint_is_known_by_its_task(tmp_path: Path, file: str | None, there: bool) -> None:
    if file is not None:
        touch(tmp_path / ".pretrained_checkpoints" / "rsl_rl" / file)
    assert logs.has_published(plan(tmp_path, action="play")) is there


def test_no_library_is_left_out_here() -> None:
    assert set(GLOBS) == set(WRITTEN)
