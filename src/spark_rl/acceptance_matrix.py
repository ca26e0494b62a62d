"""The acceptance test of the launcher: every trainable task is planned, and Isaac Lab parses the plans."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import acceptance, acceptance_child, preload
from spark_rl.acceptance import Attempt, Report
from spark_rl.errors import RequestError
from spark_rl.model import CheckpointFile
from spark_rl.plan import plan, resolve, surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spark_rl.acceptance import Answer, Cell
    from spark_rl.model import Request
    from spark_rl.plan import Facts, Surroundings

__all__ = ["CHECKPOINT", "SECONDS_EACH", "examine"]

CHECKPOINT = "checkpoint.pt"
"""Stands for the checkpoint that is played; nobody opens it before the simulation has started."""

SECONDS_EACH, SECONDS_ONCE = 0.06, 8
"""What the answer to one command line usually takes, and the import of Isaac Lab."""


TELL_EVERY_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    attempt: Attempt
    around: Surroundings | None = None


def examine(
    cells: Sequence[Cell],
    facts: Facts,
    request: Callable[[Cell], Request],
    tell: Callable[[str], None],
) -> Report:
    """Plan every cell and have Isaac Lab parse what can be parsed.

    Args:
        cells: The matrix.
        facts: The installation and the machine.
        request: Gives the request of a cell.
        tell: Takes a line for the person who waits.

    Raises:
        CheckError: Isaac Lab's Python cannot be asked.
    """
    began = time.monotonic()
    planned = tuple(_planned(cell, facts, request) for cell in cells)
    unparsed = _unparsed(facts)
    answers = {} if unparsed else _answers(planned, facts, tell)
    verdicts = tuple(
        acceptance.judge(one.attempt, answers.get(place), facts.installation) for place, one in enumerate(planned)
    )
    seconds = time.monotonic() - began
    return Report(isaaclab=facts.installation, verdicts=verdicts, unparsed=unparsed, seconds=seconds)


def _unparsed(facts: Facts) -> str | None:
    """Return why Isaac Lab cannot be asked, None where it can."""
    if facts.installation.generation < 3:
        return f"Isaac Lab {facts.installation.version} starts the simulator before it parses its configuration"
    return None if facts.here else "the plans are for another machine"


def _planned(cell: Cell, facts: Facts, request: Callable[[Cell], Request]) -> _Planned:
    """Return the plan of a cell; where Isaac Sim is all that is missing, the one with it, marked as that."""
    try:
        return _plan(cell, facts, request)
    except RequestError as refusal:
        told = Attempt(cell=cell, refusal=refusal.message, hint=refusal.hint)
    if not facts.installation.kitless:
        return _Planned(attempt=told)
    try:
        other = _plan(cell, replace(facts, installation=replace(facts.installation, isaacsim=True)), request)
    except RequestError:
        return _Planned(attempt=told)
    return replace(other, attempt=replace(told, argv=other.attempt.argv, assuming=True))


def _plan(cell: Cell, facts: Facts, request: Callable[[Cell], Request]) -> _Planned:
    asked, target = resolve(request(cell), facts)
    played = (_stand_in(asked),) if cell.action == "play" else ()
    decided = plan(asked, facts, target, played)
    stop = next((finding for finding in decided.findings if finding.level == "error"), None)
    if stop is not None:
        raise RequestError(stop.message, stop.hint)
    return _Planned(attempt=Attempt(cell=cell, argv=decided.argv), around=surroundings(asked, facts, target))


def _stand_in(asked: Request) -> CheckpointFile:
    path = Path(asked.cwd, asked.checkpoint or CHECKPOINT)
    return CheckpointFile(path=str(path), run=path.parent.name, name=path.name, experiment="any")


def _answers(planned: Sequence[_Planned], facts: Facts, tell: Callable[[str], None]) -> dict[int, Answer]:
    """Return Isaac Lab's answer to each command line by its place; a child for each kind of surroundings."""
    groups: dict[Surroundings, list[int]] = {}
    for place, one in enumerate(planned):
        if one.around is not None:
            groups.setdefault(one.around, []).append(place)
    found: dict[int, Answer] = {}
    for around, places in groups.items():
        cases = [_words(planned[place].attempt) for place in places]
        seconds = SECONDS_ONCE + SECONDS_EACH * len(cases)
        many = f"{len(cases)} command line{'s' * (len(cases) != 1)}"
        tell(f"Isaac Lab {facts.installation.version} parses {many}: about {seconds:.0f} s")
        answers = acceptance_child.ask(_child(around, facts), cases, _counting(len(cases), tell))
        found |= zip(places, answers, strict=True)
    return found


def _counting(total: int, tell: Callable[[str], None]) -> Callable[[int], None]:
    """Return what tells now and then how many answers there are."""
    told = time.monotonic()

    def count(done: int) -> None:
        nonlocal told
        if time.monotonic() - told >= TELL_EVERY_S:
            told = time.monotonic()
            tell(f"  {done} of {total}")

    return count


def _words(attempt: Attempt) -> tuple[str, ...]:
    return attempt.argv[attempt.argv.index(attempt.cell.action) :]


def _child(around: Surroundings, facts: Facts) -> acceptance_child.Child:
    if ("PYTHONEXE", facts.wrapper) in around.env:
        preload.write_wrapper(Path(facts.wrapper))
    environ = {name: value for name, value in os.environ.items() if name not in around.env_unset} | dict(around.env)
    return acceptance_child.Child(python=around.python, environ=environ, cwd=Path(around.cwd))
