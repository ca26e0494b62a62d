"""Everything about a machine, in groups, for ``doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_rl.checks import (
    assets,
    computed,
    environment,
    gpu,
    installation,
    libraries,
    machine,
    ordered,
    simulator,
    storage,
)

if TYPE_CHECKING:
    from spark_rl.model import Finding, Host, Installation
    from spark_rl.outcome import Computation

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
    used = found[0][0] if found else None
    groups = (
        ("machine", machine.lines(host), machine.findings(host)),
        ("gpu", gpu.lines(host), gpu.findings(host, used)),
        ("isaaclab", installation.lines(found), (*installation.findings(found), *broken)),
        ("libraries", libraries.lines(used), libraries.findings(host, used)),
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
    return Section(name="deep", lines=computed.lines(done), findings=ordered(computed.findings(done, used, gpus)))


def findings(sections: tuple[Section, ...]) -> tuple[Finding, ...]:
    """Return what is wrong over all groups."""
    return tuple(finding for section in sections for finding in section.findings)
