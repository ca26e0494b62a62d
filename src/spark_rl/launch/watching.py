"""Watching one attempt: what it prints and writes becomes progress, evidence and the record on disk."""

from __future__ import annotations

import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from spark_rl import (
    counting,
    dialects,
    gauges,
    logs,
    registry,
    supervisor,
)
from spark_rl.gauges import system
from spark_rl.intake import BUDGET_BYTES, Intake
from spark_rl.launch import nodes
from spark_rl.launch.leavings import Leavings
from spark_rl.memory import Guard
from spark_rl.ranks import Summary
from spark_rl.transcripts import Transcript
from spark_rl.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_rl.dialects import Event
    from spark_rl.model import CheckpointFile, Plan
    from spark_rl.records import Phase, Progress, Run
    from spark_rl.rollcall import Post
    from spark_rl.supervisor import Ending

LOOK_S = 4.0
"""Time between two looks at the run folder."""

SAVE_S = 2.0
"""Time between two writes of the record."""

STALL_S = 1800.0
"""Time without a new iteration after which a run that may be restarted counts as stalled; also the least for each phase
before the first one, since shaders, kernels and large scenes take their time."""

HANG_S = 60.0
"""Time for a trainer to leave after its last iteration is saved."""


class View(Protocol):
    """Shows a run while it goes."""

    def update(self, run: Run, at: float) -> None:
        """Take the run as it is ``at`` seconds after this attempt began."""

    def output(self, chunk: bytes) -> None:
        """Take what the child printed."""

    def say(self, line: str) -> None:
        """Take a line for the user."""

    def close(self) -> None:
        """Stop showing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a run is ended from outside; seconds.

    ``stall`` is the longest time without a new iteration (None: no limit), ``hang`` the time to leave after the end,
    ``grace`` the time between two rungs of the stop ladder. ``reserve_mib`` is the memory that the system must keep
    (None: nobody watches it). ``nodes`` is how long the hosts of one training wait for each other at the start.
    """

    stall: float | None = None
    hang: float = HANG_S
    grace: float = supervisor.GRACE_S
    reserve_mib: int | None = None
    nodes: float = 300.0


