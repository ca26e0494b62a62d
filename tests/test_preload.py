"""On aarch64 the system's libgomp is really mapped into the simulator's interpreter, whatever python.sh does."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from fakes import lab
from spark_rl import preload, settings
from spark_rl.errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Mapping

SPARK = json.loads((Path(__file__).parent / "hosts" / "dgx-spark.json").read_text(encoding="utf-8"))

NOTHING: Mapping[str, str] = MappingProxyType({})

OVERWRITES = 'export LD_PRELOAD="{carb}"'
"""What python.sh of Isaac Sim 5.1.0 and 6.0.0 does on aarch64."""

KEEPS = 'export LD_PRELOAD="${{LD_PRELOAD:+$LD_PRELOAD:}}{carb}"'
"""What 6.0.1 does."""

PYTHON_SH = """\
#!/bin/bash
set -e
SCRIPT_DIR="$( cd "$( dirname "${{BASH_SOURCE[0]}}" )" && pwd )"
{preload}
python_exe=${{PYTHONEXE:-"$SCRIPT_DIR/kit/python/bin/python3"}}
$python_exe "$@"
"""


class Machine:
    """A machine with an Isaac Sim in a 2.3.2 checkout, and three libraries that nobody else would load."""

    def __init__(self, top: Path, folder: str = "IsaacLab") -> None:
        self.top = top
        self.notes = lab.Notes(top / "notes")
        self.carb = library("librt.so.1", top / "sim" / "libcarb.so")
        self.gomp = library("libresolv.so.2", top / "system" / "libgomp.so.1")
        self.users = library("libanl.so.1", top / "own" / "libtcmalloc.so.4")
        self.checkout = lab.checkout(top / folder)
        run = f'#!/bin/bash\n[ "$1" = -p ] && shift\n"{self.checkout}/_isaac_sim/python.sh" -I -S {lab.TRAINER} "$@"\n'
        lab.program(self.checkout / "isaaclab.sh", run)
        interpreter = self.checkout / "_isaac_sim" / "kit" / "python" / "bin" / "python3"
        interpreter.parent.mkdir(parents=True)
        interpreter.symlink_to(os.path.realpath(sys.executable))

    def python_sh(self, line: str) -> None:
        text = PYTHON_SH.format(preload=line.format(carb=self.carb))
        lab.program(self.checkout / "_isaac_sim" / "python.sh", text)

    def train(self, *, machine: str = "aarch64", env: Mapping[str, str] = NOTHING, isaaclab: Path | None = None) -> Any:
        facts = SPARK["host"] | {"machine": machine, "libgomp": str(self.gomp)}
        host = self.top / "host.json"
        host.write_text(json.dumps(SPARK | {"host": facts}), encoding="utf-8")
        task = ("--task", "Isaac-Cartpole-Direct-v0", "--library", "rsl_rl", "--assets", "nvidia")
        code, _, err = lab.call(
            *("train", *task, "--isaaclab", isaaclab or self.checkout, "--host", host),
            cwd=self.top,
            env=lab.environ("train", self.notes, **env),
        )
        assert code == 0, err
        return self.notes.started()


def library(name: str, copy: Path) -> str:
    """Copy a small library of this machine's libc to ``copy``."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    libc = next(line.split()[5] for line in maps if Path(line.split()[-1]).name in ("libc.so.6", "libc-2.31.so"))
    copy.parent.mkdir(parents=True)
    return str(shutil.copy(Path(libc).with_name(name), copy))


