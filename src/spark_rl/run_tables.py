"""Runs as text: the table of ``runs list`` and the page of ``runs show``. Nothing is printed here."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spark_rl.text import cut
from spark_rl.times import ago, duration, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from spark_rl.records import Attempt, Job, Run
    from spark_rl.selection import BadRecord
    from spark_rl.summaries import Summary
    from spark_rl.tables import Screen

__all__ = ["footer", "listing", "page", "unreadable"]

_GAP = "  "
_CROWDED = {"task": 32, "remark": 20}
"""Columns that may be cut, the more important first, and what room they keep where others would go instead."""

_LEAST = 12
"""What stays of a cut text on the narrowest screen."""

_COLOURS = {
    "starting": "36",
    "running": "36;1",
    "succeeded": "32;1",
    "failed": "31;1",
    "interrupted": "33",
    "lost": "33",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """A column: its text, at what rank it goes when room gets scarce (the highest first), and on which side it is."""

    text: Callable[[Summary, float], str]
    rank: int = 0
    right: bool = False


def listing(rows: Sequence[Summary], now: float, on: Screen) -> str:
    """Return runs as a table; where the screen is too narrow the least important columns go.

    Args:
        rows: The runs, in order.
        now: The time, in seconds since the epoch.
        on: Where it is read.
    """
    cells = {name: [name, *(column.text(row, now) for row in rows)] for name, column in _COLUMNS.items()}
    widths = {name: max(map(len, texts)) for name, texts in cells.items() if any(texts[1:]) or name in _ALWAYS}
    widths = _fitting(widths, on.width)
    states = [None, *(row.state for row in rows)]
    lines = (
        _line({name: cells[name][index] for name in widths}, widths, state, on) for index, state in enumerate(states)
    )
    return "\n".join(lines)


def _fitting(needed: Mapping[str, int], room: int) -> dict[str, int]:
    """Return the widths of the columns that fit; in a crowded table tasks and remarks are cut."""
    chosen = {name: min(need, _CROWDED.get(name, need)) for name, need in needed.items()}
    for name in sorted(chosen, key=lambda name: -_COLUMNS[name].rank):
        if _total(chosen) <= room or not _COLUMNS[name].rank:
            break
        del chosen[name]
    for name in _CROWDED:
        if name in chosen:
            chosen[name] = max(_LEAST, min(needed[name], room - _total(chosen) + chosen[name]))
    return chosen


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + len(_GAP) * (len(widths) - 1)


def _line(cells: Mapping[str, str], widths: Mapping[str, int], state: str | None, on: Screen) -> str:
    texts = []
    for name, width in widths.items():
        text = cut(cells[name], width)
        padded = text.rjust(width) if _COLUMNS[name].right else text.ljust(width)
        texts.append(_painted(padded, state, on) if name == "state" and state else padded)
    line = _GAP.join(texts).rstrip()
    return line if state else on.bold(line)


def _painted(text: str, state: str, on: Screen) -> str:
    code = _COLOURS.get(state)
    return f"\033[{code}m{text}\033[0m" if on.colour and code else text


def _progress(row: Summary, _now: float) -> str:
    if row.iteration is None:
        return ""
    return f"{row.iteration}/{row.max_iterations}" if row.max_iterations else str(row.iteration)


def _remark(row: Summary, _now: float) -> str:
    again = f"{row.attempts} attempts" if row.attempts > 1 else ""
    job = f"{row.engine} job {row.job}" if row.job and not row.over else ""
    why = (row.message or "") if row.state in ("failed", "lost", "starting") else ""
    return "; ".join(filter(None, (again, job, why.partition("\n")[0])))


def _state(row: Summary, _now: float) -> str:
    """Return the state of a run; while it does not run, its job's says more."""
    return row.job_state if row.job_state and row.state == "starting" else row.state


_COLUMNS: Mapping[str, _Column] = {
    "id": _Column(text=lambda row, _: row.id, right=True),
    "state": _Column(text=_state),
    "action": _Column(text=lambda row, _: row.action if row.action != "train" else "", rank=2),
    "task": _Column(text=lambda row, _: row.task),
    "progress": _Column(text=_progress, rank=1, right=True),
    "reward": _Column(text=lambda row, _: "" if row.reward is None else _number(row.reward), rank=4, right=True),
    "started": _Column(text=lambda row, now: ago(now - row.started_at), rank=3, right=True),
    "took": _Column(text=lambda row, _: duration(row.seconds), rank=6, right=True),
    "library": _Column(
        text=lambda row, _: row.library if row.algorithm == "PPO" else f"{row.library} {row.algorithm}", rank=5
    ),
    "name": _Column(text=lambda row, _: row.run_name or "", rank=8),
    "remark": _Column(text=_remark, rank=7),
}
_ALWAYS = ("id", "state", "task")


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 1e5 else f"{value:.2e}"


