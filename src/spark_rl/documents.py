"""The JSON documents that other programs rely on: extend them, never break them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_rl.errors import SparkError
    from spark_rl.model import Finding, Host, Installation, Plan, Settings
    from spark_rl.outcome import Computation, Outcome

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
        "exit_status": value.exit_status,
        "seconds": round(value.seconds, 3),
        "log_dir": value.log_dir,
        "checkpoint": value.checkpoint,
        "videos": list(value.videos),
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