def test_both_libraries_are_mapped_where_python_sh_overwrites_the_variable(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.python_sh(OVERWRITES)
    seen = machine.train()
    assert {machine.carb, machine.gomp} <= set(seen["mapped"])
    assert seen["environ"]["LD_PRELOAD"] == f"{machine.carb}:{machine.gomp}"


def test_without_the_wrapper_the_value_would_be_lost(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.python_sh(OVERWRITES)
    seen = machine.train(machine="x86_64", env={"LD_PRELOAD": machine.gomp})
    assert machine.carb in seen["mapped"]
    assert machine.gomp not in seen["mapped"]


def test_spaces_in_home_and_checkout(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "my robots/Isaac Lab")
    machine.python_sh(OVERWRITES)
    home = tmp_path / "home of ünal"
    home.mkdir()
    seen = machine.train(env={"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")})
    assert {machine.carb, machine.gomp} <= set(seen["mapped"])
    assert seen["cwd"] == str(machine.checkout)


def test_the_users_own_libraries_are_kept(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.python_sh(OVERWRITES)
    seen = machine.train(env={"LD_PRELOAD": machine.users})
    assert {machine.carb, machine.gomp, machine.users} <= set(seen["mapped"])
    assert seen["environ"]["LD_PRELOAD"] == f"{machine.carb}:{machine.users}:{machine.gomp}"


def test_the_users_own_libgomp_is_enough(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.python_sh(OVERWRITES)
    own = library("libdl.so.2", tmp_path / "conda" / "libgomp.so.1")
    seen = machine.train(env={"LD_PRELOAD": own})
    assert own in seen["mapped"]
    assert machine.gomp not in seen["mapped"]


def test_the_users_own_interpreter_is_honoured(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.python_sh(OVERWRITES)
    own = lab.program(tmp_path / "my-python", f'#!/bin/sh\nOWN_PYTHON=yes exec {sys.executable} "$@"\n')
    seen = machine.train(env={"PYTHONEXE": str(own)})
    assert seen["environ"]["OWN_PYTHON"] == "yes"
    assert {machine.carb, machine.gomp} <= set(seen["mapped"])


def test_a_python_sh_that_keeps_the_variable_needs_no_wrapper(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.python_sh(KEEPS)
    seen = machine.train()
    assert {machine.carb, machine.gomp} <= set(seen["mapped"])
    assert "PYTHONEXE" not in seen["environ"]


def test_a_package_gets_the_variable_directly(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    seen = machine.train(isaaclab=lab.package(tmp_path / "env"))
    assert machine.gomp in seen["mapped"]
    assert seen["environ"]["LD_PRELOAD"] == machine.gomp
    assert "PYTHONEXE" not in seen["environ"]


def test_x86_64_is_left_alone(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.python_sh(OVERWRITES)
    seen = machine.train(machine="x86_64")
    assert machine.gomp not in seen["mapped"]
    assert seen["environ"]["LD_PRELOAD"] == machine.carb
    assert not {"PYTHONEXE", "SPARK_RL_LD_PRELOAD"} & set(seen["environ"])


def test_the_wrapper_is_written_once(tmp_path: Path) -> None:
    wrapper = tmp_path / "cache" / "python-with-preload"
    preload.write_wrapper(wrapper)
    first = wrapper.stat()
    preload.write_wrapper(wrapper)
    assert wrapper.stat() == first
    assert first.st_mode & 0o777 == 0o700
    assert [file.name for file in wrapper.parent.iterdir()] == [wrapper.name]


@pytest.mark.parametrize("wrong", [b"#!/bin/sh\n", b"\xff\xfe"])
def test_a_wrapper_of_another_version_is_replaced(tmp_path: Path, wrong: bytes) -> None:
    wrapper, right = tmp_path / "a" / "wrapper", tmp_path / "b" / "wrapper"
    for path in (wrapper, right):
        preload.write_wrapper(path)
    wrapper.write_bytes(wrong)
    preload.write_wrapper(wrapper)
    assert wrapper.read_bytes() == right.read_bytes()


def test_a_wrapper_that_cannot_be_written_is_a_failed_check(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    with pytest.raises(CheckError, match="cannot be written") as caught:
        preload.write_wrapper(tmp_path / "cache" / "wrapper")
    assert "XDG_CACHE_HOME" in str(caught.value.hint)


def test_a_folder_of_somebody_else_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    with pytest.raises(CheckError, match="belongs to another user"):
        preload.write_wrapper(tmp_path / "cache" / "wrapper")


@pytest.mark.parametrize("folder", ["with space", "tab\there", "star*", "[x]"])
def test_the_wrapper_lies_where_an_unquoted_word_stays_one(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "plain"))
    assert preload.wrapper_path(settings.cache_folder()).is_relative_to(tmp_path / "plain")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / folder))
    assert preload.wrapper_path(settings.cache_folder()) == Path(f"/tmp/spark-rl-{os.getuid()}/python-with-preload")
