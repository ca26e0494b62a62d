"""From flags, a recipe and settings to a request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl import words
from spark_rl.errors import RequestError
from spark_rl.model import Request
from spark_rl.settings import load_recipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_rl.model import Action, Settings


_RANKS: Mapping[Any, str] = {"gpu": "all", "auto": "all"}
"""Words of ``--nproc_per_node`` that mean one rank on every visible GPU."""


def build(
    action: Action,
    flags: Mapping[str, Any],
    *,
    rest: Sequence[str],
    passthrough: Sequence[str],
    own: Sequence[str],
    recipe: Path | None,
    settings: Settings,
    cwd: Path,
) -> Request:
    """Return the request; a flag wins over the recipe, the recipe over a setting.

    Args:
        action: ``train`` or ``play``.
        flags: The flags by their names in :class:`Request`; None where a flag was not given.
        rest: The words spark-rl has no option for, in order.
        passthrough: The words after ``--``.
        own: The options of the command, for suggestions.
        recipe: A recipe file.
        settings: Every setting.
        cwd: The working directory.

    Raises:
        RequestError: A word is unknown, no task is named, or the recipe is wrong.
    """
    options, overrides = words.split_overrides(rest, own)
    values = _defaults(settings) | (load_recipe(recipe) if recipe else {}) | _given(flags)
    overrides = (*values.pop("overrides", ()), *overrides)
    values |= _env_count(values.get("num_envs"))
    values["gpus"] = _RANKS.get(values.get("gpus"), values.get("gpus"))
    values["assets"] = _assets(str(values.get("assets") or "auto"), cwd)
    if not values.get("task"):
        raise RequestError("no task was named", "add --task NAME; see the names with: spark-rl list-envs")
    return Request(
        action=action, cwd=str(cwd), options=options, overrides=overrides, passthrough=tuple(passthrough), **values
    )


def explaining(
    given: Sequence[str], *, task: str | None, library: str | None, algorithm: str | None, cwd: Path
) -> tuple[Request, str]:
    """Return the request whose configuration is to be explained, and the key or text that was asked for.

    Raises:
        RequestError: No task is named, or more than one key.
    """
    prefixes = [word for word in given if not words.is_override(word)]
    if len(prefixes) > 1:
        raise RequestError(f"one key at a time, not {' and '.join(prefixes)}", "name a prefix that both have")
    if not task:
        raise RequestError("no task was named", "add --task NAME; see the names with: spark-rl list-envs")
    selecting = tuple(word for word in given if words.is_override(word))
    request = Request(
        action="train", task=task, cwd=str(cwd), library=library, algorithm=algorithm, overrides=selecting
    )
    return request, "".join(prefixes)


def _given(flags: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flags.items() if value is not None}


def _env_count(given: str | int | None) -> dict[str, Any]:
    """Return the request's words for a number of environments or ``auto``.

    Raises:
        RequestError: It is neither.
    """
    if given == "auto":
        return {"num_envs": None, "auto_envs": True}
    try:
        return {"num_envs": None if given is None else int(given)}
    except ValueError as error:
        raise RequestError(
            f"--num-envs must be a whole number or auto, not {given!r}", "see spark-rl train --help"
        ) from error


def _defaults(settings: Settings) -> dict[str, Any]:
    others = ("isaaclab", "tasks")
    values = {entry.name: entry.value for entry in settings.entries if not entry.name.startswith(("slurm_", *others))}
    return _given(values)


def _assets(text: str, cwd: Path) -> str:
    """Return ``auto``, ``nvidia``, ``embedded``, or the absolute path of a folder.

    Raises:
        RequestError: The folder does not exist.
    """
    if text in ("auto", "nvidia", "embedded"):
        return text
    folder = Path(cwd, Path(text).expanduser())
    if not folder.is_dir():
        raise RequestError(f"--assets {text} is no folder", "auto, nvidia, embedded, or the folder that holds Isaac/")
    return str(folder)
