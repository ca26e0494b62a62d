"""Which env counts to try on a machine, when to stop, and what the measurements say."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from spark_rl import gpus
from spark_rl.errors import RequestError
from spark_rl.plan.quantities import valid_counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spark_rl.model import Request
    from spark_rl.plan import Facts, Target

MOST_ENVS = 262_144
"""The highest rung unless another one is named."""

FIRST_SHARE = 4
"""The ladder begins at the task's default divided by this."""

CPU_FIRST = 16
"""The ladder's first rung on a CPU, which a few environments keep busy."""

UNKNOWN_DEFAULT = 4096
"""What most tasks of Isaac Lab have, where the source of one does not tell."""

GAIN = 1.1
"""A rung with less than this times the throughput of the best one before it gained nothing; two such rungs end it."""

NEAR = 0.9
"""The knee is the lowest rung with at least this share of the highest throughput."""

MARGIN = 1.2
"""How much more than the fitted growth the next rung may take: allocators round up."""

FAR = 4
"""How many times the largest measured count an estimate may be: the line is known no further."""

WARM_UP_SHARE = 4
"""One of so many iterations, the first ones, is left out of a measurement: kernels are compiled in them."""

State = Literal["measured", "failed", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One short run with ``num_envs`` environments.

    ``throughput`` is in env steps per second over all environments, ``iteration_seconds`` the time of one iteration,
    ``memory_mib`` the most memory that the run held. ``run`` is the id of its record, ``message`` says why it failed.
    """

    num_envs: int
    state: State
    throughput: float | None = None
    iteration_seconds: float | None = None
    memory_mib: int | None = None
    run: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How to climb.

    ``counts`` are the rungs where a person named them, else the ladder goes from ``first`` to ``most`` by doubling.
    ``budget_mib`` is the memory that a rung may hold, None where nobody knows. ``horizon`` and ``minibatch`` are
    rl_games', whose batch must be a multiple of its minibatch.
    """

    first: int
    most: int = MOST_ENVS
    counts: tuple[int, ...] = ()
    budget_mib: int | None = None
    horizon: int | None = None
    minibatch: int | None = None

    def aligned(self, count: int) -> int:
        """Return the nearest count not above ``count`` that the library takes, its lowest where there is none."""
        if not (self.horizon and self.minibatch):
            return count
        return valid_counts(count, self.horizon, self.minibatch)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What follows the rungs that were measured: the next ``count``, or None and the reason to stop."""

    count: int | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory as a line over the env count, in MiB: ``base_mib`` without any environment, and ``env_mib`` for each."""

    base_mib: float
    env_mib: float

    def at(self, count: int) -> float:
        """Return the memory of a run with ``count`` environments."""
        return self.base_mib + self.env_mib * count


def counts(text: str) -> tuple[int, ...]:
    """Return env counts with commas between them, in rising order.

    Raises:
        RequestError: One is no positive whole number.
    """
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if not word.isdecimal() or int(word) < 1:
            raise RequestError(f"--counts must be positive whole numbers, not {word!r}", "for example --counts 64,128")
    return tuple(sorted({int(word) for word in words}))


def first(default: int | None, *, gpu: bool) -> int:
    """Return the first rung for a task with ``default`` environments."""
    share = max(1, (default or UNKNOWN_DEFAULT) // FIRST_SHARE)
    return share if gpu else min(share, CPU_FIRST)


def following(rungs: Sequence[Rung], rules: Rules) -> Next:
    """Return the next rung, or why the climb ends here."""
    if not rungs:
        return Next(count=rules.counts[0] if rules.counts else rules.aligned(rules.first), why="the first rung")
    last = rungs[-1]
    if last.state != "measured":
        return Next(count=None, why=f"{last.num_envs} environments: {last.message or last.state}")
    count = _above(last.num_envs, rules)
    if count is None:
        return Next(count=None, why="every count was measured" if rules.counts else f"{rules.most} is the most allowed")
    if not rules.counts and _flat(rungs):
        return Next(count=None, why="more environments no longer raise the throughput")
    if _fits(rungs, count, rules):
        return Next(count=count, why=f"after {last.num_envs}")
    between = None if rules.counts else _between(rungs, count, rules)
    if between is not None:
        return Next(count=between, why=f"{count} would not fit")
    why = f"{count} environments would need about {expected_mib(rungs, count) or 0:.0f} MiB"
    return Next(count=None, why=f"{why}, more than the {rules.budget_mib} MiB that the reserve leaves")


def _fits(rungs: Sequence[Rung], count: int, rules: Rules) -> bool:
    expected = expected_mib(rungs, count)
    return expected is None or rules.budget_mib is None or expected <= rules.budget_mib


def _between(rungs: Sequence[Rung], count: int, rules: Rules) -> int | None:
    """Return the highest quarter step between the last rung and ``count`` that fits, None where none does."""
    last = rungs[-1].num_envs
    steps = (rules.aligned(last + max(1, last // 4) * quarters) for quarters in (3, 2, 1))
    return next((step for step in steps if last < step < count and _fits(rungs, step, rules)), None)


def _above(count: int, rules: Rules) -> int | None:
    if rules.counts:
        return next((named for named in rules.counts if named > count), None)
    doubled = rules.aligned(min(2 * count, rules.most))
    return doubled if count < doubled <= rules.most else None


def _flat(rungs: Sequence[Rung]) -> bool:
    """Say whether neither of the last two rungs gained much over the best one before them."""
    known = [rung.throughput for rung in rungs if rung.throughput is not None]
    return len(known) > 2 and max(known[-2:]) < GAIN * max(known[:-2])


def expected_mib(rungs: Iterable[Rung], count: int) -> float | None:
    """Return the memory that a rung above the measured ones will take, a margin included; None where nobody knows.

    The steepest growth of two neighbours counts: buffers that grow by leaps must not come as a surprise. From one rung
    alone all its memory counts as its environments'.
    """
    known = _weighed(rungs)
    if not known:
        return None
    (highest, held), slopes = known[-1], [(b - a) / (n - m) for (m, a), (n, b) in pairwise(known)]
    slope = max([*slopes, 0.0]) if slopes else held / highest
    return held + MARGIN * slope * (count - highest)


def _weighed(rungs: Iterable[Rung]) -> list[tuple[int, int]]:
    return [(rung.num_envs, rung.memory_mib) for rung in rungs if rung.state == "measured" and rung.memory_mib]


def fitted(rungs: Iterable[Rung]) -> Memory | None:
    """Return the line of least squares through the memory of the rungs, None where it does not rise."""
    known = _weighed(rungs)
    if len(known) < 2:
        return None
    count = sum(n for n, _ in known) / len(known)
    held = sum(mib for _, mib in known) / len(known)
    slope = sum((n - count) * (mib - held) for n, mib in known) / sum((n - count) ** 2 for n, _ in known)
    return Memory(base_mib=held - slope * count, env_mib=slope) if slope > 0 else None


def knee(rungs: Iterable[Rung]) -> int | None:
    """Return the lowest count that is nearly as fast as the fastest, None where nothing was measured."""
    known = [(rung.num_envs, rung.throughput) for rung in rungs if rung.state == "measured" and rung.throughput]
    most = max((speed for _, speed in known), default=0.0)
    return min((count for count, speed in known if speed >= NEAR * most), default=None)


def largest(rungs: Iterable[Rung]) -> int | None:
    """Return the highest count that was measured, None where none was."""
    return max((rung.num_envs for rung in rungs if rung.state == "measured"), default=None)


def capacity(rungs: Iterable[Rung], rules: Rules) -> int | None:
    """Return the largest count that should fit by the fitted memory, None where nobody knows.

    What failed did not fit: the estimate stays under it, and within :data:`FAR` of what was measured.
    """
    rungs = tuple(rungs)
    line = fitted(rungs)
    if line is None or rules.budget_mib is None:
        return None
    room = int((rules.budget_mib - line.base_mib) / (line.env_mib * MARGIN))
    room = min([room, FAR * (largest(rungs) or 0), *(rung.num_envs - 1 for rung in rungs if rung.state == "failed")])
    found = rules.aligned(room) if room > 0 else 0
    return max(found, largest(rungs) or 0) or None


def weighing(overrides: Iterable[str]) -> tuple[str, ...]:
    """Return the overrides that change what an environment costs: those of the environment, presets and sizes.

    An override of the agent's learning leaves a measurement good; the env count itself is what is measured.
    """
    names = [(word, word.lstrip("+~").partition("=")[0]) for word in overrides]
    return tuple(
        sorted(
            word
            for word, name in names
            if name != "env.scene.num_envs" and (not name.startswith("agent.") or name.endswith(_SIZES))
        )
    )


_SIZES = ("num_steps_per_env", "horizon_length", "minibatch_size", "rollouts", "n_steps", "hidden_dims", "units")


def warm_up(iterations: int) -> int:
    """Return how many of a rung's iterations are left out of the measurement."""
    return max(1, iterations // WARM_UP_SHARE)


def speed(marks: Sequence[tuple[float, int]], iterations: int) -> float | None:
    """Return the seconds of an iteration, None where too little was seen.

    Args:
        marks: (time in seconds, iterations done by then), in order.
        iterations: How many the run was to do; the first ones do not count, see :func:`warm_up`.
    """
    kept = [mark for mark in marks if mark[1] >= warm_up(iterations)]
    if not kept or kept[-1][1] <= kept[0][1] or kept[-1][0] <= kept[0][0]:
        return None
    return (kept[-1][0] - kept[0][0]) / (kept[-1][1] - kept[0][1])


GPU_SHARE, GPU_LEAST_MIB = 0.05, 1024
"""What stays free of a GPU's own memory unless another amount is asked for: a share, and what it is at least."""


def gpu_reserve(total_mib: int) -> int:
    """Return what a climb leaves free of a GPU's own memory, in MiB like its memory."""
    return max(round(total_mib * GPU_SHARE), GPU_LEAST_MIB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What a measured env count is good for.

    ``version`` is Isaac Lab's, ``host`` the machine's name, ``device`` the GPU's name or ``cpu``. ``overrides`` are
    those that change what an environment costs.
    """

    task: str
    library: str
    algorithm: str
    version: str
    host: str
    device: str
    overrides: tuple[str, ...] = ()


def key(request: Request, facts: Facts, target: Target, host: str) -> Key:
    """Return what an env count is good for that is measured with a request on the machine called ``host``."""
    gpu = gpus.of_device(facts.host, request.device)
    return Key(
        task=target.task.task.id,
        library=target.library,
        algorithm=target.algorithm,
        version=facts.installation.version,
        host=host,
        device=gpu.name if gpu else "cpu",
        overrides=weighing(target.overrides),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """A remembered measurement: the ``knee``, the ``largest`` count that ran, and when, in seconds since the epoch.

    ``base_mib`` and ``env_mib`` are the memory without any environment and of each, None where no line fitted.
    """

    key: Key
    knee: int
    largest: int
    at: float
    base_mib: float | None = None
    env_mib: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """What a climb came to.

    ``default`` is the task's own env count, ``iterations`` the length of a rung. ``reserve_mib`` was left free of the
    memory that the rungs took. ``why`` says what ended the climb, ``stopped_by`` is the signal that did,
    ``remembered`` the file that ``--num-envs auto`` reads, None where nothing was kept.
    """

    key: Key
    default: int | None
    iterations: int
    reserve_mib: int
    rules: Rules
    rungs: tuple[Rung, ...]
    why: str
    stopped_by: int | None = None
    remembered: str | None = None

    @property
    def complete(self) -> bool:
        """Whether it says something: it was not stopped, and two rungs at least can be compared."""
        return self.stopped_by is None and sum(rung.throughput is not None for rung in self.rungs) > 1
