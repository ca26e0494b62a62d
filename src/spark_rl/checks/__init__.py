"""What is wrong with a machine, from its facts alone: all of it for ``doctor``, what matters to a plan before a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_rl.checks import environment, gpu, installation, libraries, machine, simulator, storage
from spark_rl.checks.machine import NO_LIBGOMP

if TYPE_CHECKING:
    from spark_rl.model import Finding, Host, Installation, Plan, Request
    from spark_rl.outcome import Computation

__all__ = ["NO_LIBGOMP", "Section", "findings", "for_computation", "for_machine", "for_plan", "ordered"]

Found = tuple[tuple["Installation", str], ...]
"""Installations with the reason why each would be used, the one in use first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One group of a machine's facts in words, and what is wrong with them."""

    name: str
    lines: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


def for_machine(host: Host, found: Found, broken: tuple[Finding, ...] = ()) -> tuple[Section, ...]:
    """Return everything about a machine, in groups; ``broken`` tells of installations that cannot be used."""
    from spark_rl.checks import assets

    used = found[0][0] if found else None
    groups = (
        ("machine", machine.lines(host), machine.findings(host)),
        ("gpu", gpu.lines(host), gpu.findings(host, used)),
        ("isaaclab", installation.lines(found), (*installation.findings(found), *broken)),
        ("libraries", libraries.lines(used), libraries.findings(used)),
        ("simulator", simulator.lines(used), simulator.findings(host, used)),
        ("assets", assets.lines(host), assets.findings(host)),
        ("storage", storage.lines(host), storage.findings(host)),
        ("environment", environment.lines(host), environment.findings(host, used)),
    )
    return tuple(
        Section(name=name, lines=tuple(lines), findings=ordered(wrong))
        for name, lines, wrong in groups
        if lines or wrong
    )


def for_computation(done: Computation, used: Installation, gpus: int) -> Section:
    """Return what a small computation showed; ``gpus`` is the number of GPUs that can be seen."""
    from spark_rl.checks import computed

    return Section(name="deep", lines=computed.lines(done), findings=ordered(computed.findings(done, used, gpus)))


def findings(sections: tuple[Section, ...]) -> tuple[Finding, ...]:
    """Return what is wrong over all groups."""
    return tuple(finding for section in sections for finding in section.findings)


def for_plan(decided: Plan, request: Request, host: Host) -> tuple[Finding, ...]:
    """Return what will stop or hinder this very run, beside what planning has found already."""
    used = gpu.used(decided, request, host)
    found = (
        *machine.for_run(host),
        *gpu.for_run(host, used, decided.isaaclab),
        *installation.for_run(decided),
        *libraries.for_run(decided, request),
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
