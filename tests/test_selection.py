"""Which runs a filter takes, and which run a person means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import runs
from spark_rl import selection
from spark_rl.errors import RequestError
from spark_rl.records import Attempt
from spark_rl.selection import BadRecord, Selection
from spark_rl.summaries import summarize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_rl.records import Run
    from spark_rl.summaries import Summary

BAD = BadRecord(id="3", path="/s/3/state.json", reason="it is garbage")


def log(name: str, attempts: int = 1) -> dict[str, Any]:
    """Return the fields of a run whose attempts wrote to Isaac Lab run folders of this name and a number."""
    argv = ("x",)
    made = [Attempt(argv=argv, started_at=0.0, log_dir=f"/lab/logs/{name}_{n}") for n in range(attempts)]
    return {"attempts": tuple(made), "progress": runs.progress(log_dir=None)}


RUNS = (
    runs.done(id="12", task="Isaac-Velocity-Flat-Anymal-C-v0", started_at=500.0, run_name="walk", **log("l", 2)),
    runs.done(id="11", action="play", started_at=400.0, **log("k")),
    runs.run(id="10", library="skrl", started_at=300.0, run_name="again", **log("j")),
    runs.done(id="9", state="failed", started_at=200.0, run_name="again", **log("i")),
    runs.done(id="1", state="lost", started_at=100.0, run_name="9x", **log("h")),
)


def ids(**wanted: Any) -> str:
    rows = [summarize(run, f"/s/{run.id}") for run in RUNS]
    return " ".join(run.id for run in selection.select([*rows[:2], BAD, *rows[2:]], Selection(**wanted)).runs)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ({}, "12 10 9 1"),
        ({"action": "all"}, "12 11 10 9 1"),
        ({"action": "play"}, "11"),
        ({"states": ("failed", "lost")}, "9 1"),
        ({"library": "skrl"}, "10"),
        ({"task": "velocityFLAT_anymal"}, "12"),
        ({"task": "ant"}, "10 9 1"),
        ({"since": 200.0}, "12 10 9"),
        ({"limit": 2}, "12 10"),
        ({"limit": 0}, ""),
        ({"states": ("failed",), "limit": 1}, "9"),
        ({"task": "nothing"}, ""),
    ],
)
def test_filters(wanted: dict[str, Any], chosen: str) -> None:
    assert ids(**wanted) == chosen


def test_no_more_is_read_than_the_limit_asks_for() -> None:
    def endless() -> Iterator[Summary | BadRecord]:
        yield BAD
        for run in RUNS[:1]:
            yield summarize(run, "/s")
        raise AssertionError("read on")

    found = selection.select(endless(), Selection(limit=1))
    assert [run.id for run in found.runs] == ["12"]
    assert found.bad == (BAD,)


def test_states() -> None:
    assert selection.states("failed, Lost") == ("failed", "lost")
    for text, hint in (("faild", "did you mean failed?"), ("", "states: starting"), ("lost,", "states: starting")):
        with pytest.raises(RequestError, match="is no state of a run") as caught:
            selection.states(text)
        assert hint in (caught.value.hint or "")


def meant(text: str, path: str | None = None) -> Run:
    return selection.resolve(text, [*RUNS[:3], BAD, *RUNS[3:]], path)


@pytest.mark.parametrize(
    ("text", "path", "run_id"),
    [
        ("9", None, "9"),
        ("latest", None, "12"),
        ("last", None, "12"),
        ("walk", None, "12"),
        ("9x", None, "1"),
        ("l_0", None, "12"),
        ("l_1", None, "12"),
        ("logs/l_0", "/lab/logs/l_0", "12"),
        ("logs/k_0/model_1.pt", "/lab/logs/k_0/model_1.pt", "11"),
    ],
)
def test_what_a_person_calls_a_run(text: str, path: str | None, run_id: str) -> None:
    assert meant(text, path).id == run_id


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("again", "'again' means 2 runs: 10, 9", "give the id of one of them"),
        ("13", "there is no run 13", "the nearest are 12 (walk), 11 (first) or 10 (again)"),
        ("walks", "no run is called 'walks'", "did you mean 12 (walk)?"),
        ("qqqq", "no run is called 'qqqq'", "the newest are 12 (walk), 11 (first) or 10 (again)"),
        ("3", "the record of run 3 cannot be read: it is garbage", "spark-rl runs rm 3"),
        ("/lab/logs/l", "no run is called '/lab/logs/l'", "the newest are"),
    ],
)
def test_a_refusal_names_the_nearest(text: str, message: str, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        meant(text, text if text.startswith("/") else None)
    assert caught.value.message == message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["latest", "12", "walk"])
def test_where_there_is_no_run(text: str) -> None:
    with pytest.raises(RequestError, match="there is no run"):
        selection.resolve(text, [])
