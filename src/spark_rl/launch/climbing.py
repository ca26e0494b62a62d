"""The use case that measures: short real trainings over a ladder of env counts."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import counting, dialects, gpus, launch, memory, registry, tuning, tunings
from spark_rl.errors import CheckError, RequestError
from spark_rl.gauges.footprints import Footprint
from spark_rl.intake import Intake
from spark_rl.outcome import Outcome
from spark_rl.plan.quantities import batch_rule
from spark_rl.records import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_rl.launch import Start
    from spark_rl.model import Gpu, Plan, Request
    from spark_rl.plan import Facts, Target
    from spark_rl.records import Run
    from spark_rl.tuning import Climb, Rules, Rung

    Planner = Callable[[Request, Facts], Plan]

ITERATIONS = 20
"""Iterations of a rung."""

STALL_S = 900.0
"""Time without a new iteration after which a rung has failed."""


class Observer:
    """The view of a rung: shows nothing, and notes when each iteration was told and what memory was held."""

    def __init__(self, start: Start, footprint: Footprint, clock: Callable[[], float] = time.monotonic) -> None:
        plan = start.plan
        agent = plan.task.task.agent(plan.library, plan.algorithm)
        self.marks: list[tuple[float, int]] = []
        self._scale = counting.Scale(
            library=plan.library, horizon=agent.horizon if agent else None, num_envs=start.request.num_envs
        )
        self._dialect = dialects.read(plan.library, plan.isaaclab.generation)
        self._footprint, self._clock = footprint, clock
        self._intake, self._progress = Intake(), Progress()

    def update(self, run: Run, at: float) -> None:  # noqa: ARG002 - a view's
        """Look at the memory."""
        self._footprint.look()

    def output(self, chunk: bytes) -> None:
        """Note the iterations that a piece of output tells of."""
        now, before = self._clock(), self._progress.iteration
        self._intake.add(chunk)
        for line in self._intake.lines():
            event = self._dialect(line)
            if event is not None:
                self._progress = counting.fold(self._progress, event, self._scale)
        if self._progress.iteration is not None and self._progress.iteration != before:
            self.marks.append((now, self._progress.iteration))

    @property
    def peak_mib(self) -> int | None:
        """The most memory that the run was seen to hold."""
        return self._footprint.peak_mib

    def say(self, line: str) -> None:
        """Take a line for the user; what matters of it is in the rung's outcome."""

    def close(self) -> None:
        """Stop looking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be measured.

    The iterations of the request are those of a rung; its env count does not matter. ``counts`` are the env counts to
    measure, none for a ladder up to ``most``; ``reserve`` is the memory to leave free, as text.
    """

    request: Request
    facts: Facts
    target: Target
    counts: tuple[int, ...] = ()
    most: int | None = None
    reserve: str | None = None

    @property
    def gpu(self) -> Gpu | None:
        """The GPU that is measured, None for the CPU."""
        return gpus.of_device(self.facts.host, self.request.device)

    def footprint(self) -> Footprint:
        """Return what reads the memory that a rung takes from now on."""
        gpu = self.gpu
        return Footprint(gpu.index if gpu else None, unified=gpu is not None and gpu.unified)


def climb(wanted: Wanted, *, plan: Planner, tell: Callable[[str], None]) -> Climb:
    """Measure one env count after the other, until throughput or memory says enough, and remember the result.

    Args:
        wanted: What is to be measured.
        plan: Makes the plan of a request.
        tell: Takes one line for the user.

    Raises:
        RequestError: A count does not go with the library, or the reserve is no amount of memory.
        CheckError: The first rung cannot be started, or failed.
    """
    wanted = replace(wanted, request=_short(wanted.request))
    rules, kept = _rules(wanted)
    for count in rules.counts:
        plan(replace(wanted.request, num_envs=count), wanted.facts)
    with tempfile.TemporaryDirectory(prefix="spark-rl-tune-", ignore_cleanup_errors=True) as folder:
        rungs, why, stopped_by = _climbed(wanted, rules, Path(folder), plan, tell)
    _refuse(rungs[0])
    found = tuning.Climb(
        key=tuning.key(wanted.request, wanted.facts, wanted.target, registry.owner_now().host),
        default=wanted.target.task.task.num_envs,
        iterations=wanted.request.max_iterations or ITERATIONS,
        reserve_mib=kept,
        rules=rules,
        rungs=tuple(rungs),
        why=why,
        stopped_by=stopped_by,
    )
    return _remembered(found)


def _climbed(
    wanted: Wanted, rules: Rules, folder: Path, plan: Planner, tell: Callable[[str], None]
) -> tuple[list[Rung], str, int | None]:
    """Return the rungs, why there are no more, and the signal that stopped the last one."""
    rungs: list[Rung] = []
    stopped_by = None
    while (following := tuning.following(rungs, rules)).count is not None:
        tell(f"measuring {following.count} environments")
        try:
            rung, stopped_by = _measured(wanted, following.count, folder, plan, tell if not rungs else _silently)
        except CheckError as error:
            if not rungs:
                raise
            rung = tuning.Rung(num_envs=following.count, state="failed", message=error.message)
        tell(told(rung))
        rungs.append(rung)
    return rungs, following.why, stopped_by


