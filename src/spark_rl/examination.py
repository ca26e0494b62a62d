"""The use case of the doctor: all that is known of a machine, and what is wrong with it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import gpus, host, installations, interfaces, network, probes, settings
from spark_rl.checks import groups
from spark_rl.errors import RequestError
from spark_rl.gauges import system
from spark_rl.model import Finding

if TYPE_CHECKING:
    from spark_rl.checks.groups import Section
    from spark_rl.model import Host, Installation
    from spark_rl.outcome import Computation

ASSETS_S = 1.5
"""How long NVIDIA's asset host has to answer, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """A machine: its facts, every Isaac Lab on it with the reason why it would be used, and what is wrong.

    The installation in use comes first.
    """

    host: Host
    installations: tuple[tuple[Installation, str], ...]
    sections: tuple[Section, ...]
    computation: Computation | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, over all groups."""
        return groups.findings(self.sections)


def examine(cwd: Path, isaaclab: str | None = None, host_file: Path | None = None) -> Examination:
    """Return all that is known of this machine, or of the one that ``host_file`` describes.

    Raises:
        RequestError: The installation that was named is none.
    """
    if host_file is not None:
        machine, listed = host.load(host_file)
        found = tuple((entry, f"listed in {host_file}") for entry in listed)
        return Examination(host=machine, installations=found, sections=groups.for_machine(machine, found))
    found, broken = _installed(cwd, isaaclab)
    old = bool(found) and found[0][0].generation < 3
    machine = replace(
        host.probe(system.memory()),
        folders=host.folders(Path(found[0][0].path) if old else cwd),
        interfaces=interfaces.interfaces(),
        rdma=interfaces.rdma(),
        asset_host=None if os.environ.get("ISAACSIM_ASSET_ROOT") else network.answers(timeout_s=ASSETS_S),
    )
    return Examination(host=machine, installations=found, sections=groups.for_machine(machine, found, broken))


def _installed(cwd: Path, isaaclab: str | None) -> tuple[tuple[tuple[Installation, str], ...], tuple[Finding, ...]]:
    """Return the installations of this machine with their reasons, and why others cannot be used."""
    setting = settings.load(cwd).get("isaaclab")
    named, source = (isaaclab, "--isaaclab") if isaaclab is not None else (setting.value, setting.source)
    first = ((installations.inspect(Path(named)), f"named by {source}"),) if isinstance(named, str) else ()
    others, broken = installations.found(cwd, os.environ)
    known = {entry.path: (installations.with_runtime(entry, os.environ), why) for entry, why in (*others, *first)}
    order = dict.fromkeys(entry.path for entry, _ in (*first, *others))
    return tuple(known[path] for path in order), tuple(_unusable(error) for error in broken)


def _unusable(error: RequestError) -> Finding:
    return Finding(code="isaaclab-broken", level="warning", message=error.message, hint=error.hint)


def examine_deeply(cwd: Path, isaaclab: str | None = None, host_file: Path | None = None) -> Examination:
    """Return an examination that has also computed something in the Python of the Isaac Lab in use.

    Raises:
        RequestError: The installation that was named is none, or the machine is another one.
    """
    if host_file is not None:
        raise RequestError("--deep computes on this machine, and --host describes another one", "leave one of them out")
    examined = examine(cwd, isaaclab)
    if not examined.installations:
        return examined
    used, seen = examined.installations[0][0], len(gpus.visible(examined.host))
    done = probes.compute(used, seen)
    sections = (*examined.sections, groups.for_computation(done, used, seen))
    return replace(examined, sections=sections, computation=done)
