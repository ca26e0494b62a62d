"""The user's folders, by the XDG base directory specification."""

from __future__ import annotations

import os
from pathlib import Path


def config() -> Path:
    """Return the folder of the user's settings, ``~/.config/spark-rl``."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "spark-rl"


def cache() -> Path:
    """Return the folder for what can be made again, ``~/.cache/spark-rl``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spark-rl"
