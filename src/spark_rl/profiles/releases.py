"""Every option of every Isaac Lab release since 2.0.0: one line says which scripts take it, since when and until when.

Read from the ``add_argument`` calls of ``scripts/reinforcement_learning/<library>/{train,play}.py``, ``cli_args.py``
and ``app_launcher.py`` of each 2.x release, and from the parsers of 3.0.0. A new release is a name in :data:`RELEASES`
and the lines that changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from spark_rl.model import LIBRARIES, Action
from spark_rl.profiles.options import Option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_rl.profiles.options import Table, Type

RELEASES = ("2.0.0", "2.0.1", "2.0.2", "2.1.0", "2.2.0", "2.2.1", "2.3.0", "2.3.1", "2.3.2", "3.0.0")
"""Releases whose options were read, oldest first."""

ACTIONS: tuple[Action, ...] = ("train", "play")
_TRAIN: tuple[Action, ...] = ("train",)
_PLAY: tuple[Action, ...] = ("play",)
_MULTI_GPU = ("rl_games", "skrl", "rsl_rl")


@cache
def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a plain version such as ``2.3.2``, for comparing."""
    return tuple(int(part) for part in version.split("."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where something holds: RL libraries, actions, and releases from ``since`` up to but not with ``until``."""

    libraries: tuple[str, ...] = LIBRARIES
    actions: tuple[Action, ...] = ACTIONS
    since: str = "2.0.0"
    until: str | None = None

    def holds(self, version: str, library: str, action: Action) -> bool:
        """Return whether it holds for one script of one release."""
        at = numbers(version)
        in_time = numbers(self.since) <= at and (self.until is None or at < numbers(self.until))
        return in_time and library in self.libraries and action in self.actions


def _flag(name: str, *aliases: str) -> Option:
    return Option(name=name, takes="flag", aliases=aliases)


def _value(name: str, kind: Type = "str", *choices: str, aliases: tuple[str, ...] = ()) -> Option:
    return Option(name=name, takes="value", type=kind, choices=choices, aliases=aliases)


_SCRIPT = (
    (_flag("--video"), Scope()),
    (_value("--video_length", "int"), Scope()),
    (_value("--video_interval", "int"), Scope(actions=_TRAIN)),
    (_value("--video_interval", "int"), Scope(actions=_PLAY, since="3.0.0")),
    (_value("--num_envs", "int"), Scope()),
    (_value("--task"), Scope()),
    (_value("--frontend", "str", "torch", "warp"), Scope(since="3.0.0")),
    (_value("--agent"), Scope(since="2.2.1")),
    (_value("--seed", "int"), Scope(actions=_TRAIN)),
    (_value("--seed", "int"), Scope(actions=_PLAY, since="2.2.1")),
    (_value("--max_iterations", "int"), Scope(actions=_TRAIN)),
    (_flag("--distributed"), Scope(libraries=("rl_games", "skrl"), actions=_TRAIN)),
    (_flag("--distributed"), Scope(libraries=("rsl_rl",), actions=_TRAIN, since="2.1.0")),
    (_value("--run_timestamp"), Scope(libraries=_MULTI_GPU, actions=_TRAIN, since="3.0.0")),
    (_flag("--export_io_descriptors"), Scope(actions=_TRAIN, since="2.2.1")),
    (_value("--ray-proc-id", "int", aliases=("-rid",)), Scope(actions=_TRAIN, since="2.3.2")),
    (_value("--capture_env_sensors", "int"), Scope(actions=_TRAIN, since="3.0.0")),
    (_value("--capture_env_sensors_length", "int"), Scope(actions=_TRAIN, since="3.0.0")),
    (_value("--capture_env_sensors_interval", "int"), Scope(actions=_TRAIN, since="3.0.0")),
    (_value("--capture_env_sensors_format", "str", "tensorboard", "file"), Scope(actions=_TRAIN, since="3.0.0")),
    (_flag("--disable_fabric"), Scope(actions=_PLAY)),
    (_flag("--real-time"), Scope(actions=_PLAY)),
    (_flag("--train_env_cfg"), Scope(actions=_PLAY, since="3.0.0")),
    (_value("--checkpoint"), Scope(libraries=("rsl_rl", "rl_games", "skrl"))),
    (_value("--checkpoint"), Scope(libraries=("sb3",), actions=_PLAY)),
    (_value("--checkpoint"), Scope(libraries=("sb3",), actions=_TRAIN, since="2.2.1")),
    (_flag("--use_pretrained_checkpoint"), Scope(actions=_PLAY, until="3.0.0")),
    (_flag("--use_last_checkpoint"), Scope(libraries=("rl_games", "sb3"), actions=_PLAY, until="3.0.0")),
)

_RSL_RL = (
    (_value("--experiment_name"), Scope(libraries=("rsl_rl",))),
    (_value("--run_name"), Scope(libraries=("rsl_rl",))),
    # Until 2.1.0 argparse converts with bool(): every word but the empty one means yes.
    (_value("--resume", "bool"), Scope(libraries=("rsl_rl",), until="2.1.0")),
    (_flag("--resume"), Scope(libraries=("rsl_rl",), since="2.1.0", until="3.0.0")),
    (_value("--load_run"), Scope(libraries=("rsl_rl",), until="3.0.0")),
    (_value("--logger", "str", "wandb", "tensorboard", "neptune"), Scope(libraries=("rsl_rl",))),
    (_value("--log_project_name"), Scope(libraries=("rsl_rl",))),
    (_value("--external_callback"), Scope(libraries=("rsl_rl",), since="3.0.0")),
    (
        _flag("--resume_optimizer_state", "--no-resume_optimizer_state"),
        Scope(libraries=("rsl_rl",), actions=_TRAIN, since="3.0.0"),
    ),
)

_RL_GAMES = (
    (_value("--sigma"), Scope(libraries=("rl_games",), actions=_TRAIN)),
    (_value("--wandb-project-name"), Scope(libraries=("rl_games",), actions=_TRAIN, since="2.2.0")),
    (_value("--wandb-entity"), Scope(libraries=("rl_games",), actions=_TRAIN, since="2.2.0")),
    (_value("--wandb-name"), Scope(libraries=("rl_games",), actions=_TRAIN, since="2.2.0")),
    (
        Option(name="--track", takes="optional", type="bool"),
        Scope(libraries=("rl_games",), actions=_TRAIN, since="2.2.0"),
    ),
)

_SKRL = (
    (_value("--ml_framework", "str", "torch", "jax", "jax-numpy"), Scope(libraries=("skrl",), until="3.0.0")),
    (_value("--ml_framework", "str", "torch", "jax"), Scope(libraries=("skrl",), since="3.0.0")),
    (_value("--algorithm", "str", "AMP", "PPO", "IPPO", "MAPPO"), Scope(libraries=("skrl",))),
)

_SB3 = (
    (_value("--log_interval", "int"), Scope(libraries=("sb3",), actions=_TRAIN, since="2.2.0")),
    (_flag("--keep_all_info"), Scope(libraries=("sb3",), since="2.2.0")),
)

_VISUALIZERS = ("kit", "newton_gl", "newton_rtx", "rerun", "viser", "newton", "none")

_LAUNCHER = (
    (_flag("--headless"), Scope(until="3.0.0")),
    (_value("--livestream", "int", "0", "1", "2"), Scope()),
    (_flag("--enable_cameras"), Scope(until="3.0.0")),
    (_flag("--xr"), Scope(since="2.1.0")),
    (_value("--device"), Scope()),
    (_flag("--cpu"), Scope(until="3.0.0")),
    (_value("--visualizer", "csv", *_VISUALIZERS, aliases=("--viz",)), Scope(since="3.0.0")),
    (_flag("--verbose"), Scope()),
    (_flag("--info"), Scope()),
    (_value("--experience"), Scope()),
    (_flag("--deterministic"), Scope(since="3.0.0")),
    (
        _value("--rendering_mode", "str", "performance", "balanced", "quality", "xr"),
        Scope(since="2.1.0", until="2.2.0"),
    ),
    (_value("--rendering_mode", "str", "performance", "balanced", "quality"), Scope(since="2.2.0", until="3.0.0")),
    (_value("--kit_args"), Scope()),
    (_flag("--anim_recording_enabled"), Scope(since="2.2.0")),
    (_value("--anim_recording_start_time", "float"), Scope(since="2.2.0")),
    (_value("--anim_recording_stop_time", "float"), Scope(since="2.2.0")),
    (_value("--max_visible_envs", "int"), Scope(since="3.0.0")),
)

_ENTRIES: tuple[tuple[Option, Scope], ...] = (*_SCRIPT, *_RSL_RL, *_RL_GAMES, *_SKRL, *_SB3, *_LAUNCHER)


@cache
def options(version: str, library: str, action: Action) -> Table:
    """Return every spelling that one script of one release accepts, launcher options included."""
    accepted = (option for option, scope in _ENTRIES if scope.holds(version, library, action))
    return MappingProxyType({spelling: option for option in accepted for spelling in option.spellings})


@cache
def vocabulary() -> Table:
    """Return every spelling that any script of any release accepts; the newest meaning counts."""
    oldest_first = sorted(_ENTRIES, key=lambda entry: numbers(entry[1].since))
    return MappingProxyType({spelling: option for option, _ in oldest_first for spelling in option.spellings})


def takers(name: str) -> Iterator[tuple[str, str, Action]]:
    """Yield each (release, library, action) whose script accepts ``name``, oldest release first."""
    for version in RELEASES:
        for library in LIBRARIES:
            for action in ACTIONS:
                if name in options(version, library, action):
                    yield version, library, action
