"""Saying what a run came to, from evidence: an exit code proves nothing.

Isaac Sim ends with 0 after failures, Isaac Lab 3.0 prints that a checkpoint is unavailable and ends with 0, an INT
ends training with 0 and saves nothing, and a run that is long done can crash or hang while it closes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from spark_rl import checkpoints
from spark_rl.evidence import Evidence, ending_of, is_limit, signal_name
from spark_rl.ranks import culprit
from spark_rl.reasons import explanation, find_reason
from spark_rl.signatures import BREAK, CAUSE, NOISE

if TYPE_CHECKING:
    from spark_rl.reasons import Reason
    from spark_rl.records import Failure

__all__ = ["Evidence", "Verdict", "ending_of", "is_trained", "judge"]

_LINE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a run came to: one line that says it, the remedy, and the first real error line of its output.

    ``rank`` is the rank that failed first, None where it is the only one or none was the first. ``weight`` tells how
    much the reason of a failure explains, most when it is least (see :mod:`spark_rl.signatures`).
    """

    state: Literal["succeeded", "failed", "interrupted"]
    message: str
    failure: Failure | None = None
    hint: str | None = None
    line: str | None = None
    rank: int | None = None
    weight: float = 0


def judge(evidence: Evidence) -> Verdict:
    """Return what a run came to.

    Training succeeded when its last iteration was reached and a checkpoint of the end is there (see
    :func:`is_trained`), whatever happened afterwards. Bounded play succeeded when its steps were done, unbounded play
    when it ended by itself without an error or was asked to stop. A video that was asked for must be there. A run that
    was asked to stop before its end is interrupted. All else failed, for the reason that
    :func:`spark_rl.reasons.find_reason` finds. Of a training on several hosts node 0 keeps the checkpoints, and the
    others came to what it came to; a failure is that of the host that explains most.
    """
    trained = _is_led if evidence.node else is_trained
    done = trained(evidence) if evidence.action == "train" else _is_played(evidence)
    if done and evidence.video and not evidence.videos and evidence.stopped_by is None:
        return _unfilmed(evidence)
    if done:
        return Verdict(state="succeeded", message=_done(evidence))
    if evidence.stopped_by is not None:
        why = "ahead of the time limit" if is_limit(evidence.stopped_by) else "on request"
        return Verdict(state="interrupted", message=f"stopped {why}{_where(evidence)}")
    return _blamed(evidence, _failed(evidence, _shortfall(evidence)))


def _is_led(evidence: Evidence) -> bool:
    """Say whether node 0 did what it was asked; until it has spoken, that this node's ranks ended by themselves."""
    lead = next((end for end in evidence.nodes if end.node == 0), None)
    if lead is not None:
        return lead.state == "succeeded"
    return evidence.exit_status == 0 and evidence.stopped_by is None and evidence.ended_by is None


def _blamed(evidence: Evidence, own: Verdict) -> Verdict:
    """Return the failure of another host, where that explains more than what this one saw."""
    others = [end for end in evidence.nodes if end.state != "succeeded"]
    worst = min(others, key=lambda end: end.weight, default=None)
    if worst is None or worst.weight >= own.weight:
        return own
    if worst.state == "interrupted":
        return Verdict(state="interrupted", message=f"{worst.name} was {worst.message}", weight=worst.weight)
    told = f"{worst.name} is gone: {worst.message}" if worst.state == "gone" else f"{worst.name}: {worst.message}"
    failure = worst.failure or "nccl"
    return Verdict(state="failed", failure=failure, message=told, hint=_THERE, weight=worst.weight)


_THERE = "see what it says there: spark-rl runs show latest"


def is_trained(evidence: Evidence) -> bool:
    """Say whether training reached its end and kept it.

    The last iteration was seen in the output, or a whole checkpoint proves it; and the last save is there. That is:

    - rsl_rl: ``model_N.pt`` with N counted from zero, so that N + 1 is the number of iterations.
    - rl_games: ``last_..._ep_N_...`` of the last epoch; resumed behind its end, it does one epoch more.
    - sb3: ``model.zip``, which it writes after a stop as well, so that the file alone proves nothing.
    - skrl: ``agent_N`` at the last interval (a tenth of the run, unless configured), so that the end may lie up to one
      interval after the newest one; Isaac Lab 3.0 adds one of the end itself.

    Where the number of iterations is not known, the library's own end line and a whole checkpoint must do.
    """
    if not evidence.checkpoints:
        return False
    if evidence.max_iterations is None or _is_won(evidence):
        return evidence.finished and evidence.stopped_by is None
    return _is_end_reached(evidence) and _last_kept(evidence)


def _is_won(evidence: Evidence) -> bool:
    """Say whether rl_games ended early because the score that it was to reach is reached."""
    return evidence.library == "rl_games" and any("Network won" in line for line in evidence.output)


