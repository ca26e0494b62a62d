"""What overrides settle: no flag may say otherwise, and the task's configuration must know them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.errors import RequestError
from spark_rl.model import Finding
from spark_rl.plan.parts import NOTHING, Part, because

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spark_rl.plan.parts import Context

_SEED: Mapping[str, tuple[str, ...]] = {"rl_games": ("agent.params.seed", "env.seed")}
_ITERATIONS: Mapping[str, str] = {
    "rsl_rl": "agent.max_iterations",
    "rl_games": "agent.params.config.max_epochs",
    "skrl": "agent.trainer.timesteps",
    "sb3": "agent.n_timesteps",
}
"""Where each library's scripts put the value of ``--max_iterations``; two of them in env steps."""

_ENV_SEED = Finding(
    code="env-seed",
    level="warning",
    message="env.seed has no effect: Isaac Lab's scripts give the environment the agent's seed",
    hint="use --seed N",
)


def flags(context: Context) -> Part:
    """Refuse a flag and an override that set the same field: Isaac Lab would take the flag's value in silence.

    Raises:
        RequestError: There are such two.
    """
    if not context.target.overrides:
        return NOTHING
    from spark_rl.overrides import parse

    keys = {parse(word).key: word for word in context.target.overrides}
    for flag, key in _set_by_flags(context):
        if key in keys:
            raise RequestError(
                f"{flag} and {keys[key]} set the same",
                f"leave one of the two out; a setting or a recipe counts as the flag, too: {flag} wins in Isaac Lab",
            )
    return Part(findings=(_ENV_SEED,)) if "env.seed" in keys else NOTHING


def _set_by_flags(context: Context) -> Iterator[tuple[str, str]]:
    """Yield each flag that was given, with each key whose value it decides."""
    request, library, profile = context.request, context.target.library, context.target.profile
    if request.num_envs is not None:
        yield "--num-envs", "env.scene.num_envs"
    if request.seed is not None:
        yield from (("--seed", key) for key in _SEED.get(library, ("agent.seed", "env.seed")))
    if request.max_iterations is not None:
        yield "--max-iterations", _ITERATIONS[library]
    if request.device is not None:
        yield "--device", "env.sim.device"
    place = profile.run_name(library) if request.run_name is not None else None
    if place is not None:
        yield "--run-name", "agent.run_name" if place.startswith("--") else place
    if "--experiment_name" in context.target.given:
        yield "--experiment_name", "agent.experiment_name"


def overrides(context: Context) -> Part:
    """Check every override against the task's configuration, as far as it is known.

    Raises:
        RequestError: Isaac Lab would refuse one of them, or take it in silence and train something else.
    """
    known = context.knowledge
    if known.lacking is not None:
        return Part(findings=(known.lacking,))
    if known.configuration is None:
        return NOTHING
    from spark_rl.overrides import check

    added = check(context.target.overrides, known.configuration)
    reasons = because("overrides", f"checked against {known.configuration.source}")
    return Part(reasons=reasons, findings=tuple(_added(key, context) for key in added))


def _added(key: str, context: Context) -> Finding:
    library = context.target.library
    return Finding(
        code="override-added",
        level="warning",
        message=f"the task's config has no {key}: it is passed on, and {library} may or may not know it",
    )
