"""Runs side by side: what each learned, how soon, and at what speed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spark_rl.counting import Scale
from spark_rl.curves import LENGTH, REWARD, Curve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_rl.curves import Curves
    from spark_rl.records import Run, RunState

WAY = 0.9
"""Where the default threshold lies on the way from the lowest start to the best final reward of all runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A run and its curves over iterations (see :func:`spark_rl.curves.join`)."""

    run: Run
    scale: Scale
    curves: Curves = field(default_factory=dict)

    @property
    def reward(self) -> Curve:
        """The mean return of finished episodes; empty when none was recorded."""
        return self._named(REWARD)

    @property
    def length(self) -> Curve:
        """The mean length of finished episodes in env steps; empty when none was recorded."""
        return self._named(LENGTH)

    def _named(self, tags: Mapping[str, str]) -> Curve:
        tag = tags[self.run.library]
        return self.curves.get(tag, Curve(tag=tag))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one run came to; None where it recorded nothing, or did not get there.

    ``length`` is the final mean episode length in env steps, ``seconds`` the wall time from the run's start to its end
    or to its last sign of life. ``env_steps_per_second`` is the usual speed of training, start and pauses left out.
    """

    id: str
    run_name: str | None
    task: str
    library: str
    algorithm: str
    state: RunState
    iteration: int | None
    env_steps: int | None
    final_reward: float | None
    best_reward: float | None
    best_iteration: int | None
    iterations_to_threshold: int | None
    env_steps_to_threshold: int | None
    length: float | None
    seconds: float
    env_steps_per_second: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Runs in the order they were named; ``reason`` says where the threshold (a mean reward) comes from."""

    rows: tuple[Row, ...]
    threshold: float | None
    reason: str


def scale_of(run: Run, *, horizon: int | None = None, world_size: int = 1) -> Scale:
    """Return the scale of a run's curves.

    Args:
        run: The run; how far it came tells its horizon, exactly once it is over.
        horizon: Env steps per environment and iteration, where that is known from the agent config.
        world_size: The number of ranks, each of which has ``num_envs`` environments.
    """
    steps, iteration = run.progress.env_steps, run.progress.iteration
    if horizon is None and run.num_envs and steps and iteration:
        horizon = round(steps / iteration / run.num_envs / world_size)
    return Scale(library=run.library, horizon=horizon, num_envs=run.num_envs, world_size=world_size)


def compare(runs: Sequence[Learned], threshold: float | None = None) -> Comparison:
    """Compare runs by their mean reward.

    Args:
        runs: The runs with their curves of reward and episode length.
        threshold: The mean reward whose first reaching counts; by default one that is derived from the runs.
    """
    reason = "as asked for"
    if threshold is None:
        threshold, reason = _threshold(runs)
    return Comparison(rows=tuple(_row(run, threshold) for run in runs), threshold=threshold, reason=reason)


def _threshold(runs: Sequence[Learned]) -> tuple[float | None, str]:
    starts = [run.reward.first for run in runs]
    finals = [run.reward.final for run in runs]
    low = min((start for start in starts if start is not None), default=None)
    high = max((final for final in finals if final is not None), default=None)
    if low is None or high is None:
        return None, "no run recorded a reward"
    if high <= low:
        return None, "no run ended above the lowest start"
    return low + WAY * (high - low), f"{WAY:.0%} of the way from the lowest start to the best final reward"


def _row(learned: Learned, threshold: float | None) -> Row:
    run, reward, each = learned.run, learned.reward, learned.scale.batch
    best = reward.best
    reached = None if threshold is None else reward.reaching(threshold)
    rate = reward.rate()
    return Row(
        id=run.id,
        run_name=run.run_name,
        task=run.task,
        library=run.library,
        algorithm=run.algorithm,
        state=run.state,
        iteration=run.progress.iteration,
        env_steps=run.progress.env_steps,
        final_reward=reward.final,
        best_reward=best[1] if best else None,
        best_iteration=round(best[0]) if best else None,
        iterations_to_threshold=None if reached is None else round(reached),
        env_steps_to_threshold=round(reached * each) if reached is not None and each else None,
        length=learned.length.final,
        seconds=(run.ended_at or run.updated_at) - run.started_at,
        env_steps_per_second=rate * each if rate and each else run.progress.fps,
    )