def _is_end_reached(evidence: Evidence) -> bool:
    """Say whether the last iteration is known to be done."""
    kept = evidence.checkpoint_iteration
    proven = -1 if kept is None else kept + (evidence.library == "rsl_rl")
    return max(evidence.iteration or 0, proven) >= (evidence.max_iterations or 0)


def _last_kept(evidence: Evidence) -> bool:
    """Say whether the whole checkpoints include the one of the end."""
    last, kept = evidence.max_iterations or 0, evidence.checkpoint_iteration
    if evidence.library == "sb3":
        return any(path.rpartition("/")[2] == "model.zip" for path in evidence.checkpoints)
    if kept is None:
        return False
    if evidence.library == "skrl":
        return kept + _interval(evidence) >= last
    return kept >= (last - 1 if evidence.library == "rsl_rl" else last)


def _interval(evidence: Evidence) -> int:
    """Return the iterations between two of skrl's checkpoints, rounded up: as their names say, else a tenth."""
    names = {checkpoints.number_of(path, "skrl") for path in (*evidence.checkpoints, *evidence.damaged)}
    numbers = sorted(number for number in names if number is not None)
    tenth = -(-((evidence.max_iterations or 0) - evidence.first_iteration) // 10)
    if evidence.horizon is None or not numbers:
        return tenth
    gap = min((after - before for before, after in pairwise(numbers)), default=numbers[0])
    return -(-gap // evidence.horizon)


def _is_played(evidence: Evidence) -> bool:
    if evidence.published is False:
        return False
    if evidence.steps is not None:
        return (evidence.played or 0) >= evidence.steps
    if evidence.unbounded and evidence.stopped_by is not None:
        return True
    filmed = evidence.video and evidence.videos > 0
    return evidence.exit_status == 0 and (filmed or explanation(evidence, CAUSE, BREAK) is None)


def _done(evidence: Evidence) -> str:
    """Return how a run ended that did what it was asked."""
    if evidence.ended_by == "hang" or (evidence.ended_by == "stall" and evidence.sent):
        return "done; it did not close by itself and was ended"
    if evidence.action == "play" and evidence.unbounded and evidence.stopped_by is not None:
        return "stopped on request"
    crash = signal_name(evidence.exit_status)
    if crash is not None and crash not in evidence.sent and evidence.stopped_by is None:
        return f"done; it then ended with {crash} while closing"
    return "done"


def _shortfall(evidence: Evidence) -> str:
    """Return what is missing of what was asked for, and how the child ended."""
    ending = ending_of(evidence.exit_status)
    if evidence.action == "play" and evidence.steps is not None:
        done = f"only {evidence.played or 0} of {evidence.steps} steps were played"
        return f"{done}: the script {ending}" if evidence.exit_status else done
    if evidence.action == "play":
        return f"the play script {ending}"
    over = evidence.finished if evidence.max_iterations is None else _is_end_reached(evidence)
    if over and evidence.damaged:
        return f"the last checkpoint is incomplete: {evidence.damaged[-1]}"
    if not evidence.checkpoints and (over or evidence.max_iterations is None):
        return f"training {ending} and left no checkpoint behind"
    return f"training {ending}{' and kept no checkpoint of its end' if over else _where(evidence)}"


def _where(evidence: Evidence) -> str:
    if evidence.action == "play" or evidence.iteration is None:
        return ""
    if evidence.max_iterations is None:
        return f" after {evidence.iteration} iterations"
    return f" after {evidence.iteration} of {evidence.max_iterations} iterations"


def _unfilmed(evidence: Evidence) -> Verdict:
    message, reason = "no video was written", explanation(evidence, CAUSE)
    if reason is None:
        return Verdict(state="failed", failure="unknown", message=message)
    line = _cut(reason.line or "")
    return Verdict(state="failed", failure=reason.failure, message=f"{message}: {line}", hint=reason.hint, line=line)


def _failed(evidence: Evidence, shortfall: str) -> Verdict:
    reason, first = find_reason(evidence), culprit(evidence)
    if first is None or (reason is not None and reason.rank < first.reason.rank):
        return _for(reason, evidence, shortfall)
    if first.end.exit_status:
        shortfall = _shortfall(replace(evidence, exit_status=first.end.exit_status))
    verdict = _for(first.reason, evidence, shortfall)
    number = first.end.number
    return replace(verdict, message=f"rank {number} failed first: {verdict.message}", rank=number)


def _for(reason: Reason | None, evidence: Evidence, shortfall: str) -> Verdict:
    if reason is None:
        return Verdict(state="failed", failure="unknown", message=shortfall, weight=NOISE + 1)
    line = None if reason.line is None else _cut(reason.line)
    message = f"{reason.what or shortfall}{_where(evidence) if reason.what else ''}"
    return Verdict(
        state="failed",
        failure=reason.failure,
        message=": ".join(filter(None, (message, line, reason.guess))),
        hint=reason.hint,
        line=line,
        weight=reason.rank,
    )


def _cut(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= _LINE else f"{line[: _LINE - 3]}..."
