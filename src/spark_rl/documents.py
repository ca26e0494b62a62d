"""The JSON documents that other programs rely on: extend them, never break them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from spark_rl import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_rl.errors import SparkError
    from spark_rl.model import Finding, Host, Installation, Plan, Request, Settings
    from spark_rl.outcome import Outcome
    from spark_rl.plan import Facts
    from spark_rl.records import Run

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
    }


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


def runs(values: Iterable[Run]) -> Document:
    """Return runs as ``spark-rl/runs/1``."""
    return {"schema": "spark-rl/runs/1", "runs": [run(value) for value in values]}


def run(value: Run) -> Document:
    """Return what ``runs list`` tells of a run."""
    progress = value.progress
    return {
        "id": value.id,
        "task": value.task,
        "library": value.library,
        "algorithm": value.algorithm,
        "state": value.state,
        "iteration": progress.iteration,
        "max_iterations": progress.max_iterations,
        "reward": progress.reward,
        "started_at": value.started_at,
        "log_dir": value.log_dir,
        "checkpoint": progress.checkpoint,
        "argv": list(value.argv),
    }


def start(value: Plan, request: Request, facts: Facts) -> Document:
    """Return what is known of a run before it starts: enough to plan it again, and to say where it ran."""
    return {
        "schema": "spark-rl/start/1",
        "spark_rl": __version__,
        "request": asdict(request),
        "plan": plan(value),
        "host": asdict(facts.host),
    }


def doctor(host: Host, installations: Iterable[Installation], found: Iterable[Finding]) -> Document:
    """Return this machine as ``spark-rl/doctor/1``; ``--host`` reads it back."""
    facts = asdict(host)
    del facts["environ"]
    return {
        "schema": "spark-rl/doctor/1",
        "host": facts,
        "isaaclab": [asdict(installation) for installation in installations],
        "findings": findings(found),
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
