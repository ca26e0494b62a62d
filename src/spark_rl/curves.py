"""Curves of a run: which ones tell rewards and lengths, against iterations, over all attempts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_rl.errors import RequestError
from spark_rl.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spark_rl.counting import Scale

REWARD: Mapping[str, str] = {
    "rsl_rl": "Train/mean_reward",
    "rl_games": "rewards/iter",
    "skrl": "Reward / Total reward (mean)",
    "sb3": "rollout/ep_rew_mean",
}
"""Tag of the mean reward of finished episodes."""

LENGTH: Mapping[str, str] = {
    "rsl_rl": "Train/mean_episode_length",
    "rl_games": "episode_lengths/iter",
    "skrl": "Episode / Total timesteps (mean)",
    "sb3": "rollout/ep_len_mean",
}
"""Tag of the mean length of finished episodes, in env steps."""

WORDS: Mapping[str, Mapping[str, str]] = {"reward": REWARD, "length": LENGTH}
"""What a person may say instead of a tag."""

_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One scalar: ``count`` is the library's own, ``at`` in seconds since the epoch."""

    tag: str
    count: int
    value: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Values against iterations done in the whole run, ascending; ``batch`` turns iterations into env steps."""

    tag: str
    iterations: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    batch: int | None = None

    @property
    def final(self) -> float | None:
        """The last value that is a number."""
        return next((value for value in reversed(self.values) if math.isfinite(value)), None)

    @property
    def best(self) -> tuple[float, float] | None:
        """The highest value and its iteration."""
        pairs = [(value, at) for value, at in zip(self.values, self.iterations, strict=True) if math.isfinite(value)]
        if not pairs:
            return None
        value, at = max(pairs, key=lambda pair: (pair[0], -pair[1]))
        return value, at

    def reaches(self, threshold: float) -> float | None:
        """Return the first iteration at which the value is ``threshold`` or more."""
        pairs = zip(self.values, self.iterations, strict=True)
        return next((at for value, at in pairs if value >= threshold), None)

    def at(self, iteration: float) -> float | None:
        """Return the newest value up to an iteration."""
        pairs = [(at, value) for at, value in zip(self.iterations, self.values, strict=True) if at <= iteration]
        return pairs[-1][1] if pairs else None


def iteration_of(point: Point, scale: Scale) -> float | None:
    """Return the iterations of the whole run that are done at a point, None where that cannot be told.

    rsl_rl counts from 0; rl_games counts epochs in tags that end in ``/iter`` and env steps in most others; skrl and
    sb3 begin at 0 again when they resume.
    """
    if scale.library == "rsl_rl":
        return float(point.count + 1)
    if scale.library == "rl_games":
        if point.tag.endswith("/iter"):
            return float(point.count)
        return point.count / scale.batch if scale.batch and not point.tag.endswith("/time") else None
    unit = scale.unit
    return scale.first + point.count / unit if unit else None


def joined(tag: str, attempts: Sequence[tuple[Iterable[Point], Scale]]) -> Curve:
    """Return one curve of all attempts of a run; where a later attempt did iterations again, its values count."""
    pairs: list[tuple[float, float]] = []
    batch = None
    for points, scale in attempts:
        batch = scale.batch or batch
        own = sorted(
            (at, point.value) for point in points if point.tag == tag and (at := iteration_of(point, scale)) is not None
        )
        if own:
            pairs = [pair for pair in pairs if pair[0] < own[0][0]] + own
    return Curve(tag=tag, iterations=tuple(at for at, _ in pairs), values=tuple(v for _, v in pairs), batch=batch)


def newest(points: Iterable[Point], library: str) -> dict[str, float]:
    """Return the newest reward and length among points, by the names that a run's progress has for them."""
    tags = {REWARD[library]: "reward", LENGTH[library]: "length"}
    return {tags[point.tag]: point.value for point in points if point.tag in tags and math.isfinite(point.value)}


def tag_of(word: str | None, library: str, known: Iterable[str]) -> str:
    """Return the tag that a person means: ``reward``, ``length``, a tag, or part of exactly one.

    Raises:
        RequestError: No tag, or more than one, is meant.
    """
    known = tuple(dict.fromkeys(known))
    wanted = WORDS.get(word or "reward", {}).get(library, word or "")
    if wanted in known:
        return wanted
    inside = [tag for tag in known if wanted.casefold() in tag.casefold()]
    if len(inside) == 1:
        return inside[0]
    if not known:
        raise RequestError("the run has recorded no curve yet", "wait for its first iterations")
    hint = f"which one: {', '.join(inside[:8])}?" if inside else did_you_mean(wanted, known, "there are")
    raise RequestError(f"{'several curves have' if inside else 'no curve is called'} {wanted!r}", hint)


def thinned(curve: Curve, most: int) -> Curve:
    """Return a curve of at most ``most`` points: means over neighbours."""
    size = max(1, -(-len(curve.values) // most))
    if size == 1:
        return curve
    starts = range(0, len(curve.values), size)

    def means(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sum(values[at : at + size]) / len(values[at : at + size]) for at in starts)

    return Curve(tag=curve.tag, iterations=means(curve.iterations), values=means(curve.values), batch=curve.batch)


def spark(values: Iterable[float], width: int) -> str:
    """Return values as a row of bars, the newest last, averaged into at most ``width`` of them."""
    points = [value for value in values if math.isfinite(value)]
    if not points:
        return ""
    size = max(1, -(-len(points) // width))
    means = [sum(points[at : at + size]) / len(points[at : at + size]) for at in range(0, len(points), size)]
    low, high = min(means), max(means)
    top = len(_BARS) - 1
    return "".join(_BARS[round((mean - low) / (high - low) * top) if high > low else 0] for mean in means)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run of a comparison; ``best`` with its iteration, ``env_steps_to`` the threshold, None where not reached."""

    run: str
    task: str
    library: str
    state: str
    iterations: int | None
    final: float | None
    best: float | None
    best_at: float | None
    env_steps_to: float | None
    length: float | None
    seconds: float
    fps: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Runs side by side, and the reward that ``env_steps_to`` is about."""

    rows: tuple[Row, ...]
    threshold: float | None


def threshold_of(rewards: Iterable[Curve]) -> float | None:
    """Return nine tenths of the way from the lowest start to the best final reward of all."""
    curves = [curve for curve in rewards if curve.final is not None]
    if not curves:
        return None
    low = min(next(value for value in curve.values if math.isfinite(value)) for curve in curves)
    high = max(curve.final for curve in curves if curve.final is not None)
    return low + 0.9 * (high - low)
