"""What a run writes down while it learns, as curves: which are the reward, how far they came, what went wrong."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Literal, TypeAlias

from spark_rl.counting import ABSOLUTE, Scale

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Unit = Literal["iterations", "env steps", "env steps per environment", "seconds"]
"""What the recorded step of a tag counts."""

REWARD: Mapping[str, str] = {
    "rsl_rl": "Train/mean_reward",
    "rl_games": "rewards/iter",
    "skrl": "Reward / Total reward (mean)",
    "sb3": "rollout/ep_rew_mean",
}
"""Tag of the mean return of finished episodes by RL library; skrl's multi-agent one is the sum over the agents."""

LENGTH: Mapping[str, str] = {
    "rsl_rl": "Train/mean_episode_length",
    "rl_games": "episode_lengths/iter",
    "skrl": "Episode / Total timesteps (mean)",
    "sb3": "rollout/ep_len_mean",
}
"""Tag of the mean length of finished episodes, in env steps."""

_COUNTS: Mapping[str, Unit] = {
    "rsl_rl": "iterations",
    "rl_games": "env steps",
    "skrl": "env steps per environment",
    "sb3": "env steps",
}
_BY_EPOCH = ("Episode/", "scores/")
_FROM_ZERO = frozenset(("rsl_rl", "rl_games"))
"""Libraries that record an iteration under the count at its start."""
_LEAST = 1e-6
"""Less than any distance of two recorded steps, in iterations."""

_BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One recorded scalar: ``step`` as the library counts it, ``wall_time`` in seconds since the epoch."""

    tag: str
    step: int
    value: float
    wall_time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The points of one tag in the order of their steps: as recorded, or in iterations after :func:`in_iterations`."""

    tag: str
    steps: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    wall_times: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def finite(self) -> tuple[tuple[float, float], ...]:
        """The (step, value) pairs without NaN and infinity."""
        return tuple(pair for pair in zip(self.steps, self.values, strict=True) if isfinite(pair[1]))

    @property
    def first(self) -> float | None:
        """The first finite value, None when there is none."""
        return next(filter(isfinite, self.values), None)

    @property
    def final(self) -> float | None:
        """The last finite value, None when there is none."""
        return next(filter(isfinite, reversed(self.values)), None)

    @property
    def best(self) -> tuple[float, float] | None:
        """The step and value of the highest point, the first of equal ones."""
        return max(self.finite, key=lambda pair: pair[1], default=None)

    def reaching(self, threshold: float) -> float | None:
        """Return the first step with a value of at least ``threshold``, None when there is none."""
        return next((step for step, value in self.finite if value >= threshold), None)

    def rate(self) -> float | None:
        """Return the usual number of steps a second by the clock: the median, so that pauses do not count."""
        from statistics import median

        times = zip(self.steps, self.wall_times, self.steps[1:], self.wall_times[1:], strict=False)
        rates = [(step - before) / (now - then) for before, then, step, now in times if now > then and step > before]
        return median(rates) if rates else None

    def until(self, last: float) -> Curve:
        """Return the points up to and with the step ``last``."""
        return self._picked([index for index, step in enumerate(self.steps) if step <= last])

    def thinned(self, limit: int) -> Curve:
        """Return at most ``limit`` points (4 or more) that draw the same line: each part keeps its low and its high."""
        if len(self) <= limit:
            return self
        parts = max(1, (limit - 2) // 2)
        edges = [len(self) * part // parts for part in range(parts + 1)]
        kept = {0, len(self) - 1}
        for low, high in pairwise(edges):
            numbers = [index for index in range(low, high) if isfinite(self.values[index])]
            if numbers:
                kept |= {min(numbers, key=self.values.__getitem__), max(numbers, key=self.values.__getitem__)}
        return self._picked(sorted(kept))

    def _picked(self, indices: Sequence[int]) -> Curve:
        steps, values, times = (
            tuple(column[i] for i in indices) for column in (self.steps, self.values, self.wall_times)
        )
        return replace(self, steps=steps, values=values, wall_times=times)


Curves: TypeAlias = "Mapping[str, Curve]"
"""Curves by tag."""


class Collector:
    """Turns points into curves, as they come; 24 bytes a point.

    Where a tag's step goes back, an attempt started over: what it repeats replaces what was there.
    """

    __slots__ = ("_columns",)

    def __init__(self) -> None:
        self._columns: dict[str, tuple[array[float], array[float], array[float]]] = {}

    def add(self, points: Iterable[Point]) -> None:
        """Take more points, in the order in which they were written."""
        for point in points:
            columns = self._columns.setdefault(point.tag, (array("d"), array("d"), array("d")))
            if columns[0] and point.step < columns[0][-1]:
                _cut_back(columns, point.step)
            for column, number in zip(columns, (point.step, point.value, point.wall_time), strict=True):
                column.append(number)

    def curves(self) -> Curves:
        """Return the curves so far."""
        return {
            tag: Curve(tag=tag, steps=tuple(steps), values=tuple(values), wall_times=tuple(times))
            for tag, (steps, values, times) in self._columns.items()
        }


def _cut_back(columns: tuple[array[float], ...], step: float) -> None:
    while columns[0] and columns[0][-1] >= step:
        for column in columns:
            column.pop()


def unit(tag: str, library: str) -> Unit:
    """Return what the recorded step of ``tag`` counts."""
    if tag.endswith("/time"):
        return "seconds"
    if library == "rl_games" and (tag.endswith("/iter") or tag.startswith(_BY_EPOCH)):
        return "iterations"
    return _COUNTS[library]


def iterations(tag: str, scale: Scale) -> tuple[float, float] | None:
    """Return the factor and the offset that make iterations done of the recorded step, None when unknown."""
    counts = unit(tag, scale.library)
    each = {"iterations": 1, "env steps": scale.batch, "env steps per environment": scale.horizon}.get(counts)
    if not each:
        return None
    late = scale.library in _FROM_ZERO and counts == _COUNTS[scale.library]
    return 1 / each, 1.0 if late else 0.0


def in_iterations(curve: Curve, scale: Scale) -> Curve | None:
    """Return a curve over the iterations done at each point, None when its steps cannot be converted."""
    by = iterations(curve.tag, scale)
    if by is None:
        return None
    factor, offset = by
    return replace(curve, steps=tuple(round(step * factor + offset, 6) for step in curve.steps))


def join(attempts: Iterable[tuple[Curves, int]], scale: Scale) -> Curves:
    """Return the curves of one run, over iterations, of those of its attempts in order.

    Tags whose steps cannot be converted are left out.

    Args:
        attempts: The curves of an attempt as recorded, and the number of iterations done before it. What an earlier
            attempt did beyond that number was lost, and is dropped.
        scale: The run's.
    """
    joined: dict[str, Curve] = {}
    for curves, done in attempts:
        for tag, recorded in curves.items():
            curve = in_iterations(recorded, scale)
            if curve:
                joined[tag] = _appended(joined.get(tag, Curve(tag=tag)), _shifted(curve, done, scale.library), done)
    return joined


def _shifted(curve: Curve, done: int, library: str) -> Curve:
    # rsl_rl repeats the iteration that its checkpoint is named after: its first one is `done` itself.
    if library in ABSOLUTE and curve.steps[0] >= done:
        return curve
    return replace(curve, steps=tuple(step + done for step in curve.steps))


def _appended(before: Curve, after: Curve, done: int) -> Curve:
    kept = before.until(min(done, after.steps[0] - _LEAST))
    return replace(
        after,
        steps=kept.steps + after.steps,
        values=kept.values + after.values,
        wall_times=kept.wall_times + after.wall_times,
    )


def newest(points: Iterable[Point], library: str) -> tuple[float | None, float | None]:
    """Return the newest reward and the newest episode length among points, None where there is none."""
    told = {point.tag: point.value for point in points if isfinite(point.value)}
    return told.get(REWARD[library]), told.get(LENGTH[library])


def spark(values: Sequence[float], width: int) -> str:
    """Return values as a line of at most ``width`` blocks, the lowest and the highest of them filling the height.

    Where there are more values than room, each block is a mean. What is no number leaves a gap.
    """
    means = [_mean(part) for part in _parts(values, width)]
    numbers = [mean for mean in means if mean is not None]
    if not numbers:
        return " " * len(means)
    low, high = min(numbers), max(numbers)
    step = (high - low) / (len(_BLOCKS) - 1)
    return "".join(" " if mean is None else _BLOCKS[round((mean - low) / step) if step else 0] for mean in means)


def _parts(values: Sequence[float], count: int) -> Iterator[Sequence[float]]:
    count = min(count, len(values))
    for part in range(count):
        yield values[len(values) * part // count : len(values) * (part + 1) // count]


def _mean(values: Sequence[float]) -> float | None:
    numbers = [value for value in values if isfinite(value)]
    return sum(numbers) / len(numbers) if numbers else None
