"""What each Isaac Lab release needs beside itself: its RL libraries, torch and Python.

``extras_require`` of ``isaaclab_rl`` and the checks of the train scripts (2.x), the metadata of the wheel (3.0.0).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from spark_rl.model import LIBRARIES
from spark_rl.profiles.releases import RELEASES, numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

_T = TypeVar("_T")
_Versions = tuple[str, str | None, str | None]

DISTRIBUTIONS = {"rsl_rl": "rsl-rl-lib", "rl_games": "rl-games", "skrl": "skrl", "sb3": "stable-baselines3"}
"""The name under which each RL library is installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """Versions of one distribution that train: from ``minimum`` up to but not with ``below``.

    ``tested`` is the one to install.
    """

    distribution: str
    tested: str
    minimum: str | None = None
    below: str | None = None

    def accepts(self, version: str) -> bool:
        """Return whether ``version`` lies within the bounds."""
        return not (
            (self.minimum is not None and older(version, self.minimum))
            or (self.below is not None and not older(version, self.below))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What one release needs: RL libraries by name, torch (the version it is installed with), Pythons, Isaac Sims."""

    libraries: tuple[tuple[str, Requirement], ...]
    torch: str
    pythons: tuple[str, ...]
    simulators: tuple[str, ...]

    def library(self, name: str) -> Requirement:
        """Return what is needed of an RL library."""
        return dict(self.libraries)[name]


def older(version: str, other: str) -> bool:
    """Return whether a version comes before another; suffixes such as ``+cu130`` and ``.post1`` do not count."""
    return _release(version) < _release(other)


def _release(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(\.\d+)*", version)
    found = [int(part) for part in match[0].split(".")] if match else []
    return tuple([*found, 0, 0, 0, 0][:4])


_RSL_RL: dict[str, _Versions] = {
    "2.0.0": ("2.1.1", None, "3"),
    "2.1.0": ("2.3.1", None, "3"),
    "2.2.0": ("2.3.3", "2.3.1", "3"),
    "2.3.0": ("3.0.1", "3.0.1", "4"),
    "2.3.2": ("3.1.2", "3.0.1", "4"),
    "3.0.0": ("5.5.1", "5.0.1", "6"),
}
_RL_GAMES: dict[str, _Versions] = {"2.0.0": ("1.6.1", "1.6.1", None), "3.0.0": ("1.6.5", "1.6.1", None)}
_SKRL: dict[str, _Versions] = {
    "2.0.0": ("1.4.1", "1.4.1", "2"),
    "2.1.0": ("1.4.2", "1.4.2", "2"),
    "2.3.0": ("1.4.3", "1.4.3", "2"),
    "3.0.0": ("2.1.1", "2.1.0", None),
}
_SB3: dict[str, _Versions] = {
    "2.0.0": ("2.1.0", "2.1.0", None),
    "2.2.0": ("2.6.0", "2.6", None),
    "3.0.0": ("2.9.2", "2.6", None),
}
_LIBRARIES = {"rsl_rl": _RSL_RL, "rl_games": _RL_GAMES, "skrl": _SKRL, "sb3": _SB3}
"""RL library, then release since when: (tested, minimum, below)."""

_TORCH = {"2.0.0": "2.5.1", "2.2.0": "2.7.0", "3.0.0": "2.11.0"}
_PYTHONS = {"2.0.0": ("3.10",), "2.2.0": ("3.10", "3.11"), "3.0.0": ("3.12",)}
_SIMULATORS = {"2.0.0": ("4.5",), "2.2.0": ("4.5", "5.0", "5.1"), "3.0.0": ("6",)}


def requirements(release: str) -> Requirements:
    """Return what a release (one of :data:`RELEASES`) needs."""
    rows = {name: _since(table, release) for name, table in _LIBRARIES.items()}
    return Requirements(
        libraries=tuple((name, _requirement(name, *rows[name])) for name in LIBRARIES),
        torch=_since(_TORCH, release),
        pythons=_since(_PYTHONS, release),
        simulators=_since(_SIMULATORS, release),
    )


def _requirement(library: str, tested: str, minimum: str | None, below: str | None) -> Requirement:
    return Requirement(distribution=DISTRIBUTIONS[library], tested=tested, minimum=minimum, below=below)


def _since(table: Mapping[str, _T], release: str) -> _T:
    return table[max((known for known in table if numbers(known) <= numbers(release)), key=RELEASES.index)]
