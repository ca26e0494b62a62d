"""The course of a cell: which steps it takes, one after the other, and what it has come to after the last one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spark_rl import documents, matrices, redact, times, witness
from spark_rl.proofs import Result
from spark_rl.smoke.steps import Step

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from spark_rl.matrix import Cell
    from spark_rl.model import Plan, Request
    from spark_rl.smoke.steps import Ended, Place

    Course = Generator[Step, Ended, Result]

LINES = 30
"""How many of the last lines that were printed are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A cell's training as it was planned, and the Isaac Lab that it is for, to make command lines of."""

    cell: Cell
    request: Request
    plan: Plan

    def train(self) -> Step:
        """Return the training."""
        cell, asked = self.cell, self.request
        options = {
            "task": asked.task,
            "library": asked.library,
            "algorithm": asked.algorithm,
            "num-envs": asked.num_envs,
            "max-iterations": asked.max_iterations,
            "seed": asked.seed,
            "save-every": asked.save_every,
            "stall-timeout": f"{cell.stall_s:g}s",
        }
        return Step(action="train", words=("train", *self._common(options), *asked.overrides), run="1", kill=cell.kill)

    def resume(self) -> Step:
        """Return what goes on with it."""
        limit = f"{self.cell.stall_s:g}s"
        return Step(action="resume", words=("runs", "resume", "1", "--stall-timeout", limit, "--json"), run="1")

    def play(self) -> Step | None:
        """Return the play of its policy, None where none is wanted."""
        play = self.cell.play
        if play is None:
            return None
        options = {"run": "1", "task": play.task, "num-envs": play.num_envs, "steps": play.steps}
        overrides = (word for word in self.request.overrides if not word.lstrip("+~").startswith("agent."))
        return Step(action="play", words=("play", *self._common(options), *overrides), run="2")

    def _common(self, options: Mapping[str, str | int | None]) -> tuple[str, ...]:
        shared = {"device": self.request.device, "assets": self.request.assets, "isaaclab": self.plan.isaaclab.path}
        named = ((name, value) for name, value in {**options, **shared}.items() if value is not None)
        return (*(word for name, value in named for word in (f"--{name}", str(value))), "--headless", "--json")


def course(words: Words, place: Place) -> Course:
    """Take the steps of a cell until one fails, and return what it came to."""
    cell = words.cell
    trained = yield words.train()
    killed = trained.killed
    if killed and trained.stopped is None:
        first, trained = trained, (yield words.resume())
        trained = replace(
            trained,
            seconds=first.seconds + trained.seconds,
            peak_mib=max(filter(None, (first.peak_mib, trained.peak_mib)), default=None),
        )
    result = _judged(words, trained, place)
    if result.status == "passed" and cell.kill:
        result = _resumed(result, trained, killed=killed)
    step = words.play()
    if result.status != "passed" or step is None:
        return result
    played = yield step
    return _with_play(result, _judged(words, played, place), played)


def _resumed(result: Result, ended: Ended, *, killed: bool) -> Result:
    """Return the result of a training that was to be killed and resumed: one that was not proves nothing of it."""
    run, after = ended.run, f"after iteration {result.cell.kill}"
    if not killed:
        message, hint = f"it was over before it could be killed {after}", "let it train longer: train = 100"
        return replace(result, status="failed", kind="request", message=message, hint=hint)
    if run is None or run.attempts[-1].from_checkpoint is None:
        message, hint = f"it was killed {after} and began anew: there was no checkpoint", "kill it later: kill = 10"
        return replace(result, status="failed", kind="unknown", message=message, hint=hint)
    return result


def _with_play(trained: Result, played: Result, ended: Ended) -> Result:
    """Return what training and play have come to together."""
    document = ended.document or {}
    return replace(
        played,
        message="done" if played.status == "passed" else f"play: {played.message}",
        seconds=trained.seconds + played.seconds,
        iterations=trained.iterations,
        env_steps_per_s=trained.env_steps_per_s,
        reward=trained.reward,
        peak_memory_mib=max(filter(None, (trained.peak_memory_mib, played.peak_memory_mib)), default=None),
        attempts=trained.attempts,
        played=document.get("played"),
        plan=trained.plan,
    )


def _judged(words: Words, ended: Ended, place: Place) -> Result:
    """Return what a step came to, by the document of spark-rl and by what was done to it."""
    cell = words.cell
    document, run = ended.document or {}, ended.run
    progress = run.progress if run else None
    seen = Result(
        cell=cell,
        status="passed",
        message=str(document.get("message") or "done"),
        seconds=ended.seconds,
        iterations=progress.iteration if progress else None,
        env_steps_per_s=progress.fps if progress else None,
        reward=progress.reward if progress else None,
        peak_memory_mib=ended.peak_mib,
        attempts=len(run.attempts) if run else 0,
        plan=document.get("plan") or documents.plan(words.plan),
        log=_log(ended, place),
        folder=str(place.folder),
    )
    if ended.stopped == "stall":
        phase = f" in the phase {progress.phase}" if progress else ""
        message = f"no sign of life for {times.duration(cell.stall_s)}{phase}: it was ended"
        return replace(seen, status="failed", kind="stall", message=message)
    if ended.stopped is not None:
        why = "another cell failed" if ended.stopped == "fail-fast" else "stopped on request"
        return replace(seen, status="interrupted", message=why)
    if ended.status == 0 and document.get("state") == "succeeded":
        return seen
    return replace(seen, status="failed", **_failure(ended, document, place))


def _failure(ended: Ended, document: Mapping[str, Any], place: Place) -> dict[str, Any]:
    error = document.get("error")
    told = error if isinstance(error, dict) else document
    kind = told.get("kind") or told.get("failure") or "unknown"
    if not told:
        return {"kind": "bug", "message": f"spark-rl ended with status {ended.status} and said nothing", "hint": None}
    hint = told.get("hint")
    # Its runs are recorded apart from yours.
    where = f"SPARK_RL_STATE={place.state} spark-rl runs"
    return {"kind": kind, "message": told.get("message"), "hint": hint and hint.replace("spark-rl runs", where)}


def _log(ended: Ended, place: Place) -> tuple[str, ...]:
    """Return the last lines that Isaac Lab printed, those of spark-rl where it was not started; without secrets."""
    output = matrices.tail(place.record(ended.step.run) / "output.log", LINES)
    lines = output or matrices.tail(place.folder / f"{ended.step.action}.txt", LINES)
    return tuple(redact.word(witness.plain(line)) for line in lines)
