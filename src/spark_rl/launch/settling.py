"""What is decided at the start alone: where assets come from, how the run's folder is called, how much it tells."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import assets, network, profiles, supplies
from spark_rl.errors import CheckError, RequestError, UnreachableError
from spark_rl.model import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_rl.model import Plan, Request
    from spark_rl.plan import Facts

_WRONG = frozenset(("checkpoint-missing", "checkpoint-incomplete"))
"""Findings that say that the request is wrong, not the machine."""

_STAMPED = frozenset(("rsl_rl", "rl_games", "skrl"))
"""Libraries whose run folder Isaac Lab 3 names by ``--run_timestamp``."""


def settle(decided: Plan, request: Request, facts: Facts, *, answers: Callable[[], bool] | None = None) -> Plan:
    """Decide where assets come from; ``answers`` says whether NVIDIA's host does, if not the network.

    Raises:
        UnreachableError: NVIDIA's asset host does not answer and nothing else can serve this task.
    """
    decided = _with_second_root(_checked_assets(decided, facts), facts)
    if request.assets != "auto" or _has_own_assets(decided, facts):
        return decided
    if (answers or network.answers)():
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
    raise UnreachableError(
        f"NVIDIA's asset host cannot be reached (limit {network.TIMEOUT_S:.0f} s), and {decided.task.task.id} needs it",
        "use --assets PATH with a local copy; --assets nvidia starts without asking",
    )


def keep_assets(decided: Plan, before: Plan) -> Plan:
    """Return a plan that takes its assets from where the one before did."""
    names = ("ISAACSIM_ASSET_ROOT", "NEWTON_ASSET_DIR")
    kept = {name: value for name, value in before.env if name in names}
    return replace(decided, env=tuple(sorted((dict(decided.env) | kept).items())))


def stamp(decided: Plan, name: str) -> Plan:
    """Give the run folder its name, where Isaac Lab takes one: two runs of one second do not share it then."""
    own = any(word.partition("=")[0] == "--run_timestamp" for word in decided.argv)
    if decided.action != "train" or decided.isaaclab.generation < 3 or decided.library not in _STAMPED or own:
        return decided
    if "--distributed" in decided.argv:  # one rank of an outer torchrun: the others would have other names
        return decided
    at = decided.argv.index("--task")
    return replace(decided, argv=(*decided.argv[:at], f"--run_timestamp={name}", *decided.argv[at:]))


def talkative(decided: Plan, batch: int | None) -> Plan:
    """Let sb3 tell of each iteration: by default it keeps its words and rewards back for 100,000 env steps.

    Args:
        decided: The plan.
        batch: Env steps of an iteration, None where they are not known.
    """
    profile, _ = profiles.profile(decided.isaaclab.version)
    takes = "--log_interval" in profile.options(decided.library, decided.action)
    own = any(word.partition("=")[0].replace("-", "_") == "__log_interval" for word in decided.argv)
    if decided.library != "sb3" or not takes or own or not batch:
        return decided
    at = decided.argv.index("--task")
    return replace(decided, argv=(*decided.argv[:at], f"--log_interval={batch}", *decided.argv[at:]))


def refuse(findings: tuple[Finding, ...]) -> None:
    """Stop at the first finding that forbids the start.

    Raises:
        RequestError: There is no checkpoint to play.
        CheckError: This machine cannot run it.
    """
    for finding in findings:
        if finding.level == "error":
            kind = RequestError if finding.code in _WRONG else CheckError
            raise kind(finding.message, finding.hint)


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


def _with_second_root(decided: Plan, facts: Facts) -> Plan:
    """Return the plan with the copy of the second asset host that lies in a local asset root, where there is one."""
    chosen = supplies.chosen_root(decided, facts.host)
    folder = supplies.local_folder(chosen[0]) if chosen else None
    if decided.isaaclab.generation < 3 or folder is None or os.environ.get("NEWTON_ASSET_DIR"):
        return decided
    beside = Path(folder, supplies.NEWTON_FOLDER)
    if not beside.is_dir():
        return decided
    return replace(decided, env=tuple(sorted((*decided.env, ("NEWTON_ASSET_DIR", str(beside))))))


def _has_own_assets(decided: Plan, facts: Facts) -> bool:
    if decided.isaaclab.generation < 3:
        return any("asset_root" in word for word in decided.argv)
    return facts.host.variable("ISAACSIM_ASSET_ROOT") is not None
