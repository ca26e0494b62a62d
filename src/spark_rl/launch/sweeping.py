"""The use case of many runs: what a sweep comes to, and its trials on Ray."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from spark_rl import supervisor, sweeps
from spark_rl.engines import conducting, orders
from spark_rl.errors import CheckError
from spark_rl.launch import fields
from spark_rl.sweep import Result, Trial, expansion, ranking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spark_rl.launch.fields import Field
    from spark_rl.records import Job
    from spark_rl.supervisor import Ending
    from spark_rl.sweep.packing import Needs, Room

GRACE_S = 130.0
"""Time for the trials and Ray to stop: longer than a trial's own ladder."""

BEST, ORDER = "best.toml", "order.json"


class View(Protocol):
    """Shows a sweep while it goes."""

    def update(self, results: Sequence[Result]) -> None:
        """Take all trials as they are now."""

    def say(self, line: str) -> None:
        """Take a line for the user."""

    def close(self) -> None:
        """Stop showing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep came to, or how far it is.

    ``results`` has every trial that is known, of ``total``. ``recipe`` is the file of the best combination, None where
    none is complete. ``stopped_by`` is the signal that ended it, ``submitted`` what an engine calls it that goes on
    without this process; ``out_of_time`` says that its budget did. ``job`` is what an engine was given last and says
    of it, which ``waits`` as long as any of it is not over; ``printed`` is the output of a trial that came to no run.
    """

    field: Field
    results: tuple[Result, ...]
    recipe: str | None = None
    stopped_by: int | None = None
    submitted: str | None = None
    job: Job | None = None
    printed: str | None = None
    out_of_time: bool = False

    @property
    def total(self) -> int:
        """How many trials there are to be."""
        return self.field.total

    @property
    def rows(self) -> tuple[ranking.Row, ...]:
        """The combinations, the best first."""
        return ranking.ranked(self.results, self.field.sweep.goal)

    @property
    def decided(self) -> bool:
        """Whether nothing is left to do."""
        return len(self.results) == self.total and all(result.decided for result in self.results)


def conduct(field: Field, each: Needs, there: Room, *, longest: int | None, address: str | None, view: View) -> Swept:
    """Run the trials that are left on Ray until all are decided, and write down the best recipe.

    Args:
        field: The sweep and its trials.
        each: What a trial takes.
        there: What this machine has; without an ``address`` Ray gets it.
        longest: The iterations of a trial, which ASHA must know.
        address: A running Ray, None for one of our own.
        view: Shows it.

    Raises:
        CheckError: Ray cannot be started or reached, or has no room for a trial.
    """
    order = fields.order(field, each, there, longest, address)
    file = sweeps.write(field.folder, ORDER, orders.written(order))
    watcher = _Watching(field, view)
    if address and order.elements:
        view.say(f"joining the Ray at {address}")
    try:
        if order.elements:
            ended = supervisor.run(
                conducting.command(file), cwd=field.folder, environ=os.environ, watcher=watcher, grace_s=GRACE_S
            )
    finally:
        view.close()
    field = watcher.field
    stopped_by = ended.stopped_by if order.elements else None
    if watcher.refused:
        sweeps.withdraw(field.folder)
        raise CheckError(*watcher.refused)
    swept = finished(field)
    if order.elements and ended.status and not stopped_by and not swept.decided:
        raise CheckError(f"Ray ended with status {ended.status}", f"see {order.talk}; go on with --resume")
    over = field.sweep.time_s is not None and not swept.decided and stopped_by is None
    return replace(swept, stopped_by=stopped_by, out_of_time=over)


def finished(field: Field) -> Swept:
    """Return what the trials came to by their records, and write down the best recipe.

    Raises:
        CheckError: It cannot be written.
    """
    swept = Swept(field=field, results=fields.results(field))
    best = ranking.best(swept.rows)
    if best is None:
        return swept
    recipe = expansion.recipe(field.sweep, best.values)
    file = sweeps.write(field.folder, BEST, ranking.recipe_text(recipe, field.sweep, best))
    return replace(swept, recipe=str(file))


# --- what happens


class _Watching(supervisor.Watcher):
    """Reads what Ray's side tells, line by line, keeps the trials as they are and shows them."""

    def __init__(self, field: Field, view: View) -> None:
        self.field, self.view = field, view
        self.refused: tuple[str, str | None] | None = None
        self._now = {result.trial.number: result for result in fields.results(field)}
        self._text, self._unscored = b"", False
        view.update(tuple(self._now.values()))

    def output(self, chunk: bytes) -> None:
        """Take what happened."""
        *lines, self._text = (self._text + chunk).split(b"\n")
        for line in lines:
            with suppress(ValueError):  # not ours: what a library printed before its streams were taken away
                self._take(json.loads(line))

    def tick(self) -> Ending | None:
        """Show it."""
        self.view.update(tuple(self._now.values()))
        return None

    def signalled(self, name: str) -> None:
        """Tell that the trials are being stopped."""
        self.view.say(
            f"stopping: sent {name.removeprefix('SIG')}; the trials end their runs, --resume goes on with them"
        )

    def hung_up(self) -> None:
        """Go on without a terminal."""
        self.view.close()

    def _take(self, told: dict[str, Any]) -> None:
        event = told.get("event")
        if event == "refused":
            self.refused = told["message"], told["hint"]
        elif event == "ready":
            self.view.say(f"Ray is ready: {told['nodes']} node{'s' * (told['nodes'] > 1)}")
        elif event == "started" and told["trial"] not in self._now:
            self._learn(expansion.suggested(self.field.sweep, told["trial"], told["values"]))
        number = told.get("trial")
        if number in self._now:
            self._now[number] = self._changed(self._now[number], told)

    def _learn(self, trial: Trial) -> None:
        """Take a trial that a search suggested."""
        self.field = replace(self.field, trials=(*self.field.trials, trial))
        sweeps.save_trials(self.field.folder, self.field.trials)
        self._now[trial.number] = Result(trial=trial)

    def _changed(self, before: Result, told: dict[str, Any]) -> Result:
        event, number = told["event"], before.trial.number
        if event == "started":
            return replace(before, state="running")
        if event == "result":
            iteration, score = told["iteration"], told["score"]
            known = replace(before, node=told["node"])
            return known if iteration is None else replace(known, iteration=iteration, score=score)
        if event == "stopped":
            sweeps.mark_stopped(self.field.folder, number)
            return replace(before, state="stopped", iteration=told["iteration"])
        if event == "again":
            self.view.say(f"trial {number}: its node or worker died; it goes on from its newest checkpoint")
            return replace(before, state="waiting", node=None)
        return before if before.state == "stopped" else self._ended(before.trial)

    def _ended(self, trial: Trial) -> Result:
        """Return what a trial came to; that none of them has what they are compared by is told with the first."""
        found = fields.result(self.field, trial)
        if found.state == "complete" and found.score is None and not self._unscored:
            self._unscored = True
            self.view.say(f"warning: {unscored(found, self.field.sweep.metric)}")
        return found


def unscored(result: Result, metric: str) -> str:
    """Return what to say of a trial that came to its end and has no score."""
    return f"run {result.run} has recorded no {metric}; what it has: spark-rl runs plot {result.run} TAG"
