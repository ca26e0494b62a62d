"""What Ray Tune is told of trials: imported only where Ray is about to work."""

from __future__ import annotations

import os
import statistics
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ray import tune as raytune
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler
from ray.tune.search import Searcher

from spark_rl.engines.ray import Follower, resources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_rl.engines.orders import Asha, Dimension, Earlier, Element, Optuna, Order
    from spark_rl.engines.ray import Teller

NUMBER, VALUES = "number", "values"

LIVES = 5
"""How often a trial is started again after its node or worker died."""


class Trial(raytune.Trainable):
    """One element on the node that Ray gave it. All that must last is in its run's record: nothing is saved here."""

    def setup(self, config: dict[str, Any], order: Order | None = None) -> None:
        """Start the command; one that was started before goes on by itself."""
        assert order is not None  # noqa: S101 - with_parameters gives it
        element = next(one for one in order.elements if one.number == config[NUMBER])
        self.follower = Follower(order=order, element=element, values=config.get(VALUES, {}))
        self.follower.start()

    def step(self) -> dict[str, Any]:
        """Return the newest report."""
        return self.follower.step()

    def cleanup(self) -> None:
        """Stop the command."""
        self.follower.stop()


class Halving(FIFOScheduler):
    """ASHA within each lane, which knows trials of an earlier start and tells which ones it stops.

    A lane is a seed: of trials that differ in their seed alone the luckier one would win.
    """

    def __init__(self, order: Order, how: Asha, teller: Teller) -> None:
        super().__init__()
        self._lanes = {
            lane: AsyncHyperBandScheduler(
                time_attr="iteration",
                metric="score",
                mode=order.goal,
                max_t=how.longest,
                grace_period=min(how.grace, how.longest),
                reduction_factor=how.reduction,
                stop_last_trials=False,
            )
            for lane in {*(one.lane for one in order.elements), *(one.lane for one in order.earlier)}
        }
        self._by_number = {one.number: self._lanes[one.lane] for one in order.elements}
        self._longest, self._teller = how.longest, teller
        for at, earlier in enumerate(order.earlier):
            self._remember(SimpleNamespace(trial_id=f"earlier-{at}"), earlier)

    def _remember(self, gone: Any, earlier: Earlier) -> None:
        lane = self._lanes[earlier.lane]
        lane.on_trial_add(None, gone)
        for iteration, score in earlier.reports:
            lane.on_trial_result(None, gone, {"iteration": iteration, "score": score})

    def _lane(self, trial: Any) -> Any:
        return self._by_number[trial.config[NUMBER]]

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Take a trial."""
        self._lane(trial).on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return whether a trial goes on; one that is at its end does, to close by itself."""
        decision: str = self._lane(trial).on_trial_result(tune_controller, trial, result)
        if decision != self.STOP or result.get("done") or result["iteration"] >= self._longest:
            return self.CONTINUE  # type: ignore[no-any-return]
        self._teller.tell("stopped", trial=trial.config[NUMBER], iteration=result["iteration"])
        return decision

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Take the last result of a trial."""
        self._lane(trial).on_trial_complete(tune_controller, trial, result)


class Numbered(Searcher):
    """Optuna's suggestions, each tried with every seed: one element a seed, and the median of them is its result.

    Elements of an earlier suggestion keep its values, and Optuna is told of their result as of any point.
    """

    def __init__(self, how: Optuna, elements: Sequence[Element], goal: str) -> None:
        from ray.tune.search.optuna import OptunaSearch

        super().__init__(metric="score", mode=goal)
        space = {one.name: _distribution(one) for one in how.space}
        self._inner = OptunaSearch(space=space, metric="score", mode=goal, seed=how.seed)
        for values, score in how.known:
            self._inner.add_evaluated_point(dict(values), score)
        self._left = list(elements)
        self._repeats = how.repeats
        self._sizes = Counter(self._group(one) for one in elements)
        self._fixed = {self._group(one): dict(one.values) for one in elements if one.values}
        self._suggested: dict[int, Any] = dict(self._fixed)
        self._groups: dict[str, int] = {}
        self._scores: dict[int, list[float | None]] = {}

    def suggest(self, trial_id: str) -> Any:
        """Return the next element with its values, or that there are no more."""
        if not self._left:
            return Searcher.FINISHED
        element = self._left.pop(0)
        group = self._groups[trial_id] = self._group(element)
        if group not in self._suggested:
            self._suggested[group] = self._inner.suggest(str(group))
        return {NUMBER: element.number, VALUES: self._suggested[group]}

    def _group(self, element: Element) -> int:
        return (element.number - 1) // self._repeats

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:  # noqa: FBT001, FBT002
        """Take a result; Optuna hears of the combination when every seed has one."""
        group = self._groups[trial_id]
        scores = self._scores.setdefault(group, [])
        scores.append(None if error or not result else result.get("score"))
        if len(scores) < self._sizes[group]:
            return
        known = [score for score in scores if score is not None]
        middle = statistics.median(known) if len(known) == len(scores) else None
        if group not in self._fixed:
            told = None if middle is None else {"score": middle}
            self._inner.on_trial_complete(str(group), told, error=middle is None)
        elif middle is not None:
            self._inner.add_evaluated_point(self._fixed[group], middle)

    def save(self, checkpoint_path: str) -> None:
        """Keep nothing: records tell what an earlier start did."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""


