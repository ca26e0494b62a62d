"""Sweeps as values: what a file may say, the trials that come of it, what they take and what they come to."""

from __future__ import annotations

import random
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from planning import host
from spark_rl import sweep_plots, sweep_tables, sweeps
from spark_rl.errors import RequestError
from spark_rl.sweep import Result, Sweep, Trial, described, expansion, packing, ranking, reading, text
from spark_rl.tables import Screen
from spark_rl.tuning import Key, Tuning

TASK = {"task": "Isaac-Cartpole-Direct-v0", "library": "rsl_rl"}
RATE = "agent.algorithm.learning_rate"
GRID = '[space]\nnum_envs = { grid = [64, 128] }\n"env.a" = { grid = [1.5, true, "x", [1, 2]] }\n'
DRAWN = f'[space]\n"{RATE}" = {{ loguniform = [1e-4, 1e-2] }}\n"env.n" = {{ uniform = [1, 3] }}\n'
BUDGET = "[budget]\ncombinations = 5\n"


def read(document: str, **recipe: Any) -> Sweep:
    return reading.sweep(tomllib.loads(document), TASK | recipe, "sweeps/lr.toml")


def trials(document: str, **recipe: Any) -> tuple[Trial, ...]:
    sweep = read(document, **recipe)
    return expansion.trials(sweep, random.Random(sweep.search_seed).random)


# --- the file


def test_a_file_says_all_of_a_sweep() -> None:
    sweep = read(
        'seeds = [1, 2]\nmetric = "length"\ngoal = "min"\nscheduler = "asha"\nsearch_seed = 7\n'
        + DRAWN
        + '[budget]\ncombinations = 6\ntime = "20m"\nparallel = 2\n[asha]\ngrace = 10\nreduction = 4\n'
        + '[trial]\ncpus = 2\ngpus = 0.5\nmemory = "4GiB"\nsave_every = 10\n'
    )
    assert (sweep.name, sweep.seeds, sweep.metric, sweep.goal) == ("lr", (1, 2), "length", "min")
    assert (sweep.draws, sweep.time_s, sweep.parallel, sweep.grace, sweep.reduction) == (6, 1200.0, 2, 10, 4)
    assert (sweep.cpus, sweep.gpus, sweep.memory_mib, sweep.save_every, sweep.search_seed) == (2, 0.5, 4096, "10", 7)
    assert [(one.name, one.kind, one.whole) for one in sweep.parameters] == [
        (RATE, "loguniform", False),
        ("env.n", "uniform", True),
    ]


