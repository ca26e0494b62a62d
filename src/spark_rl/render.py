"""What a person reads: data on stdout, talk on stderr; of plans, tasks, machines and what came of a start."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_rl import documents, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spark_rl.acceptance import Report
    from spark_rl.catalog import Catalog
    from spark_rl.checks.groups import Section
    from spark_rl.description import Description
    from spark_rl.errors import SparkError
    from spark_rl.explanation import Explanation
    from spark_rl.launch.watching import View
    from spark_rl.model import Finding, Plan, Settings
    from spark_rl.outcome import Outcome
    from spark_rl.provisioning import Fetched
    from spark_rl.records import Run
    from spark_rl.supplies import Status

_COLOURS = {
    "error": "31;1",
    "warning": "33",
    "note": "36",
    "hint": "36",
    "succeeded": "32;1",
    "ready": "32;1",
    "passed": "32;1",
    "skipped": "36",
    "interrupted": "33",
    "failed": "31;1",
}


def out(text: str) -> None:
    """Print data.

    Raises:
        CheckError: The disk or device behind stdout takes no more.
    """
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        from spark_rl.errors import CheckError

        raise CheckError(f"the output cannot be written: {error.strerror}", "see where stdout goes") from error


def talk(text: str) -> None:
    """Print a line for the person who waits; its first word may be coloured."""
    word, colon, rest = text.partition(":")
    sys.stderr.write(f"{coloured(word) if colon else word}{colon}{rest}\n")
    sys.stderr.flush()


def document(value: dict[str, Any]) -> None:
    """Print one JSON document."""
    out(json.dumps(value, indent=2))


def error(value: SparkError, *, as_json: bool) -> None:
    """Print an error: one line of message, one of hint; with ``--json`` the same as a document."""
    told = documents.error(value)
    if as_json:
        document(told)
        return
    for word, text in (("error", told["error"]["message"]), ("hint", told["error"]["hint"])):
        if text:
            talk(f"{word}: {text}")


def plan(value: Plan) -> None:
    """Print a plan as a shell script: the reasons as comments, then the exact command."""
    lines = [f"# task       {value.task.task.id}"]
    if value.task.note:
        lines[0] += f"  ({value.task.note})"
    reasons = dict(value.reasons)
    lab = f"{value.isaaclab.version} {value.isaaclab.kind} in {value.isaaclab.path}"
    lines.append(f"# isaaclab   {lab}: {reasons.get('isaaclab', '')}")
    lines.append(f"# library    {value.library}: {reasons.get('library', '')}")
    lines.append(f"# algorithm  {value.algorithm}: {reasons.get('algorithm', '')}")
    told = {"isaaclab", "library", "algorithm"}
    lines += [f"# {name:<10} {why}" for name, why in value.reasons if name not in told]
    lines += [f"# {finding.level + ':':<10} {_line(finding)}" for finding in value.findings]
    import shlex

    lines += [f"# node {node.node_rank:<5} {shlex.join(node.command)}" for node in value.nodes]
    out("\n".join([*lines, f"cd {shlex.quote(value.cwd)}", shell(value)]))


def script(value: Plan, text: str) -> None:
    """Print what would be given to an engine, and what there is to say of the plan inside."""
    for finding in value.findings:
        talk(f"{finding.level}: {_line(finding)}")
    out(text.rstrip("\n"))


def shell(value: Plan) -> str:
    """Return the command as a line of shell, with its environment."""
    import shlex

    unset = [word for name in value.env_unset for word in ("-u", name)]
    setting = [f"{name}={text}" for name, text in value.env]
    prefix = ["env", *unset, *setting] if unset or setting else []
    return shlex.join([*prefix, *value.argv])


def asset_status(value: Status, *, as_json: bool) -> None:
    """Print which files of a task are there."""
    from spark_rl import asset_tables

    document(value.to_document()) if as_json else out(asset_tables.status(value))
    if not value.complete and not as_json:
        talk(f"hint: fetch them where there is network: spark-rl assets fetch --task {value.needs.task} --to PATH")


def fetched(value: Fetched, *, as_json: bool) -> None:
    """Print what a fetch has brought."""
    from spark_rl import asset_tables

    document(value.to_document()) if as_json else out(asset_tables.fetched(value))


def starting(value: Plan) -> None:
    """Say in a few lines what is about to run."""
    reasons = dict(value.reasons)
    lab = f"Isaac Lab {value.isaaclab.version} in {value.isaaclab.path}"
    talk(f"{value.action}: {value.task.task.id} with {value.library} ({value.algorithm}) on {lab}")
    if value.task.note:
        talk(f"note: {value.task.note}")
    for name in ("library", "algorithm", "num_envs", "device", "distributed", "window", "headless", "checkpoint"):
        if name in reasons and reasons[name] != "asked for":
            talk(f"  {name}: {reasons[name]}")
    talk(f"  {shell(replace(value, argv=redact.words(value.argv)))}")  # a job's log, which others may read, has it


def viewer(*, raw: bool, every: float, footer: str = "Ctrl-C stops it") -> Callable[[Run], View]:
    """Return what makes the view of a run: the child's own output, a live view on a terminal, or plain lines."""

    def made(run: Run) -> View:
        from spark_rl import live

        if raw:
            return live.Raw()
        before = runs_before(run)
        if is_live():
            return live.Live(before, f"{footer} · spark-rl runs log {run.id} -f")
        return live.Plain(every=every, before=before)

    return made


