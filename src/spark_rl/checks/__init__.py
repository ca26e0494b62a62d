"""What is wrong with a machine, from its facts alone; here, what matters to a plan. :mod:`.groups` has all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.checks import environment, gpu, installation, libraries, machine, simulator, storage
from spark_rl.checks.assets import absent as absent_assets
from spark_rl.checks.machine import NO_LIBGOMP

if TYPE_CHECKING:
    from spark_rl.model import Finding, Host, Plan, Request

__all__ = ["NO_LIBGOMP", "absent_assets", "for_plan", "ordered"]


def for_plan(decided: Plan, request: Request, host: Host) -> tuple[Finding, ...]:
    """Return what will stop or hinder this very run, beside what planning has found already."""
    used = gpu.used(decided, request, host)
    found = (
        *machine.for_run(host),
        *gpu.for_run(host, used, decided.isaaclab, ranks=len(used)),
        *installation.for_run(decided),
        *libraries.for_run(decided, request, host),
        *simulator.for_run(decided, request, host, used),
        *storage.for_run(decided, host, ranks=len(used)),
        *environment.for_run(decided, host),
    )
    known = {finding.code for finding in decided.findings}
    return ordered(tuple(finding for finding in found if finding.code not in known))


def ordered(found: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the findings, what stops a run first."""
    levels = ("error", "warning", "note")
    return tuple(sorted(found, key=lambda finding: levels.index(finding.level)))
