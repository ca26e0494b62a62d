"""Runs side by side: the values, the table and the document."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING

import pytest

from recorded import EVENTS, attempt, event, run, write
from spark_rl import curve_tables, documents, events, learning
from spark_rl.comparison import Comparison, Learned, compare, scale_of
from spark_rl.curves import LENGTH, REWARD, Curve
from spark_rl.errors import CheckError, RequestError
from spark_rl.records import Progress, Run
from spark_rl.tables import Screen

if TYPE_CHECKING:
    from pathlib import Path


def learned(*rewards: float, number: str = "1", **fields: object) -> Learned:
    """Return a run of rsl_rl with a reward for each iteration, two iterations a second."""
    made = run("rsl_rl", number, **fields)
    steps = tuple(float(step) for step in range(1, len(rewards) + 1))
    reward = Curve(
        tag=REWARD["rsl_rl"], steps=steps, values=rewards, wall_times=tuple(1000 + step / 2 for step in steps)
    )
    return Learned(run=made, scale=scale_of(made), curves={reward.tag: reward})


REAL = [
    learning.learned(run(name, str(number))) for number, name in enumerate(("rsl_rl", "rl_games", "skrl", "sb3"), 1)
]
MARL = learning.learned(run("skrl_mappo", "5"))


def test_a_row_says_what_a_run_came_to() -> None:
    (row,) = compare([learned(0.0, 4.0, 10.0, 8.0, progress=Progress(iteration=4, env_steps=4 * 16 * 64))]).rows
    assert (row.final_reward, row.best_reward, row.best_iteration) == (8.0, 10.0, 3)
    assert (row.iterations_to_threshold, row.env_steps_to_threshold) == (3, 3 * 1024)
    assert (row.iteration, row.env_steps, row.seconds) == (4, 4096, 63.0)
    assert row.env_steps_per_second == 2 * 1024
    assert row.length is None


def test_the_default_threshold_lies_between_the_lowest_start_and_the_best_final() -> None:
    value = compare([learned(-10.0, 50.0, 20.0), learned(0.0, 90.0, number="2")])
    assert value.threshold == pytest.approx(80.0)
    assert "90%" in value.reason
    assert [row.iterations_to_threshold for row in value.rows] == [None, 2]


def test_a_threshold_that_was_asked_for() -> None:
    value = compare([learned(-10.0, 50.0, 20.0)], threshold=-20.0)
    assert (value.threshold, value.reason, value.rows[0].iterations_to_threshold) == (-20.0, "as asked for", 1)


@pytest.mark.parametrize(
    ("rewards", "reason"),
    [
        ((), "no run recorded a reward"),
        ((nan,), "no run recorded a reward"),
        ((3.0, 2.0), "no run ended above the lowest start"),
    ],
)
def test_without_progress_there_is_no_default_threshold(rewards: tuple[float, ...], reason: str) -> None:
    value = compare([learned(*rewards)])
    assert (value.threshold, value.reason) == (None, reason)
    assert value.rows[0].env_steps_to_threshold is None
    assert f"to threshold: none, {reason}" in curve_tables.comparison(value, Screen(width=100))


def test_a_run_that_is_not_over_counts_to_its_last_sign_of_life() -> None:
    (row,) = compare([learned(1.0, 2.0, ended_at=None, state="running")]).rows
    assert (row.seconds, row.state) == (50.0, "running")


def test_unknown_env_steps_stay_unknown() -> None:
    (row,) = compare([learned(1.0, 2.0, progress=Progress(iteration=2, fps=123.0))]).rows
    assert (row.iterations_to_threshold, row.env_steps_to_threshold, row.env_steps_per_second) == (2, None, 123.0)


def test_each_rank_has_environments_of_its_own() -> None:
    made = run(progress=Progress(iteration=10, env_steps=10 * 16 * 64 * 4))
    scale = scale_of(made, world_size=4)
    assert (scale.horizon, scale.num_envs, scale.batch) == (16, 64, 4096)
    assert scale_of(run(progress=Progress()), horizon=24).batch == 24 * 64
    assert scale_of(run(num_envs=None)).batch is None


def test_the_four_libraries_compare() -> None:
    value = compare(REAL)
    rows = {row.library: row for row in value.rows}
    assert {library: round(row.final_reward or 0, 2) for library, row in rows.items()} == {
        "rsl_rl": 1.19,
        "rl_games": -1.9,
        "skrl": 0.77,
        "sb3": -5.22,
    }
    assert [round(row.length or 0) for row in value.rows] == [99, 75, 182, 144]
    assert rows["rsl_rl"].best_iteration == 30
    assert value.threshold == pytest.approx(0.697, abs=0.001)
    assert rows["rl_games"].env_steps_to_threshold is None
    assert (rows["skrl"].env_steps_to_threshold or 0) % 64 == 0
    assert all(2000 < (row.env_steps_per_second or 0) < 6000 for row in value.rows)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160])
def test_the_table_fits(width: int) -> None:
    lines = curve_tables.comparison(compare(REAL), Screen(width=width)).split("\n")
    assert max(map(len, lines)) <= width
    assert lines[0] == "Isaac-Cartpole-Direct"
    assert [line.split()[0] for line in lines[3:7]] == ["1", "2", "3", "4"]
    assert ("env steps/s" in lines[2]) == (width >= 80)
    assert ("rl_games PPO" in "\n".join(lines)) == (width >= 120)


def test_the_table_in_full() -> None:
    text = curve_tables.comparison(compare([learned(0.0, 4.0, 10.0, 8.0, run_name="base")], 5.0), Screen(width=100))
    assert text.split("\n") == [
        "Isaac-Cartpole-Direct",
        "",
        "run     final reward  best (iteration)  to threshold  time  env steps/s  state      length",
        "1 base          8.00        10.00 at 3        3.07 k  1:03       2.05 k  succeeded       -",
        "",
        "to threshold: env steps until the mean reward reached 5.00, as asked for",
    ]


def test_rewards_of_different_tasks_are_said_to_be_no_comparison() -> None:
    text = curve_tables.comparison(compare([REAL[0], MARL]), Screen(width=200))
    assert "different tasks" in text
    assert "Isaac-Pendulum-MARL-Direct" in text.split("\n")[2]


def test_the_best_run_stands_out() -> None:
    lines = curve_tables.comparison(compare(REAL), Screen(width=80, colour=True)).split("\n")
    assert [line.startswith("\033[1m") for line in lines[3:7]] == [True, False, False, False]


def test_the_document_of_a_comparison() -> None:
    document = json.loads(json.dumps(documents.comparison(compare(REAL)), allow_nan=False))
    assert document["schema"] == "spark-rl/compare/1"
    assert [row["library"] for row in document["runs"]] == ["rsl_rl", "rl_games", "skrl", "sb3"]
    assert document["threshold_reason"].startswith("90%")


def test_the_document_of_curves() -> None:
    document = json.loads(json.dumps(documents.curves([learned(1.0, nan)]), allow_nan=False))
    (entry,) = document["runs"]
    assert (document["schema"], entry["id"], entry["task"]) == ("spark-rl/curves/1", "1", "Isaac-Cartpole-Direct")
    (curve,) = entry["curves"]
    assert (curve["iterations"], curve["env_steps"], curve["values"]) == ([1, 2], [1024, 2048], [1.0, None])
    unknown = documents.curves([learned(1.0, progress=Progress())])
    assert unknown["runs"][0]["curves"][0]["env_steps"] is None


def resumed(library: str) -> Run:
    """Return a run with two attempts, both of which happen to have written the same files but for their folder."""
    made = run(library)
    (first,) = made.attempts
    second = replace(first, first_iteration=30, log_dir=f"{first.log_dir}/.")
    return replace(made, attempts=(first, replace(first, log_dir=None), second))


@pytest.mark.parametrize("library", ["rsl_rl", "rl_games", "skrl", "sb3"])
def test_the_attempts_of_a_run_are_one_curve(library: str) -> None:
    once, twice = learning.learned(run(library)), learning.learned(resumed(library))
    assert set(twice.curves) == {REWARD[library], LENGTH[library]}
    assert len(twice.reward) == 2 * len(once.reward)
    assert twice.reward.steps[-1] == once.reward.steps[-1] + 30
    assert list(twice.reward.steps) == sorted(set(twice.reward.steps))


def resumed_sb3(tmp_path: Path) -> Run:
    """Return a run of sb3 whose second and third attempt wrote into the first one's folder, as they do."""
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    tag = REWARD["sb3"]
    for number, folder in enumerate((first, second)):
        folder.mkdir()
        with zipfile.ZipFile(folder / "model.zip", "w") as archive:
            archive.writestr("data", json.dumps({"tensorboard_log": str(first)}))
        at = 100.0 * (number + 1)
        write(first / f"PPO_{number + 1}", [event(tag, 1024 * (done + 1), at + done, at + done) for done in range(3)])
    write(first / "PPO_3", [event(tag, 1024, 300.0, 300.0)], "events.out.tfevents.3.host")
    write(first / "PPO_4", [event(tag, 1024, 900.0, 900.0)], "events.out.tfevents.4.host")
    attempts = (
        attempt(str(first), started_at=99.0, ended_at=110.0),
        attempt(
            str(second), started_at=199.0, ended_at=210.0, first_iteration=2, from_checkpoint=str(first / "model.zip")
        ),
        attempt(
            str(third), started_at=299.0, ended_at=None, first_iteration=5, from_checkpoint=str(second / "model.zip")
        ),
    )
    return run("sb3", attempts=attempts, updated_at=310.0)


