"""From what a library counts to iterations and env steps, and to how long is left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spark_rl.records import PHASES, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_rl.dialects import Event
    from spark_rl.records import Phase

ABSOLUTE = frozenset(("rsl_rl", "rl_games"))
"""Libraries whose counts go on after a resume; the others begin at zero again."""

_SMOOTHING = 0.2
"""Weight of the newest rate in the running mean: about the last ten iterations count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What turns a library's counts into iterations.

    ``horizon`` is the number of env steps per environment and iteration, ``num_envs`` the environments of one rank,
    ``world_size`` the ranks. ``first`` is the number of iterations done before this attempt, ``target`` the run's
    ``max_iterations`` where it is known before the trainer says so.
    """

    library: str
    horizon: int | None = None
    num_envs: int | None = None
    world_size: int = 1
    first: int = 0
    target: int | None = None

    @property
    def batch(self) -> int | None:
        """Env steps of one iteration over all environments and ranks."""
        return self.horizon * self.num_envs * self.world_size if self.horizon and self.num_envs else None

    @property
    def unit(self) -> int | None:
        """How many of the library's own counts make an iteration: skrl counts rows of env steps, sb3 env steps."""
        if self.library == "skrl":
            return self.horizon
        if self.library == "sb3":
            return self.horizon * self.num_envs if self.horizon and self.num_envs else None
        return 1

    def iterations(self, count: int) -> int | None:
        """Return the iterations of the whole run that are done when the library's own counter stands at ``count``."""
        unit = self.unit
        if unit is None:
            return None
        return count // unit + (0 if self.library in ABSOLUTE else self.first)


def saved(number: int, scale: Scale) -> int | None:
    """Return how many iterations a periodic checkpoint with ``number`` in its name holds.

    rsl_rl counts from 0. sb3 saves inside a rollout, before it learns from it.
    """
    if scale.library == "rsl_rl":
        return number + 1
    if scale.library == "sb3" and scale.num_envs and scale.horizon:
        return scale.first + max(0, number // scale.num_envs - 1) // scale.horizon
    return scale.iterations(number)


def resumes_at(held: int, library: str) -> int:
    """Return after how many iterations a library goes on from a checkpoint that holds ``held``.

    rsl_rl does the last one again.
    """
    return max(0, held - 1) if library == "rsl_rl" else held


def fold(progress: Progress, event: Event, scale: Scale) -> Progress:
    """Return the progress after one event of the output."""
    changes: dict[str, object] = {}
    done, target = _counts(event, scale)
    if done is not None and done >= (progress.iteration or 0):
        changes["iteration"] = done
        if scale.batch:
            changes["env_steps"] = done * scale.batch
    if target is not None:
        changes["max_iterations"] = target
    for name in ("reward", "length", "fps"):
        value = getattr(event, name)
        if value is not None:
            changes[name] = value
    return replace(progress, **changes) if changes else progress  # type: ignore[arg-type]


def caught_up(progress: Progress, scale: Scale) -> Progress:
    """Return the progress that the newest checkpoint proves: what was printed of it may have died with the trainer."""
    held = progress.checkpoint_iteration
    if held is None or held <= (progress.iteration or 0):
        return progress
    return replace(progress, iteration=held, env_steps=held * scale.batch if scale.batch else progress.env_steps)


def _counts(event: Event, scale: Scale) -> tuple[int | None, int | None]:
    if event.iteration is not None or event.max_iterations is not None:
        offset = 0 if scale.library in ABSOLUTE else scale.first
        counts = (event.iteration, event.max_iterations)
        done, target = (None if count is None else count + offset for count in counts)
        return done, target
    counts = (event.timesteps, event.timesteps_total)
    done, target = (None if count is None else scale.iterations(count) for count in counts)
    return done, target


def paced(progress: Progress, before: tuple[float, int], now: float, scale: Scale) -> Progress:
    """Return the progress with the speed measured between two looks.

    Args:
        progress: The progress now.
        before: Time (seconds) and iteration of the earlier look.
        now: Time of this look.
        scale: What an iteration is.
    """
    done = (progress.iteration or 0) - before[1]
    if done <= 0 or now <= before[0]:
        return progress
    newest, known = (now - before[0]) / done, progress.iteration_seconds
    weight = 1.0 if known is None else 1.0 - (1.0 - _SMOOTHING) ** done
    seconds = newest if known is None else known + weight * (newest - known)
    fps = scale.batch / seconds if scale.batch else progress.fps
    return replace(progress, iteration_seconds=seconds, fps=fps)


def entered(progress: Progress, phase: Phase, seconds: float) -> Progress:
    """Return the progress in a later phase, the one that ends having taken ``seconds``; no phase comes again."""
    if PHASES.index(phase) <= PHASES.index(progress.phase):
        return progress
    return replace(progress, phase=phase, phases=(*progress.phases, (progress.phase, seconds)))


def seconds_left(progress: Progress) -> float | None:
    """Return the seconds until the last iteration, None while the speed is not known."""
    if progress.iteration_seconds is None or progress.max_iterations is None or progress.iteration is None:
        return None
    return max(0, progress.max_iterations - progress.iteration) * progress.iteration_seconds


def unsaved(progress: Progress) -> int | None:
    """Return the iterations that a stop would cost now: those after the newest checkpoint."""
    if progress.iteration is None:
        return None
    return max(0, progress.iteration - (progress.checkpoint_iteration or 0))


SAVE_KEYS: Mapping[str, str] = {
    "rsl_rl": "agent.save_interval",
    "rl_games": "agent.params.config.save_frequency",
    "skrl": "agent.agent.experiment.checkpoint_interval",
}
"""Where each library reads how often it saves: iterations, epochs, rows of env steps. sb3's scripts fix theirs."""
