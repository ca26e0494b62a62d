"""A sweep as text: the ranking, the trials while they run, and the score over each parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl import gpus, times
from spark_rl.figures import figure
from spark_rl.sweep import packing, text
from spark_rl.sweep.ranking import spread
from spark_rl.text import cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spark_rl.engines import Submission
    from spark_rl.launch.sweeping import Swept
    from spark_rl.sweep import Result, Sweep, Values
    from spark_rl.sweep.packing import Needs, Room
    from spark_rl.sweep.ranking import Row
    from spark_rl.tables import Screen

_GAP = 2
_ORDER = ("running", "waiting", "unfinished", "failed", "complete", "stopped")


def short(names: Sequence[str]) -> dict[str, str]:
    """Return the last part of each name, or as many parts as tell them apart."""
    found = {}
    for name in names:
        parts = name.lstrip("+~").split(".")
        taken = next(
            count
            for count in range(1, len(parts) + 1)
            if count == len(parts) or all(other == name or not _ends(other, parts[-count:]) for other in names)
        )
        found[name] = ".".join(parts[-taken:])
    return found


def _ends(name: str, parts: list[str]) -> bool:
    return name.lstrip("+~").split(".")[-len(parts) :] == parts


def ranking(value: Swept, on: Screen) -> str:
    """Return the combinations, the best first."""
    sweep, rows = value.field.sweep, value.rows
    names = short([parameter.name for parameter in sweep.parameters])
    head = ["", *names.values(), sweep.metric, "state"]
    cells = [[str(rank), *_values(row.values), spread(row), _state(row)] for rank, row in enumerate(rows, 1)]
    lines = _table([head, *cells], on.width)
    best = [
        on.bold(line) if row.whole and at == 0 else line
        for at, (line, row) in enumerate(zip(lines[1:], rows, strict=True))
    ]
    return "\n".join((on.bold(_title(value)), on.bold(lines[0]), *best))


def _title(value: Swept) -> str:
    sweep = value.field.sweep
    seeds = f", {len(sweep.seeds)} seeds: median (range)" if len(sweep.seeds) > 1 else ""
    return f"{sweep.name}: {value.total} trials{seeds}"


def _state(row: Row) -> str:
    return row.state if row.complete or not row.iteration else f"{row.state} at {row.iteration}"


def _values(values: Values) -> list[str]:
    return [text(value) for _, value in values]


def _table(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return rows as lines; numbers stand to the right, the last column to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        parts = [cell.rjust(size) for cell, size in zip(row[:-1], widths, strict=False)]
        lines.append(cut((" " * _GAP).join((*parts, row[-1])).rstrip(), width))
    return lines


def running(sweep: Sweep, results: Iterable[Result], on: Screen, height: int) -> list[str]:
    """Return the trials that matter now as lines, at most ``height``: those that run, then the best of the others."""
    sign = -1 if sweep.goal == "max" else 1
    results = sorted(
        results,
        key=lambda one: (
            _ORDER.index(one.state),
            sign * one.score if one.score is not None else 1e99,
            one.trial.number,
        ),
    )
    shown = [one for one in results if one.state == "running"]
    shown += sorted(
        (one for one in results if one.score is not None and one.state != "running"),
        key=lambda one: sign * (one.score or 0),
    )
    shown = shown[: max(1, height - 1)]
    names = short([parameter.name for parameter in sweep.parameters])
    head = ["trial", *names.values(), "seed", "iteration", sweep.metric, "state"]
    cells = [
        [
            str(one.trial.number),
            *_values(one.trial.values),
            str(one.trial.seed),
            "-" if one.iteration is None else str(one.iteration),
            figure(one.score),
            one.state,
        ]
        for one in shown
    ]
    first, *rest = _table([head, *cells], on.width)
    return [on.bold(first), *rest]


def counts(results: Sequence[Result], total: int) -> str:
    """Return how many trials are how, in one line."""
    states: list[str] = [one.state for one in results]
    waiting = total - len(states) + states.count("waiting")
    told = {state: states.count(state) for state in _ORDER if state != "waiting"} | {"waiting": waiting}
    return ", ".join(f"{count} {state}" for state, count in told.items() if count)


def progress(results: Sequence[Result], sweep: Sweep, total: int) -> str:
    """Return how far a sweep is, in one line: how many trials are how, and the best score so far."""
    scores = [one.score for one in results if one.score is not None]
    best = (max if sweep.goal == "max" else min)(scores, default=None)
    told = "" if best is None else f"; best {sweep.metric} so far {figure(best)}"
    far = [str(one.iteration) for one in results if one.state == "running" and one.iteration is not None]
    at = f" at iteration {', '.join(far)}" if far else ""
    return f"trials: {counts(results, total)}{at}{told}"


def line(result: Result, metric: str) -> str:
    """Return how a trial is, in one line."""
    at = "" if result.iteration is None else f" at iteration {result.iteration}"
    score = "" if result.score is None else f", {metric} {figure(result.score)}"
    why = f": {result.message}" if result.state == "failed" and result.message else ""
    run = f" (run {result.run})" if result.run else ""
    return f"trial {result.trial.number}{run}: {result.state}{at}{score}{why}"


def needs(value: Needs, there: Room | None, parallel: int | None) -> list[str]:
    """Return what a trial takes and how many run at once, as lines; ``there`` is None for a cluster."""
    why = dict(value.reasons)
    if there is None:
        most = f", at most {parallel}" if parallel else ""
        return [
            f"at once     as many as the cluster has room for{most}",
            f"cpus        {value.cpus}: {why['cpus']}",
            f"gpus        {value.gpus:g}: {why['gpus']}",
            f"memory      {gpus.gib(value.memory_mib)}: {why['memory']}",
        ]
    missing = packing.lacking(value, there)
    why_none = f": {missing[0]} ({missing[1]})" if missing else ""
    return [
        f"at once     {there.at_once(value, parallel)} on this machine{why_none}",
        f"cpus        {value.cpus} of {there.cpus}: {why['cpus']}",
        f"gpus        {value.gpus:g} of {there.gpus}: {why['gpus']}",
        f"memory      {gpus.gib(value.memory_mib)} of {gpus.gib(there.memory_mib)}: {why['memory']}",
    ]


def submission(told: Submission, engine: str) -> str:
    """Return in words what an engine is handed, and how much of it runs at once."""
    count = len(told.commands)
    if engine != "slurm":
        return f"{count} command{'s' * (count > 1)}, one after the other"
    at_once = f", at most {told.parallel} at once" if told.parallel and told.parallel < count else ""
    return f"an array of {count} job{'s' * (count > 1)}{at_once}"


def clock(seconds: float) -> str:
    """Return how long a sweep has run."""
    return times.clock(seconds)