def test_sb3_resumes_in_the_folder_of_its_first_attempt(tmp_path: Path) -> None:
    made = resumed_sb3(tmp_path)
    assert [events.home(attempt, "sb3") for attempt in made.attempts] == [tmp_path / "first"] * 3
    assert events.home(made.attempts[1], "skrl") == tmp_path / "second"
    assert events.home(attempt(None), "sb3") is None
    reward = learning.learned(made).reward
    assert reward.finite == ((1, 100), (2, 101), (3, 200), (4, 201), (5, 202), (6, 300))
    running = replace(made, state="running", attempts=made.attempts[:1])
    assert learning.learned(running).reward.values == (100, 101, 102)


def test_a_folder_that_two_attempts_share_is_read_once() -> None:
    made = run("rl_games")
    again = replace(made, attempts=(*made.attempts, replace(made.attempts[0], first_iteration=20)))
    assert learning.learned(again).reward == learning.learned(made).reward


def test_one_tag_is_read_and_a_wrong_one_is_refused() -> None:
    assert list(learning.learned(run(), ["Loss/value"]).curves) == ["Loss/value"]
    with pytest.raises(RequestError, match="run 1 recorded nothing under Loss/valeu") as caught:
        learning.learned(run(), ["Loss/valeu"])
    assert caught.value.hint == "did you mean Loss/value?"


def test_a_run_without_files_has_learned_nothing_yet() -> None:
    made = run(attempts=(attempt(str(EVENTS / "absent")),))
    assert learning.learned(made).curves == {}
    with pytest.raises(CheckError, match="run 1 has recorded nothing") as caught:
        learning.learned(made, ["Loss/value"])
    assert "first iteration" in (caught.value.hint or "")
    assert isinstance(compare([learning.learned(made)]), Comparison)