class Attending(supervisor.Watcher):
    """Watches one attempt of a run and keeps its record."""

    def __init__(
        self,
        run: Run,
        plan: Plan,
        scale: counting.Scale,
        *,
        view: View,
        limits: Limits,
        devices: tuple[int, ...] = (),
        post: Post | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run = run
        self.plan = plan
        self.scale = scale
        self.view = view
        self.limits = limits
        self.post = post
        self.clock = clock
        self.intake = Intake()
        self._at_once = BUDGET_BYTES
        self.witness = Witness()
        self.summary = Summary()
        self.finished = False
        self._dialect = dialects.read(plan.library, plan.isaaclab.generation)
        self._leavings = Leavings(plan)
        self._gauge = gauges.Gauge(devices)
        self._oom_kills = system.oom_kills()
        self._transcript = Transcript(registry.output(run.id))
        self._began = self._moved = self._phase_began = clock()
        self._ended_at: float | None = None
        self._paced: tuple[float, int] | None = None
        self._looked = self._saved = float("-inf")
        self._mistaken = False
        self._guard = Guard(reserve_mib=limits.reserve_mib or 0)

    # --- what the supervisor tells

    def started(self, _pid: int) -> None:
        """Tell that the child runs."""
        self._change(state="running")
        self._save()

    def output(self, chunk: bytes) -> None:
        """Keep what the child printed; it is read at the next tick, before it trains at once, but no flood is."""
        self._transcript.write(chunk)
        self._safely(self.view.output, chunk)
        self.intake.add(chunk)
        if self._at_once > 0 and self.run.progress.phase not in ("training", "closing"):
            self._at_once -= len(chunk)
            self._safely(self._read, self.intake.lines(), self.clock())

    def tick(self) -> Ending | None:
        """Read, look, write and show; say whether the run must be ended."""
        now = self.clock()
        self._at_once = BUDGET_BYTES
        self._safely(self._read, self.intake.lines(), now)
        if now - self._looked >= LOOK_S:
            self._looked = now
            self._safely(self._look)
        if now - self._saved >= SAVE_S:
            self._save()
        self._safely(self.view.update, self.run, now - self._began)
        self._safely(self._weigh)
        self._safely(self._call, now)
        if self.post is not None and nodes.is_broken(self.post):
            return "peer"
        return "memory" if self._guard.ends else self._overdue(now)

    def signalled(self, name: str) -> None:
        """Tell that the run is being stopped."""
        self._safely(self.view.say, f"stopping: sent {name.removeprefix('SIG')} to the run")

    def hung_up(self) -> None:
        """Go on without a terminal."""
        self._change(unattended=True)
        self._safely(self.view.close)
        self._save()

    def close(self) -> None:
        """Read and look for the last time."""
        now = self.clock()
        self._safely(self._read, self.intake.last(), now)
        self._safely(self._look)
        self._progress(counting.caught_up(self.run.progress, self.scale))
        self._transcript.close()

    def _safely(self, step: Callable[..., None], *args: object) -> None:
        """Take a step that a run can do without: a mistake of ours must not end it. The first one is written down."""
        try:
            step(*args)
        except Exception:
            if not self._mistaken:
                self._mistaken = True
                with suppress(OSError):
                    (registry.path(self.run.id) / "bug.log").write_text(traceback.format_exc(), encoding="utf-8")

    # --- what it prints

    def _read(self, lines: list[str], now: float) -> None:
        for line in lines:
            self.witness.feed(line)
            self.summary.feed(line)
            event = self._dialect(line)
            if event is not None:
                self._take(event, now)
        self._progress(self._timed(self.run.progress, now))

    def _take(self, event: Event, now: float) -> None:
        before = self.run.progress
        progress = counting.fold(before, event, self.scale)
        if progress.iteration != before.iteration:
            self._moved = now
            progress = self._entered(progress, "training", now)
        if event.phase is not None:
            progress = self._entered(progress, event.phase, now)
        if event.finished:
            self.finished = True
            progress = self._entered(progress, "closing", now)
        self._leavings.told(event)
        self._progress(progress)

    def _timed(self, progress: Progress, now: float) -> Progress:
        """Measure the speed between two looks; the first iteration, with all its compilation, does not count."""
        if progress.iteration is None or progress.iteration == (self._paced or (0.0, None))[1]:
            return progress
        before, self._paced = self._paced, (now, progress.iteration)
        return progress if before is None else counting.paced(progress, before, now, self.scale)

    def _entered(self, progress: Progress, phase: Phase, now: float) -> Progress:
        entered = counting.entered(progress, phase, now - self._phase_began)
        if entered is not progress:
            self._phase_began = self._moved = now
        return entered

    # --- what it leaves on disk

    def _look(self) -> None:
        """Look at the run folder: its configuration, checkpoints and curves; and at the machine."""
        if self._leavings.folder is None:
            self._find_folder()
        self._look_at_checkpoints()
        self._read_curves()
        reading = self._gauge.read()
        self._progress(
            replace(
                self.run.progress,
                gpu_percent=reading.gpu_percent,
                memory_used_mib=reading.memory_used_mib,
                memory_total_mib=reading.memory_total_mib,
            )
        )

    def _find_folder(self) -> None:
        found = self._leavings.find()
        if found is None:
            return
        self._attempt(log_dir=str(found))
        known = logs.read_params(found)
        self.scale = replace(
            self.scale,
            horizon=known.horizon or self.scale.horizon,
            num_envs=known.num_envs or self.scale.num_envs,
        )
        self._change(num_envs=self.scale.num_envs)
        self._progress(replace(self.run.progress, log_dir=str(found)))

    def _look_at_checkpoints(self) -> None:
        found = self._leavings.newest(self._held, self.run.progress.checkpoint)
        if found is not None:
            path, held = found
            self._attempt(checkpoint=path)
            self._progress(replace(self.run.progress, checkpoint=path, checkpoint_iteration=held))

    @property
    def whole(self) -> tuple[str, ...]:
        """The checkpoints that this attempt wrote, but the damaged ones."""
        return self._leavings.whole(self._held, self.run.progress.checkpoint_iteration)

    @property
    def damaged(self) -> tuple[str, ...]:
        """The incomplete checkpoints that are newer than the newest whole one."""
        return self._leavings.damaged(self._held, self.run.progress.checkpoint_iteration)

    def _read_curves(self) -> None:
        reward, length = self._leavings.rewards(self.run.attempts[-1])
        before = self.run.progress
        self._progress(
            replace(
                before,
                reward=before.reward if reward is None else reward,
                length=before.length if length is None else length,
            )
        )

    def _held(self, file: CheckpointFile) -> int | None:
        """Return the iterations that a checkpoint of this attempt holds, None where that cannot be told."""
        return logs.held(file, self.scale, self.run.progress.iteration)

    # --- when it must end

    def _overdue(self, now: float) -> Ending | None:
        if self._complete():
            self._ended_at = now if self._ended_at is None else self._ended_at
            return "hang" if now - self._ended_at >= self.limits.hang else None
        limit = self.limits.stall
        if limit is not None and (self.run.progress.iteration or 0) <= self.scale.first:
            limit = max(limit, STALL_S)
        return "stall" if limit is not None and now - self._moved >= limit else None

    def _call(self, now: float) -> None:
        """Exchange with the other hosts, where there are any, who is alive and how far it is."""
        if self.post is None:
            return
        progress = nodes.exchanged(self.post, self.run.progress)
        if progress.iteration != self.run.progress.iteration:
            self._moved = now
            progress = self._entered(progress, "training", now)
        self._progress(progress)
        self.finished = self.finished or nodes.is_over(self.post)

    def _weigh(self) -> None:
        """Read what memory is left; tell and record it where it is less than the system must keep."""
        if self.limits.reserve_mib is None or (available := system.memory().available_mib) is None:
            return
        warned, least = self._guard.least_mib is not None, self._guard.least_mib
        self._guard = self._guard.read(available)
        if self._guard.least_mib != least:
            self._change(least_memory_mib=self._guard.least_mib)
        if self._guard.low and not warned:
            self._save()
            left = f"{available} MiB of memory are left, less than the reserve of {self.limits.reserve_mib} MiB"
            self.view.say(f"warning: {left}: the run is ended if that lasts (--memory-reserve)")

    @property
    def oom_killed(self) -> bool:
        """Whether the kernel killed something for want of memory since the start."""
        return system.oom_kills() > self._oom_kills

    def _complete(self) -> bool:
        """Say whether everything that was asked for is done and saved."""
        progress = self.run.progress
        if self.finished:
            return True
        if progress.iteration is None or progress.max_iterations is None:
            return False
        return min(progress.iteration, progress.checkpoint_iteration or 0) >= progress.max_iterations

    # --- the record

    def _progress(self, progress: Progress) -> None:
        if progress is not self.run.progress:
            self.run = replace(self.run, progress=progress)
            self._attempt(iteration=progress.iteration)

    def _attempt(self, **changes: Any) -> None:
        *earlier, newest = self.run.attempts
        self.run = replace(self.run, attempts=(*earlier, replace(newest, **changes)))

    def _change(self, **changes: Any) -> None:
        self.run = replace(self.run, **changes)

    def _save(self) -> None:
        self._saved = self.clock()
        self.run = replace(self.run, updated_at=time.time())
        registry.save(self.run)
