"""A climb over env counts as text: a table with the throughput as bars, and what it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl import gpus, tuning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_rl.tables import Screen
    from spark_rl.tuning import Climb, Rung

_HEAD = ("envs", "env steps/s", "iteration", "memory")
_NARROWEST, _WIDEST = 8, 40


def climb(value: Climb, on: Screen, *, ascii_only: bool) -> str:
    """Return a climb: its rungs, the knee marked, and below them what was found."""
    best = tuning.knee(value.rungs)
    rows = [_cells(rung) for rung in value.rungs]
    widths = [max(len(cell) for cell in column) for column in zip(_HEAD, *rows, strict=True)]
    room = max(_NARROWEST, min(_WIDEST, on.width - sum(widths) - 2 * len(widths) - len("  <- knee")))
    most = max((rung.throughput or 0.0 for rung in value.rungs), default=0.0)
    lines = [on.bold(_row(_HEAD, widths))]
    for rung, cells in zip(value.rungs, rows, strict=True):
        bar = _bar(rung, most, room, "#" if ascii_only else "█")
        lines.append(f"{_row(cells, widths)}  {bar}{'  <- knee' if rung.num_envs == best else ''}".rstrip())
    return "\n".join((on.bold(_title(value)), *lines, "", *_found(value)))


def _title(value: Climb) -> str:
    key = value.key
    device = "the CPU" if key.device == "cpu" else key.device
    return f"{key.task} with {key.library} ({key.algorithm}), Isaac Lab {key.version}, on {device} of {key.host}"


def _cells(rung: Rung) -> tuple[str, ...]:
    if rung.state != "measured":
        return str(rung.num_envs), rung.state, "", ""
    return (
        str(rung.num_envs),
        "unknown" if rung.throughput is None else f"{rung.throughput:,.0f}",
        "" if rung.iteration_seconds is None else f"{rung.iteration_seconds:.3g} s",
        "" if rung.memory_mib is None else gpus.gib(rung.memory_mib),
    )


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))


def _bar(rung: Rung, most: float, room: int, block: str) -> str:
    return block * max(1, round(room * rung.throughput / most)) if rung.throughput and most else ""


def _found(value: Climb) -> Iterator[str]:
    best, line, fits = tuning.knee(value.rungs), tuning.fitted(value.rungs), tuning.capacity(value.rungs, value.rules)
    yield f"ended: {value.why}"
    if best is not None:
        usual = f"; the task's default is {value.default}" if value.default and value.default != best else ""
        yield f"knee: {best} environments, the fewest with nearly all of the throughput{usual}"
    ran = f"largest: {tuning.largest(value.rungs)} ran"
    yield ran if fits is None else f"{ran}, {fits} should fit with {gpus.gib(value.reserve_mib)} left free"
    if line is not None:
        yield f"memory: {gpus.gib(round(max(0.0, line.base_mib)))} and {line.env_mib:.3g} MiB for each environment"
    if value.remembered:
        yield "remembered: spark-rl train --num-envs auto uses the knee"
    if best is not None and value.default and best != value.default:
        yield "more environments make larger batches: the learning is another one, not only a faster one"
