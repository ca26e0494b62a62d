"""What a release says of itself: one version, and a changelog that has it. The build itself is in tests/real."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from spark_rl import __version__

TOP = Path(__file__).parent.parent
HEADING = re.compile(r"^## (?:Unreleased|(\d+\.\d+\.\d+) - \d{4}-\d{2}-\d{2})$")


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def headings() -> list[str]:
    text = (TOP / "CHANGELOG.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("## ")]


def test_the_version_is_in_one_place() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/spark_rl/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_the_changelog_goes_down_to_the_first_version_and_is_not_ahead() -> None:
    found = [HEADING.match(line) for line in headings()]
    assert all(found), headings()
    versions = [numbers(match[1]) for match in found if match and match[1]]
    assert versions == sorted(set(versions), reverse=True)
    assert headings().count("## Unreleased") <= 1
    assert "## Unreleased" not in headings()[1:]
    # What is not released yet is told under Unreleased, whatever its number will be.
    assert not versions or versions[0] <= numbers(__version__)
    assert "## Unreleased" in headings() or (versions and versions[0] == numbers(__version__))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in ("scripts/notes.py", "src/spark_rl/__init__.py", "CHANGELOG.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, tmp_path / name)
    return tmp_path


def notes(clone: Path, *words: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, clone / "scripts/notes.py", *words], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_the_notes_of_a_release_are_its_section_alone(clone: Path) -> None:
    parts = (
        "# Changelog",
        "## Unreleased\n- later",
        f"## {__version__} - 2027-01-15",
        "### Added\n- now",
        "## 0.0.1\n- old",
    )
    (clone / "CHANGELOG.md").write_text("\n\n".join(parts))
    assert notes(clone) == (0, "### Added\n- now\n", "")
    assert notes(clone, f"v{__version__}") == (0, "### Added\n- now\n", "")


@pytest.mark.parametrize("tag", [__version__, "v99.0.0", "main"])
def test_a_tag_that_is_not_the_version_is_refused(clone: Path, tag: str) -> None:
    (clone / "CHANGELOG.md").write_text(f"## {__version__} - 2027-01-15\n- now\n")
    code, out, err = notes(clone, tag)
    assert (code, out) == (1, "")
    assert f"the tag is {tag}, and the version is {__version__}" in err


@pytest.mark.parametrize(
    "log", ["## Unreleased\n- now\n", f"## {__version__} - 2027-01-15\n\n## 0.0.1 - 2026-01-01\n- old\n"]
)
def test_a_release_that_the_changelog_does_not_tell_of_is_refused(clone: Path, log: str) -> None:
    (clone / "CHANGELOG.md").write_text(log)
    code, out, err = notes(clone)
    assert (code, out) == (1, "")
    assert f"CHANGELOG.md says nothing of {__version__}" in err
