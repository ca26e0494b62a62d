"""Runs as text and as documents: what fits, what goes first, and that garbage does no harm."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

import runs
from planning import host, planned
from spark_rl import documents, run_tables
from spark_rl.model import Request
from spark_rl.records import Attempt, Progress, Run
from spark_rl.selection import BadRecord
from spark_rl.summaries import Summary, summarize
from spark_rl.tables import Screen

NOW = runs.NOW + 180
HEADS = ("id", "state", "action", "task", "progress", "reward", "started", "took", "library", "name", "remark")

RUNS = (
    runs.run(id="128", task="Isaac-Velocity-Rough-Anymal-C-v0", progress=runs.progress(), updated_at=NOW),
    runs.run(id="127", state="starting", library="skrl", algorithm="MAPPO"),
    runs.done(id="126", run_name="first"),
    runs.run(id="125", state="failed", ended_at=runs.NOW + 66, message="the GPU ran out of memory: 9 of 119 GiB left"),
    runs.done(id="124", action="play", mean_return=7.5),
    runs.done(id="9", state="interrupted", task="Isaac-Dexsuite-Kuka-Allegro-Lift-Single-Camera-v0"),
)


def rows(*given: Run) -> list[Summary]:
    return [summarize(run, f"/state/runs/{run.id}") for run in given or RUNS]


def lines(width: int, *given: Run, colour: bool = False) -> list[str]:
    return run_tables.listing(rows(*given), NOW, Screen(width=width, colour=colour)).split("\n")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
def test_no_line_is_too_long_and_every_run_is_there(width: int) -> None:
    shown = lines(width)
    assert max(map(len, shown)) <= width
    assert [line.split()[:2] for line in shown[1:]] == [[run.id, run.state] for run in RUNS]


def test_the_least_important_columns_go_first() -> None:
    heads = [set(lines(width)[0].split()) for width in range(50, 181)]
    assert all(narrow <= wide for narrow, wide in pairwise(heads))
    assert heads[0] == {"id", "state", "task"}
    assert tuple(lines(180)[0].split()) == HEADS
    train = [run for run in RUNS if run.action == "train"]
    assert lines(80, *train)[0].split() == ["id", "state", "task", "progress", "reward", "started"]
    assert "remark" in lines(140, *train)[0].split()


def test_a_column_with_nothing_in_it_is_left_out() -> None:
    assert lines(200, RUNS[1])[0].split() == ["id", "state", "task", "started", "took", "library"]
    assert lines(200)[0].split() == list(HEADS)
    assert run_tables.listing([], NOW, Screen(width=80)).split() == ["id", "state", "task"]


def test_a_row_says_how_far_a_run_is() -> None:
    shown = lines(200)
    assert re.split(r"\s{2,}", shown[1].strip()) == [
        *("128", "running", "Isaac-Velocity-Rough-Anymal-C-v0", "120/150", "12.34", "3 min ago", "3 min 00 s", "rsl_rl")
    ]
    assert re.split(r"\s{2,}", shown[3].strip()) == [
        *("126", "succeeded", "Isaac-Ant-Direct-v0", "150/150", "12.34", "3 min ago", "1 min 00 s", "rsl_rl", "first")
    ]
    assert "skrl MAPPO" in shown[2]
    assert "the GPU ran out of memory: 9 of 119" in shown[4]
    assert shown[5].split()[:4] == ["124", "succeeded", "play", "Isaac-Ant-Direct-v0"]
    assert "7.50" in shown[5]


def test_states_have_colours_and_plain_screens_have_none() -> None:
    shown = lines(120, colour=True)
    assert "\033[36;1mrunning" in shown[1]
    assert "\033[32;1msucceeded" in shown[3]
    assert "\033[31;1mfailed" in shown[4]
    plain = [re.sub(r"\033\[[\d;]*m", "", line) for line in shown]
    assert [line.rstrip() for line in plain] == lines(120)


def test_the_footer() -> None:
    assert run_tables.footer(0, 0) == "no run"
    assert run_tables.footer(1, 1) == "1 run; 1 record could not be read"
    assert (
        run_tables.footer(9, 2, more=True) == "9 runs, the newest; see more with --limit; 2 records could not be read"
    )
    bad = BadRecord(id="3", path="/s/3/state.json", reason="the record has no task")
    assert run_tables.unreadable(bad) == (
        "the record of run 3 cannot be read: the record has no task (/s/3/state.json)"
    )


def start(**asked: Any) -> dict[str, Any]:
    decided = planned("2.3.2", "Isaac-Ant-Direct-v0", **asked)
    request = Request(action="train", task="Isaac-Ant-Direct-v0", cwd="/w", **asked)
    git = {"commit": "3ceab1ca383f16aa", "branch": "main", "root": "/lab", "dirty": ["a", "b"], "dirty_count": 7}
    versions = [("isaaclab", "2.3.2"), ("torch", "2.9.0")]
    machine = host(driver="580.95")
    return documents.start(request, decided, machine, spark_rl="0.3.0", versions=versions, git=git)


def page(run: Run, document: dict[str, Any] | None = None) -> dict[str, str]:
    """Return the page's facts by name."""
    text = run_tables.page(run, document or {}, f"/state/runs/{run.id}", NOW, Screen(width=100))
    return {line[2:14].rstrip(): line[15:] for line in text.split("\n") if line.startswith("  ")}


