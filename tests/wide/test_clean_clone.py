"""A clean clone becomes a trained robot with one command, as the README promises."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import stand_in

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.wide
TOP = Path(__file__).parent.parent.parent
LIMIT_S = 3600.0


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    if not (TOP / ".git").exists():
        pytest.skip("this source tree is no git clone")
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", TOP, tmp_path / "clone"], check=True)
    yield tmp_path / "clone"
    # Isaac Lab and pip's cache: more than anyone wants to keep of a test.
    shutil.rmtree(tmp_path)


def test_the_demo_on_a_clean_clone(clone: Path) -> None:
    home = clone.parent / "home"
    stand_in.checkout(home / "IsaacLab", "2.3.2")
    places = {"HOME": home, "XDG_CACHE_HOME": home / ".cache", "PYTHON": os.path.realpath(sys.executable)}
    env = os.environ | {name: str(value) for name, value in places.items()}
    demo = subprocess.run([clone / "scripts" / "demo"], env=env, capture_output=True, text=True, timeout=LIMIT_S)
    assert demo.returncode == 0, demo.stderr[-4000:]
    assert "The trained policy balanced the pole for " in demo.stdout
    again = subprocess.run([clone / "scripts" / "setup"], env=env, capture_output=True, text=True, timeout=10)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    left = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True)
    assert left.stdout == ""
