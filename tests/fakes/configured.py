"""An Isaac Lab whose Python answers spark-rl's configuration driver with a recorded document."""

from __future__ import annotations

import json
from pathlib import Path
from shlex import quote
from typing import Any

import stand_in
from fakes import lab

FOLDER = Path(__file__).parents[1] / "configurations"


def document(name: str = "cartpole-direct", *, presets: bool = False) -> dict[str, Any]:
    """Return a recorded document, with the resolution under its preset where ``presets`` is True."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found if presets else {**found, "resolutions": found["resolutions"][:1]}


class Lab:
    """An environment with Isaac Lab 3.0.0; its Python trains like the fake trainer, too.

    ``sources`` is a file that the document depends on, ``complaint`` what the Python says instead of answering.
    """

    def __init__(self, folder: Path, name: str = "cartpole-direct") -> None:
        self.path = stand_in.kitless(folder)
        self.source = folder / "task.py"
        self.source.write_text("original", encoding="utf-8")
        for answer, presets in (("plain", False), ("presets", True)):
            self._write(answer, document(name, presets=presets))
        lab.program(self.path / "bin" / "python", _PYTHON.format(folder=quote(str(folder)), trainer=lab.PYTHON))

    def _write(self, answer: str, value: dict[str, Any]) -> None:
        stat = self.source.stat()
        value["sources"] = [[str(self.source), stat.st_mtime_ns, stat.st_size]]
        (self.path / f"{answer}.json").write_text(json.dumps(value), encoding="utf-8")

    def complain(self, text: str) -> None:
        """Make its Python fail with a text on stderr; nothing ends that."""
        (self.path / "complaint").write_text(text, encoding="utf-8")

    def fail(self, message: str) -> None:
        """Make the driver itself say that it could not resolve the task."""
        for answer in ("plain", "presets"):
            value = {"schema": "spark-rl/configuration/1", "error": message}
            (self.path / f"{answer}.json").write_text(json.dumps(value), encoding="utf-8")

    @property
    def asked(self) -> list[dict[str, Any]]:
        """What the driver was asked, in order."""
        notes = self.path / "asked"
        return [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines()] if notes.exists() else []


_PYTHON = """#!/bin/sh
folder={folder}
case "$1" in
*/drivers/configs.py)
    echo "$2" >> "$folder/asked"
    if [ -f "$folder/complaint" ]; then cat "$folder/complaint" >&2; exit 1; fi
    case "$2" in *newton_kamino*) answer=presets ;; *) answer=plain ;; esac
    exec cp "$folder/$answer.json" "$3" ;;
esac
exec {trainer}
"""