def test_the_page_of_a_run_that_goes_on() -> None:
    known = replace(RUNS[0], progress=runs.progress(checkpoint="/l/model_100.pt", checkpoint_iteration=101))
    facts = page(known, start())
    assert facts["what"] == "train with rsl_rl (PPO) on Isaac Lab 2.3.2 in /lab"
    assert facts["state"] == "running (training), seen just now"
    assert facts["progress"] == (
        "120 of 150 iterations (80%), 11.8 M env steps, 54,322 env steps/s, about 1 min 00 s left"
    )
    assert facts["reward"] == "12.34, episodes of 487.2 env steps"
    assert facts["started"] == "2027-01-15 08:00:00 UTC (3 min ago)"
    assert facts["checkpoint"] == "/l/model_100.pt (iteration 101)"
    assert facts["host"] == f"{known.owner.host}, GPU, driver 580.95"
    assert facts["versions"] == "spark-rl 0.3.0, isaaclab 2.3.2, torch 2.9.0"
    assert facts["git"] == "3ceab1ca383f on main in /lab"
    assert facts["not in git"] == "7 paths differ: a, b, …"
    assert (facts["stop"], facts["log"]) == ("spark-rl runs stop 128", "spark-rl runs log 128 -f")
    assert "resume" not in facts


def test_the_page_of_a_run_that_is_over() -> None:
    facts = page(replace(RUNS[2], message="done", hint="play it", weights_only=True, videos=("/v.mp4",)))
    assert (facts["state"], facts["hint"], facts["video"]) == ("succeeded: done", "play it", "/v.mp4")
    assert facts["ended"] == "2027-01-15 08:01:00 UTC (2 min ago)"
    assert (facts["took"], facts["resumed"][:37]) == ("1 min 00 s", "an attempt went on without skrl's cou")
    assert facts["resume"] == "spark-rl runs resume 126"
    assert facts["play"] == (
        f"spark-rl play --task Isaac-Ant-Direct-v0 --library rsl_rl --checkpoint {runs.LOG}/model_149.pt"
    )
    assert facts["log"] == "spark-rl runs log 126"
    assert "git" not in facts


@pytest.mark.parametrize(("ranks", "told"), [(1, "4096"), (4, "4096 x 4 ranks = 16384")])
def test_the_page_of_several_ranks_has_the_sum(ranks: int, told: str) -> None:
    assert page(runs.done(id="126", world_size=ranks))["environments"] == told


def test_play_takes_what_the_shape_of_the_network_hangs_on() -> None:
    overrides = ("agent.policy.actor_hidden_dims=[64, 64]",)
    words = shlex.split(page(replace(RUNS[2], algorithm="AMP"), start(overrides=overrides))["play"])
    assert words[2:6] == ["--task", "Isaac-Ant-Direct-v0", "--library", "rsl_rl"]
    assert words[6:10] == ["--algorithm", "AMP", "--isaaclab", "/lab"]
    assert words[-1:] == [*overrides]