@pytest.mark.parametrize(
    ("document", "message", "hint"),
    [
        ("", "lr.toml has no search space", "[space]"),
        ("sedes = [1]\n" + GRID, "lr.toml has an unknown key: sedes", "did you mean seeds?"),
        ("[space]\nnum_env = { grid = [1] }", "there is no option num_env", "did you mean num_envs?"),
        ("[space]\nseed = { grid = [1] }", "no sweep is over seed", "seeds = [1, 2, 3]"),
        ("[space]\ntask = { grid = ['a'] }", "no sweep is over task", "for the recipe"),
        ("[space]\nnum_envs = { gird = [1] }", "of an unknown kind: gird", "did you mean grid?"),
        ("[space]\nnum_envs = [64]", "must say one of grid, choice, uniform, loguniform", "grid = [A, B]"),
        ("[space]\na.b.c = { choice = [1, 2] }", "a name with dots needs quotes", '"a.b.c" = { choice = [A, B] }'),
        ("[space.a.b]\nc = { grid = [1] }\nd = { grid = [1] }", "needs quotes", '"a.b.c" = { grid = [A, B] }'),
        ("[space.a]\nb = { grid = [1] }\nc = 4", "needs quotes", '"a.b" = { grid = [A, B] }'),
        ("[space]\n'a.b=1' = { grid = [1] }", "is no name of an option or a key", "on the right"),
        ("[space]\n'' = { grid = [1] }", "is no name of an option or a key", "on the right"),
        ("metric = 'rewrd'\n" + GRID, "metric in sweeps/lr.toml is 'rewrd'", "did you mean reward?"),
        ("metric = ''\n" + GRID, "metric in sweeps/lr.toml is ''", "reward, length, fps"),
        (GRID + "[budget]\ntime = '0s'", "time in [budget] of sweeps/lr.toml must be more than", "leave it out"),
        (GRID + "[trial]\ngpus = 1.5", "gpus in [trial] of sweeps/lr.toml is 1.5", "gpus = 0.5"),
        ("seeds = [-1]\n" + GRID, "must be whole numbers from 0 on", "seeds = [1, 2, 3]"),
        ("[space]\nnum_envs = { grid = [] }", "must have a list of values", "grid = [A, B]"),
        ("[space]\nnum_envs = { grid = [64, 1.5] }", "must hold whole numbers", "not 1.5"),
        ("[space]\nnum_envs = { grid = [64, 64] }", "names a value twice", "once"),
        ("[space]\nlibrary = { grid = ['rslrl'] }", "there is no library rslrl", "did you mean rsl_rl"),
        ("[space]\n'a.b' = { grid = [{}] }", "holds a table", "lists of them"),
        ("[space]\n'a.b' = { uniform = [2, 1] }\n" + BUDGET, "the lower one first", "it holds [2, 1]"),
        ("[space]\n'a.b' = { loguniform = [0, 1] }\n" + BUDGET, "are above 0", "it holds [0, 1]"),
        ("[space]\nnum_envs = { uniform = [1.0, 2.0] }\n" + BUDGET, "must have whole numbers", "it holds"),
        (DRAWN, "does not say how many combinations", "[budget] combinations = 8"),
        (GRID + BUDGET, "has 8 points, and combinations is 5", "choice draws from a list"),
        (GRID + "'c.d' = { choice = [1, 2] }\n" + BUDGET, "the grid has 8 points", "a multiple of 8"),
        ("seeds = []\n" + GRID, "seeds in sweeps/lr.toml must be whole numbers", "seeds = [1, 2, 3]"),
        ("seeds = [1, 1]\n" + GRID, "names a seed twice", "nothing new"),
        ("search = 'optnua'\n" + GRID, "search in sweeps/lr.toml is 'optnua'", "did you mean optuna?"),
        ("search = 'optuna'\n" + GRID, "num_envs is a grid", "choice instead of grid"),
        ("search = 'optuna'\nscheduler = 'asha'\nseeds = [1, 2]\n" + DRAWN + BUDGET, "would stop some", "one seed"),
        (GRID + "[asha]\ngrace = 5", "and its scheduler is none", 'scheduler = "asha"'),
        (GRID + "[asha]\nreduction = 1", "reduction in sweeps/lr.toml must be at least 2", "it holds 1"),
        ("scheduler = 'asha'\n[space]\nmax_iterations = { grid = [10, 20] }", "one length", "drop one"),
        (GRID + "[trial]\ncpus = 0", "cpus in sweeps/lr.toml must be at least 1", "it holds 0"),
        (GRID + "[trial]\nmemory = 'much'", "trial.memory must be an amount of memory", "8GiB"),
        (GRID + "[budget]\ntime = 'long'", "budget.time must be a time", "30m"),
    ],
)
def test_what_makes_no_sense_is_told(document: str, message: str, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(document)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("metric", ["reward", "fps", "rewards/iter", "Train/mean_reward", "success"])
def test_a_tag_of_the_runs_may_be_the_metric(metric: str) -> None:
    assert read(f"metric = {metric!r}\n{GRID}").metric == metric


def test_asha_must_be_able_to_stop_a_trial() -> None:
    late = read("scheduler = 'asha'\n" + GRID + "[asha]\ngrace = 20")
    with pytest.raises(RequestError, match="stops nothing before iteration 20, and a trial has 20") as caught:
        reading.refuse_grace(late, 20)
    assert caught.value.hint == "[asha] grace = 2"
    for found, longest in ((late, 21), (late, None), (read(GRID), 20)):
        reading.refuse_grace(found, longest)


def test_a_sweep_needs_a_task() -> None:
    with pytest.raises(RequestError, match="names no task"):
        reading.sweep(tomllib.loads(GRID), {}, "lr.toml")


@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parent.parent / "configs" / "sweeps").glob("*.toml")), ids=lambda file: file.stem
)
def test_the_sweeps_that_come_with_spark_rl_are_valid(file: Path) -> None:
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    assert reading.sweep(document, document["recipe"], str(file)).name == file.stem


# --- the trials


def test_a_grid_is_every_combination_with_every_seed() -> None:
    found = trials("seeds = [3, 4]\n" + GRID)
    assert len(found) == 2 * 4 * 2
    assert [(one.number, one.combination, one.seed) for one in found[:4]] == [
        (1, 1, 3),
        (2, 1, 4),
        (3, 2, 3),
        (4, 2, 4),
    ]
    assert found[0].values == found[1].values == (("num_envs", 64), ("env.a", 1.5))
    assert found[-1].values == (("num_envs", 128), ("env.a", [1, 2]))


