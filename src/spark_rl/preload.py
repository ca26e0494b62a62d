"""The wrapper that carries LD_PRELOAD past Isaac Sim's aarch64 ``python.sh``."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from spark_rl.errors import CheckError

_SCRIPT = """\
#!/bin/sh
# Written by spark-rl. Isaac Sim's python.sh has just replaced LD_PRELOAD by its own library: append the caller's.
LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}$SPARK_RL_LD_PRELOAD"
export LD_PRELOAD
exec "$SPARK_RL_PYTHONEXE" "$@"
"""


def wrapper_path(cache: Path) -> Path:
    """Return where the wrapper belongs: in ``cache``, or in a path without spaces, where python.sh splits PYTHONEXE."""
    cache = cache.absolute()
    split = any(letter.isspace() or letter in "*?[" for letter in str(cache))
    return (_private_folder() if split else cache) / "python-with-preload"


def write_wrapper(path: Path) -> None:
    """Write the wrapper unless it is there already.

    Raises:
        CheckError: The folder cannot be written, or belongs to somebody else.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.parent.lstat().st_uid != os.getuid():
            raise CheckError(f"{path.parent} belongs to another user", "set XDG_CACHE_HOME to a folder of your own")
        if path.is_file() and path.read_bytes() == _SCRIPT.encode() and os.access(path, os.X_OK):
            return
        import tempfile

        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            file.write(_SCRIPT)
        Path(file.name).chmod(stat.S_IRWXU)
        Path(file.name).replace(path)
    except OSError as error:
        raise CheckError(
            f"{path} cannot be written: {error.strerror}", "set XDG_CACHE_HOME to a writable folder"
        ) from error


def _private_folder() -> Path:
    return Path(f"/tmp/spark-rl-{os.getuid()}")  # noqa: S108 - its owner is checked before anything is written
