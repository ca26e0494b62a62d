"""A report of a matrix against an earlier one, perhaps of another Isaac Lab version."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from spark_rl.errors import RequestError
from spark_rl.proofs import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spark_rl.proofs import Report, Result

NOTABLE = 30.0
"""By how many percent a cell must be slower to be told of; short runs vary by less than that on a quiet machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slower:
    """A cell that is slower than before, in env steps per second."""

    name: str
    before: float
    now: float

    @property
    def percent(self) -> float:
        """By how much, of what it was."""
        return 100.0 * (1.0 - self.now / self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regressions:
    """What changed since an earlier report, by the names of cells.

    ``lost`` passed before and were not run to their end now, or are not in the matrix any more; ``slower`` are those
    that lost more than ``percent``.
    """

    version: str
    started_at: str
    percent: float
    newly_failing: tuple[str, ...] = ()
    newly_passing: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    slower: tuple[Slower, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """Return the comparison as the key ``baseline`` of ``spark-rl/smoke/1``."""
        return {
            "isaaclab": self.version,
            "started_at": self.started_at,
            "percent": self.percent,
            "newly_failing": list(self.newly_failing),
            "newly_passing": list(self.newly_passing),
            "lost": list(self.lost),
            "slower": [asdict(one) | {"percent": round(one.percent, 1)} for one in self.slower],
        }

    def lines(self) -> Iterator[str]:
        """Yield what changed, one line each."""
        yield from (f"newly failing: {name}" for name in self.newly_failing)
        yield from (f"passed before, not run to its end now: {name}" for name in self.lost)
        for one in self.slower:
            speeds = f"{one.now:,.0f} env steps/s, before {one.before:,.0f}"
            yield f"slower by {one.percent:.0f} %: {one.name} ({speeds})"
        yield from (f"newly passing: {name}" for name in self.newly_passing)


def check(baseline: object, file: str) -> Mapping[str, Any]:
    """Return a document that is a report.

    Raises:
        RequestError: It is none.
    """
    if not isinstance(baseline, dict) or baseline.get("schema") != SCHEMA or not _is_whole(baseline):
        raise RequestError(f"{file} is no report of spark-rl smoke", "write one with: spark-rl smoke --json > FILE")
    return baseline


def _is_whole(document: Mapping[str, Any]) -> bool:
    cells, lab = document.get("cells"), document.get("isaaclab")
    named = isinstance(cells, list) and all(
        isinstance(c, dict) and isinstance(c.get("name"), str) and isinstance(c.get("status"), str) for c in cells
    )
    return named and isinstance(lab, dict)


def compare(baseline: Mapping[str, Any], report: Report, percent: float) -> Regressions:
    """Return what changed since a baseline; a cell that it does not have is new, and changed nothing."""
    before = {cell["name"]: cell for cell in baseline["cells"]}
    now = {result.cell.name: result for result in report.results}
    passed = [name for name, cell in before.items() if cell["status"] == "passed"]
    status = {name: result.status for name, result in now.items()}
    return Regressions(
        version=str(baseline["isaaclab"].get("version")),
        started_at=str(baseline.get("started_at")),
        percent=percent,
        newly_failing=tuple(name for name in passed if status.get(name) == "failed"),
        newly_passing=tuple(name for name in now if status[name] == "passed" and name in before and name not in passed),
        lost=tuple(name for name in passed if status.get(name) not in ("passed", "failed")),
        slower=tuple(
            one
            for name in passed
            if name in now and (one := _slower(before[name], now[name])) is not None and one.percent > percent
        ),
    )


def _slower(before: Mapping[str, Any], now: Result) -> Slower | None:
    speed = before.get("env_steps_per_s")
    if now.status != "passed" or now.env_steps_per_s is None or not isinstance(speed, int | float) or speed <= 0:
        return None
    return Slower(name=now.cell.name, before=float(speed), now=now.env_steps_per_s)
