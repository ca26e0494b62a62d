"""One attempt: start the child, watch it, and say what it came to."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import checkpoint_files, counting, gpus, judging, logs, preload, rank_logs, ranks, registry, supervisor
from spark_rl.errors import CheckError
from spark_rl.evidence import Evidence
from spark_rl.launch import continuing, gathering, nodes, settling
from spark_rl.launch.watching import Attending
from spark_rl.outcome import PlayResult
from spark_rl.records import Attempt, Progress

if TYPE_CHECKING:
    from spark_rl.errors import SparkError
    from spark_rl.evidence import RankEnd
    from spark_rl.launch import Start
    from spark_rl.launch.watching import View
    from spark_rl.logs import Traces
    from spark_rl.model import Plan
    from spark_rl.records import Run
    from spark_rl.rollcall import Post
    from spark_rl.supervisor import Exit

RESULT_VARIABLE = "SPARK_RL_RESULT"
RESULT = "play.json"
_LOWER = "lower the learning rate, and look at rewards and observations"
_PUBLISHED = frozenset(("pretrained", "--use_pretrained_checkpoint"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What an attempt came to: the run's record after it, how the child ended, and the judgement."""

    run: Run
    exit: Exit
    verdict: judging.Verdict
    traces: Traces
    played: PlayResult | None = None

    @classmethod
    def before_the_first(cls, run: Run) -> Ended:
        """Return what a run came to whose first attempt has not begun."""
        verdict = judging.Verdict(state="interrupted", message="not started")
        return cls(run=run, exit=supervisor.Exit(status=0, seconds=0.0), verdict=verdict, traces=logs.Traces())

    def stopped(self, number: int) -> Ended:
        """Return the same, stopped by a signal while waiting for the next attempt."""
        verdict = judging.Verdict(
            state="interrupted",
            message=f"{self.verdict.message}; stopped before the next start",
            hint=_go_on(self.run),
        )
        return replace(self, exit=replace(self.exit, stopped_by=number), verdict=verdict)

    def given_up(self, error: SparkError) -> Ended:
        """Return the same, when the next attempt cannot be planned."""
        verdict = replace(self.verdict, message=f"{self.verdict.message}; no restart: {error.message}", hint=error.hint)
        return replace(self, verdict=verdict)


def _go_on(run: Run) -> str | None:
    return f"go on with: spark-rl runs resume {run.id}" if run.action == "train" else None


def attempt(what: Start, run: Run, view: View, post: Post | None = None) -> Ended:
    """Run the plan once and judge it; ``post`` is the line to the other hosts of the training, if any.

    Raises:
        CheckError: The child cannot be started.
    """
    decided = what.plan
    if ("PYTHONEXE", what.facts.wrapper) in decided.env:
        preload.write_wrapper(Path(what.facts.wrapper))
    scale = _scale(what)
    decided = settling.talkative(decided, scale.batch)
    decided = gathering.gathered(decided, rank_logs.home(registry.path(run.id), len(run.attempts) + 1))
    what = replace(what, plan=decided)
    run = _with_attempt(run, what, scale.target)
    devices = gpus.used(what.facts.host, _device(decided), ranks.here(decided.argv))
    watcher = Attending(run, decided, scale, view=view, limits=what.limits, devices=devices, post=post)
    before = logs.traces(decided, video=what.request.video)
    result = registry.path(run.id) / RESULT
    result.unlink(missing_ok=True)
    ended = _run(what, watcher, result)
    watcher.close()
    played = _played(result)
    new = logs.traces(decided, video=what.request.video).since(before)
    verdict = _helpful(_judge(_evidence(what, watcher, ended, played, new), post), watcher.run)
    return Ended(run=_judged(watcher.run, ended, verdict), exit=ended, verdict=verdict, traces=new, played=played)


def _judge(evidence: Evidence, post: Post | None) -> judging.Verdict:
    """Return what a run came to; of a training on several hosts, all they know together."""
    verdict = judging.judge(evidence)
    if post is None:
        return verdict
    with supervisor.listening() as heard:
        ends = nodes.conclude(post, verdict, lambda: heard() is not None)
    return judging.judge(replace(evidence, nodes=ends))


def _device(decided: Plan) -> str | None:
    """Return what the plan's ``--device`` says."""
    return next((after for word, after in pairwise(decided.argv) if word == "--device"), None)


def _scale(what: Start) -> counting.Scale:
    """Return what an iteration will be, as far as the task's source and the request tell."""
    decided, request = what.plan, what.request
    agent = decided.task.task.agent(decided.library, decided.algorithm)
    return counting.Scale(
        library=decided.library,
        horizon=agent.horizon if agent else None,
        num_envs=request.num_envs or decided.task.task.num_envs,
        world_size=ranks.world_size(decided.argv),
        first=what.done,
        target=what.total or request.max_iterations or (agent.max_iterations if agent else None),
    )


