"""Assets with Isaac Lab's own configurations and retriever: told, fetched, and trained with when their host is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import asset_host
from spark_rl import assets

pytestmark = pytest.mark.real

TASK = ("--task", "Isaac-Cartpole-Direct", "--isaaclab", sys.prefix, "--json")
FILES = sorted(assets.EMBEDDED_TASKS["Isaac-Cartpole-Direct"])


def spark_rl(cwd: Path, *words: str, root: str | None = None) -> tuple[int, dict[str, Any]]:
    """Run a command and return its exit code and the document it printed."""
    environ = os.environ | ({"ISAACSIM_ASSET_ROOT": root} if root else {})
    argv = [sys.executable, "-m", "spark_rl", *words, *TASK]
    done = subprocess.run(argv, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr[-3000:]
    return done.returncode, json.loads(done.stdout)


def test_the_embedded_assets_are_all_that_cartpole_needs(tmp_path: Path) -> None:
    code, document = spark_rl(tmp_path, "assets", "status", "--assets", "embedded")
    assert (code, document["complete"]) == (0, True)
    assert {file["path"]: file["state"] for file in document["files"]} == dict.fromkeys(FILES, "present")


def test_what_was_fetched_trains_when_its_host_is_gone(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with asset_host.serving(Path(assets.root())) as address:
        code, document = spark_rl(tmp_path, "assets", "status", root=address)
        assert (code, {file["state"] for file in document["files"]}) == (0, {"reachable"})
        code, document = spark_rl(tmp_path, "assets", "fetch", "--to", str(copy), root=address)
        assert (code, [file["path"] for file in document["files"]], document["failed"]) == (0, FILES, [])
        cut = copy / FILES[0]
        cut.write_bytes(cut.read_bytes()[:100])
        code, document = spark_rl(tmp_path, "assets", "fetch", "--to", str(copy), root=address)
        assert (code, {file["path"]: file["kept"] for file in document["files"]}) == (
            0,
            {FILES[0]: False, FILES[1]: True},
        )
    for name in FILES:
        assert (copy / name).read_bytes() == Path(assets.root(), name).read_bytes()

    train = ("train", "--library", "rsl_rl", "--num-envs", "16", "--max-iterations", "2", "--assets", str(copy))
    code, outcome = spark_rl(tmp_path, *train)
    assert (code, outcome["state"], outcome["iteration"]) == (0, "succeeded", 2), outcome

    (copy / FILES[1]).unlink()
    code, document = spark_rl(tmp_path, *train)
    assert (code, document["error"]["message"].rpartition(" ")[2]) == (1, FILES[1])