def footer(shown: int, bad: int, *, more: bool = False) -> str:
    """Return how many runs are shown, and how many records could not be read; ``more`` where a limit cut the list."""
    runs = f"{shown} run{'s' if shown != 1 else ''}" if shown else "no run"
    unread = f"; {bad} record{'s' if bad != 1 else ''} could not be read" if bad else ""
    return f"{runs}{', the newest; see more with --limit' if more else ''}{unread}"


def unreadable(entry: BadRecord) -> str:
    """Return one line on a record that cannot be read."""
    return f"the record of run {entry.id} cannot be read: {entry.reason} ({entry.path})"


def page(run: Run, start: Mapping[str, Any], folder: str, now: float, on: Screen) -> str:
    """Return all that matters of a run, and the commands to go on with it.

    Args:
        run: The run.
        start: What was known before its start, as :func:`spark_rl.documents.start` made it; may be empty.
        folder: Where the record lies.
        now: The time, in seconds since the epoch.
        on: Where it is read.
    """
    head = f"{on.bold(f'run {run.id}: {run.task}')}  {_painted(run.state, run.state, on)}"
    lines = [head, "", *_facts(_about(run, start, folder, now))]
    if len(run.attempts) > 1:
        lines += ["", on.bold("attempts"), *_attempts(run.attempts)]
    made = _facts([*_versions(start), *_git(start)])
    if made:
        lines += ["", on.bold("made with"), *made]
    return "\n".join([*lines, "", on.bold("commands"), *_facts(_commands(run, start))])


def _facts(pairs: Iterable[tuple[str, str | None]]) -> list[str]:
    return [f"  {name:<12} {text}" for name, text in pairs if text]


def _about(run: Run, start: Mapping[str, Any], folder: str, now: float) -> list[tuple[str, str | None]]:
    progress = run.progress
    saved = f" (iteration {progress.checkpoint_iteration})" if progress.checkpoint_iteration is not None else ""
    told = f"{run.state}: {run.message}" if run.message else run.state
    lab = f"Isaac Lab {run.version}" + (f" in {path}" if (path := _text(start, "plan", "isaaclab", "path")) else "")
    return [
        ("what", f"{run.action} with {run.library} ({run.algorithm}) on {lab}"),
        ("name", run.run_name),
        ("state", told if run.over else f"{told} ({progress.phase}), seen {ago(now - run.updated_at)}"),
        ("hint", run.hint),
        ("job", _job(run.job) if run.job else None),
        ("job output", run.job.log if run.job else None),
        ("progress", _far(run)),
        ("reward", _reward(run)),
        ("started", _when(run.started_at, now)),
        ("ended", _when(run.ended_at, now) if run.ended_at is not None else None),
        ("took", duration((run.ended_at or run.updated_at) - run.started_at)),
        ("phases", ", ".join(f"{name} {duration(seconds)}" for name, seconds in progress.phases)),
        ("environments", _environments(run)),
        ("memory", f"{run.least_memory_mib} MiB were left, less than the reserve" if run.least_memory_mib else None),
        ("host", _host(run, start)),
        ("cwd", run.cwd),
        ("run folder", run.log_dir or progress.log_dir),
        ("checkpoint", f"{progress.checkpoint}{saved}" if progress.checkpoint else None),
        ("resumed", "an attempt went on without skrl's count and schedules" if run.weights_only else None),
        *(("video", video) for video in run.videos),
        *(("exported", file) for file in run.exported),
        ("record", folder),
    ]


def _job(job: Job) -> str:
    return f"{job.engine} {job.ident}" + (f": {job}" if job.native else "")


def _far(run: Run) -> str | None:
    progress = run.progress
    parts = []
    if progress.iteration is not None and progress.max_iterations:
        share = progress.iteration / progress.max_iterations
        parts.append(f"{progress.iteration} of {progress.max_iterations} iterations ({share:.0%})")
    elif progress.iteration is not None:
        parts.append(f"{progress.iteration} iterations")
    if progress.env_steps is not None:
        parts.append(f"{_short(progress.env_steps)} env steps")
    if progress.fps:
        parts.append(f"{progress.fps:,.0f} env steps/s")
    left = _left(run)
    return ", ".join([*parts, f"about {duration(left)} left"] if left else parts) or None


def _left(run: Run) -> float | None:
    progress = run.progress
    if run.over or not progress.iteration_seconds or progress.iteration is None or not progress.max_iterations:
        return None
    return (progress.max_iterations - progress.iteration) * progress.iteration_seconds


def _short(number: int) -> str:
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if number >= size:
            return f"{number / (1000 if unit == 'k' else size):.1f} {unit}"
    return str(number)