def _with_attempt(run: Run, what: Start, target: int | None) -> Run:
    new = Attempt(
        argv=what.plan.argv,
        started_at=time.time(),
        from_checkpoint=what.checkpoint or what.request.checkpoint,
        first_iteration=what.done,
    )
    progress = Progress(
        max_iterations=target,
        iteration=what.done or None,
        checkpoint=what.checkpoint,
        checkpoint_iteration=what.done if what.checkpoint else None,
    )
    weights = run.weights_only or (what.checkpoint is not None and run.library == "skrl")
    return replace(
        run,
        attempts=(*run.attempts, new),
        progress=progress,
        state="starting",
        weights_only=weights,
        message=None,
        failure=None,
        hint=None,
    )


def _run(what: Start, watcher: Attending, result: Path) -> Exit:
    decided = what.plan
    environ = {name: value for name, value in os.environ.items() if name not in decided.env_unset}
    # Into a pipe Python would print 8 KiB at a time: iterations would come by the dozen, and the last ones never.
    environ |= {"PYTHONUNBUFFERED": "1"} | dict(decided.env) | {RESULT_VARIABLE: str(result)}
    try:
        return supervisor.run(
            decided.argv, cwd=Path(decided.cwd), environ=environ, watcher=watcher, grace_s=what.limits.grace
        )
    except OSError as error:
        message = f"{decided.argv[0]} cannot be started: {error.strerror}"
        if str(error.filename) == decided.cwd:
            message = f"the run's folder {decided.cwd} cannot be used: {error.strerror}"
        verdict = judging.Verdict(state="failed", message=message, failure="user-error")
        failed = _judged(watcher.run, supervisor.Exit(status=127, seconds=0.0), verdict)
        registry.save(replace(failed, state="failed", ended_at=time.time()))
        raise CheckError(message, "check the installation: spark-rl doctor") from error


def _played(file: Path) -> PlayResult | None:
    """Return what the play driver wrote, None when it did not get that far."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return PlayResult(**{field.name: values[field.name] for field in fields(PlayResult)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _evidence(what: Start, watcher: Attending, ended: Exit, played: PlayResult | None, new: Traces) -> Evidence:
    progress, decided = watcher.run.progress, what.plan
    held, wanted = progress.checkpoint_iteration, bool(_PUBLISHED & set(decided.argv))
    return Evidence(
        action=decided.action,
        library=decided.library,
        generation=decided.isaaclab.generation,
        exit_status=ended.status,
        sent=ended.sent,
        stopped_by=ended.stopped_by,
        ended_by=ended.ended_by,
        iteration=progress.iteration,
        first_iteration=what.done,
        max_iterations=progress.max_iterations,
        horizon=watcher.scale.horizon,
        checkpoint_iteration=None if held is None else counting.resumes_at(held, decided.library),
        checkpoints=watcher.whole,
        damaged=watcher.damaged,
        finished=watcher.finished,
        output=watcher.witness.lines(),
        steps=what.request.steps,
        played=played.steps if played else None,
        unbounded=decided.action == "play" and what.request.steps is None,
        video=what.request.video,
        videos=len(new.videos),
        published=logs.has_published(decided) if wanted else None,
        oom_killed=watcher.oom_killed,
        ranks=_rank_ends(watcher),
        node=what.request.node_rank or 0,
        nodes=tuple(watcher.post.ends.values()) if watcher.post else (),
    )


def _rank_ends(watcher: Attending) -> tuple[RankEnd, ...]:
    """Return how the ranks of this host ended, none where the trainer is the only one."""
    home = rank_logs.home(registry.path(watcher.run.id), len(watcher.run.attempts))
    return watcher.summary.ends(rank_logs.outputs(home), base=ranks.base(watcher.plan.argv))


def _helpful(verdict: judging.Verdict, run: Run) -> judging.Verdict:
    """Return a judgement with what the run itself can add: where to read on, the last checkpoint without NaN.

    A trainer may go on to its end with weights that are no numbers any more: that is no success.
    """
    newest = run.progress.checkpoint if verdict.state == "succeeded" and run.action == "train" else None
    if newest is not None and checkpoint_files.is_finite(newest) is False:
        verdict = judging.Verdict(state="failed", failure="nan", message=f"{newest} holds NaN or infinity", hint=_LOWER)
    if verdict.state == "interrupted" and run.action == "train":
        return replace(verdict, hint=_go_on(run))
    if verdict.state != "failed":
        return verdict
    hint = verdict.hint or f"see what it printed: spark-rl runs log {_log_of(run, verdict.rank)}"
    hint = hint.replace("runs log RUN --rank N", f"runs log {_log_of(run, verdict.rank)}")
    hints = [hint.replace("runs resume", f"runs resume {run.id}")]
    if verdict.failure == "nan" and run.action == "train":
        file = continuing.finite(run)
        hints.insert(0, f"the last finite checkpoint is {file.path}" if file else "it has no finite checkpoint")
    return replace(verdict, hint="; ".join(hints))


def _log_of(run: Run, rank: int | None) -> str:
    return run.id if rank is None else f"{run.id} --rank {rank}"


def _judged(run: Run, ended: Exit, verdict: judging.Verdict) -> Run:
    *earlier, newest = run.attempts
    newest = replace(
        newest,
        ended_at=time.time(),
        exit_status=ended.status,
        state=verdict.state,
        failure=verdict.failure,
        message=verdict.message,
    )
    return replace(
        run, attempts=(*earlier, newest), message=verdict.message, failure=verdict.failure, hint=verdict.hint
    )
