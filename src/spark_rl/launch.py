"""The use case that acts: settle, check, run and judge a plan."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import assets, logs, network, preload, supervisor
from spark_rl.errors import CheckError, RequestError
from spark_rl.model import Finding
from spark_rl.outcome import Outcome, PlayResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_rl.logs import Traces
    from spark_rl.model import Plan, Request
    from spark_rl.plan import Facts
    from spark_rl.supervisor import Exit

RESULT_VARIABLE = "SPARK_RL_RESULT"
_PUBLISHED = frozenset(("pretrained", "--use_pretrained_checkpoint"))


def settle(decided: Plan, request: Request, facts: Facts) -> Plan:
    """Decide what only the moment of the start can: where assets come from.

    Raises:
        CheckError: NVIDIA's asset host does not answer and nothing else can serve this task.
    """
    decided = _checked_assets(decided, facts)
    if request.assets != "auto" or _has_own_assets(decided, facts):
        return decided
    if network.answers():
        return _because_assets(decided, "NVIDIA's host, which answers")
    if decided.isaaclab.generation >= 3 and assets.covers(decided.task.task.id):
        note = Finding(
            code="assets-embedded",
            level="note",
            message="NVIDIA's asset host does not answer: spark-rl's own simple model is used (not NVIDIA's model)",
        )
        env = tuple(sorted((*decided.env, ("ISAACSIM_ASSET_ROOT", facts.embedded))))
        decided = _because_assets(decided, "those of spark-rl: NVIDIA's host does not answer")
        return replace(decided, env=env, findings=(*decided.findings, note))
    raise CheckError(
        f"NVIDIA's asset host cannot be reached (limit {network.TIMEOUT_S:.0f} s), and {decided.task.task.id} needs it",
        "use --assets PATH with a local copy; --assets nvidia starts without asking",
    )


def _because_assets(decided: Plan, why: str) -> Plan:
    reasons = tuple((name, why if name == "assets" else text) for name, text in decided.reasons)
    return replace(decided, reasons=reasons)


def _checked_assets(decided: Plan, facts: Facts) -> Plan:
    """Return the plan, with a warning of a local asset root that holds nothing; Isaac Lab would find out much later."""
    inherited = None if "ISAACSIM_ASSET_ROOT" in decided.env_unset else facts.host.variable("ISAACSIM_ASSET_ROOT")
    root = dict(decided.env).get("ISAACSIM_ASSET_ROOT", inherited)
    if decided.isaaclab.generation < 3 or root is None or "://" in root or Path(root, "Isaac").is_dir():
        return decided
    empty = Finding(
        code="assets-empty",
        level="warning",
        message=f"the asset root {root} has no folder Isaac",
        hint="name the folder that holds Isaac/IsaacLab",
    )
    return replace(decided, findings=(*decided.findings, empty))


def _has_own_assets(decided: Plan, facts: Facts) -> bool:
    if decided.isaaclab.generation < 3:
        return any("asset_root" in word for word in decided.argv)
    return facts.host.variable("ISAACSIM_ASSET_ROOT") is not None


def start(
    decided: Plan,
    request: Request,
    facts: Facts,
    *,
    output: int,
    tell: Callable[[str], None],
    announce: Callable[[Plan], None] = lambda _plan: None,
) -> Outcome:
    """Settle, check, run and judge a plan.

    Args:
        decided: The plan.
        request: The request it was made for.
        facts: The facts it was made with.
        output: File descriptor for everything the child prints.
        tell: Takes one line for the user.
        announce: Takes the settled plan before it runs.

    Raises:
        RequestError: There is no checkpoint to play.
        CheckError: A finding forbids the start, or the child cannot be started.
    """
    _refuse(decided.findings)
    decided = settle(decided, request, facts)
    announce(decided)
    for finding in decided.findings:
        tell(f"{finding.level}: {finding.message}" + (f" ({finding.hint})" if finding.hint else ""))
    if ("PYTHONEXE", facts.wrapper) in decided.env:
        preload.write_wrapper(Path(facts.wrapper))
    before = logs.traces(decided, video=request.video)
    with tempfile.TemporaryDirectory(prefix="spark-rl-") as folder:
        result = Path(folder) / "play.json"
        ended = _run(decided, result, output, tell)
        played = _played(result)
    return judge(decided, request, ended, played, logs.traces(decided, video=request.video).since(before))


def _run(decided: Plan, result: Path, output: int, tell: Callable[[str], None]) -> Exit:
    environ = {name: value for name, value in os.environ.items() if name not in decided.env_unset}
    environ |= dict(decided.env) | {RESULT_VARIABLE: str(result)}
    try:
        return supervisor.run(
            decided.argv,
            cwd=Path(decided.cwd),
            environ=environ,
            output=output,
            on_signal=lambda name: tell(f"stopping: sent {name.removeprefix('SIG')} to the run"),
        )
    except OSError as error:
        what = f"{decided.argv[0]} cannot be started: {error.strerror}"
        if str(error.filename) == decided.cwd:
            what = f"the run's folder {decided.cwd} cannot be used: {error.strerror}"
        raise CheckError(what, "check the installation: spark-rl doctor") from error


def _refuse(findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        if finding.level == "error":
            kind = RequestError if finding.code == "checkpoint-missing" else CheckError
            raise kind(finding.message, finding.hint)


def _played(file: Path) -> PlayResult | None:
    """Return what the play driver wrote, None when it did not get that far."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return PlayResult(**{field.name: values[field.name] for field in fields(PlayResult)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def judge(decided: Plan, request: Request, ended: Exit, played: PlayResult | None, new: Traces) -> Outcome:
    """Say what happened, from evidence: an exit status alone proves nothing.

    Training succeeded when it left a checkpoint behind, bounded play when its steps were done, a recording when its
    file is there and not empty.

    Args:
        decided: The plan.
        request: The request it was made for.
        ended: How the child ended.
        played: What bounded play measured.
        new: What the run wrote.
    """
    videos = tuple(path for _, path in sorted(new.videos))
    newest = max(new.checkpoints, key=lambda file: (file.modified, file.path), default=None)
    state, message = _verdict(decided, request, ended, played, new)
    return Outcome(
        state=state,
        message=message,
        plan=decided,
        exit_status=ended.status,
        stopped_by=ended.stopped_by,
        seconds=ended.seconds,
        checkpoint=newest.path if newest else None,
        log_dir=newest.path.removesuffix(f"/{newest.name}") if newest else None,
        videos=videos,
        played=played,
    )


