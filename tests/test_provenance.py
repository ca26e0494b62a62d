"""What a run is made of: versions from the names of folders, and git without touching a thing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import stand_in
from planning import checkout, package
from spark_rl import installations, provenance
from spark_rl.external import Project

PROJECT = Project(path="/p", roots=("/p",), packages=("mine",), modules=("mine",))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "ada@example.org")
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "trunk")
    return folder


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, **files: str) -> str:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "x")
    return git(folder, "rev-parse", "HEAD")


def test_where_a_task_comes_from() -> None:
    lab, env = checkout("2.3.2"), package()
    assert provenance.source_folder(PROJECT, lab, "/here") == Path("/p")
    assert provenance.source_folder(None, lab, "/here") == Path("/lab")
    assert provenance.source_folder(None, env, "/here") == Path("/here")


def test_a_clean_tree(repository: Path) -> None:
    made = commit(repository, a="1")
    (repository / "below").mkdir()
    assert provenance.git_state(repository / "below") == provenance.GitState(
        root=str(repository), commit=made, branch="trunk", dirty_count=0
    )


def test_a_dirty_tree(repository: Path) -> None:
    commit(repository, a="1", b="2", c="3", **{"old name": "long enough to be found again\n" * 9})
    (repository / "a").write_text("new", encoding="utf-8")
    (repository / "b").unlink()
    git(repository, "mv", "old name", "né w")
    (repository / "x\ny").touch()
    state = provenance.git_state(repository)
    assert state is not None
    assert set(state.dirty) == {"a", "b", "né w", "x\ny"}
    assert state.dirty_count == 4


def test_many_dirty_paths_are_counted(repository: Path) -> None:
    for number in range(50):
        (repository / f"file-{number}").touch()
    state = provenance.git_state(repository)
    assert state is not None
    assert (len(state.dirty), state.dirty_count) == (20, 50)
    assert (state.commit, state.branch) == (None, "trunk")


def test_a_detached_head(repository: Path) -> None:
    made = commit(repository, a="1")
    git(repository, "checkout", "--quiet", "--detach")
    state = provenance.git_state(repository)
    assert state is not None
    assert (state.commit, state.branch) == (made, None)


@pytest.mark.parametrize(
    ("remote", "shown"),
    [
        ("https://github.com/a/b", "https://github.com/a/b"),
        ("https://ada:pass@github.com/a/b", "https://github.com/a/b"),
        ("https://ada:p@ss@github.com/a/b", "https://github.com/a/b"),
        ("https://ghp_token@github.com/a/b", "https://github.com/a/b"),
        ("git@github.com:a/b", "git@github.com:a/b"),
    ],
)
def test_a_remote_has_no_login(repository: Path, remote: str, shown: str) -> None:
    git(repository, "remote", "add", "origin", remote)
    state = provenance.git_state(repository)
    assert state is not None
    assert state.remote == shown


def test_nothing_is_written(repository: Path) -> None:
    commit(repository, a="1")
    index = repository / ".git" / "index"
    os.utime(repository / "a", (1, 1))
    before = (index.read_bytes(), index.stat().st_mtime_ns)
    state = provenance.git_state(repository)
    assert state is not None
    assert state.dirty_count == 0
    assert (index.read_bytes(), index.stat().st_mtime_ns) == before


def test_a_git_hook_around_it_does_not_mislead(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    state = provenance.git_state(repository)
    assert state is not None
    assert state.root == str(repository)


def test_where_there_is_no_repository_or_no_git(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.git_state(tmp_path) is None
    assert provenance.git_state(tmp_path / "missing") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git_state(repository) is None


def test_a_git_that_hangs_is_given_up(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    fake = tmp_path / "git"
    fake.write_text(f'#!/bin/sh\ncase "$*" in *status*) exec sleep 60;; esac\nexec {real} "$@"\n', encoding="utf-8")
    fake.chmod(0o755)
    made = commit(repository, a="1")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(provenance, "GIT_TIMEOUT_S", 1.0)
    state = provenance.git_state(repository)
    assert state is not None
    assert (state.commit, state.dirty, state.dirty_count) == (made, (), None)


def test_versions_of_an_environment(tmp_path: Path) -> None:
    env = stand_in.kitless(tmp_path / "env", rsl_rl_lib="5.5.1", torch="2.11.0+cu130", skrl="2.1.1")
    lab = installations.inspect(env)
    assert provenance.versions(lab, "rsl_rl", {}) == (
        ("isaaclab", "3.0.0"),
        ("rsl_rl", "5.5.1"),
        ("torch", "2.11.0+cu130"),
    )
    assert dict(provenance.versions(lab, "skrl", {}))["skrl"] == "2.1.1"
    assert "sb3" not in dict(provenance.versions(lab, "sb3", {}))


def test_versions_of_a_checkout_come_from_where_its_python_looks(tmp_path: Path) -> None:
    path = stand_in.checkout(tmp_path / "lab", "2.3.2")
    (path / "_isaac_sim" / "VERSION").write_text("5.1.0-rc.19+release.26219.9c81211b.gl\n", encoding="utf-8")
    bundled = path / "_isaac_sim" / "exts" / "omni.isaac.ml_archive" / "pip_prebundle"
    kit = path / "_isaac_sim" / "kit" / "python" / "lib" / "python3.11" / "site-packages"
    for folder in (bundled / "torch-2.7.0+cu128.dist-info", kit / "rsl_rl_lib-3.1.2.dist-info"):
        folder.mkdir(parents=True)
    lab = installations.inspect(path)
    known = dict(provenance.versions(lab, "rsl_rl", {}))
    assert known == {"isaaclab": "2.3.2", "isaacsim": "5.1.0-rc.19", "torch": "2.7.0+cu128", "rsl_rl": "3.1.2"}
    env = stand_in.environment(tmp_path / "env", {"torch": "2.9.0"}, python="3.11")
    active = dict(provenance.versions(lab, "rsl_rl", {"VIRTUAL_ENV": str(env)}))
    assert active == known | {"torch": "2.9.0"}


def test_nothing_is_known_of_an_installation_elsewhere() -> None:
    assert provenance.versions(checkout("2.3.2"), "rsl_rl", {}) == (("isaaclab", "2.3.2"),)
