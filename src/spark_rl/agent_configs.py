"""Agent configs of the RL libraries: which one a registration names, and the figures its source says in plain text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from spark_rl.model import LIBRARIES, AgentConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_rl.config_classes import ConfigSources

__all__ = ["KEY", "agent_configs"]

KEY = re.compile(rf"({'|'.join(LIBRARIES)})(?:_(\w+?))?_cfg_entry_point")
"""What a registration calls an agent config: the library, and a variant or nothing."""

_SKRL = {"ippo": "IPPO", "mappo": "MAPPO", "amp": "AMP"}
_SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_YAML: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "rl_games": {
        "experiment": ("params", "config", "name"),
        "max_iterations": ("params", "config", "max_epochs"),
        "horizon": ("params", "config", "horizon_length"),
        "minibatch": ("params", "config", "minibatch_size"),
    },
    "skrl": {"experiment": ("agent", "experiment", "directory"), "horizon": ("agent", "rollouts")},
    "sb3": {"horizon": ("n_steps",)},
}
"""Where each library's YAML keeps a figure. sb3 names no experiment and counts env steps, not iterations."""

_RSL_RL = {"experiment": "experiment_name", "max_iterations": "max_iterations", "horizon": "num_steps_per_env"}


def agent_configs(kwargs: Mapping[str, Any], sources: ConfigSources) -> tuple[AgentConfig, ...]:
    """Return the agent configs that a registration's keyword arguments name.

    The plain config of a library comes before its variants (``rsl_rl_with_symmetry_cfg_entry_point``). Libraries that
    spark-rl does not plan for are left out.
    """
    found = []
    for key, target in kwargs.items():
        match = KEY.fullmatch(key)
        if match:
            found.append((LIBRARIES.index(match[1]), bool(match[2]), _agent(key, match, str(target or ""), sources)))
    return tuple(agent for _, _, agent in sorted(found, key=lambda item: item[:2]))


def _agent(key: str, match: re.Match[str], target: str, sources: ConfigSources) -> AgentConfig:
    library, variant = match[1], match[2] or ""
    if target.endswith(".yaml"):
        document = _yaml(target, sources)
        facts = {name: _at(document, path) for name, path in _YAML.get(library, {}).items()}
        if library == "skrl":
            facts["max_iterations"] = _iterations(_at(document, ("trainer", "timesteps")), facts["horizon"])
        named = _at(document, ("agent", "class"))
    else:
        facts = {name: sources.value(target, attribute) for name, attribute in _RSL_RL.items()}
        named = None
    return AgentConfig(
        entry_point=key,
        library=library,
        algorithm=_algorithm(library, variant, named),
        target=target,
        experiment=facts.get("experiment") if isinstance(facts.get("experiment"), str) else None,
        max_iterations=_count(facts.get("max_iterations")),
        horizon=_count(facts.get("horizon")),
        minibatch=_count(facts.get("minibatch")),
    )


def _algorithm(library: str, variant: str, named: Any) -> str:
    """Return the algorithm; on 3.0 the plain skrl key of an AMP task names the AMP config, so the config decides."""
    if library == "skrl":
        return _SKRL.get(variant) or (named if named in _SKRL.values() else "PPO")
    return "Distillation" if library == "rsl_rl" and variant.startswith("distillation") else "PPO"


def _iterations(timesteps: Any, rollouts: Any) -> int | None:
    if isinstance(timesteps, int) and isinstance(rollouts, int) and rollouts > 0:
        return timesteps // rollouts
    return None


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def _yaml(target: str, sources: ConfigSources) -> Any:
    """Return the document of ``package:file.yaml``, None when it is not there or no YAML."""
    package, _, name = target.rpartition(":")
    text = sources.text(f"{package.replace('.', '/')}/{name}")
    try:
        return yaml.load(text, Loader=_SAFE) if text is not None else None  # noqa: S506  # both are safe loaders
    except yaml.YAMLError:
        return None


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document
