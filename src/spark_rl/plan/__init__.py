"""The pure core: a request and facts give a plan, or a refusal with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spark_rl import names, profiles
from spark_rl.errors import RequestError
from spark_rl.model import Plan
from spark_rl.plan import choice, policy, quantities, ranks, settled, simulator, view
from spark_rl.plan.parts import UNASKED, Context, Facts, Knowledge, Part, Target, join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from spark_rl.model import AgentConfig, CheckpointFile, Finding, Request, Task
    from spark_rl.profiles import Option

    _Options = tuple[tuple[Option, str | None], ...]

__all__ = ["Context", "Facts", "Knowledge", "Surroundings", "Target", "plan", "resolve", "surroundings"]

RULES: tuple[Callable[[Context], Part], ...] = (
    simulator.physics,
    simulator.kit_options,
    view.window,
    view.no_display,
    view.cameras,
    view.video,
    quantities.counts,
    quantities.device,
    quantities.batches,
    ranks.distribution,
    policy.checkpoint,
    policy.run_name,
    policy.saving,
    simulator.assets,
    simulator.preload,
    simulator.environments,
    simulator.blanks,
    simulator.project,
    settled.flags,
    settled.overrides,
)
"""Every rule, in the order in which its words appear on the command line."""

_OWN = {"--use_last_checkpoint": "latest", "--use_pretrained_checkpoint": "pretrained"}


def resolve(request: Request, facts: Facts) -> tuple[Request, Target]:
    """Decide what the request means: profile, task, library, algorithm, agent config and the script's own options.

    The request comes back with what its options said in another version's words.

    Raises:
        RequestError: The request cannot be meant, or this installation cannot run it.
    """
    installation = facts.installation
    if installation.kind == "package" and installation.generation < 3:
        raise RequestError(
            f"the Isaac Lab {installation.version} package in {installation.path} has no train and play scripts",
            "name a checkout of that version with --isaaclab PATH",
        )
    profile, warning = profiles.profile(installation.version)
    # 3.0's --train_env_cfg means that play keeps the training configuration: on 2.x, the training id.
    action = "train" if "--train_env_cfg" in request.options else request.action
    task = names.resolve(request.task, action, facts.catalog, installation.generation, facts.renames)
    library, library_why = choice.choose_library(request.library, task.task)
    request, tokens = _absorb(request, {**profiles.vocabulary(), **profile.options(library, request.action)})
    translation = profile.translate(library, request.action, tokens, request.overrides)
    request, options = _windowed(request, translation)
    given = {option.name: value for option, value in options}
    algorithm, why, agent = _algorithm(request, task.task, library, given.get("--agent"))
    return request, Target(
        profile=profile,
        task=task,
        library=library,
        algorithm=algorithm,
        agent=agent,
        given=given,
        words=tuple(word for option, value in options for word in profiles.render(option, value)),
        overrides=(*task.presets, *translation.overrides),
        reasons=(("isaaclab", facts.chosen), ("library", library_why), ("algorithm", why)),
        findings=(*((warning,) if warning else ()), *translation.findings),
    )


def plan(
    request: Request,
    facts: Facts,
    target: Target,
    checkpoints: Iterable[CheckpointFile] = (),
    knowledge: Knowledge = UNASKED,
) -> Plan:
    """Return the exact command, environment and folder for a resolved request.

    Raises:
        RequestError: A rule of the version, the library or the machine forbids it.
    """
    context = Context(request=request, facts=facts, target=target, checkpoints=tuple(checkpoints), knowledge=knowledge)
    part = join(rule(context) for rule in RULES)
    words = (
        *("--task", names.spelled(target.task)),
        *_algorithm_words(context),
        *part.words,
        *target.words,
        *target.overrides,
        *part.overrides,
        *request.passthrough,
    )
    argv = simulator.command(context, words)
    return Plan(
        action=request.action,
        task=target.task,
        library=target.library,
        algorithm=target.algorithm,
        isaaclab=facts.installation,
        argv=argv,
        cwd=policy.run_folder(context),
        env=part.env,
        env_unset=part.unset,
        reasons=target.reasons + part.reasons,
        findings=_ordered((*target.findings, *part.findings)),
        nodes=ranks.nodes(context, argv),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a child of the installation needs that starts no simulation: its Python, environment and folder."""

    python: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    env_unset: tuple[str, ...]
    cwd: str


def surroundings(request: Request, facts: Facts, target: Target) -> Surroundings:
    """Return the Python, environment and folder that a plan for this target has.

    Raises:
        RequestError: The task's project has no script for the library.
    """
    context = Context(request=request, facts=facts, target=target)
    part = join(rule(context) for rule in (simulator.preload, simulator.environments, simulator.project))
    return Surroundings(
        python=simulator.interpreter(context), env=part.env, env_unset=part.unset, cwd=policy.run_folder(context)
    )


def _absorb(request: Request, table: Mapping[str, Option]) -> tuple[Request, tuple[str, ...]]:
    """Take what spark-rl decides by itself out of the script's options, whatever version they come from."""
    left: list[str] = []
    for option, value in profiles.parse(request.options, table):
        if option.name in _OWN:
            request = replace(request, checkpoint=request.checkpoint or _OWN[option.name])
        elif option.name == "--cpu":
            request = replace(request, device=request.device or "cpu")
        elif option.name == "--load_run":
            request = replace(request, load_run=value)
        else:
            left += profiles.render(option, value)
    return request, tuple(left)


def _windowed(request: Request, translation: profiles.Translation) -> tuple[Request, _Options]:
    """Take what another version's words said about the window into the request."""
    said = {option.name: option is not profiles.WINDOW for option, _ in translation.options}
    headless = next((said[name] is not False for name in ("--headless", profiles.WINDOW.name) if name in said), None)
    options = tuple(pair for pair in translation.options if pair[0].name not in ("--headless", profiles.WINDOW.name))
    if headless is not None:
        request = replace(request, headless=headless)
    return request, options


def _algorithm(request: Request, task: Task, library: str, entry_point: str | None) -> tuple[str, str, AgentConfig]:
    """Return the algorithm, why, and the agent config; a named agent config decides unless an algorithm is named."""
    if entry_point is None or request.algorithm is not None:
        algorithm, why = choice.choose_algorithm(request.algorithm, task, library)
        return algorithm, why, choice.choose_agent(task, library, algorithm, entry_point)
    agent = choice.choose_agent(task, library, "", entry_point)
    return agent.algorithm, f"the agent config {entry_point}", agent


def _algorithm_words(context: Context) -> tuple[str, ...]:
    """Return ``--algorithm``, which only skrl's scripts have; they train PPO when it is left out."""
    target, asked = context.target, context.request.algorithm
    if target.library != "skrl" or (asked is None and ("--agent" in target.given or target.algorithm == "PPO")):
        return ()
    return ("--algorithm", target.algorithm)


def _ordered(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the findings, what stops a run first."""
    levels = ("error", "warning", "note")
    return tuple(sorted(findings, key=lambda finding: levels.index(finding.level)))
