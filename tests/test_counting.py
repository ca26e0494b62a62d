"""What a library counts becomes iterations, env steps and time left."""

from __future__ import annotations

import pytest

from spark_rl import counting
from spark_rl.counting import Scale
from spark_rl.dialects import Event
from spark_rl.records import Progress


@pytest.mark.parametrize(
    ("library", "first", "event", "iteration", "total"),
    [
        ("rsl_rl", 0, Event(iteration=6, max_iterations=30), 6, 30),
        ("rsl_rl", 10, Event(iteration=11, max_iterations=30), 11, 30),
        ("rl_games", 10, Event(iteration=11, max_iterations=30), 11, 30),
        ("skrl", 0, Event(timesteps=64, timesteps_total=320), 4, 20),
        ("skrl", 10, Event(timesteps=64, timesteps_total=160), 14, 20),
        ("sb3", 0, Event(timesteps=4096, timesteps_total=20480), 4, 20),
        ("sb3", 10, Event(timesteps=4096, timesteps_total=10240), 14, 20),
        ("sb3", 10, Event(iteration=2), 12, None),
    ],
)
def test_iterations_of_the_whole_run(library: str, first: int, event: Event, iteration: int, total: int | None) -> None:
    scale = Scale(library=library, horizon=16, num_envs=64, first=first)
    progress = counting.fold(Progress(), event, scale)
    assert (progress.iteration, progress.max_iterations) == (iteration, total)
    assert progress.env_steps == iteration * 16 * 64


def test_what_cannot_be_converted_is_left_out() -> None:
    for library in ("skrl", "sb3"):
        assert counting.fold(Progress(), Event(timesteps=64), Scale(library=library)) == Progress()


def test_a_count_never_goes_back() -> None:
    scale = Scale(library="rsl_rl")
    progress = counting.fold(Progress(iteration=9), Event(iteration=3), scale)
    assert progress.iteration == 9


def test_a_checkpoint_proves_what_was_not_printed_any_more() -> None:
    scale = Scale(library="skrl", horizon=16, num_envs=64)
    killed = Progress(iteration=7, env_steps=7168, checkpoint_iteration=8)
    proven = counting.caught_up(killed, scale)
    assert (proven.iteration, proven.env_steps) == (8, 8192)
    for enough in (Progress(iteration=9, checkpoint_iteration=8), Progress(iteration=3), Progress()):
        assert counting.caught_up(enough, scale) is enough


def test_ranks_count_for_the_env_steps() -> None:
    assert Scale(library="rsl_rl", horizon=16, num_envs=64, world_size=4).batch == 4096


@pytest.mark.parametrize(
    ("library", "number", "held", "resumes"),
    [
        ("rsl_rl", 0, 1, 0),
        ("rsl_rl", 149, 150, 149),
        ("rl_games", 50, 50, 50),
        ("skrl", 160, 30, 30),
        ("sb3", 16 * 64, 20, 20),
        ("sb3", 16 * 64 + 64, 21, 21),
        ("sb3", 32 * 64, 21, 21),
    ],
)
def test_what_a_checkpoint_holds(library: str, number: int, held: int, resumes: int) -> None:
    scale = Scale(library=library, horizon=16, num_envs=64, first=20 if library in ("skrl", "sb3") else 0)
    assert counting.saved(number, scale) == held
    assert counting.resumes_at(held, library) == resumes


def test_the_speed_is_a_running_mean_and_gives_the_time_left() -> None:
    scale = Scale(library="rsl_rl", horizon=16, num_envs=64)
    progress = Progress(iteration=10, max_iterations=110)
    assert counting.seconds_left(progress) is None
    progress = counting.paced(progress, (0.0, 5), 10.0, scale)
    assert (progress.iteration_seconds, progress.fps) == (2.0, 512.0)
    assert counting.seconds_left(progress) == 200.0
    slower = counting.paced(progress, (0.0, 9), 4.0, scale)
    assert 2.0 < (slower.iteration_seconds or 0) < 4.0
    assert counting.paced(progress, (0.0, 10), 4.0, scale) == progress


def test_phases_go_forward_only() -> None:
    progress = counting.entered(Progress(), "environment", 3.0)
    assert (progress.phase, progress.phases) == ("environment", (("launching", 3.0),))
    assert counting.entered(progress, "simulator", 1.0) == progress
    assert counting.entered(progress, "training", 2.0).phases[-1] == ("environment", 2.0)


def test_what_a_stop_would_cost() -> None:
    assert counting.unsaved(Progress()) is None
    assert counting.unsaved(Progress(iteration=12)) == 12
    assert counting.unsaved(Progress(iteration=12, checkpoint_iteration=10)) == 2
