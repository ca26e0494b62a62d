"""One command of spark-rl as a child: started, watched from outside, and what came of it."""

from __future__ import annotations

import json
import select
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from spark_rl import codec, supervisor
from spark_rl.gauges.footprints import Footprint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from spark_rl.records import Run

Stopped = Literal["stall", "request", "fail-fast"]
"""Why a step was ended from outside."""

LOOK_S = 0.5
"""Time between two looks at a step's record and memory."""

MARGIN_S = 120.0
"""How much later than the limit that a training has itself it is ended from outside."""

LAST_WAIT_S = 120.0
"""Time to leave after a stop: longer than spark-rl gives what it runs."""

_SHELL = ("/bin/sh", "-c", 'exec "$@" >"$0"')
"""Takes the file for stdout, then a command: what a child prints as data and as talk must not mix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command of spark-rl; ``run`` is the number that its run gets, ``kill`` the iteration to kill it after."""

    action: Literal["train", "resume", "play"]
    words: tuple[str, ...]
    run: str
    kill: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a cell runs: its folder, the environment, its GPU (None: the CPU), and its limit without a sign of life."""

    folder: Path
    environ: Mapping[str, str]
    stall_s: float
    gpu: int | None = None
    unified: bool = False

    @property
    def state(self) -> Path:
        """The state folder of its runs."""
        return self.folder / "state"

    def record(self, run: str) -> Path:
        """Return the folder of a run's record."""
        return self.state / "runs" / run


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What came of a step: spark-rl's exit status and document, and the run's record, None where there is none."""

    step: Step
    status: int
    seconds: float
    document: Mapping[str, Any] | None = None
    run: Run | None = None
    peak_mib: int | None = None
    killed: bool = False
    stopped: Stopped | None = None


class Going:
    """A step while it goes.

    Args:
        step: What is to be done.
        place: Where.
        now: The time, in seconds of a clock that only goes forward.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, step: Step, place: Place, now: float) -> None:
        self.step, self.place, self.began = step, place, now
        self.run: Run | None = None
        self.stopped: Stopped | None = None
        self._killed = False
        self._deadline = 0.0
        self._alive, self._looked = now, now - LOOK_S
        self._signs: tuple[object, ...] = ()
        self._data, self._talk = place.folder / f"{step.action}.json", place.folder / f"{step.action}.txt"
        argv = (*_SHELL, str(self._data), sys.executable, "-m", "spark_rl", *step.words)
        self._child = supervisor.Child(argv, cwd=place.folder, environ=place.environ)
        self.footprint = Footprint(place.gpu, unified=place.unified, root=self._child.pid)

    def poll(self, now: float) -> Ended | None:
        """Look at it; return what came of it once it is over."""
        self._listen()
        if self._child.status is not None:
            return self._over(now)
        if now - self._looked >= LOOK_S:
            self._looked = now
            self._look(now)
        if self.stopped is not None and now >= self._deadline:
            self._kill()
        return None

    def stop(self, why: Stopped, now: float) -> None:
        """Ask it to stop; asked again, it hurries."""
        self.stopped = self.stopped or why
        self._deadline = self._deadline or now + LAST_WAIT_S
        self._child.signal(signal.SIGTERM)

    def close(self) -> None:
        """End it and everything below it at once, unless that is done."""
        self._child.close()

    def _listen(self) -> None:
        child = self._child
        with self._talk.open("ab") as talk:
            while chunk := child.read():
                talk.write(chunk)
        if child.must_hear or select.select([child.control], [], [], 0)[0]:
            child.hear()

    def _look(self, now: float) -> None:
        self.footprint.look()
        self.run = self._record() or self.run
        signs = self._signs_of_life()
        if signs != self._signs:
            self._signs, self._alive = signs, now
        elif self.stopped is None and now - self._alive >= self._limit():
            self.stop("stall", now)
        if self._is_to_be_killed():
            self._killed = True
            self._kill()

    def _limit(self) -> float:
        """Return the time without a sign of life to wait for; a training that iterates has the same limit itself."""
        iterates = self.run is not None and self.run.action == "train" and self.run.progress.phase == "training"
        return self.place.stall_s + (MARGIN_S if iterates else 0.0)

    def _signs_of_life(self) -> tuple[object, ...]:
        """Return what changes while a run gets on; what spark-rl says of it comes by the clock, and is no sign."""
        output = self.place.record(self.step.run) / "output.log"
        if self.run is None or not output.exists():
            return (self._talk.stat().st_size,)
        progress = self.run.progress
        return output.stat().st_size, progress.phase, progress.iteration, progress.checkpoint

    def _is_to_be_killed(self) -> bool:
        if self.step.kill is None or self._killed or self.run is None:
            return False
        return (self.run.progress.iteration or 0) >= self.step.kill

    def _kill(self) -> None:
        self._child.signal(signal.SIGKILL)

    def _record(self) -> Run | None:
        try:
            return codec.decode(json.loads((self.place.record(self.step.run) / "state.json").read_bytes()))
        except (OSError, ValueError):
            return None

    def _over(self, now: float) -> Ended:
        self._child.end()
        self._listen()
        self.close()
        return Ended(
            step=self.step,
            status=self._child.status or 0,
            seconds=now - self.began,
            document=self._document(),
            run=self._record() or self.run,
            peak_mib=self.footprint.peak_mib,
            killed=self._killed,
            stopped=self.stopped,
        )

    def _document(self) -> Mapping[str, Any] | None:
        try:
            document = json.loads(self._data.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None
