"""What the cells of a matrix came to, and the report of all of them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from spark_rl import times

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_rl.matrix import Cell
    from spark_rl.model import Host, Installation

Status = Literal["passed", "failed", "skipped", "interrupted", "not-run"]
"""Of a cell; only ``passed`` proves anything. ``interrupted`` was stopped while it ran, ``not-run`` never began."""

STATUSES: tuple[Status, ...] = ("passed", "failed", "skipped", "interrupted", "not-run")

SCHEMA = "spark-rl/smoke/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a cell came to.

    ``kind`` is the class of a failure: one of :data:`spark_rl.records.Failure`, ``request`` or ``check`` where nothing
    could be started, ``required`` for a skip that may not be, ``bug`` when spark-rl itself failed. ``message`` says
    what happened or why it was skipped. ``iterations`` are those that are done; ``env_steps_per_s`` counts over all
    environments; ``peak_memory_mib`` is what it held at most (of its GPU, or of the system where there is none).
    ``played`` is what bounded play measured, ``plan`` the training's plan, ``log`` the last lines that were printed,
    ``folder`` where all it left lies.
    """

    cell: Cell
    status: Status
    message: str
    kind: str | None = None
    hint: str | None = None
    seconds: float = 0.0
    iterations: int | None = None
    env_steps_per_s: float | None = None
    reward: float | None = None
    peak_memory_mib: int | None = None
    attempts: int = 0
    played: Mapping[str, Any] | None = None
    plan: Mapping[str, Any] | None = None
    log: tuple[str, ...] = ()
    folder: str | None = None

    def to_document(self) -> dict[str, Any]:
        """Return the cell as an entry of ``spark-rl/smoke/1``; what is not known is null."""
        cell = self.cell
        asked = {name: getattr(cell, name) for name in ("task", "library", "algorithm", "num_envs", "train", "kill")}
        values = {
            "name": cell.name,
            **asked,
            "play": asdict(cell.play) if cell.play else None,
            "overrides": list(cell.overrides),
            "status": self.status,
            "class": self.kind,
            "message": self.message,
            "hint": self.hint,
            "seconds": round(self.seconds, 3),
            "iterations": self.iterations,
            "env_steps_per_s": self.env_steps_per_s,
            "reward": self.reward,
            "peak_memory_mib": self.peak_memory_mib,
            "attempts": self.attempts,
            "played": dict(self.played) if self.played else None,
            "plan": dict(self.plan) if self.plan else None,
            "log": list(self.log),
            "folder": self.folder,
        }
        return {name: _finite(value) for name, value in values.items()}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a matrix came to, all of its chosen cells in the order of its file.

    ``started_at`` is in seconds since the epoch; ``stopped_by`` the signal that ended it early; ``spark_rl`` a version.
    """

    matrix: str
    spark_rl: str
    isaaclab: Installation
    host: Host
    hostname: str
    started_at: float
    seconds: float
    results: tuple[Result, ...]
    stopped_by: int | None = None

    def count(self, status: Status) -> int:
        """Return how many cells have a status."""
        return sum(result.status == status for result in self.results)

    @property
    def complete(self) -> bool:
        """Whether every cell was run or skipped for a reason of its own."""
        return not self.count("interrupted") and not self.count("not-run")

    @property
    def passed(self) -> bool:
        """Whether it proves something: all was done, nothing failed, and something passed."""
        return self.complete and not self.count("failed") and self.count("passed") > 0

    @property
    def verdict(self) -> str:
        """The report in one line."""
        counts = [f"{self.count(status)} {_WORDS[status]}" for status in STATUSES if self.count(status)]
        return ", ".join(counts)

    @property
    def device(self) -> str:
        """What the machine computes on, in words."""
        return ", ".join(dict.fromkeys(gpu.name for gpu in self.host.gpus)) or "CPU"

    def to_document(self) -> dict[str, Any]:
        """Return the report as ``spark-rl/smoke/1``."""
        host = self.host
        return {
            "schema": SCHEMA,
            "spark_rl": self.spark_rl,
            "matrix": self.matrix,
            "isaaclab": {name: getattr(self.isaaclab, name) for name in ("version", "kind", "path")},
            "host": {
                "name": self.hostname,
                **{name: getattr(host, name) for name in ("machine", "os", "cpu_count", "memory_total_mib", "driver")},
                "gpus": [gpu.name for gpu in host.gpus],
            },
            "started_at": times.iso(self.started_at),
            "seconds": round(self.seconds, 3),
            "complete": self.complete,
            "passed": self.passed,
            "stopped_by": self.stopped_by,
            "counts": {status: self.count(status) for status in STATUSES},
            "cells": [result.to_document() for result in self.results],
        }


_WORDS: Mapping[str, str] = {status: status.replace("-", " ") for status in STATUSES}
