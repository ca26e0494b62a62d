"""Curves: units, attempts, what stands out of them, and how they are drawn small."""

from __future__ import annotations

from math import inf, nan

import pytest

from recorded import EVENTS, RUNS
from spark_rl import curves, events
from spark_rl.counting import Scale
from spark_rl.curves import LENGTH, REWARD, Collector, Curve, Point


def curve(*values: float, tag: str = "Train/mean_reward", start: int = 0, every: int = 1) -> Curve:
    steps = range(start, start + every * len(values), every)
    return Curve(tag=tag, steps=tuple(map(float, steps)), values=values, wall_times=tuple(1000.0 + s for s in steps))


def point(tag: str, step: int, value: float, wall_time: float = 1.0) -> Point:
    return Point(tag=tag, step=step, value=value, wall_time=wall_time)


@pytest.mark.parametrize("folder", RUNS)
def test_real_runs_end_with_their_last_iteration(folder: str) -> None:
    library, (horizon, iterations) = folder.removesuffix("_mappo"), RUNS[folder]
    scale = Scale(library=library, horizon=horizon, num_envs=64)
    recorded = events.read(EVENTS / folder)
    for tag in (REWARD[library], LENGTH[library]):
        over = curves.in_iterations(recorded[tag], scale)
        assert over is not None
        assert iterations - 1 < over.steps[-1] <= iterations
        assert 0 < over.steps[0] < 7
        assert list(over.steps) == sorted(over.steps)
        assert over.values == recorded[tag].values


def test_what_was_learned_in_the_real_runs() -> None:
    rewards = {name: events.read(EVENTS / name)[REWARD[name.removesuffix("_mappo")]] for name in RUNS}
    assert {name: (len(reward), round(reward.final or 0, 2)) for name, reward in rewards.items()} == {
        "rsl_rl": (30, 1.19),
        "rl_games": (27, -1.9),
        "skrl": (98, 0.77),
        "skrl_mappo": (105, 3.97),
        "sb3": (13, -5.22),
    }


def test_rl_games_counts_its_tags_in_three_ways() -> None:
    scale = Scale(library="rl_games", horizon=32, num_envs=64)
    recorded = events.read(EVENTS / "rl_games")
    by_epoch = curves.in_iterations(recorded["rewards/iter"], scale)
    by_frame = curves.in_iterations(recorded["rewards/step"], scale)
    assert by_epoch is not None
    assert by_frame is not None
    assert by_epoch.steps == by_frame.steps
    assert by_epoch.steps[:2] == (4.0, 5.0)
    assert curves.in_iterations(recorded["rewards/time"], scale) is None
    losses = curves.in_iterations(recorded["losses/a_loss"], scale)
    assert losses is not None
    assert losses.steps == tuple(range(1, 31))


@pytest.mark.parametrize(
    ("library", "tag", "step", "done"),
    [
        ("rsl_rl", "Train/mean_reward", 29, 30),
        ("rsl_rl", "Train/mean_reward/time", 29, None),
        ("rl_games", "rewards/iter", 30, 30),
        ("rl_games", "Episode/Metrics/success_rate", 30, 30),
        ("rl_games", "rewards/step", 29 * 640, 30),
        ("skrl", "Reward / Total reward (mean)", 300, 30),
        ("sb3", "rollout/ep_rew_mean", 19200, 30),
    ],
)
def test_recorded_steps_become_iterations_done(library: str, tag: str, step: int, done: int | None) -> None:
    over = curves.in_iterations(curve(1.0, tag=tag, start=step), Scale(library=library, horizon=10, num_envs=64))
    assert (over.steps[0] if over else None) == done


def test_without_a_horizon_only_iterations_are_known() -> None:
    assert curves.in_iterations(curve(1.0), Scale(library="rsl_rl")) is not None
    for library in ("skrl", "sb3"):
        assert curves.in_iterations(curve(1.0, tag=REWARD[library]), Scale(library=library)) is None


def joined(library: str, *attempts: tuple[Curve, int]) -> list[tuple[float, float]]:
    scale = Scale(library=library, horizon=10, num_envs=2)
    tag = REWARD[library]
    made = curves.join([({tag: part}, done) for part, done in attempts], scale)
    return list(made[tag].finite)


