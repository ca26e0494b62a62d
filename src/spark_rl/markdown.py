"""A report as Markdown, for the summary page of a CI job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl import gpus, times

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spark_rl.proofs import Report, Result, Status
    from spark_rl.regressions import Regressions

_MARKS: Mapping[Status, str] = {"passed": "✅", "failed": "❌", "skipped": "⏭️", "interrupted": "⏹️", "not-run": "⚪"}
_SHOWN = 20
"""Lines of a log."""


def render(report: Report, changes: Regressions | None = None) -> str:
    """Return a report as a heading, a table of its cells, what changed, and the logs of those that failed."""
    return "\n".join([*_head(report), "", *_table(report), *_changes(changes), *_logs(report), ""])


def _head(report: Report) -> Iterator[str]:
    yield f"## {'✅' if report.passed else '❌'} spark-rl smoke: {report.verdict}"
    yield ""
    lab = f"Isaac Lab {report.isaaclab.version} ({report.isaaclab.kind})"
    machine = f"{report.host.machine}, {report.host.cpu_count} CPUs, {report.device}"
    yield f"{lab}, spark-rl {report.spark_rl}, on {_cell(report.hostname)} ({machine}), {times.span(report.seconds)}"
    if not report.complete:
        yield ""
        yield "**This report is partial: not every cell was run to its end.**"


def _table(report: Report) -> Iterator[str]:
    yield "| | cell | iterations | env steps/s | reward | peak memory | time | |"
    yield "|---|---|---:|---:|---:|---:|---:|---|"
    for result in report.results:
        columns = (_MARKS[result.status], f"`{result.cell.name}`", *figures(result), _why(result))
        yield f"| {' | '.join(map(_cell, columns))} |"


def figures(result: Result) -> tuple[str, str, str, str, str]:
    """Return what a cell measured, as text: iterations, env steps/s, reward, peak memory and time; '' if unknown."""
    return (
        "" if result.iterations is None else f"{result.iterations}/{result.cell.train}",
        "" if result.env_steps_per_s is None else f"{result.env_steps_per_s:,.0f}",
        "" if result.reward is None else f"{result.reward:.4g}",
        "" if result.peak_memory_mib is None else gpus.gib(result.peak_memory_mib),
        times.span(result.seconds) if result.seconds else "",
    )


def _why(result: Result) -> str:
    if result.status == "passed":
        return "" if result.message == "done" else result.message
    kind = f"{result.kind}: " if result.kind else ""
    return f"{kind}{result.message}"


def _changes(changes: Regressions | None) -> Iterator[str]:
    if changes is None:
        return
    yield ""
    yield f"### Against Isaac Lab {changes.version} of {changes.started_at}"
    yield ""
    yield from [f"- {_cell(line)}" for line in changes.lines()] or ["Nothing changed."]


def _logs(report: Report) -> Iterator[str]:
    for result in report.results:
        if result.status in ("failed", "interrupted") and result.log:
            yield ""
            yield f"<details><summary>{_cell(result.cell.name)}: the last lines</summary>"
            yield ""
            yield from ("~~~~text", *(line.replace("~~~~", "~~~") for line in result.log[-_SHOWN:]), "~~~~")
            yield ""
            yield "</details>"


def _cell(text: str) -> str:
    """Return text that neither ends a cell of a table nor starts HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
