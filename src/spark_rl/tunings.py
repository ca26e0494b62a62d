"""The env counts that were measured on this host, one small file for each thing they are good for."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from spark_rl import codec
from spark_rl.errors import CheckError
from spark_rl.tuning import Tuning

if TYPE_CHECKING:
    from pathlib import Path

    from spark_rl.tuning import Key

SCHEMA = "spark-rl/tuning/1"


def load(state: Path, key: Key) -> Tuning | None:
    """Return what was measured for exactly ``key``, None where nothing was or its file cannot be read."""
    found = _read(_file(state, key))
    return found if found is not None and found.key == key else None


def alike(state: Path, key: Key) -> Tuning | None:
    """Return what was measured last on another host that has the same GPU, for all else that ``key`` says.

    Records are shared where home folders are, as on a cluster; CPUs of two hosts are not alike.
    """
    if key.device == "cpu":
        return None
    found = (_read(file) for file in (state / "tunings").glob(f"{key.library}-*.json"))
    same = (one for one in found if one is not None and replace(one.key, host=key.host) == key)
    return max(same, key=lambda one: one.at, default=None)


def save(state: Path, tuning: Tuning) -> Path:
    """Remember a measurement in the state folder, in place of an older one, and return its file.

    Raises:
        CheckError: The file cannot be written; what was there before still is.
    """
    file = _file(state, tuning.key)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    document: dict[str, Any] = {"schema": SCHEMA} | asdict(tuning)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        new.replace(file)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise CheckError(
            f"the measurement cannot be remembered in {file}: {error.strerror}",
            "name a folder for records with SPARK_RL_STATE",
        ) from error
    return file


def _read(file: Path) -> Tuning | None:
    try:
        found = codec.read(Tuning, json.loads(file.read_bytes()))
    except (OSError, ValueError, RecursionError):
        return None
    return found if found.knee > 0 else None


def _file(state: Path, key: Key) -> Path:
    """Return the file of a key; a digest keeps apart what the names of tasks and machines cannot."""
    digest = hashlib.sha256(json.dumps(asdict(key), sort_keys=True).encode()).hexdigest()[:12]
    return state / "tunings" / f"{key.library}-{digest}.json"
