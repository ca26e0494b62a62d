"""Reports of a matrix: what they prove, and as JUnit XML, Markdown, text and JSON; and against a baseline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import xmlschema

import junit_schema
from proven import ANT, HOP, LIFT, RUN, failed, passed, report, skipped
from spark_rl import junit, markdown, matrices, regressions, smoke_tables
from spark_rl.errors import CheckError, RequestError
from spark_rl.proofs import Result
from spark_rl.tables import Screen

if TYPE_CHECKING:
    from pathlib import Path

    from spark_rl.proofs import Report

UNRUN = Result(cell=RUN, status="not-run", message="not run: stopped before")
ALL = (passed(), failed(), skipped(), UNRUN)


@pytest.mark.parametrize(
    ("results", "proven", "complete"),
    [
        ((passed(),), True, True),
        ((passed(), skipped()), True, True),
        ((skipped(),), False, True),
        ((passed(), failed()), False, True),
        ((passed(), UNRUN), False, False),
        ((passed(), Result(cell=HOP, status="interrupted", message="stopped")), False, False),
        ((), False, True),
    ],
)
def test_only_what_passed_proves_something(results: tuple[Result, ...], proven: bool, complete: bool) -> None:
    assert (report(*results).passed, report(*results).complete) == (proven, complete)


def test_junit_is_valid_and_tells_each_cell() -> None:
    suite = junit_schema.validate(junit.render(report(*ALL), "the \x1b[1mtable\x1b[0m"))
    assert suite.findtext("system-out") == "the table"
    assert (suite.get("timestamp"), suite.get("hostname"), suite.get("time")) == (
        "2027-01-15T08:00:00",
        "box",
        "90.500",
    )
    ant, hop, lift, run = suite.findall("testcase")
    assert (ant.get("classname"), ant.get("name"), len(ant)) == ("Isaac-Ant-v0", "rsl_rl/16", 0)
    failure = hop.find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("nan", "the | <physics> exploded (see the log)")
    assert str(failure.text).splitlines()[1:] == ["red", "a ~~~~  b"]
    assert (lift.get("name"), lift[0].tag, lift[0].get("message")) == (
        "default",
        "skipped",
        "it needs Isaac Sim (install it)",
    )
    assert run[0].tag == "skipped"


def test_junit_of_nothing_is_valid() -> None:
    junit_schema.validate(junit.render(report(hostname=" "), ""))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('tests="4"', 'tests="many"'),
        ("<system-err />", ""),
        ("<skipped message", "<omitted message"),
        ('classname="Isaac-Ant-v0"', ""),
        ('type="nan"', ""),
    ],
)
def test_the_schema_refuses_what_readers_would(before: str, after: str) -> None:
    text = junit.render(report(*ALL), "")
    assert before in text
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        junit_schema.validate(text.replace(before, after))


def test_markdown_has_a_row_for_each_cell_and_the_logs_of_failures() -> None:
    results = (passed(), failed(log=("red", "a ~~~~  b")), skipped(), UNRUN)
    text = markdown.render(report(*results))
    lines = text.splitlines()
    assert lines[0] == "## ❌ spark-rl smoke: 1 passed, 1 failed, 1 skipped, 1 not run"
    assert "**This report is partial: not every cell was run to its end.**" in lines
    assert "| ✅ | `Isaac-Ant-v0/rsl_rl/16` | 4/4 | 1,234 | 1.5 | 2.0 GiB | 31 s |  |" in lines
    assert "| ❌ | `Isaac-Hop-v0/skrl` |  |  |  |  | 5.0 s | nan: the \\| &lt;physics> exploded |" in lines
    assert "| ⏭️ | `Isaac-Lift-v0` |  |  |  |  |  | it needs Isaac Sim |" in lines
    log = lines[lines.index("~~~~text") : len(lines) - lines[::-1].index("~~~~")]
    assert log == ["~~~~text", "red", "a ~~~  b", "~~~~"]


def test_a_table_says_why_a_cell_did_not_pass() -> None:
    text = smoke_tables.report(report(*ALL), Screen(width=100))
    assert text.splitlines()[0].split() == ["cell", "iterations", "env", "steps/s", "reward", "memory", "time"]
    assert "  nan: the | <physics> exploded\n  hint: see the log\n" in text
    assert text.splitlines()[-1] == "failed: 1 passed, 1 failed, 1 skipped, 1 not run; this report is partial"
    assert smoke_tables.verdict(report(skipped())) == "failed: 1 skipped; nothing was proven"
    assert smoke_tables.verdict(report(passed())) == "passed: 1 passed"
    assert smoke_tables.verdict(report(passed(), UNRUN, stopped_by=2)).startswith("interrupted: 1 passed, 1 not run")


@pytest.mark.parametrize(("width", "last"), [(100, "time"), (70, "memory"), (50, "steps/s"), (20, "cell")])
def test_columns_go_where_there_is_no_room(width: int, last: str) -> None:
    text = smoke_tables.report(report(passed()), Screen(width=width))
    assert text.splitlines()[0].split()[-1] == last
    assert text.splitlines()[1].split()[:2] == [ANT.name, "passed"]


def test_the_document_holds_everything() -> None:
    document = report(*ALL).to_document()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["counts"] == {"passed": 1, "failed": 1, "skipped": 1, "interrupted": 0, "not-run": 1}
    assert (document["cells"][0]["env_steps_per_s"], document["cells"][1]["class"]) == (1234.5, "nan")
    odd = passed(reward=float("nan")).to_document()
    assert odd["reward"] is None


def before(*results: Result) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(report(*results).to_document()))
    return document


def compared(then: dict[str, Any], now: Report, percent: float = 20.0) -> regressions.Regressions:
    return regressions.compare(then, now, percent)


def test_a_baseline_tells_what_changed() -> None:
    then = before(passed(), passed(HOP), passed(LIFT), failed(RUN))
    found = compared(then, report(passed(env_steps_per_s=800.0), failed(HOP), skipped(LIFT), passed(RUN)))
    assert (found.newly_failing, found.newly_passing, found.lost) == ((HOP.name,), (RUN.name,), (LIFT.name,))
    (slower,) = found.slower
    assert (slower.name, slower.before, slower.now, round(slower.percent)) == (ANT.name, 1234.5, 800.0, 35)
    assert list(found.lines()) == [
        "newly failing: Isaac-Hop-v0/skrl",
        "passed before, not run to its end now: Isaac-Lift-v0",
        "slower by 35 %: Isaac-Ant-v0/rsl_rl/16 (800 env steps/s, before 1,234)",
        "newly passing: Isaac-Run-v0/sb3",
    ]
    assert found.to_document()["slower"][0]["percent"] == 35.2


def test_what_is_new_or_a_little_slower_is_no_change() -> None:
    found = compared(before(passed()), report(passed(env_steps_per_s=1000.0), failed(HOP)))
    assert list(found.lines()) == []
    assert compared(before(passed(env_steps_per_s=None)), report(passed())).slower == ()
    assert compared(before(passed()), report(passed(env_steps_per_s=None))).slower == ()


def test_a_cell_that_left_the_matrix_is_lost() -> None:
    assert compared(before(passed(), passed(HOP)), report(passed())).lost == (HOP.name,)


def test_markdown_and_table_tell_what_changed() -> None:
    found = compared(before(passed(), passed(HOP)), report(passed(), failed(HOP)))
    told = markdown.render(report(passed(), failed(HOP)), found)
    assert "### Against Isaac Lab 3.0.0 of 2027-01-15T08:00:00Z" in told
    assert "- newly failing: Isaac-Hop-v0/skrl" in told
    same = compared(before(passed()), report(passed()))
    assert "Nothing changed." in markdown.render(report(passed()), same)
    assert "  nothing changed" in smoke_tables.report(report(passed()), Screen(width=80), same)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": "spark-rl/smoke/1"}', '{"schema": "spark-rl/smoke/1", "cells": [1]}', "\xff"]
)
def test_a_baseline_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "before.json"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(RequestError, match="is no report of spark-rl smoke"):
        matrices.load_report(file)
    with pytest.raises(RequestError, match="cannot be read"):
        matrices.load_report(tmp_path / "absent.json")


def test_a_report_replaces_an_older_one_or_says_that_it_cannot(tmp_path: Path) -> None:
    file = tmp_path / "new" / "report.xml"
    matrices.write(file, "one")
    matrices.write(file, "two")
    assert [(one.name, one.read_text()) for one in file.parent.iterdir()] == [("report.xml", "two")]
    with pytest.raises(CheckError, match="cannot be written"):
        matrices.write(file / "below", "three")
