"""The JSON documents that other programs rely on: extend them, never break them."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spark_rl.comparison import Comparison, Learned
    from spark_rl.curves import Curve
    from spark_rl.errors import SparkError
    from spark_rl.model import Finding, Host, Installation, Plan, Request, Settings
    from spark_rl.outcome import Computation, Outcome
    from spark_rl.records import Run
    from spark_rl.summaries import Summary
    from spark_rl.tuning import Climb

Document = dict[str, Any]


def plan(value: Plan) -> Document:
    """Return a plan as ``spark-rl/plan/1``."""
    return {
        "schema": "spark-rl/plan/1",
        "action": value.action,
        "task": {"requested": value.task.requested, "resolved": value.task.task.id, "note": value.task.note},
        "library": value.library,
        "algorithm": value.algorithm,
        "isaaclab": {name: getattr(value.isaaclab, name) for name in ("version", "kind", "path")},
        "argv": list(value.argv),
        "env": dict(value.env),
        "env_unset": list(value.env_unset),
        "cwd": value.cwd,
        "reasons": dict(value.reasons),
        "findings": findings(value.findings),
        **({"nodes": [asdict(node) for node in value.nodes]} if value.nodes else {}),
    }


def submission(value: Plan, engine: str, script: str) -> Document:
    """Return a plan that an engine is to carry out, with what would be given to it."""
    return plan(value) | {"engine": engine, "script": script}


def outcome(value: Outcome) -> Document:
    """Return what happened as ``spark-rl/outcome/1``, the plan inside."""
    return {
        "schema": "spark-rl/outcome/1",
        "state": value.state,
        "message": value.message,
        "hint": value.hint,
        "failure": value.run.failure,
        "run": value.run.id,
        "iteration": value.run.progress.iteration,
        "max_iterations": value.run.progress.max_iterations,
        "reward": value.run.progress.reward,
        "length": value.run.progress.length,
        "attempts": len(value.run.attempts),
        "exit_status": value.exit_status,
        "seconds": round(value.seconds, 3),
        "log_dir": value.log_dir,
        "checkpoint": value.checkpoint,
        "videos": list(value.videos),
        "exported": list(value.exported),
        "played": asdict(value.played) if value.played else None,
        "plan": plan(value.plan),
    }


def doctor(
    host: Host,
    installations: Iterable[tuple[Installation, str]],
    found: Iterable[Finding],
    computation: Computation | None = None,
) -> Document:
    """Return a machine as ``spark-rl/doctor/1``; ``--host`` reads it back.

    ``environ`` tells the caller's few variables that decide something; who reads the document has others.
    """
    facts = asdict(host)
    environ = dict(facts.pop("environ"))
    return {
        "schema": "spark-rl/doctor/1",
        "host": facts,
        "isaaclab": [{**asdict(installation), "reason": reason} for installation, reason in installations],
        "environ": environ,
        **({"deep": asdict(computation)} if computation else {}),
        "findings": findings(found),
    }


def start(
    request: Request,
    decided: Plan,
    machine: Host,
    *,
    spark_rl: str,
    versions: Iterable[tuple[str, str]] = (),
    git: Mapping[str, Any] | None = None,
) -> Document:
    """Return what is known of a run before its start, for its record.

    Args:
        request: What was asked for.
        decided: The plan.
        machine: The machine it runs on.
        spark_rl: The version of spark-rl.
        versions: (name, version) of what it runs on.
        git: The state of the source its task comes from, as a dictionary.
    """
    return {
        "spark_rl": spark_rl,
        "request": asdict(request),
        "plan": plan(decided),
        "host": asdict(machine) | {"environ": dict(machine.environ)},
        "versions": dict(versions),
        "git": dict(git) if git is not None else None,
    }


def runs(values: Iterable[Summary]) -> Document:
    """Return runs as ``spark-rl/runs/1``."""
    return {"schema": "spark-rl/runs/1", "runs": [_row(value) for value in values]}


def run(value: Run, start: Mapping[str, Any], folder: str) -> Document:
    """Return all that is recorded of a run as ``spark-rl/run/1``.

    Args:
        value: The run.
        start: What was known before its start.
        folder: Where its record lies.
    """
    from spark_rl.summaries import summarize

    known = asdict(value)
    return {
        "schema": "spark-rl/run/1",
        "run": _row(summarize(value, folder)),
        "progress": _finite(known["progress"] | {"phases": dict(value.progress.phases)}),
        "attempts": [_finite(_dated(attempt)) for attempt in known["attempts"]],
        "owner": known["owner"],
        "job": known["job"],
        "videos": list(value.videos),
        "exported": list(value.exported),
        "least_memory_mib": value.least_memory_mib,
        "start": dict(start),
    }


def _row(value: Summary) -> Document:
    return _finite(_dated(value._asdict() | {"argv": list(value.argv)}))


def _dated(values: Document) -> Document:
    """Return values with their times (seconds since the epoch) as ISO 8601 text."""
    from spark_rl.times import iso

    times = {name: values[name] for name in ("started_at", "ended_at", "updated_at") if name in values}
    return values | {name: None if at is None else iso(at) for name, at in times.items()}


def _finite(values: Document) -> Document:
    """Return values without the numbers that JSON has no word for."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }


