"""What is known of a run while it goes and when it is over; the registry keeps it, the live view shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RunState = Literal["starting", "running", "succeeded", "failed", "interrupted", "lost"]
Failure = Literal[
    "user-error",
    "out-of-memory",
    "nan",
    "missing-asset",
    "native-crash",
    "stall",
    "nccl",
    "library-version",
    "unknown",
]
"""Why a run failed."""

Phase = Literal["launching", "simulator", "environment", "agent", "training", "closing"]

PHASES: tuple[Phase, ...] = ("launching", "simulator", "environment", "agent", "training", "closing")
"""What a run goes through, in order; ``simulator`` is Kit or the physics backend coming up."""

RESTARTED: frozenset[Failure] = frozenset(("native-crash", "stall"))
"""Failures that another attempt may get past; the others would only come again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an attempt is.

    ``iteration`` counts the iterations that are done, those of earlier attempts included, so that
    ``iteration == max_iterations`` is the end; ``env_steps`` likewise. ``fps`` is in env steps per second over all
    environments, ``reward`` and ``length`` (env steps) the newest means over finished episodes. ``phases`` holds how
    long each finished phase took, in seconds. ``checkpoint_iteration`` is what ``checkpoint`` would resume from.
    """

    phase: Phase = "launching"
    phases: tuple[tuple[Phase, float], ...] = ()
    iteration: int | None = None
    max_iterations: int | None = None
    env_steps: int | None = None
    fps: float | None = None
    iteration_seconds: float | None = None
    reward: float | None = None
    length: float | None = None
    log_dir: str | None = None
    checkpoint: str | None = None
    checkpoint_iteration: int | None = None
    gpu_percent: float | None = None
    memory_used_mib: int | None = None
    memory_total_mib: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One start of a run's child: from what it went on, how far it came and how it ended.

    Times are seconds since the epoch. ``first_iteration`` is the number of iterations done before it (0 for a fresh
    start). ``exit_status`` is negative when a signal ended the child. ``log_dir`` is Isaac Lab's run folder.
    """

    argv: tuple[str, ...]
    started_at: float
    ended_at: float | None = None
    from_checkpoint: str | None = None
    first_iteration: int = 0
    iteration: int | None = None
    log_dir: str | None = None
    checkpoint: str | None = None
    exit_status: int | None = None
    state: RunState = "starting"
    failure: Failure | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The process that supervises a run; a process number alone would be reused.

    ``start_ticks`` is its start in clock ticks after boot (field 22 of /proc/PID/stat), ``boot`` the boot's
    id, a slash and the namespace that process numbers belong to (containers have their own).
    """

    host: str
    boot: str
    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What an engine holds of a run: ``engine`` by name, ``ident`` its own id of it, empty until it has given one.

    ``waits`` says that nobody supervises the run, because the engine is yet to start it, or to start it again. ``log``
    is the file with the output around the run. ``native`` is the engine's newest word on it and ``reason`` why, as far
    as anybody asked.
    """

    engine: str
    ident: str = ""
    waits: bool = True
    log: str | None = None
    native: str | None = None
    reason: str | None = None

    def __str__(self) -> str:
        """Return the engine's word and the reason: ``PENDING (Resources)``."""
        return f"{self.native or 'submitted'}{f' ({self.reason})' if self.reason else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The state of one run, small enough to be rewritten every few seconds and to list thousands of.

    ``id`` is a number as text; ``tune`` is a training that only measured. ``updated_at`` is a heartbeat.
    ``num_envs`` counts the environments of one of ``world_size`` ranks. ``weights_only`` says that an attempt went on
    without the count and schedules of the one before (skrl). ``least_memory_mib`` is the least that was left of the
    system's memory while it was under the reserve. ``job`` is the engine's part in it, None for a run that was started
    here. ``message``, ``failure`` and ``hint`` are the judgement of the
    last attempt.
    """

    id: str
    action: Literal["train", "play", "tune"]
    task: str
    library: str
    algorithm: str
    version: str
    cwd: str
    argv: tuple[str, ...]
    state: RunState
    started_at: float
    updated_at: float
    owner: Owner
    ended_at: float | None = None
    run_name: str | None = None
    num_envs: int | None = None
    world_size: int = 1
    unattended: bool = False
    weights_only: bool = False
    progress: Progress = Progress()
    attempts: tuple[Attempt, ...] = ()
    message: str | None = None
    failure: Failure | None = None
    hint: str | None = None
    videos: tuple[str, ...] = ()
    exported: tuple[str, ...] = ()
    mean_return: float | None = None
    mean_length: float | None = None
    least_memory_mib: int | None = None
    job: Job | None = None

    @property
    def waits(self) -> bool:
        """Whether an engine holds it and is yet to start it, or to start it again."""
        return self.job is not None and self.job.waits and bool(self.job.ident) and not self.over

    @property
    def over(self) -> bool:
        """Whether the run has ended, as far as its record says."""
        return self.state in ("succeeded", "failed", "interrupted", "lost")

    @property
    def log_dir(self) -> str | None:
        """Isaac Lab's run folder of the newest attempt that has one."""
        return next((attempt.log_dir for attempt in reversed(self.attempts) if attempt.log_dir), None)