def _short(request: Request) -> Request:
    """Return the request of a rung: what a recipe says of a real training does not count.

    Raises:
        RequestError: It names the env count, which is what is to be found.
    """
    for word in request.options:
        name = word.partition("=")[0].replace("_", "-")
        if name in ("--num-envs", "--max-iterations"):
            other = "--counts" if name == "--num-envs" else "--iterations"
            raise RequestError(f"tune has no option {name}", f"did you mean {other}?")
    iterations = ITERATIONS if request.max_iterations is None else request.max_iterations
    return replace(
        request,
        max_iterations=iterations,
        num_envs=None,
        auto_envs=False,
        checkpoint=None,
        run_name=None,
        video=False,
    )


def _rules(wanted: Wanted) -> tuple[Rules, int]:
    """Return how to climb, and what is left free of the memory that the rungs take, in MiB."""
    gpu, task, most = wanted.gpu, wanted.target.task.task, wanted.most
    kept = _kept(wanted)
    free = wanted.footprint().free_mib()
    horizon, minibatch = batch_rule(wanted.target)
    counts = tuple(count for count in wanted.counts if most is None or count <= most)
    if wanted.counts and not counts:
        raise RequestError(f"every count of --counts is above --max-envs {most}", "leave one of the two out")
    rules = tuning.Rules(
        first=min(tuning.first(task.num_envs, gpu=gpu is not None), most or tuning.MOST_ENVS),
        most=most or tuning.MOST_ENVS,
        counts=counts,
        budget_mib=None if free is None else max(0, free - kept),
        horizon=horizon,
        minibatch=minibatch,
    )
    if not counts and rules.aligned(rules.first) > rules.most:
        lowest = rules.aligned(rules.first)
        raise RequestError(f"rl_games takes no fewer than {lowest} environments here", f"--max-envs {lowest} or more")
    return rules, kept


def _kept(wanted: Wanted) -> int:
    gpu, host = wanted.gpu, wanted.facts.host
    asked = memory.reserve(host, wanted.reserve) if wanted.reserve is not None else None
    if asked is not None:
        return asked
    own = gpu is not None and not gpu.unified and gpu.memory_total_mib
    return tuning.gpu_reserve(own) if own else memory.default_reserve(host.memory_total_mib)


def _limits(wanted: Wanted) -> launch.Limits:
    """Return the limits of a rung: whatever it is measured on, the system keeps its reserve."""
    host = wanted.facts.host
    guard = memory.reserve(host, wanted.reserve)
    return launch.Limits(
        stall=STALL_S, reserve_mib=memory.default_reserve(host.memory_total_mib) if guard is None else guard
    )


def _silently(_line: str) -> None:
    """Say nothing: the first rung has told what there is to know of the machine."""


def _measured(
    wanted: Wanted, count: int, folder: Path, plan: Planner, tell: Callable[[str], None]
) -> tuple[Rung, int | None]:
    """Return a rung after its run, and the signal that stopped it."""
    home = folder / str(count)
    home.mkdir()
    request = replace(wanted.request, num_envs=count, cwd=str(home))
    start = launch.Start(
        plan=plan(request, wanted.facts), request=request, facts=wanted.facts, limits=_limits(wanted), measures=True
    )
    observer = Observer(start, wanted.footprint())
    outcome = launch.start(start, show=lambda _run: observer, tell=tell)
    assert isinstance(outcome, Outcome)  # noqa: S101 - nothing was detached
    return _rung(outcome, observer, count, request.max_iterations or ITERATIONS), outcome.stopped_by


def _rung(outcome: Outcome, observer: Observer, count: int, iterations: int) -> Rung:
    run, progress = outcome.run, outcome.run.progress
    if outcome.state != "succeeded":
        state: tuning.State = "interrupted" if outcome.state == "interrupted" else "failed"
        return tuning.Rung(num_envs=count, state=state, run=run.id, message=outcome.message)
    seconds = tuning.speed(observer.marks, iterations) or progress.iteration_seconds
    batch = progress.env_steps / progress.iteration if progress.env_steps and progress.iteration else None
    return tuning.Rung(
        num_envs=count,
        state="measured",
        throughput=batch / seconds if batch and seconds else progress.fps,
        iteration_seconds=seconds,
        memory_mib=observer.peak_mib,
        run=run.id,
    )


def told(rung: Rung) -> str:
    """Return what a rung came to, in one line."""
    if rung.state != "measured":
        return f"{rung.num_envs} environments: {rung.message}"
    speed = "unknown" if rung.throughput is None else f"{rung.throughput:,.0f}"
    held = "" if rung.memory_mib is None else f", {gpus.gib(rung.memory_mib)}"
    return f"{rung.num_envs} environments: {speed} env steps/s{held}"


def _refuse(first: Rung) -> None:
    if first.state == "failed":
        raise CheckError(
            f"{first.num_envs} environments: {first.message}", f"see what it printed: spark-rl runs log {first.run}"
        )


def _remembered(found: Climb) -> Climb:
    """Keep a climb that says something for ``--num-envs auto``."""
    knee, largest = tuning.knee(found.rungs), tuning.largest(found.rungs)
    if not found.complete or knee is None or largest is None:
        return found
    line = tuning.fitted(found.rungs)
    memory_line = {"base_mib": line.base_mib, "env_mib": line.env_mib} if line else {}
    kept = tuning.Tuning(key=found.key, knee=knee, largest=largest, at=time.time(), **memory_line)
    return replace(found, remembered=str(tunings.save(registry.folder(), kept)))