def test_draws_are_within_their_bounds_and_the_same_every_time() -> None:
    document = DRAWN + "[budget]\ncombinations = 200\n"
    found = trials(document)
    assert found == trials(document)
    assert found != trials("search_seed = 1\n" + document)
    rates = [dict(one.values)[RATE] for one in found]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert 80 < sum(rate < 1e-3 for rate in rates) < 120
    assert all(float(f"{rate:.4g}") == rate for rate in rates)
    whole = [dict(one.values)["env.n"] for one in found]
    assert {type(number) for number in whole} == {int}
    assert all(50 < whole.count(number) < 85 for number in (1, 2, 3))


def test_each_point_of_a_grid_gets_as_many_draws_and_none_comes_twice() -> None:
    found = trials(
        "[space]\nnum_envs = { grid = [1, 2] }\n'a.b' = { choice = [1, 2, 3] }\n[budget]\ncombinations = 6\n"
    )
    assert [dict(one.values)["num_envs"] for one in found] == [1, 1, 1, 2, 2, 2]
    assert len({one.values for one in found}) == 6


def test_a_space_that_is_smaller_than_the_draws_ends() -> None:
    assert len(trials("[space]\n'a.b' = { choice = [1] }\n[budget]\ncombinations = 3\n")) == 3


def test_the_words_of_a_trial() -> None:
    sweep = read(
        GRID + "[trial]\nsave_every = '5m'\n", overrides=["env.a=9", "env.b=1", "~env.c"], num_envs=8, device="cpu"
    )
    last = expansion.trials(sweep, random.Random(0).random)[-1]
    assert expansion.flags(sweep, last) == TASK | {
        "num_envs": 128,
        "device": "cpu",
        "seed": 42,
        "run_name": "lr-8",
        "save_every": "5m",
    }
    assert expansion.overrides(sweep, last.values) == ("env.b=1", "~env.c", "env.a=[1,2]")


def test_the_corners_of_a_space_hold_every_value_and_bound() -> None:
    sweep = read("search = 'optuna'\n" + DRAWN + BUDGET)
    assert expansion.corners(sweep) == (((RATE, 1e-4), ("env.n", 1)), ((RATE, 1e-2), ("env.n", 3)))
    listed = read(
        "search = 'optuna'\n[space]\n'a.b' = { choice = ['x', 'y', 'z'] }\n'c.d' = { uniform = [0.5, 1] }\n" + BUDGET
    )
    assert [dict(one)["a.b"] for one in expansion.corners(listed)] == ["x", "y", "z"]


def test_what_a_search_suggests_is_a_trial_and_back() -> None:
    sweep = read("search = 'optuna'\nseeds = [5, 6]\n" + DRAWN + "'l.m' = { choice = [[1], [2, 3]] }\n" + BUDGET)
    found = expansion.suggested(sweep, 4, {RATE: 0.00123456, "env.n": 2, "l.m": 1})
    assert (found.combination, found.seed) == (2, 6)
    assert found.values == ((RATE, 0.001235), ("env.n", 2), ("l.m", [2, 3]))
    assert expansion.coded(sweep, found.values) == ((RATE, 0.001235), ("env.n", 2), ("l.m", 1))


@pytest.mark.parametrize(
    ("value", "told"),
    [(True, "true"), (1e-05, "1e-05"), (0.5, "0.5"), ([1, "a", 0.1], "[1,a,0.1]"), (2.0, "2"), ("x", "x")],
)
def test_values_as_hydra_reads_them(value: object, told: str) -> None:
    assert text(value) == told


# --- what a trial takes


def tuned(**values: Any) -> Tuning:
    key = Key(task="t", library="rsl_rl", algorithm="PPO", version="3.0.0", host="h", device="cpu")
    return replace(Tuning(key=key, knee=4096, largest=8192, at=0.0), **values)


def needed(document: str, gpus: int, *, num_envs: int | None = 512, known: Tuning | None = None) -> packing.Needs:
    there = packing.room(host(gpus=gpus), None)
    return packing.needs(read(document), there, num_envs=num_envs, kitless=True, known=known)


def test_a_trial_on_the_cpu_takes_one_of_them_and_a_guess_of_memory() -> None:
    found = needed(GRID, 0)
    assert (found.cpus, found.gpus, found.memory_mib) == (1, 0.0, packing.KITLESS_MIB)
    assert "tune measures it" in dict(found.reasons)["memory"]


def test_what_was_measured_counts() -> None:
    found = needed(GRID, 0, known=tuned(base_mib=1000.0, env_mib=0.5))
    assert (found.memory_mib, dict(found.reasons)["memory"]) == (1508, "measured by spark-rl tune")
    shared = needed(GRID, 2, known=tuned())
    assert (shared.gpus, shared.cpus) == (0.125, 1)
    assert needed(GRID, 2, num_envs=4096, known=tuned()).gpus == 1.0
    assert (needed(GRID, 2).gpus, needed(GRID, 2).cpus) == (1.0, 4)


