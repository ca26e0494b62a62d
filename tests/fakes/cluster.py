"""A Slurm that runs nothing: programs of its names that keep what they are given, and say what a test wants.

Below the folder, ``jobs/N`` holds the script, ``jobs/N.run`` the number of the record and ``jobs/N.env`` the
environment; ``queue`` has lines of
``ID|STATE|REASON``, ``cancelled`` the ids that scancel was given. A file ``refuse`` holds what sbatch complains of.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from fakes import lab

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_SBATCH = """#!/bin/sh
[ ! -f "{0}/refuse" ] || {{ echo "sbatch: error: $(cat "{0}/refuse")" >&2; exit 1; }}
number=$(($(ls "{0}/jobs" | grep -c '^[0-9]*$') + 71))
cat > "{0}/jobs/$number"
printf '%s' "$SPARK_RL_RUN" > "{0}/jobs/$number.run"
"{1}" -I -S -c 'import json, os; print(json.dumps(dict(os.environ)))' > "{0}/jobs/$number.env"
echo "$number|PENDING|Priority" >> "{0}/queue"
echo "$number;cluster"
"""
_SQUEUE = """#!/bin/sh
echo "$*" >> "{0}/asked"
[ ! -f "{0}/deaf" ] || {{ echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1; }}
for word; do case $word in --jobs=*) ids=$(echo "${{word#--jobs=}}" | tr , '|') ;; esac; done
grep -E "^($ids)(_[0-9]+)?[|]" "{0}/queue" ||
  {{ echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1; }}
"""
_SCANCEL = """#!/bin/sh
echo "$1" >> "{0}/cancelled"
sed -i "s/^$1|.*/$1|CANCELLED|/" "{0}/queue"
"""
_SACCT = """#!/bin/sh
[ -f "{0}/accounts" ] || {{ echo 'Slurm accounting storage is disabled' >&2; exit 1; }}
cat "{0}/accounts"
"""


class Cluster:
    """The programs and what they were given."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        (folder / "jobs").mkdir(parents=True)
        (folder / "bin").mkdir()
        for name, text in (("sbatch", _SBATCH), ("squeue", _SQUEUE), ("scancel", _SCANCEL), ("sacct", _SACCT)):
            lab.program(folder / "bin" / name, text.format(folder, sys.executable))
        (folder / "queue").touch()
        monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def read(self, name: str) -> str:
        """Return what a file holds, nothing when it is not there."""
        file = self.folder / name
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.folder / name).write_text(text, encoding="utf-8")
