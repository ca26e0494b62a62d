"""placeholder until the real one arrives"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    state: Any
    message: str
    failure: Any = None
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    action: str
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


class Witness:
    def __init__(self) -> None:
        self._l: list[str] = []

    def feed(self, line: str) -> None:
        self._l = [*self._l[-40:], line]

    def lines(self) -> tuple[str, ...]:
        return tuple(self._l)


def judge(e: Evidence) -> Verdict:
    if e.action == "play":
        ok = e.exit_status == 0 or (e.steps_asked and e.steps_played >= e.steps_asked)
        return Verdict(state="succeeded" if ok else "failed", message="done" if ok else "play failed")
    if e.iteration and e.max_iterations and e.iteration >= e.max_iterations and e.checkpoints:
        return Verdict(state="succeeded", message="done")
    if e.stopped_by:
        return Verdict(state="interrupted", message="stopped on request")
    if e.ended_by == "stall":
        return Verdict(state="failed", failure="stall", message="stall")
    if e.exit_status < 0:
        return Verdict(state="failed", failure="native-crash", message=f"ended by {e.exit_status}")
    return Verdict(state="failed", failure="unknown", message=f"ended with {e.exit_status}")
