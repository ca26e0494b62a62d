"""What a run came to, from evidence: an exit status alone proves nothing."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from spark_rl import signatures

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spark_rl.records import Failure, RunState

_TRACEBACK = "Traceback (most recent call last)"
_EXCEPTION = re.compile(
    r"^(?:\[[^\]]*\]:?\s*)?([A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|NotFound|DeprecatedEnv|Warning|Unregistered\w*))(?::\s*(.*))?$"
)
_PLAIN_ERROR = re.compile(r"(?i)(?:^|\s)(?:error|\[error\]|fatal)\b.*")
_SIGNALS = {
    2: "SIGINT",
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    15: "SIGTERM",
}
_FEWER = "use fewer environments: --num-envs N"
_CRASHES = frozenset((4, 6, 7, 8, 11))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that tells what an attempt came to.

    ``exit_status`` is negative when a signal ended the child; a shell in between reports 128 and the signal instead.
    ``sent`` are the signals that spark-rl sent, ``stopped_by`` the one it received itself, ``ended_by`` why it ended
    the run by its own decision. ``iteration`` and ``max_iterations`` count the whole run, ``checkpoint_iteration`` is
    what its newest whole checkpoint holds, ``checkpoints`` what this attempt wrote. ``finished`` says that the library
    announced its end, ``output`` are the lines that a :class:`Witness` kept, ``oom_killed`` that the kernel killed
    something for want of memory meanwhile.
    """

    action: Literal["train", "play"]
    library: str
    exit_status: int
    sent: tuple[str, ...] = ()
    stopped_by: int | None = None
    ended_by: str | None = None
    iteration: int | None = None
    max_iterations: int | None = None
    checkpoint_iteration: int | None = None
    checkpoints: tuple[str, ...] = ()
    finished: bool = False
    output: tuple[str, ...] = ()
    steps_asked: int | None = None
    steps_played: int = 0
    video_asked: bool = False
    videos: int = 0
    published_missing: bool = False
    oom_killed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a run came to: one line that names the first real error, and what helps."""

    state: RunState
    message: str
    failure: Failure | None = None
    hint: str | None = None


class Witness:
    """Keeps the lines of an output that a judgement may need, in bounded memory.

    Those are the first tracebacks, lines of known failures, and the last ones.
    """

    LAST, TRACEBACK, MARKED = 40, 80, 60

    def __init__(self) -> None:
        self._traceback: list[str] = []
        self._open = 0
        self._marked: list[str] = []
        self._last: deque[str] = deque(maxlen=self.LAST)

    def feed(self, lines: Sequence[str]) -> None:
        """Take the next lines; a batch in which nothing tells of a failure costs one look for each known text."""
        self._last.extend(lines)
        text = "\n".join(lines)
        needles = tuple(needle for needle in signatures.NEEDLES if needle in text)
        if self._open or needles or _TRACEBACK in text:
            for line in lines:
                self._take(line, needles)

    def _take(self, line: str, needles: tuple[str, ...]) -> None:
        if self._open:
            self._open -= 1
            self._traceback.append(line)
            if not line.startswith((" ", "\t")) and _EXCEPTION.match(line.strip()):
                self._open = 0
        elif _TRACEBACK in line and len(self._traceback) < 4 * self.TRACEBACK:
            self._traceback.append(line)
            self._open = self.TRACEBACK
        elif len(self._marked) < self.MARKED and any(needle in line for needle in needles):
            self._marked.append(line)

    def lines(self) -> tuple[str, ...]:
        """Return what was kept, the telling lines first."""
        return (*self._traceback, *self._marked, *self._last)


def judge(evidence: Evidence) -> Verdict:
    """Say what a run came to.

    A training succeeded when its last iteration was reached and a checkpoint holds it; then no crash at the end counts.
    skrl of Isaac Lab 2 saves at its own interval alone, so there any checkpoint of a finished training will do. A
    bounded play succeeded when its steps were done; an unbounded one may be stopped.
    """
    return _play(evidence) if evidence.action == "play" else _train(evidence)


def _train(evidence: Evidence) -> Verdict:
    if _reached(evidence):
        if evidence.video_asked and not evidence.videos:
            return Verdict(state="failed", failure="unknown", message="no video was written")
        late = " (it had to be ended: its shutdown hung)" if evidence.ended_by == "hang" else ""
        return Verdict(
            state="succeeded",
            message=f"all {evidence.max_iterations} iterations done{late}"
            if evidence.max_iterations
            else f"done{late}",
        )
    if evidence.stopped_by is not None:
        return Verdict(state="interrupted", message=f"stopped on request{_where(evidence)}", hint=None)
    return _failed(evidence)


def _reached(evidence: Evidence) -> bool:
    """Say whether everything that was asked for was done and saved."""
    if not evidence.checkpoints:
        return False
    done, total, saved = evidence.iteration, evidence.max_iterations, evidence.checkpoint_iteration
    if total is None or done is None:
        return evidence.finished and evidence.exit_status == 0 and evidence.stopped_by is None
    if done < total:
        # rl_games ends early when the score it is to reach is reached, and says so.
        return evidence.finished and any("Network won" in line for line in evidence.output)
    return (saved or 0) >= total or (evidence.library == "skrl" and evidence.exit_status == 0)


def _where(evidence: Evidence) -> str:
    if evidence.iteration is None:
        return " before the first iteration"
    of = f" of {evidence.max_iterations}" if evidence.max_iterations else ""
    return f" at iteration {evidence.iteration}{of}"


def _play(evidence: Evidence) -> Verdict:
    asked, played = evidence.steps_asked, evidence.steps_played
    if evidence.published_missing:
        message = "there is no published checkpoint of this task, or it could not be downloaded"
        return Verdict(state="failed", failure="missing-asset", message=message)
    if asked is not None and played < asked:
        if evidence.stopped_by is not None:
            return Verdict(state="interrupted", message=f"stopped on request after {played} of {asked} steps")
        verdict = _failed(evidence)
        return Verdict(
            state="failed",
            failure=verdict.failure,
            message=f"only {played} of {asked} steps were played: {verdict.message}",
            hint=verdict.hint,
        )
    if asked is None and evidence.stopped_by is not None:
        return Verdict(state="succeeded", message="stopped on request")
    if asked is None and evidence.exit_status != 0:
        return _failed(evidence)
    if evidence.video_asked and not evidence.videos:
        return Verdict(state="failed", failure="unknown", message="no video was written")
    return Verdict(state="succeeded", message="done")


def _failed(evidence: Evidence) -> Verdict:
    """Name the failure: by the decisive known text, else by how the child ended, else by the first exception."""
    action = evidence.action
    if evidence.ended_by == "stall":
        return Verdict(
            state="failed",
            failure="stall",
            message=f"no new iteration came{_where(evidence)}, and it was ended",
            hint="--max-restarts N goes on from the last checkpoint",
        )
    if evidence.ended_by == "memory":
        message = "it was ended before the machine ran out of memory"
        return Verdict(state="failed", failure="out-of-memory", message=message, hint=_FEWER)
    error, known = first_error(evidence.output), signatures.known(evidence.output)
    number = -evidence.exit_status if evidence.exit_status < 0 else evidence.exit_status - 128
    if known is not None:
        signature, line, match = known
        hint = signature.hint
        if hint and "{0}" in hint:
            hint = hint.format(match[1] if match.groups() and match[1] else "") if match.groups() and match[1] else None
        told = error if error is not None and signature.find(error) else line.strip()
        return Verdict(state="failed", failure=signature.failure, message=_cut(told), hint=hint)
    if error is not None:
        return Verdict(
            state="failed", failure="unknown", message=_cut(error), hint="the whole output: spark-rl runs log latest"
        )
    if number in _CRASHES:
        return Verdict(
            state="failed",
            failure="native-crash",
            message=f"the {action} script was ended by {_SIGNALS[number]}{_where(evidence) if action == 'train' else ''}",
            hint="--max-restarts N goes on from the last checkpoint" if action == "train" else None,
        )
    return _silent(evidence, number)


def _silent(evidence: Evidence, number: int) -> Verdict:
    """Judge a failure without a word."""
    action = evidence.action
    if number == 9 and evidence.oom_killed:
        message = f"the {action} script was ended by the kernel: the machine had no memory left"
        return Verdict(state="failed", failure="out-of-memory", message=message, hint=_FEWER)
    if number == 9:
        message = f"the {action} script was ended by SIGKILL{_where(evidence) if action == 'train' else ''}"
        hint = "somebody killed it, or the memory limit of its container did"
        return Verdict(state="failed", failure="unknown", message=message, hint=hint)
    if number in _SIGNALS:
        return Verdict(
            state="failed", failure="unknown", message=f"the {action} script was ended by {_SIGNALS[number]}"
        )
    if evidence.exit_status != 0:
        message = f"the {action} script ended with status {evidence.exit_status}"
        return Verdict(state="failed", failure="unknown", message=message)
    if action == "play":
        return Verdict(state="failed", failure="unknown", message="the play script ended with status 0")
    if not evidence.checkpoints:
        message = "training ended with status 0 and left no checkpoint behind"
        return Verdict(state="failed", failure="unknown", message=message)
    return Verdict(state="failed", failure="unknown", message=f"training ended with status 0{_where(evidence)}")


def first_error(lines: Iterable[str]) -> str | None:
    """Return the line that names the first real error: the exception of the first traceback that is no echo.

    Hydra's and torchrun's own complaints come after the error that they speak of.
    """
    found = None
    for line in lines:
        text = line.strip()
        match = _EXCEPTION.match(text)
        if match is None or line.startswith((" ", "\t")) or match[1].endswith(("Warning", "KeyboardInterrupt")):
            continue
        if match[1].rpartition(".")[2] in ("ChildFailedError", "SystemExit"):
            found = found or text
            continue
        return text
    return found


def _cut(text: str, width: int = 300) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