def test_the_file_wins_over_what_was_measured() -> None:
    found = needed(GRID + "[trial]\ncpus = 3\ngpus = 0.5\nmemory = '1GiB'\n", 1, known=tuned(base_mib=1.0, env_mib=1.0))
    assert (found.cpus, found.gpus, found.memory_mib) == (3, 0.5, 1024)


@pytest.mark.parametrize(
    ("cpus", "gpus", "mib", "parallel", "count"),
    [
        (1, 0.0, 1000, None, 8),
        (3, 0.0, 1000, None, 2),
        (1, 0.0, 9000, None, 3),
        (1, 0.5, 100, None, 4),
        (1, 1.0, 1, 1, 1),
    ],
)
def test_as_many_run_at_once_as_fit(cpus: int, gpus: float, mib: int, parallel: int | None, count: int) -> None:
    there = packing.Room(cpus=8, gpus=2, memory_mib=28000)
    assert there.at_once(packing.Needs(cpus=cpus, gpus=gpus, memory_mib=mib), parallel) == count


def test_a_trial_that_does_not_fit_is_refused() -> None:
    there = packing.Room(cpus=2, gpus=0, memory_mib=2000)
    for needs, message in (
        (packing.Needs(cpus=4, gpus=0.0, memory_mib=1), "a trial needs 4 cpus, and 2 are here"),
        (packing.Needs(cpus=1, gpus=1.0, memory_mib=1), "a trial needs 1 gpus, and 0 are here"),
        (packing.Needs(cpus=1, gpus=0.0, memory_mib=3072), "a trial needs 3072 MiB of memory, and 2000 are here"),
    ):
        with pytest.raises(RequestError, match=message):
            packing.refuse(needs, there)


# --- what trials come to


def done(document: str, scores: list[float | None], **states: Any) -> list[Result]:
    found = trials(document)
    results = [
        Result(trial=one, state="complete", iteration=30, score=score) for one, score in zip(found, scores, strict=True)
    ]
    return [replace(one, **states.get(f"t{one.trial.number}", {})) for one in results]


THREE = "seeds = [1, 2]\n[space]\n'a.lr' = { grid = [0.1, 0.2, 0.3] }\n"


def test_seeds_are_one_row_and_the_median_decides() -> None:
    rows = ranking.ranked(done(THREE, [1.0, 9.0, 6.0, 6.2, 2.0, 3.0]), "max")
    assert [(row.combination, row.median, row.state) for row in rows] == [
        (2, pytest.approx(6.1), "complete"),
        (1, 5.0, "complete"),
        (3, 2.5, "complete"),
    ]
    assert ranking.spread(rows[1]) == "5.00 (1.00 to 9.00)"
    assert [row.combination for row in ranking.ranked(done(THREE, [1.0, 9.0, 6.0, 6.2, 2.0, 3.0]), "min")] == [3, 1, 2]


def test_what_was_not_trained_to_its_end_counts_only_where_nothing_was() -> None:
    results = done(
        THREE,
        [1.0, 1.0, 50.0, 60.0, None, 99.0],
        t3={"state": "stopped", "iteration": 10},
        t5={"state": "failed", "iteration": None},
        t6={"state": "waiting", "iteration": None},
    )
    rows = ranking.ranked(results, "max")
    assert [row.combination for row in rows] == [1, 2, 3]
    assert [row.state for row in rows] == ["complete", "1 stopped, 1 complete", "1 failed, 1 waiting"]
    assert rows[1].scores == (60.0,)
    assert ranking.best(rows) is rows[0]
    assert ranking.best(rows[2:]) is None


def test_of_those_that_were_stopped_the_furthest_comes_first() -> None:
    stopped = {
        f"t{n}": {"state": "stopped", "iteration": at}
        for n, at in ((1, 10), (2, 10), (3, 20), (4, 20), (5, 10), (6, 10))
    }
    rows = ranking.ranked(done(THREE, [9.0, 9.0, 1.0, 1.0, 8.0, 8.0], **stopped), "max")
    assert [row.combination for row in rows] == [2, 1, 3]


def test_a_run_without_a_score_is_not_complete() -> None:
    assert not ranking.ranked(done(THREE, [None, 1.0, 1.0, 1.0, 1.0, 1.0]), "max")[2].complete


