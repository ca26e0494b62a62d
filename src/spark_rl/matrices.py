"""Files of a matrix on disk: those that come with spark-rl, yours, and the reports that are written."""

from __future__ import annotations

import json
import os
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import matrix, regressions
from spark_rl.errors import CheckError, RequestError
from spark_rl.text import either

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from spark_rl.matrix import Cell

DEFAULT = "smoke"
_SHIPPED = Path(__file__).parent / "data" / "matrices"


def shipped() -> tuple[str, ...]:
    """Return the names of the matrices that come with spark-rl."""
    return tuple(sorted(file.stem for file in _SHIPPED.glob("*.toml")))


def load(name: str) -> tuple[str, tuple[Cell, ...]]:
    """Return a matrix's file and cells: a file of yours, or one that comes with spark-rl, by its name.

    Raises:
        RequestError: It cannot be read, or is no matrix.
    """
    try:
        file = Path(name).expanduser()
        if not file.is_file() and file.name == name and file.stem in shipped():
            file = _SHIPPED / f"{file.stem}.toml"
        document = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, RuntimeError, UnicodeDecodeError) as error:  # RuntimeError: ~ of somebody who is not there
        why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", error)
        hint = f"give the path of a TOML file, or {either(shipped())}"
        raise RequestError(f"the matrix {name} cannot be read: {why}", hint) from error
    except tomllib.TOMLDecodeError as error:
        raise RequestError(f"{name} is not valid TOML: {error}", 'write one key = "value" a line') from error
    return file.name, matrix.parse(document, file.name)


def load_report(file: Path) -> Mapping[str, Any]:
    """Return an earlier report, as ``smoke --json`` printed it.

    Raises:
        RequestError: It cannot be read, or is none.
    """
    try:
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise RequestError(f"the baseline {file} cannot be read: {error.strerror}", "write one with --json") from error
    except (ValueError, RecursionError):
        document = None
    return regressions.check(document, str(file))


def write(file: Path, text: str) -> None:
    """Write a report as a whole, in place of an older one.

    Raises:
        CheckError: It cannot be written.
    """
    if not file.name:
        raise CheckError(f"the report cannot be written to {file}", "name a file")
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text, encoding="utf-8")
        new.replace(file)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise CheckError(f"the report {file} cannot be written: {error.strerror}", "name another file") from error


def append_summary(text: str) -> None:
    """Add text to the summary of a GitHub job, where this is one; it never raises for what a disk does."""
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if file:
        with suppress(OSError), Path(file).open("a", encoding="utf-8") as summary:
            summary.write(text)


def tail(file: Path, lines: int) -> tuple[str, ...]:
    """Return the last lines of a text file that are not blank, none where there is no such file."""
    with suppress(OSError), file.open("rb") as source:
        source.seek(max(0, source.seek(0, os.SEEK_END) - 400 * lines))
        text = source.read().decode("utf-8", "replace")
        return tuple(line.rstrip() for line in text.splitlines() if line.strip())[-lines:]
    return ()
