"""Ray Tune's side of :mod:`spark_rl.engines.ray`: imported only where Ray is about to work."""

from __future__ import annotations

import os
import statistics
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ray import tune as raytune
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler
from ray.tune.search import Searcher

from spark_rl.engines.ray import LIVES, Follower, resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_rl.engines.ray import Asha, Dimension, Optuna, Order, Teller

NUMBER, VALUES = "number", "values"


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


class Halving(AsyncHyperBandScheduler):
    """ASHA that knows trials of an earlier start, and tells which it stops."""

    def __init__(self, how: Asha, goal: str, teller: Teller) -> None:
        super().__init__(
            time_attr="iteration",
            metric="score",
            mode=goal,
            max_t=how.longest,
            grace_period=min(how.grace, how.longest),
            reduction_factor=how.reduction,
            stop_last_trials=False,
        )
        self._teller = teller

    def remember(self, earlier: tuple[tuple[tuple[int, float], ...], ...]) -> None:
        """Take the reports of trials that are over."""
        for at, reports in enumerate(earlier):
            gone = SimpleNamespace(trial_id=f"earlier-{at}")
            self.on_trial_add(None, gone)
            for iteration, score in reports:
                super().on_trial_result(None, gone, {"iteration": iteration, "score": score})

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return whether a trial goes on."""
        decision: str = super().on_trial_result(tune_controller, trial, result)
        if decision == self.STOP and not result.get("done"):
            self._teller.tell("stopped", trial=trial.config[NUMBER], iteration=result["iteration"])
        return decision


class Numbered(Searcher):
    """Optuna's suggestions, each tried with every seed: one element a seed, and the median of them is its result."""

    def __init__(self, how: Optuna, numbers: list[int], goal: str) -> None:
        from ray.tune.search.optuna import OptunaSearch

        super().__init__(metric="score", mode=goal)
        space = {one.name: _distribution(one) for one in how.space}
        self._inner = OptunaSearch(space=space, metric="score", mode=goal, seed=how.seed)
        for values, score in how.known:
            self._inner.add_evaluated_point(dict(values), score)
        self._left = numbers
        self._repeats = how.repeats
        self._suggested: dict[str, Any] = {}
        self._groups: dict[str, int] = {}
        self._scores: dict[int, list[float | None]] = {}

    def suggest(self, trial_id: str) -> Any:
        """Return the next element with its values, or that there are no more."""
        if not self._left:
            return Searcher.FINISHED
        number = self._left.pop(0)
        group = (number - 1) // self._repeats
        if group not in self._scores:
            self._scores[group] = []
            self._suggested[str(group)] = self._inner.suggest(str(group))
        self._groups[trial_id] = group
        return {NUMBER: number, VALUES: self._suggested[str(group)]}

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:  # noqa: FBT001, FBT002
        """Take a result; Optuna hears of the combination when every seed has one."""
        group = self._groups[trial_id]
        scores = self._scores[group]
        scores.append(None if error or not result else result.get("score"))
        if len(scores) == self._repeats:
            known = [score for score in scores if score is not None]
            whole = len(known) == len(scores)
            result = {"score": statistics.median(known)} if whole else None
            self._inner.on_trial_complete(str(group), result, error=not whole)

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
        scheduler = Halving(order.asha, order.goal, teller)
        scheduler.remember(order.earlier)
    config = raytune.TuneConfig(
        scheduler=scheduler,
        search_alg=Numbered(order.optuna, numbers, order.goal) if order.optuna else None,
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