def test_a_library_that_goes_on_counting_keeps_its_count() -> None:
    later = curve(9.0, 9.5, start=2)
    assert joined("rsl_rl", (curve(1.0, 2.0, 3.0, 4.0), 0), (later, 2)) == [(1, 1), (2, 2), (3, 9), (4, 9.5)]


def test_a_library_that_starts_again_is_shifted() -> None:
    tag = REWARD["skrl"]
    first, later = curve(1.0, 2.0, 3.0, tag=tag, start=10, every=10), curve(9.0, 8.0, tag=tag, start=10, every=10)
    assert joined("skrl", (first, 0), (later, 2)) == [(1, 1), (2, 2), (3, 9), (4, 8)]


def test_an_iteration_that_is_repeated_is_not_counted_twice() -> None:
    later = curve(9.0, 9.5, start=2)
    assert joined("rsl_rl", (curve(1.0, 2.0, 3.0), 0), (later, 3)) == [(1, 1), (2, 2), (3, 9), (4, 9.5)]


def test_a_count_that_began_anew_is_shifted_too() -> None:
    assert joined("rsl_rl", (curve(1.0, 2.0), 0), (curve(3.0), 2)) == [(1, 1), (2, 2), (3, 3)]


def test_what_an_attempt_lost_is_dropped_even_where_the_next_got_less_far() -> None:
    first = curve(*map(float, range(10)))
    assert joined("rsl_rl", (first, 0), (curve(50.0, start=5), 5))[-2:] == [(5, 4), (6, 50)]


def test_an_attempt_that_recorded_nothing_changes_nothing() -> None:
    scale = Scale(library="rsl_rl")
    made = curves.join([({"Loss/value": curve(1.0, 2.0, tag="Loss/value")}, 0), ({}, 1)], scale)
    assert made["Loss/value"].values == (1.0, 2.0)
    assert curves.join([], scale) == {}


def test_steps_that_go_back_replace_what_was_there() -> None:
    collector = Collector()
    collector.add(point("a", step, step) for step in (0, 1, 2, 3))
    collector.add(point("a", step, 10 * step) for step in (2, 3))
    collector.add([point("b", 7, 1.0), point("b", 7, 2.0)])
    made = collector.curves()
    assert made["a"].finite == ((0, 0), (1, 1), (2, 20), (3, 30))
    assert made["b"].values == (1.0, 2.0)


def test_first_final_and_best_pass_over_what_is_no_number() -> None:
    reward = curve(nan, 1.0, 5.0, 5.0, 2.0, inf)
    assert (reward.first, reward.final, reward.best) == (1.0, 2.0, (2.0, 5.0))
    assert (reward.reaching(4.0), reward.reaching(5.5)) == (2.0, None)
    empty = curve(nan)
    assert (empty.first, empty.final, empty.best) == (None, None, None)


def test_pauses_do_not_count_as_speed() -> None:
    steps = (1.0, 2.0, 3.0, 4.0)
    paused = Curve(tag="a", steps=steps, values=steps, wall_times=(10.0, 10.5, 11.0, 911.0))
    assert paused.rate() == 2.0
    assert curve(1.0).rate() is None


def test_a_thin_curve_keeps_its_ends_and_its_peaks() -> None:
    values = [0.0] * 1_000_000
    values[123_456], values[765_432] = 9.0, -9.0
    thin = curve(*values).thinned(200)
    assert len(thin) <= 200
    assert (thin.steps[0], thin.steps[-1]) == (0, 999_999)
    assert (thin.best, min(thin.values)) == ((123_456, 9.0), -9.0)
    assert list(thin.steps) == sorted(thin.steps)
    assert curve(1.0, 2.0).thinned(200) == curve(1.0, 2.0)


@pytest.mark.parametrize(
    ("values", "width", "shown"),
    [
        ([], 8, ""),
        ([1.0], 8, "▁"),
        ([5.0, 5.0, 5.0], 8, "▁▁▁"),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 8, "▁▂▃▄▅▆▇█"),
        ([0.0, 0.0, 7.0, 7.0], 2, "▁█"),
        ([0.0, nan, 7.0], 8, "▁ █"),
        ([nan, inf], 8, "  "),
        ([-3.0, 3.0], 1, "▁"),
    ],
)
def test_sparks(values: list[float], width: int, shown: str) -> None:
    assert curves.spark(values, width) == shown
