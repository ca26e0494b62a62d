"""The default matrix proves this very installation, on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import junit_schema

pytestmark = pytest.mark.real

PLACE = ("--isaaclab", sys.prefix, "--assets", "embedded", "--device", "cpu")


def test_the_default_matrix_passes(tmp_path: Path) -> None:
    report, folder = tmp_path / "junit.xml", tmp_path / "kept"
    words = ("--json", "--junit", str(report), "--folder", str(folder), "--require", "*")
    argv = [sys.executable, "-m", "spark_rl", "smoke", *PLACE, *words]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr[-3000:]
    document = json.loads(done.stdout)
    junit_schema.agree(report, document)
    wrong = {cell["name"]: (cell["message"], cell["log"][-5:]) for cell in document["cells"] if cell["class"]}
    assert (done.returncode, wrong) == (0, {})
    assert document["counts"]["passed"] == len(document["cells"]) >= 8
    for cell in document["cells"]:
        assert cell["iterations"] == cell["train"], cell["name"]
        assert cell["env_steps_per_s"] > 0, cell["name"]
        assert cell["peak_memory_mib"] > 100, cell["name"]
        assert cell["played"]["steps"] == cell["play"]["steps"], cell["name"]
        assert cell["attempts"] == (2 if cell["kill"] else 1), cell["name"]
        assert cell["plan"]["task"]["requested"] == cell["task"], cell["name"]
    assert not _processes(folder)


def _processes(folder: Path) -> list[str]:
    """Return the processes that still have their working directory below a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if entry.readlink().is_relative_to(folder):
                found.append(entry.parent.name)
        except OSError:
            continue
    return found
