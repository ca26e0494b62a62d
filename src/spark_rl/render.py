"""Everything a person reads: data on stdout, talk on stderr."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from spark_rl import documents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_rl.catalog import Catalog
    from spark_rl.description import Description
    from spark_rl.errors import SparkError
    from spark_rl.explanation import Explanation
    from spark_rl.model import Finding, Host, Installation, Plan, Settings
    from spark_rl.outcome import Outcome

_COLOURS = {"error": "31;1", "warning": "33", "note": "36", "hint": "36", "succeeded": "32;1", "failed": "31;1"}


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
    sys.stderr.write(f"{_coloured(word) if colon else word}{colon}{rest}\n")
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

    out("\n".join([*lines, f"cd {shlex.quote(value.cwd)}", shell(value)]))


def shell(value: Plan) -> str:
    """Return the command as a line of shell, with its environment."""
    import shlex

    unset = [word for name in value.env_unset for word in ("-u", name)]
    setting = [f"{name}={text}" for name, text in value.env]
    prefix = ["env", *unset, *setting] if unset or setting else []
    return shlex.join([*prefix, *value.argv])


def starting(value: Plan) -> None:
    """Say in a few lines what is about to run."""
    reasons = dict(value.reasons)
    lab = f"Isaac Lab {value.isaaclab.version} in {value.isaaclab.path}"
    talk(f"{value.action}: {value.task.task.id} with {value.library} ({value.algorithm}) on {lab}")
    if value.task.note:
        talk(f"note: {value.task.note}")
    for name in ("library", "algorithm", "device", "window", "headless", "checkpoint"):
        if name in reasons and reasons[name] != "asked for":
            talk(f"  {name}: {reasons[name]}")
    talk(f"  {shell(value)}")


def outcome(value: Outcome) -> None:
    """Print what happened."""
    out(f"{_coloured(value.state, sys.stdout)}: {value.message} after {value.seconds:.0f} s")
    if value.checkpoint:
        out(f"checkpoint: {value.checkpoint}")
    for video in value.videos:
        out(f"video: {video}")
    if value.played:
        out(_played(value))


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
        out(f"{entry.name:<10} {json.dumps(entry.value) if entry.value is not None else '-':<30} {entry.source}")


def findings(values: Iterable[Finding]) -> None:
    """Print findings, one or two lines each."""
    for finding in values:
        out(f"{_coloured(finding.level, sys.stdout)}: {finding.message}")
        if finding.hint:
            out(f"    {finding.hint}")


def doctor(machine: Host, installations: Iterable[Installation], found: Iterable[Finding]) -> None:
    """Print what is known of this machine."""
    out(f"machine    {machine.machine}, {machine.os}, {machine.cpu_count} CPUs")
    out(f"memory     {machine.memory_available_mib / 1024:.0f} of {machine.memory_total_mib / 1024:.0f} GiB available")
    for gpu in machine.gpus:
        size = "memory shared with the CPU" if gpu.unified else f"{(gpu.memory_total_mib or 0) / 1024:.0f} GiB"
        out(f"GPU {gpu.index}      {gpu.name}, {size}, driver {machine.driver}")
    for entry in installations:
        out(f"isaaclab   {entry.version} {entry.kind} in {entry.path}")
    findings(found)


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


def _coloured(word: str, stream: Any = None) -> str:
    stream = stream or sys.stderr
    code = _COLOURS.get(word)
    if code is None or os.environ.get("NO_COLOR") or not stream.isatty():
        return word
    return f"\033[{code}m{word}\033[0m"