def test_the_page_of_several_attempts() -> None:
    first = Attempt(
        argv=("x",),
        started_at=0.0,
        ended_at=1320.0,
        iteration=700,
        state="failed",
        message="a segmentation fault in physx\nat 0x0",
    )
    second = Attempt(
        argv=("x",), started_at=1400.0, first_iteration=650, from_checkpoint="/l/model_650.pt", state="running"
    )
    text = run_tables.page(replace(RUNS[0], attempts=(first, second)), {}, "/s", NOW, Screen(width=80))
    assert "  1  failed   0 to 700    22 min 00 s  the start     a segmentation fault in physx\n" in text
    assert "  2  running  650 to                   model_650.pt\n" in text


@pytest.mark.parametrize("progress", [Progress(), Progress(iteration=3), Progress(env_steps=999, reward=1e9)])
def test_little_is_known_at_first(progress: Progress) -> None:
    facts = page(runs.run(id="1", state="starting", progress=progress))
    assert {"what", "state", "started", "host", "cwd", "record", "log"} <= facts.keys()
    assert facts["state"] == "starting (launching), seen 3 min ago"


@pytest.mark.parametrize(
    "garbage",
    [
        {"plan": 3, "host": [], "versions": "x", "git": None, "request": "y"},
        {"plan": {"isaaclab": [], "reasons": 3}, "host": {"gpus": [3, {"name": 4}], "driver": 5}},
        {"git": {"commit": "abc", "dirty": 3, "dirty_count": "many"}, "request": {"overrides": [3, "a=b", None]}},
        {"spark_rl": 3, "request": {"overrides": "a=b"}},
    ],
)
def test_a_start_document_may_hold_anything(garbage: dict[str, Any]) -> None:
    assert "what" in page(RUNS[2], garbage)


FIRST_KEYS = [
    *("id", "task", "library", "algorithm", "state", "iteration", "max_iterations", "reward"),
    *("started_at", "log_dir", "checkpoint", "argv"),
]


def test_the_document_of_a_list() -> None:
    document = documents.runs(rows())
    assert document["schema"] == "spark-rl/runs/1"
    assert [[*row][: len(FIRST_KEYS)] for row in document["runs"]] == [FIRST_KEYS] * len(RUNS)
    first, over = document["runs"][0], document["runs"][2]
    assert (first["started_at"], first["ended_at"]) == ("2027-01-15T08:00:00Z", None)
    assert over["ended_at"] == "2027-01-15T08:01:00Z"
    assert (over["seconds"], over["attempts"], over["length"], over["env_steps"]) == (60.0, 1, 487.25, 11_796_480)
    assert (over["log_dir"], over["folder"]) == (runs.LOG, "/state/runs/126")
    assert first["argv"] == ["python", "train.py", "--task", "Isaac-Ant-Direct-v0"]
    json.dumps(document, allow_nan=False)


def test_the_document_of_a_run() -> None:
    run = replace(RUNS[2], progress=runs.progress(reward=float("nan"), fps=float("inf")))
    document = documents.run(run, {"schema": "spark-rl/start/1", "request": {"seed": 7}}, "/s/126")
    assert document["schema"] == "spark-rl/run/1"
    assert document["run"] == documents.runs([summarize(run, "/s/126")])["runs"][0]
    assert document["run"]["reward"] is None
    assert document["progress"]["phases"] == {"launching": 1.5, "simulator": 10.25}
    assert document["attempts"][0]["started_at"] == "2027-01-15T08:00:00Z"
    assert document["attempts"][0]["exit_status"] == 0
    assert document["start"]["request"] == {"seed": 7}
    json.dumps(document, allow_nan=False)


def test_the_document_of_a_start() -> None:
    document = json.loads(json.dumps(start(seed=7)))
    assert list(document) == ["spark_rl", "request", "plan", "host", "versions", "git"]
    assert document["request"]["seed"] == 7
    assert document["plan"]["schema"] == "spark-rl/plan/1"
    assert document["versions"] == {"isaaclab": "2.3.2", "torch": "2.9.0"}
