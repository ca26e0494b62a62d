"""Settings and recipes: TOML files, SPARK_RL_* variables and flags, each value with where it comes from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl import keys
from spark_rl.errors import RequestError
from spark_rl.model import Setting, Settings
from spark_rl.words import is_override

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "spark-rl.toml"

KEYS: Mapping[str, type] = {
    "isaaclab": str,
    "library": str,
    "device": str,
    "headless": bool,
    "assets": str,
    "tasks": str,
    "slurm_partition": str,
    "slurm_account": str,
    "slurm_time": str,
    "slurm_gres": str,
    "slurm_cpus": int,
    "slurm_setup": str,
    "slurm_container": str,
    "slurm_sbatch": str,
}
"""Settings a file or SPARK_RL_<KEY> may hold.

The Isaac Lab to use, folders of task projects (a colon between two), and defaults of the flags of the same name. Of
jobs on Slurm: partition, account, time limit, what a GPU is called (``gpu:h100``), CPUs of a node, lines of shell
before the command, words before it that start a container, and more options of sbatch.
"""

ASSETS = ("auto", "nvidia", "embedded")
"""Values of the setting ``assets`` that are no path."""

RECIPE_KEYS: Mapping[str, type] = {
    "task": str,
    "library": str,
    "algorithm": str,
    "num_envs": int,
    "max_iterations": int,
    "seed": int,
    "device": str,
    "headless": bool,
    "video": bool,
    "run_name": str,
    "checkpoint": str,
    "overrides": list,
}
"""What a recipe may say; each key means what the flag of that name means."""

RECIPE_WORDS: Mapping[str, str] = {"num_envs": "auto"}
"""The one word that a recipe may say in place of a number."""


def user_file() -> Path:
    """Return the settings file of the user's config folder (``~/.config/spark-rl/spark-rl.toml`` on Linux)."""
    return _xdg("XDG_CONFIG_HOME", ".config") / FILE


def cache_folder() -> Path:
    """Return the user's folder for what can be made again (``~/.cache/spark-rl``)."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def _xdg(variable: str, default: str) -> Path:
    # platformdirs would give the same for 3 ms of every command.
    return Path(os.environ.get(variable) or Path.home() / default) / "spark-rl"


def project_file(cwd: Path) -> Path | None:
    """Return the nearest ``spark-rl.toml`` in ``cwd`` or above it."""
    return next((folder / FILE for folder in (cwd, *cwd.parents) if _is_file(folder / FILE)), None)


def load(cwd: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Read all settings; later sources win: project file, user's file, environment.

    Raises:
        RequestError: A file is unreadable, or holds an unknown key or a value of the wrong type.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Setting] = {name: Setting(name=name, value=None, source="default") for name in KEYS}
    for file in (project_file(cwd), user_file()):
        if file is not None and _is_file(file):
            for name, value in keys.checked(read_document(file), KEYS, str(file)).items():
                values[name] = Setting(name=name, value=_located(name, value, file), source=str(file))
    for name, kind in KEYS.items():
        variable = f"SPARK_RL_{name.upper()}"
        if environ.get(variable):
            values[name] = Setting(name=name, value=_from_text(environ[variable], kind, variable), source=variable)
    return Settings(entries=tuple(values.values()))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may not be searched
        return False


def _located(name: str, value: Any, file: Path) -> Any:
    """Return a setting's value; a relative path in a file starts at that file's folder."""
    if name == "tasks":
        folders = (file.parent / Path(folder).expanduser() for folder in value.split(os.pathsep) if folder)
        return os.pathsep.join(os.path.normpath(folder) for folder in folders)
    if name == "isaaclab" or (name == "assets" and value not in ASSETS):
        return os.path.normpath(file.parent / Path(value).expanduser())
    return value


def load_recipe(file: Path) -> dict[str, Any]:
    """Read a recipe.

    Raises:
        RequestError: The file is missing or unreadable, or holds an unknown key or a value of the wrong type.
    """
    return recipe(read_document(file), str(file))


def recipe(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a table as a recipe.

    Raises:
        RequestError: It holds an unknown key or a value of the wrong type; ``where`` names it.
    """
    values = keys.checked(table, RECIPE_KEYS, where, RECIPE_WORDS)
    words = values.get("overrides", [])
    if not all(isinstance(word, str) and is_override(word) for word in words):
        raise RequestError(f"overrides in {where} is not a list of KEY=VALUE texts", 'overrides = ["env.decimation=4"]')
    return values


def read_document(file: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        RequestError: The file is missing or unreadable, or no TOML.
    """
    import tomllib

    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{file} cannot be read: {_reason(error)}", "give the path of a TOML file") from error
    except tomllib.TOMLDecodeError as error:
        raise RequestError(f"{file} is not valid TOML: {error}", 'write one key = "value" a line') from error


_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _from_text(text: str, kind: type, variable: str) -> str | bool | int:
    if kind is int:
        if not text.isdecimal():
            raise RequestError(f"{variable} must be a whole number, not {text!r}", f"for example {variable}=8")
        return int(text)
    if kind is not bool:
        return text
    if text.lower() not in _WORDS:
        raise RequestError(f"{variable} must be true or false, not {text!r}", f"{variable}=1 or {variable}=0")
    return _WORDS[text.lower()]


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "it is not UTF-8 text"