def config(value: Settings) -> Document:
    """Return every setting with its source as ``spark-rl/config/1``."""
    entries = [{"name": entry.name, "value": entry.value, "source": entry.source} for entry in value.entries]
    return {"schema": "spark-rl/config/1", "settings": entries}


def error(value: SparkError) -> Document:
    """Return an error as ``spark-rl/error/1``."""
    hint = value.hint or ("see the options with: spark-rl train --help" if value.name == "request" else None)
    return {
        "schema": "spark-rl/error/1",
        "error": {
            "code": value.exit_code,
            "kind": value.name,
            "message": _one_line(value.message),
            "hint": _one_line(hint) if hint else None,
        },
    }


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def findings(values: Iterable[Finding]) -> list[Document]:
    """Return findings as a list of ``{code, level, message, hint}``."""
    return [asdict(finding) for finding in values]


def curves(values: Iterable[Learned]) -> Document:
    """Return the curves of runs as ``spark-rl/curves/1``; a value that is no number is null."""
    return {"schema": "spark-rl/curves/1", "runs": [_learned(value) for value in values]}


def _learned(value: Learned) -> Document:
    run = value.run
    names = ("id", "run_name", "task", "library", "algorithm", "state")
    return {name: getattr(run, name) for name in names} | {
        "curves": [_curve(curve, value.scale.batch) for curve in value.curves.values()]
    }


def _curve(curve: Curve, each: float | None) -> Document:
    return {
        "tag": curve.tag,
        "iterations": list(curve.steps),
        "env_steps": [round(step * each) for step in curve.steps] if each else None,
        "values": [value if math.isfinite(value) else None for value in curve.values],
        "wall_times": list(curve.wall_times),
    }


def comparison(value: Comparison) -> Document:
    """Return runs side by side as ``spark-rl/compare/1``."""
    return {
        "schema": "spark-rl/compare/1",
        "threshold": value.threshold,
        "threshold_reason": value.reason,
        "runs": [asdict(row) for row in value.rows],
    }


def tune(value: Climb) -> Document:
    """Return a climb over env counts as ``spark-rl/tune/1``; what is not known is null."""
    from spark_rl import tuning

    line = tuning.fitted(value.rungs)
    key = asdict(value.key)
    return {
        "schema": "spark-rl/tune/1",
        **{name: key[name] for name in ("task", "library", "algorithm")},
        "isaaclab": key["version"],
        **{name: key[name] for name in ("host", "device")},
        "overrides": list(value.key.overrides),
        "default": value.default,
        "iterations": value.iterations,
        "reserve_mib": value.reserve_mib,
        "budget_mib": value.rules.budget_mib,
        "rungs": [_finite(asdict(rung)) for rung in value.rungs],
        "mib_per_env": line.env_mib if line else None,
        "mib_without_envs": line.base_mib if line else None,
        "knee": tuning.knee(value.rungs),
        "largest": tuning.largest(value.rungs),
        "capacity": tuning.capacity(value.rungs, value.rules),
        "ended": value.why,
        "remembered": value.remembered,
    }