def test_the_best_recipe_is_one(tmp_path: Path) -> None:
    from spark_rl.settings import load_recipe

    sweep = read(THREE, overrides=["a.lr=5", 'b.c="q"'], headless=True)
    rows = ranking.ranked(done(THREE, [1.0, 9.0, 6.0, 6.2, 2.0, 3.0]), "max")
    file = tmp_path / "best.toml"
    file.write_text(ranking.recipe_text(expansion.recipe(sweep, rows[0].values), sweep, rows[0]), encoding="utf-8")
    assert load_recipe(file) == TASK | {"headless": True, "seed": 1, "overrides": ['b.c="q"', "a.lr=0.2"]}
    assert file.read_text().splitlines()[:2] == [
        "# The best of the sweep lr: a.lr=0.2",
        "# reward 6.10 (6.00 to 6.20), seeds 1, 2",
    ]


# --- as text


def test_names_are_as_short_as_they_can_be() -> None:
    assert sweep_tables.short(["agent.policy.lr", "agent.value.lr", "env.n", "num_envs", "+a.b"]) == {
        "agent.policy.lr": "policy.lr",
        "agent.value.lr": "value.lr",
        "env.n": "n",
        "num_envs": "num_envs",
        "+a.b": "b",
    }


def test_the_live_table_has_what_runs_first_and_then_the_best() -> None:
    results = done(
        THREE, [1.0, 2.0, 3.0, None, 4.0, None], t5={"state": "running"}, t4={"state": "waiting", "iteration": None}
    )
    lines = sweep_tables.running(read(THREE), results, Screen(width=80), 5)
    assert [line.split()[0] for line in lines] == ["trial", "5", "3", "2", "1"]
    assert lines[0].split() == ["trial", "lr", "seed", "iteration", "reward", "state"]
    assert sweep_tables.counts(results, 8) == "1 running, 4 complete, 3 waiting"


def test_the_score_over_a_parameter_is_a_bar_for_each_value() -> None:
    rows = ranking.ranked(done(THREE, [1.0, 9.0, 6.0, 6.2, 2.0, 3.0]), "max")
    (block,) = sweep_plots.terminal(rows, read(THREE), Screen(width=70))
    assert block.splitlines() == [
        "reward over lr",
        "  0.1  #####################           5.00 (1.00 to 9.00)",
        "  0.2  ##############################  6.10 (6.00 to 6.20)",
        "  0.3  #                               2.50 (2.00 to 3.00)",
    ]


def test_a_range_with_many_values_is_cut_into_parts() -> None:
    document = f'[space]\n"{RATE}" = {{ loguniform = [1e-4, 1e-2] }}\n[budget]\ncombinations = 40\n'
    rows = ranking.ranked(done(document, [float(n) for n in range(40)]), "max")
    found = sweep_plots.bars(rows, read(document).parameters[0])
    assert 3 <= len(found) <= sweep_plots.MOST_BARS
    assert sum(len(bar.scores) for bar in found) == 40
    assert " to " in found[0].label


def test_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = ranking.ranked(done(THREE, [1.0, 9.0, 6.0, 6.2, 2.0, 3.0]), "max")
    sweep_plots.png(rows, read(THREE), tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_described_values() -> None:
    assert described((("a.b", [1, 2]), ("c", True))) == "a.b=[1,2] c=true"


# --- the folder


def test_reports_of_a_resumed_trial_replace_what_they_repeat(tmp_path: Path) -> None:
    sweeps.home(tmp_path, 1).mkdir(parents=True)
    for iteration, score in ((1, 1.0), (5, 2.0), (9, 3.0), (6, 2.5), (9, 4.0)):
        sweeps.report(tmp_path, 1, sweeps.Report(iteration=iteration, score=score))
    with sweeps.reports_file(tmp_path, 1).open("a") as file:
        file.write('{"iteration": 10, "sco')
    assert [(one.iteration, one.score) for one in sweeps.reports(tmp_path, 1)] == [
        (1, 1.0),
        (5, 2.0),
        (6, 2.5),
        (9, 4.0),
    ]


def test_trials_are_written_and_read(tmp_path: Path) -> None:
    found = trials(GRID)
    sweeps.save_trials(tmp_path, found)
    assert sweeps.load_trials(tmp_path) == found


def test_the_newest_sweep_of_a_name(tmp_path: Path) -> None:
    assert sweeps.newest(tmp_path, "lr") is None
    for name, at in (("lr", 1.0), ("lr", 3.0), ("lr", 2.0), ("lr_more", 9.0)):
        sweeps.save(sweeps.create(tmp_path, name, "2026-11-25"), {"name": name, "at": at})
    found = sweeps.newest(tmp_path, "lr")
    assert found is not None
    assert found.name == "lr_2026-11-25-2"