def _reward(run: Run) -> str | None:
    progress = run.progress
    reward = progress.reward if run.mean_return is None else run.mean_return
    length = progress.length if run.mean_length is None else run.mean_length
    if reward is None:
        return None
    return _number(reward) + (f", episodes of {length:.1f} env steps" if length is not None else "")


def _when(at: float, now: float) -> str:
    return f"{iso(at).replace('T', ' ').replace('Z', ' UTC')} ({ago(now - at)})"


def _environments(run: Run) -> str | None:
    if not run.num_envs or run.world_size == 1:
        return str(run.num_envs) if run.num_envs else None
    return f"{run.num_envs} x {run.world_size} ranks = {run.num_envs * run.world_size}"


def _host(run: Run, start: Mapping[str, Any]) -> str:
    gpus = [_text({"gpu": gpu}, "gpu", "name") for gpu in _many(start, "host", "gpus")]
    driver = _text(start, "host", "driver")
    return ", ".join(filter(None, (run.owner.host, *gpus, f"driver {driver}" if driver else None)))


def _attempts(attempts: Sequence[Attempt]) -> list[str]:
    rows = [("", "state", "iterations", "took", "from", "why"), *map(_attempt, range(1, len(attempts) + 1), attempts)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (_GAP.join(cell.ljust(wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in rows)
    return [f"  {line}" for line in lines]


def _attempt(number: int, attempt: Attempt) -> tuple[str, ...]:
    took = duration(attempt.ended_at - attempt.started_at) if attempt.ended_at is not None else ""
    end = "" if attempt.iteration is None else str(attempt.iteration)
    begun = (attempt.from_checkpoint or "the start").rpartition("/")[2]
    return str(number), attempt.state, f"{attempt.first_iteration} to {end}", took, begun, _why(attempt)


def _why(attempt: Attempt) -> str:
    return (attempt.message or "").partition("\n")[0]


def _versions(start: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    versions = _value(start, "versions")
    pairs = versions.items() if isinstance(versions, dict) else ()
    own = _text(start, "spark_rl")
    texts = [f"spark-rl {own}"] if own else []
    return [("versions", ", ".join([*texts, *(f"{name} {version}" for name, version in pairs)]))]


def _git(start: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    commit, branch = _text(start, "git", "commit"), _text(start, "git", "branch")
    if commit is None:
        return []
    remote, root = _text(start, "git", "remote"), _text(start, "git", "root")
    where = f"{commit[:12]} on {branch or 'no branch'} in {root}" + (f", from {remote}" if remote else "")
    count, dirty = _value(start, "git", "dirty_count"), _many(start, "git", "dirty")
    if not isinstance(count, int) or not count:
        return [("git", where)]
    named = ", ".join(str(path) for path in dirty[:_DIRTY_SHOWN]) + (", …" if count > _DIRTY_SHOWN else "")
    return [("git", where), ("not in git", f"{count} path{'s' if count != 1 else ''} differ: {named}")]


_DIRTY_SHOWN = 5


def _commands(run: Run, start: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    resumable = run.over and run.action == "train" and run.progress.checkpoint is not None
    return [
        ("stop", None if run.over else f"spark-rl runs stop {run.id}"),
        ("resume", f"spark-rl runs resume {run.id}" if resumable else None),
        ("play", _play(run, start)),
        ("plot", f"spark-rl runs plot {run.id}" if run.action == "train" else None),
        ("log", f"spark-rl runs log {run.id}" + ("" if run.over else " -f")),
    ]


def _play(run: Run, start: Mapping[str, Any]) -> str | None:
    """Return the command that plays a run's newest checkpoint; the network's shape may hang on the overrides."""
    if run.action != "train" or run.progress.checkpoint is None:
        return None
    words = ["spark-rl", "play", "--task", run.task, "--library", run.library]
    words += ["--algorithm", run.algorithm] if run.algorithm != "PPO" else []
    chosen, path = _text(start, "plan", "reasons", "isaaclab"), _text(start, "plan", "isaaclab", "path")
    words += ["--isaaclab", path] if path and chosen == "named by --isaaclab" else []
    kept = [word for word in _many(start, "request", "overrides") if isinstance(word, str)]
    return shlex.join([*words, "--checkpoint", run.progress.checkpoint, *kept])


def _value(document: Mapping[str, Any], *names: str) -> Any:
    """Return what lies at a place in a document that anybody may have written, None when nothing does."""
    value: Any = document
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(document: Mapping[str, Any], *names: str) -> str | None:
    value = _value(document, *names)
    return value if isinstance(value, str) and value else None


def _many(document: Mapping[str, Any], *names: str) -> tuple[Any, ...]:
    value = _value(document, *names)
    return tuple(value) if isinstance(value, (list, tuple)) else ()