def _verdict(decided: Plan, request: Request, ended: Exit, played: PlayResult | None, new: Traces) -> tuple[str, str]:
    steps_done = played is not None and request.steps is not None and played.steps >= request.steps
    if ended.stopped_by is not None and not steps_done:
        return "interrupted", "stopped on request"
    if request.steps is not None and not steps_done:
        done = f"only {played.steps if played else 0} of {request.steps} steps were played"
        return "failed", done + (f": the script {_ending(ended.status)}" if ended.status else "")
    if ended.status != 0 and not steps_done:
        return "failed", f"the {decided.action} script {_ending(ended.status)}"
    if decided.action == "train" and not new.checkpoints:
        return "failed", "training ended with status 0 and left no checkpoint behind"
    if _PUBLISHED & set(decided.argv) and not logs.has_published(decided):
        return "failed", "there is no published checkpoint of this task, or it could not be downloaded"
    if request.video and not new.videos:
        return "failed", "no video was written"
    return "succeeded", "done"


def _ending(status: int) -> str:
    """Return an exit status in words; a shell reports the signal that ended its child as 128 and its number."""
    number = -status if status < 0 else status - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"ended with status {status}"
    memory = ": is the machine out of memory?" if name == "SIGKILL" else ""
    return f"was ended by {name}{memory}"


def exit_code(outcome: Outcome) -> int:
    """Return the exit code of spark-rl itself: 0, 1, or 128 and the signal that stopped it."""
    if outcome.state == "interrupted" and outcome.stopped_by is not None:
        return 128 + outcome.stopped_by
    return 0 if outcome.state == "succeeded" else 1
