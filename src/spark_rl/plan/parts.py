"""What a planning rule reads and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_rl import gpus
from spark_rl.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spark_rl.catalog import Catalog
    from spark_rl.configuration import Configuration
    from spark_rl.external import Project
    from spark_rl.model import (
        ActiveEnvironment,
        AgentConfig,
        CheckpointFile,
        Finding,
        Host,
        Installation,
        Request,
        Resolved,
    )
    from spark_rl.names import Renames
    from spark_rl.profiles import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything a plan depends on besides the request.

    ``chosen`` says why this installation is used. ``driver``, ``wrapper`` and ``embedded`` are the paths of spark-rl's
    own play driver, Python wrapper and asset folder. ``pace`` is how many seconds an iteration of this task took last
    time, None where nobody knows. ``here`` is False for a machine that a document describes: its files cannot be seen.
    """

    installation: Installation
    chosen: str
    host: Host
    catalog: Catalog
    renames: Renames
    driver: str
    wrapper: str
    embedded: str
    active: tuple[ActiveEnvironment, ...] = ()
    projects: tuple[Project, ...] = ()
    pace: float | None = None
    here: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The task, library and algorithm a request means; enough to know where checkpoints lie."""

    profile: Profile
    task: Resolved
    library: str
    algorithm: str
    agent: AgentConfig
    given: Mapping[str, str | None]
    words: tuple[str, ...]
    overrides: tuple[str, ...]
    reasons: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]

    def override(self, *keys: str) -> str | None:
        """Return the value of the last KEY=VALUE word for one of ``keys``, None when there is none."""
        pairs = (word.lstrip("+").partition("=") for word in self.overrides)
        return next((value for key, _, value in reversed([*pairs]) if key in keys), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is known of the task's configuration: the configuration, or why there is none to check overrides against.

    Both are None where nobody looked.
    """

    configuration: Configuration | None = None
    lacking: Finding | None = None


UNASKED = Knowledge()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A request with its target and facts; ``checkpoints`` are the files on disk that may be meant.

    ``knowledge`` is what the overrides are checked against.
    """

    request: Request
    facts: Facts
    target: Target
    checkpoints: tuple[CheckpointFile, ...] = ()
    knowledge: Knowledge = UNASKED

    @property
    def old(self) -> bool:
        """Whether this is Isaac Lab 2.x."""
        return self.facts.installation.generation < 3

    @property
    def distributed(self) -> bool:
        """Whether the run spans several processes, started here or by an outer torchrun."""
        if self.request.nnodes > 1:
            return True
        return self.request.gpus is not None and (self.inside_torchrun or self.request.gpus != "1")

    @property
    def visible_gpus(self) -> int:
        """Number of GPUs the run can see: those of the machine, or those CUDA_VISIBLE_DEVICES leaves."""
        return len(gpus.visible(self.facts.host))

    @property
    def inside_torchrun(self) -> bool:
        """Whether an outer torchrun started this process as one of its ranks."""
        return self.facts.host.variable("LOCAL_RANK") is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one rule adds to a plan."""

    words: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    unset: tuple[str, ...] = ()
    reasons: tuple[tuple[str, str], ...] = ()
    findings: tuple[Finding, ...] = ()


NOTHING = Part()


def join(parts: Iterable[Part]) -> Part:
    """Return all parts as one, in order."""
    parts = tuple(parts)
    return Part(
        words=tuple(word for part in parts for word in part.words),
        overrides=tuple(word for part in parts for word in part.overrides),
        env=tuple(sorted(pair for part in parts for pair in part.env)),
        unset=tuple(sorted({name for part in parts for name in part.unset})),
        reasons=tuple(pair for part in parts for pair in part.reasons),
        findings=tuple(finding for part in parts for finding in part.findings),
    )


def because(name: str, text: str) -> tuple[tuple[str, str], ...]:
    """Return one reason in the form a :class:`Part` holds."""
    return ((name, text),)


def whole_number(text: str, what: str) -> int:
    """Return ``text`` as a positive whole number.

    Raises:
        RequestError: It is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise RequestError(f"{what} must be a positive whole number, not {text!r}", f"for example {what}=2")
    return int(text)