def is_live() -> bool:
    """Say whether stderr is a terminal that shows pictures that move."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def outcome(value: Outcome) -> None:
    """Print what happened."""
    from spark_rl import times

    out(f"{coloured(value.state, sys.stdout)}: run {value.run.id}, {value.message}, after {times.span(value.seconds)}")
    if value.hint:
        talk(f"hint: {value.hint}")
    if value.checkpoint:
        out(f"checkpoint: {value.checkpoint}")
    for file in (*value.videos, *value.exported):
        out(f"{'video' if file.endswith('.mp4') else 'exported'}: {file}")
    if value.played:
        out(_played(value))


def acceptance(value: Report, *, as_json: bool) -> None:
    """Print what became of the plans of a catalogue."""
    from spark_rl import acceptance_tables, tables

    document(value.to_document()) if as_json else out(acceptance_tables.page(value, tables.screen()))


def confirmed(question: str) -> bool:
    """Ask a question that only a person can answer with yes."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def raw(chunk: bytes) -> None:
    """Print bytes as they are."""
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def runs_before(run: Run) -> dict[str, float]:
    """Return how long the phases of the newest earlier run of the same task took, in seconds."""
    from spark_rl import registry

    same = (one for one in registry.of_task(run.task, run.library, run.action) if one.id != run.id)
    return next((dict(one.progress.phases) for one in same if one.progress.phases), {})


def _played(value: Outcome) -> str:
    played = value.played
    assert played is not None  # noqa: S101 - the caller looked
    head = f"played: {played.steps} steps in {played.num_envs} environments"
    if not played.episodes:
        return f"{head}, no episode ended; mean reward per step {_number(played.mean_reward_per_step)}"
    return (
        f"{head}, {played.episodes} episodes: mean return {_number(played.mean_return)}, "
        f"mean length {_number(played.mean_length)} steps"
    )


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def config(value: Settings) -> None:
    """Print each setting with its value and source."""
    for entry in value.entries:
        out(f"{entry.name:<15} {json.dumps(entry.value) if entry.value is not None else '-':<30} {entry.source}")


def doctor(sections: Iterable[Section]) -> None:
    """Print a machine in groups: its facts, and below them what is wrong and what mends it."""
    sections = tuple(sections)
    for section in sections:
        for name, line in zip((section.name, *[""] * len(section.lines)), section.lines, strict=False):
            out(f"{name:<12} {line}")
        for finding in section.findings:
            out(f"{'':<12} {coloured(finding.level, sys.stdout)}: {finding.message}")
            if finding.hint:
                out(f"{'':<12}   {finding.hint}")
    out(_verdict(tuple(finding.level for section in sections for finding in section.findings)))


def _verdict(levels: tuple[str, ...]) -> str:
    errors, warnings = levels.count("error"), levels.count("warning")
    told = f"{warnings} warning{'s' * (warnings != 1)}"
    if errors:
        return f"{coloured('failed', sys.stdout)}: {errors} error{'s' * (errors != 1)} and {told}"
    return f"{coloured('ready', sys.stdout)}: nothing found that stops training" + (f", {told}" if warnings else "")


def bug(cause: Exception, *, as_json: bool) -> int:
    """Write the trace of a bug to a file, say where it is, and return the exit code 3."""
    import contextlib
    import tempfile
    import traceback

    from spark_rl.errors import BugError

    where = "its trace could not be written"
    with (
        contextlib.suppress(OSError),
        tempfile.NamedTemporaryFile("w", prefix="spark-rl-bug-", suffix=".log", delete=False) as file,
    ):
        file.write("".join(traceback.format_exception(cause)))
        where = f"the trace is in {file.name}"
    failure = BugError(f"a bug in spark-rl: {cause!r}", f"{where}: please report it")
    with contextlib.suppress(OSError):
        error(failure, as_json=as_json)
    return failure.exit_code


def listing(catalog: Catalog, form: str, *, total: int) -> None:
    """Print tasks as a ``table``, ``plain`` lines or ``json``; a table tells how many of ``total`` they are."""
    from spark_rl import tables

    if form == "json":
        document(catalog.to_document())
    elif form == "plain":
        if catalog.tasks:
            out(tables.plain(catalog))
    else:
        if catalog.tasks:
            out(tables.listing(catalog, tables.screen()))
        talk(f"note: {tables.footer(catalog, total)}")


def description(value: Description) -> None:
    """Print all that is known of a task."""
    from spark_rl import tables

    out(tables.page(value, tables.screen()))


def explanation(value: Explanation) -> None:
    """Print keys with types and defaults, as a tree."""
    from spark_rl import tables, trees

    out(trees.page(value, tables.screen()))


def _line(finding: Finding) -> str:
    return f"{finding.message} ({finding.hint})" if finding.hint else finding.message


def coloured(word: str, stream: Any = None) -> str:
    """Return a word in its colour where ``stream`` (default: stderr) shows some."""
    stream = stream or sys.stderr
    code = _COLOURS.get(word)
    if code is None or os.environ.get("NO_COLOR") or not stream.isatty():
        return word
    return f"\033[{code}m{word}\033[0m"