def _distribution(one: Dimension) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if one.choices is not None:
        return CategoricalDistribution(list(range(one.choices)))
    if one.whole:
        return IntDistribution(int(one.low), int(one.high), log=one.log)
    return FloatDistribution(one.low, one.high, log=one.log)


class Telling(raytune.Callback):
    """Tells what happens to trials."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller

    def on_trial_start(self, trial: Any, **_: Any) -> None:
        """Tell that one begins."""
        config = trial.config
        self._teller.tell("started", trial=config[NUMBER], values=config.get(VALUES))

    def on_trial_result(self, trial: Any, result: dict[str, Any], **_: Any) -> None:
        """Tell how far one is."""
        told = {name: result.get(name) for name in ("iteration", "score")}
        self._teller.tell("result", trial=trial.config[NUMBER], node=result.get("hostname"), **told)

    def on_trial_recover(self, trial: Any, **_: Any) -> None:
        """Tell that one is started again: its node or its worker died."""
        self._teller.tell("again", trial=trial.config[NUMBER])

    def on_trial_error(self, trial: Any, **_: Any) -> None:
        """Tell that one is given up."""
        self._teller.tell("lost", trial=trial.config[NUMBER])

    def on_trial_complete(self, trial: Any, **_: Any) -> None:
        """Tell that one is over."""
        self._teller.tell("ended", trial=trial.config[NUMBER])


def tune(order: Order, teller: Teller, folder: str) -> None:
    """Run all elements of an order."""
    numbers = [one.number for one in order.elements]
    searched = order.optuna is not None
    each = raytune.PlacementGroupFactory([resources(order)])
    scheduler: Any = FIFOScheduler()
    if order.asha:
        scheduler = Halving(order, order.asha, teller)
    config = raytune.TuneConfig(
        scheduler=scheduler,
        search_alg=Numbered(order.optuna, order.elements, order.goal) if order.optuna else None,
        num_samples=len(numbers) if searched else 1,
        max_concurrent_trials=order.parallel,
        time_budget_s=order.time_s,
    )
    tuner = raytune.Tuner(
        raytune.with_resources(raytune.with_parameters(Trial, order=order), each),
        param_space=None if searched else {NUMBER: raytune.grid_search(numbers)},
        tune_config=config,
        run_config=raytune.RunConfig(
            name="sweep",
            storage_path=os.path.join(folder, "tune"),  # noqa: PTH118 - Ray takes a text
            verbose=0,
            callbacks=[Telling(teller)],
            checkpoint_config=raytune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=raytune.FailureConfig(max_failures=LIVES),
        ),
    )
    tuner.fit()
