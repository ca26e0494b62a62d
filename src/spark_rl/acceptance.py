"""The plans of a whole catalogue as a matrix: each cell is a task, an agent config and an action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from spark_rl.errors import RequestError
from spark_rl.matrix import matches
from spark_rl.model import ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spark_rl.model import Action, Installation, Task

__all__ = ["ACTIONS", "SCHEMA", "STATES", "Answer", "Attempt", "Cell", "Report", "State", "Verdict", "cells", "judge"]

SCHEMA = "spark-rl/acceptance/1"
ACTIONS: tuple[Action, ...] = ("train", "play")

State = Literal["accepted", "planned", "refused", "rejected"]
"""What became of a cell.

``accepted``: Isaac Lab would start it; ``planned``: Isaac Lab was not asked; ``refused``: spark-rl has no plan for it,
and says why; ``rejected``: spark-rl has a plan, and Isaac Lab does not take it, which is a failure.
"""

STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One request of the matrix; ``agent`` is an agent config entry point that only ``--agent`` chooses, else None."""

    task: str
    library: str
    algorithm: str
    action: Action
    agent: str | None = None

    @property
    def name(self) -> str:
        """What patterns are compared with: task, library, algorithm or agent config, and action."""
        return f"{self.task}/{self.library}/{self.agent or self.algorithm}/{self.action}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What planning made of a cell: the command line, or why there is none.

    ``assuming`` says that the command line is for the same installation with Isaac Sim in it: this one has none, and
    the task needs it; ``refusal`` is what the plan without it said.
    """

    cell: Cell
    argv: tuple[str, ...] = ()
    refusal: str | None = None
    hint: str | None = None
    assuming: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Isaac Lab said to a command line: ``error`` against it, ``kit`` what in it needs Isaac Sim."""

    error: str | None = None
    kit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a cell; ``parsed`` says that Isaac Lab was asked, of a refused cell too, had it Isaac Sim."""

    cell: Cell
    state: State
    reason: str | None = None
    hint: str | None = None
    argv: tuple[str, ...] = ()
    parsed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole matrix; ``unparsed`` says why Isaac Lab was not asked, None where it was."""

    isaaclab: Installation
    verdicts: tuple[Verdict, ...]
    unparsed: str | None = None
    seconds: float = 0.0

    def count(self, state: State) -> int:
        """Return the number of cells with this state."""
        return sum(verdict.state == state for verdict in self.verdicts)

    @property
    def tasks(self) -> int:
        """Number of tasks with a cell."""
        return len({verdict.cell.task for verdict in self.verdicts})

    @property
    def parsed(self) -> int:
        """Number of command lines that Isaac Lab was asked about."""
        return sum(verdict.parsed for verdict in self.verdicts)

    @property
    def passed(self) -> bool:
        """Whether something can be started, and nothing was rejected."""
        return not self.count("rejected") and bool(self.count("accepted") + self.count("planned"))

    def to_document(self) -> dict[str, Any]:
        """Return it as ``spark-rl/acceptance/1``."""
        return {
            "schema": SCHEMA,
            "isaaclab": {name: getattr(self.isaaclab, name) for name in ("version", "kind", "path")},
            "passed": self.passed,
            "unparsed": self.unparsed,
            "parsed": self.parsed,
            "tasks": self.tasks,
            "counts": {state: self.count(state) for state in STATES},
            "seconds": round(self.seconds, 1),
            "cells": [_row(verdict) for verdict in self.verdicts],
        }


def _row(verdict: Verdict) -> dict[str, Any]:
    cell = {name: getattr(verdict.cell, name) for name in ("task", "library", "algorithm", "agent", "action")}
    told = {name: getattr(verdict, name) for name in ("state", "reason", "hint", "parsed")}
    return {**cell, **told, "argv": list(verdict.argv)}


def cells(tasks: Iterable[Task], only: Sequence[str] = (), exclude: Sequence[str] = ()) -> tuple[Cell, ...]:
    """Return the cells of every trainable task: one for each agent config and action.

    Args:
        tasks: The catalogue.
        only: Patterns of names; a cell that none of them means is left out.
        exclude: Patterns; a cell that one of them means is left out.

    Raises:
        RequestError: Nothing is left.
    """
    found = tuple(cell for task in tasks for cell in _of_task(task) if not only or matches(cell.name, only))
    left = tuple(cell for cell in found if not matches(cell.name, exclude))
    if not left:
        raise RequestError(
            "no cell of the matrix is left", "a cell's name is TASK/LIBRARY/ALGORITHM/ACTION, and * stands for anything"
        )
    return left


def _of_task(task: Task) -> Iterable[Cell]:
    """Yield a task's cells; an agent config that no ``--algorithm`` leads to is named by itself."""
    for agent in task.agents:
        leads = agent.algorithm in ALGORITHMS and task.agent(agent.library, agent.algorithm) == agent
        for action in ACTIONS:
            yield Cell(
                task=task.id,
                library=agent.library,
                algorithm=agent.algorithm,
                action=action,
                agent=None if leads else agent.entry_point,
            )


def judge(attempt: Attempt, answer: Answer | None, installation: Installation) -> Verdict:
    """Return what became of a cell.

    Args:
        attempt: What planning made of it.
        answer: What Isaac Lab said to the command line, None where it was not asked.
        installation: The installation; a plan that starts Isaac Sim there where it has none is rejected, and so is a
            refusal for lack of it that Isaac Lab's own scan does not share.
    """
    state, reason, hint = _judged(attempt, answer, kitless=installation.kitless)
    parsed = answer is not None
    return Verdict(cell=attempt.cell, state=state, reason=reason, hint=hint, argv=attempt.argv, parsed=parsed)


def _judged(attempt: Attempt, answer: Answer | None, *, kitless: bool) -> tuple[State, str | None, str | None]:
    refused = attempt.refusal is not None
    if answer is None:
        return ("refused", attempt.refusal, attempt.hint) if refused else ("planned", None, None)
    if answer.error is not None:
        return "rejected", answer.error, None
    if attempt.assuming and not answer.kit:
        return "rejected", f"it was refused ({attempt.refusal}), and Isaac Lab would start it without Isaac Sim", None
    if refused:
        return "refused", attempt.refusal, attempt.hint
    if kitless and answer.kit:
        return "rejected", f"Isaac Lab would start Isaac Sim for {', '.join(answer.kit)}, and there is none", None
    return "accepted", None, None
