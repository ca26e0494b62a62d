"""The files that a task's configuration refers to: below which asset root they lie, and which of them are there."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spark_rl.model import Host, Plan

__all__ = [
    "NEWTON_FOLDER",
    "Need",
    "Needs",
    "Root",
    "Status",
    "Supply",
    "at",
    "chosen_root",
    "deciding",
    "from_run",
    "is_remote",
    "local_folder",
    "size_text",
]

NEWTON_FOLDER = "newton-assets"
"""Where a copy keeps what comes from the second host."""

RootName = Literal["isaac", "newton"]
State = Literal["present", "cached", "reachable", "missing", "unreachable"]

_ENDINGS = re.compile(
    r"\.(usd[acz]?|urdf|xml|mdl|hdr|exr|png|jpg|obj|stl|pth?|jit|onnx|np[yz]|json|yaml)$", re.IGNORECASE
)
_LOOKS = re.compile(r"\.(mdl|hdr|exr|png|jpg)$", re.IGNORECASE)
_NVIDIA = re.compile(r"(.*?/Assets/Isaac/\d+(?:\.\d+)*)/(.+)")
_LAYOUT = re.compile(
    r"(.*?)/((?:Isaac/(?:IsaacLab|Robots|Environments|Props|Materials|People|Samples|Sensors)|NVIDIA)/.+)"
)
_PLAIN = re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)(e[-+]?\d+)?|true|false|null|none", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One file (a folder where it ends in a slash) that a configuration names.

    ``path`` is below the asset root that ``root`` names; without one it is an address or a path of its own. ``keys``
    are the keys of the configuration that name it.
    """

    path: str
    root: RootName | None = None
    keys: tuple[str, ...] = ()

    @property
    def decides(self) -> bool:
        """Whether a run without it fails: Isaac Lab starts without textures, materials and what only marks.

        Of 3.0, ``sim/spawners`` hands the former to the renderer unseen, and markers are loaded where they are shown.
        """
        marks = bool(self.keys) and all("visualizer_cfg" in key for key in self.keys)
        return not marks and not _LOOKS.search(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a task's configuration names, ``source`` being where that is known from.

    ``isaac`` and ``newton`` are the addresses of the two asset roots where nothing else is set.
    """

    task: str
    source: str
    needs: tuple[Need, ...]
    isaac: str
    newton: str | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any], source: str) -> Self:
        """Read what the driver wrote.

        Raises:
            KeyError: Something is missing in the document; TypeError and ValueError likewise.
        """
        found = (
            Need(path=entry["path"], root=entry["root"], keys=tuple(entry["keys"])) for entry in document["references"]
        )
        roots = document["roots"]
        return cls(
            task=document["task"],
            source=source,
            needs=_placed(found),
            isaac=roots["isaac"],
            newton=roots["newton"],
        )

    def below(self, root: RootName | None) -> tuple[Need, ...]:
        """Return the files of one root, or with None those that no root serves."""
        return tuple(need for need in self.needs if need.root == root)

    @property
    def elsewhere(self) -> tuple[Need, ...]:
        """Files of other hosts, which no setting of the asset root moves."""
        return tuple(need for need in self.below(None) if is_remote(need.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """An asset root in use: a folder or an address, and why."""

    name: RootName
    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """A file that is needed and what became of it: ``at`` is the path or address, ``size`` in bytes."""

    need: Need
    at: str
    state: State
    size: int | None = None

    @property
    def there(self) -> bool:
        """Whether a run would find it."""
        return self.state in ("present", "cached", "reachable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Every file that a task needs; ``silent`` are the hosts that did not answer."""

    needs: Needs
    roots: tuple[Root, ...]
    supplies: tuple[Supply, ...]
    silent: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether a run would find all of it."""
        return all(supply.there for supply in self.supplies)

    def to_document(self) -> dict[str, Any]:
        """Return it as ``spark-rl/assets/1``."""
        return {
            "schema": "spark-rl/assets/1",
            "task": self.needs.task,
            "source": self.needs.source,
            "complete": self.complete,
            "roots": [{"name": root.name, "path": root.path, "reason": root.reason} for root in self.roots],
            "files": [
                {
                    "path": supply.need.path,
                    "root": supply.need.root,
                    "at": supply.at,
                    "state": supply.state,
                    "size": supply.size,
                    "keys": list(supply.need.keys),
                }
                for supply in self.supplies
            ],
            "silent_hosts": list(self.silent),
        }


def chosen_root(decided: Plan, host: Host) -> tuple[str, str] | None:
    """Return the asset root that a plan or the environment names, and why; None where it is Isaac Lab's default."""
    reason = dict(decided.reasons).get("assets", "")
    if decided.isaaclab.generation < 3:
        setting = next((word for word in decided.argv if "/persistent/isaac/asset_root/cloud=" in word), None)
        return (setting.partition("asset_root/cloud=")[2].split()[0], reason) if setting else None
    root = dict(decided.env).get("ISAACSIM_ASSET_ROOT")
    if root is not None:
        return root, reason
    inherited = None if "ISAACSIM_ASSET_ROOT" in decided.env_unset else host.variable("ISAACSIM_ASSET_ROOT")
    return (inherited.rstrip("/"), "your ISAACSIM_ASSET_ROOT") if inherited else None


def at(need: Need, roots: Iterable[Root]) -> str:
    """Return the path or address where a file is looked for."""
    root = next((root.path for root in roots if root.name == need.root), None)
    return need.path if root is None else f"{local_folder(root) or root}/{need.path}"


def size_text(size: int) -> str:
    """Return a number of bytes as a person reads it."""
    if size < 1024:
        return f"{size} B"
    value, unit = next(
        (size / 1024**power, unit) for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")) if size >= 1024**power
    )
    return f"{value:.1f} {unit}"


def is_remote(place: str) -> bool:
    """Whether a place is an address of another machine."""
    return "://" in place and not place.startswith("file://")


def local_folder(root: str) -> str | None:
    """Return the folder that an asset root is, None for one on another machine."""
    return None if is_remote(root) else root.removeprefix("file://").rstrip("/") or "/"


def deciding(overrides: Iterable[str]) -> tuple[str, ...]:
    """Return the overrides that may change which files are named: neither the agent's nor plain numbers."""
    return tuple(
        word
        for word in overrides
        if not word.lstrip("+~").startswith("agent.") and not _PLAIN.fullmatch(word.partition("=")[2])
    )


def from_run(values: Iterable[tuple[str, str]], *, task: str, source: str) -> Needs | None:
    """Return what the configuration that a run wrote down names, None where it names no hosted file.

    Args:
        values: Its keys and texts. They hold the asset root of that run.
        task: Id of the task.
        source: Where they were read.
    """
    roots: dict[str, None] = {}
    keys: dict[tuple[RootName | None, str], list[str]] = {}
    for key, text in values:
        if not _ENDINGS.search(text) or "/" not in text:
            continue
        match = _NVIDIA.fullmatch(text) or _LAYOUT.fullmatch(text)
        if match:
            roots[match[1]] = None
        place: tuple[RootName | None, str] = ("isaac", match[2]) if match else (None, text)
        keys.setdefault(place, []).append(key)
    if not roots:
        return None
    found = (Need(path=path, root=root, keys=tuple(named)) for (root, path), named in keys.items())
    return Needs(task=task, source=source, needs=_placed(found), isaac=next(iter(roots)))


def _placed(found: Iterable[Need]) -> tuple[Need, ...]:
    """Return the files in order; bare names belong to the one folder that the configuration names."""
    named = tuple(found)
    folders = [need for need in named if need.path.endswith("/")]
    if len(folders) == 1:
        (folder,) = folders
        named = tuple(
            replace(need, path=folder.path + need.path, root=folder.root) if _is_bare(need) else need
            for need in named
            if need is not folder
        )
    told = (need for need in named if not _is_bare(need) and not need.path.endswith("/"))
    unique: dict[tuple[RootName | None, str], Need] = {}
    for need in told:
        before = unique.get((need.root, need.path))
        unique[need.root, need.path] = replace(need, keys=(*before.keys, *need.keys)) if before else need
    return tuple(unique[place] for place in sorted(unique, key=lambda place: (place[0] or "z", place[1])))


def _is_bare(need: Need) -> bool:
    return need.root is None and not need.path.startswith("/") and "://" not in need.path
