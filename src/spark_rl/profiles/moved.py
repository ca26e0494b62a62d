"""Options that one release takes and another does not: what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from spark_rl import text
from spark_rl.profiles.options import Option
from spark_rl.profiles.releases import Scope, numbers, options, takers, vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_rl.model import Action

WINDOW = Option(name="--no-headless", takes="flag")
"""Not an option of any script: what asks for Isaac Sim's window where a release opens one by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What becomes of a word that a script does not take, or takes without effect.

    ``to`` are the words that mean the same here, where ``{}`` stands for the value: options, overrides or
    ``--no-headless`` (:data:`WINDOW`). ``hint`` says how else to get what a refused word asks for.
    """

    action: Literal["drop", "translate", "refuse"]
    reason: str
    to: tuple[str, ...] = ()
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """A key (``--name``, ``--name=value``, ``physics``, ``physics=value``) and where the rule about it holds."""

    key: str
    moved: Moved
    scope: Scope = field(default_factory=Scope)


def _drop(key: str, reason: str, scope: Scope) -> _Rule:
    return _Rule(key=key, moved=Moved(action="drop", reason=reason), scope=scope)


def _translate(key: str, to: str, reason: str, scope: Scope) -> _Rule:
    return _Rule(key=key, moved=Moved(action="translate", to=(to,), reason=reason), scope=scope)


def _refuse(key: str, reason: str, hint: str, scope: Scope) -> _Rule:
    return _Rule(key=key, moved=Moved(action="refuse", reason=reason, hint=hint), scope=scope)


_GEN2 = Scope(until="3.0.0")
_GEN2_PLAY = Scope(actions=("play",), until="3.0.0")
_GEN3 = Scope(since="3.0.0")
_GEN3_PLAY = Scope(actions=("play",), since="3.0.0")
_GEN3_TRAIN = Scope(actions=("train",), since="3.0.0")
_NAME_THE_FILE = "name the file: --checkpoint PATH"
_ONE_PHYSICS = "Isaac Lab 2 runs PhysX in Isaac Sim and nothing else"
_ONE_RENDERER = "Isaac Lab 2 renders with Isaac Sim's RTX and nothing else"

_RULES = (
    _drop("--headless", "Isaac Lab 3 is headless unless --viz asks for a window", _GEN3),
    _drop("--enable_cameras", "Isaac Lab 3 switches cameras on where the scene has one", _GEN3),
    _translate("--cpu", "--device=cpu", "every release since 2.0.0 fails on --cpu", Scope()),
    _refuse(
        "--rendering_mode",
        "Isaac Lab 3 has no rendering modes",
        "set the fields of IsaacRtxRendererGlobalSettingsCfg in the task's config, or use --kit_args",
        _GEN3,
    ),
    _translate("--resume", "--checkpoint=latest", "Isaac Lab 3 continues from the checkpoint it is given", _GEN3_TRAIN),
    _drop("--resume", "play always loads a checkpoint", _GEN3_PLAY),
    _refuse(
        "--load_run", "Isaac Lab 3 continues from a file, not from a run folder's name", _NAME_THE_FILE, _GEN3_TRAIN
    ),
    _translate(
        "--load_run",
        "agent.load_run={}",
        "the option went with Isaac Lab 3, the agent config kept it",
        Scope(libraries=("rsl_rl",), actions=("play",), since="3.0.0"),
    ),
    _translate("--use_last_checkpoint", "--checkpoint=latest", "Isaac Lab 3 spells it so", _GEN3_PLAY),
    _translate("--use_pretrained_checkpoint", "--checkpoint=pretrained", "Isaac Lab 3 spells it so", _GEN3_PLAY),
    _translate("--checkpoint=pretrained", "--use_pretrained_checkpoint", "Isaac Lab 2 spells it so", _GEN2_PLAY),
    _refuse(
        "--checkpoint=pretrained",
        "published checkpoints are for play",
        "train continues from a file: --checkpoint PATH",
        Scope(actions=("train",)),
    ),
    _refuse("--checkpoint=latest", "the scripts of Isaac Lab 2 take a file", _NAME_THE_FILE, _GEN2),
    _refuse("--checkpoint=best", "the scripts of Isaac Lab 2 take a file", _NAME_THE_FILE, _GEN2),
    _translate("--visualizer=kit", WINDOW.name, "Isaac Lab 2 opens the window unless it is headless", _GEN2),
    _translate("--visualizer=none", "--headless", "Isaac Lab 2 spells it so", _GEN2),
    _refuse(
        "--visualizer",
        "Isaac Lab 2 shows Isaac Sim's window and nothing else",
        "--viz kit opens it, --livestream 2 shows it in a browser",
        _GEN2,
    ),
    _drop("--frontend=torch", "Isaac Lab 2 has no other frontend", _GEN2),
    _refuse("--frontend", "Isaac Lab 2 has the torch frontend alone", "leave --frontend out", _GEN2),
    _refuse("--deterministic", "Isaac Lab 2 has no such switch", "--seed fixes the random numbers", _GEN2),
    _drop("--train_env_cfg", "Isaac Lab 2 plays the named task's own config", _GEN2_PLAY),
    _drop("--video_interval", "play of Isaac Lab 2 records one clip of --video_length steps", _GEN2_PLAY),
    _drop(
        "--ray-proc-id",
        "it only tells Ray's tuner which run prints, and came with 2.3.2",
        Scope(actions=("train",), until="2.3.2"),
    ),
    _drop("--keep_all_info", "releases before 2.2.0 always keep all of it", Scope(libraries=("sb3",), until="2.2.0")),
    # update_rsl_rl_cfg of every 2.x release reads each option of its group but this one.
    _translate(
        "--experiment_name",
        "agent.experiment_name={}",
        "the scripts of Isaac Lab 2 read the option and ignore it",
        Scope(libraries=("rsl_rl",), actions=("train",), until="3.0.0"),
    ),
    _translate(
        "--experiment_name",
        "agent.experiment_name={}",
        "the scripts of Isaac Lab 2 read the option and ignore it",
        Scope(libraries=("rsl_rl",), actions=("play",), since="2.2.1", until="3.0.0"),
    ),
    _refuse(
        "--experiment_name",
        "play before 2.2.1 reads the option and ignores it",
        _NAME_THE_FILE,
        Scope(libraries=("rsl_rl",), actions=("play",), until="2.2.1"),
    ),
    _drop("physics=isaacsim_physx", _ONE_PHYSICS, _GEN2),
    _drop("physics=physx", _ONE_PHYSICS, _GEN2),
    _refuse("physics", _ONE_PHYSICS, "leave physics= out, or name an Isaac Lab 3 with --isaaclab", _GEN2),
    _drop("renderer=isaacsim_rtx", _ONE_RENDERER, _GEN2),
    _drop("renderer=rtx", _ONE_RENDERER, _GEN2),
    _refuse("renderer", _ONE_RENDERER, "leave renderer= out, or name an Isaac Lab 3 with --isaaclab", _GEN2),
    _refuse("presets", "Isaac Lab 2 has a task for each variant", "name that task with --task", _GEN2),
)


@cache
def moved(version: str, library: str, action: Action) -> Mapping[str, Moved]:
    """Return what becomes of each word that one script of one release does not take, or takes without effect.

    Keys are option names as :class:`Option` has them and the names of preset selectors; ``--name=value`` and
    ``physics=value`` stand for one value and go before the name alone. An option that no rule mentions is refused
    with the releases or scripts that take it.
    """
    accepted = options(version, library, action)
    lacking = {option.name for spelling, option in vocabulary().items() if spelling not in accepted}
    refused = {name: _elsewhere(name, version, library, action) for name in sorted(lacking)}
    ruled = {rule.key: rule.moved for rule in reversed(_RULES) if rule.scope.holds(version, library, action)}
    return MappingProxyType(refused | ruled)


def _elsewhere(name: str, version: str, library: str, action: Action) -> Moved:
    """Return the refusal of an option that other releases or other scripts have."""
    found = tuple(takers(name))
    releases = [at for at, lib, act in found if (lib, act) == (library, action)]
    newer = next((at for at in releases if numbers(at) > numbers(version)), None)
    if newer:
        return Moved(action="refuse", reason=f"{library} {action} has it since {newer}")
    if releases:
        return Moved(action="refuse", reason=f"{library} {action} had it until {releases[-1]}")
    here = [f"{lib} {act}" for at, lib, act in found if at == version]
    scripts = here or list(dict.fromkeys(f"{lib} {act} of {at}" for at, lib, act in found))[-1:]
    return Moved(action="refuse", reason=f"it is an option of {text.either(scripts)}")
