"""The scripts as programs: what a fresh machine lacks is told in one line, and a second run starts at once."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import pytest

from fakes.lab import finish, program, start

if TYPE_CHECKING:
    from collections.abc import Sequence

TOP = Path(__file__).parent.parent
SCRIPTS = ("scripts/setup", "scripts/demo", "scripts/test", ".ci/run")
TREE = (*SCRIPTS, "pyproject.toml", "README.md", "LICENSE", "src/spark_rl/__init__.py")
TOOLS = ("bash", "sh", "env", "dirname", "cksum", "cat", "grep", "tail", "df", "mktemp", "rm", "mkdir", "cp", "flock")
INDEX = "check that the package index can be reached (pip config list), then run this again"

PYTHON = """\
#!/bin/sh
case "$1" in
  --version) echo "Python 3.{minor}.4" ;;
  -c) exec {real} -I -S -c "import sys; sys.version_info = (3, {minor}, 4); {known}; $2" ;;
  -) exec {real} "$@" ;;
  -m)
    for last; do :; done
    case "$2 $3" in
      "venv --clear") echo "$0" >made-with; mkdir -p "$last/bin" && cp "$0" "$last/bin/python" ;;
      "pip install")
        echo "$last $LD_PRELOAD$PYTHONPATH" >>installed
        if [ -e pip-says ]; then cat pip-says; exit 1; fi
        echo "#!$PWD/.venv/bin/python" >.venv/bin/spark-rl && mkdir -p .venv/lib/python3.12/site-packages/isaaclab ;;
    esac ;;
esac
"""
"""A Python of any version: it makes environments of itself and installs nothing."""

KNOWN = "sys.modules.update(dict.fromkeys(('ensurepip', 'venv'), sys))"
"""Spares it the loading of what a real Python is asked for (test_a_real_pip_without_an_index)."""

BROKEN_SHIM = "#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n"


class Machine:
    """A clone of this repository, and a PATH with the usual tools but no Python."""

    def __init__(self, folder: Path) -> None:
        self.clone, self.bin, self.home = folder / "clone", folder / "bin", folder / "home"
        for name in TREE:
            (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TOP / name, self.clone / name)
        for place in (self.bin, self.home):
            place.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        self.env = {"PATH": str(self.bin), "HOME": str(self.home), "LD_PRELOAD": "", "PIP_RETRIES": "0"}
        self.df(100)

    def df(self, gib: int) -> None:
        (self.bin / "df").unlink()
        program(self.bin / "df", f"#!/bin/sh\necho ' Avail'\necho {gib * 2**20}\n")

    def python(self, path: Path, minor: int = 12) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        return program(path, PYTHON.format(minor=minor, real=quote(sys.executable), known=KNOWN))

    def run(self, *words: str) -> tuple[int, str, list[str]]:
        code, out, err = finish(start(*words, cwd=self.home, env=self.env))
        return code, out, err.splitlines()

    def setup(self, *kind: str) -> tuple[int, list[str]]:
        code, out, err = self.run(str(self.clone / "scripts" / "setup"), *kind)
        assert out == ""
        return code, err

    def read(self, name: str) -> str:
        return (self.clone / name).read_text(encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        (self.clone / name).write_text(text, encoding="utf-8")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "with space")


def told(lines: Sequence[str]) -> tuple[str, str]:
    """Return message and hint, the only two lines after what a script says it does."""
    talk = [line for line in lines if line.startswith(("making ", "installing "))]
    message, hint = lines[len(talk) :]
    assert message.startswith("error: ")
    assert hint.startswith("hint: ")
    return message.removeprefix("error: "), hint.removeprefix("hint: ")


@pytest.mark.parametrize("script", SCRIPTS)
def test_bash_can_read_it(script: str) -> None:
    assert subprocess.run(["bash", "-n", TOP / script], check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("scripts/setup",), "Python 3.12"),
        (("scripts/setup", "dev"), "Python 3.12"),
        (("scripts/setup", "wide"), "Python 3.12"),
        (("scripts/setup", "light"), "Python 3.11, 3.12 or 3.13"),
        (("scripts/demo",), "Python 3.12"),
        (("scripts/test",), "Python 3.12"),
        (("scripts/test", "--fast"), "Python 3.11, 3.12 or 3.13"),
    ],
)
def test_no_python_is_told(machine: Machine, words: tuple[str, ...], wanted: str) -> None:
    machine.python(machine.bin / "python3", 10)
    code, out, err = machine.run(str(machine.clone / words[0]), *words[1:])
    assert (code, out) == (1, "")
    message, hint = told(err)
    assert message == f"no {wanted} was found"
    assert "apt-get install python3.12-venv" in hint
    assert not (machine.clone / ".venv").exists()


def test_a_fresh_machine_is_set_up_and_the_second_run_does_nothing(machine: Machine) -> None:
    machine.python(machine.bin / "python3.12")
    code, err = machine.setup()
    assert code == 0
    assert [line.split()[0] for line in err] == ["making", "installing"]
    machine.env["PATH"] = str(machine.bin)
    (machine.bin / "python3.12").unlink()
    assert machine.setup() == (0, [])
    assert machine.read("installed").splitlines() == [".[isaaclab] "]


def test_a_changed_project_is_installed_again_into_the_same_environment(machine: Machine) -> None:
    machine.python(machine.bin / "python3.12")
    machine.setup()
    machine.write("pyproject.toml", machine.read("pyproject.toml") + "\n")
    assert machine.setup() == (0, [])
    assert machine.read("installed").count(".[isaaclab]") == 2


def test_an_environment_for_the_tests_serves_the_demo_but_not_the_reverse(machine: Machine) -> None:
    machine.python(machine.bin / "python3.12")
    kinds = (
        ("light", ".[dev]"),
        ("demo", ".[isaaclab]"),
        ("dev", ".[isaaclab,dev]"),
        ("wide", ".[isaaclab,dev,sweep]"),
    )
    for kind, installed in kinds:
        machine.setup(*(() if kind == "demo" else (kind,)))
        assert machine.read("installed").split()[-1] == installed
    for kind in ("light", "dev", "wide"):
        assert machine.setup(kind) == (0, [])
    assert len(machine.read("installed").split()) == 4


def test_nothing_of_the_callers_python_reaches_the_installation(machine: Machine) -> None:
    machine.python(machine.bin / "python3.12")
    machine.env |= {"LD_PRELOAD": "/nowhere/libgomp.so.1", "PYTHONPATH": "/opt/ros/lib/python3.10/site-packages"}
    code, out, err = finish(start(machine.clone / "scripts" / "setup", cwd=machine.home, env=machine.env))
    assert (code, out) == (0, ""), err
    assert machine.read("installed") == ".[isaaclab] \n"


def test_a_broken_shim_is_passed_over(machine: Machine) -> None:
    program(machine.bin / "python3.12", BROKEN_SHIM)
    machine.python(machine.bin / "python3", 12)
    assert machine.setup()[0] == 0
    assert machine.read("made-with").strip() == str(machine.bin / "python3")


@pytest.mark.parametrize("root", ["home", "variable", "command"])
def test_a_pyenv_version_that_is_not_active_is_found(machine: Machine, root: str) -> None:
    program(machine.bin / "python3.12", BROKEN_SHIM)
    machine.python(machine.bin / "python3", 10)
    folder = machine.home / (".pyenv" if root == "home" else "my pyenv")
    for version, minor in (("3.1.4", 1), ("3.11.9", 11), ("3.12.4", 12)):
        python = machine.python(folder / "versions" / version / "bin" / "python", minor)
    if root == "variable":
        machine.env["PYENV_ROOT"] = str(folder)
    if root == "command":
        program(machine.bin / "pyenv", f'#!/bin/sh\n[ "$1" = root ] && echo "{folder}"\n')
    assert machine.setup()[0] == 0
    assert machine.read("made-with").strip() == str(python)


def test_a_python_of_uv_is_found(machine: Machine) -> None:
    python = machine.python(machine.home / "uv" / "python3.12")
    answer = f'[ "$*" = "python find 3.12" ] && echo "{python}"'
    program(machine.bin / "uv", f"#!/bin/sh\n{answer}\n")
    assert machine.setup()[0] == 0
    assert machine.read("made-with").strip() == str(python)


@pytest.mark.parametrize(("kind", "minor"), [("demo", 12), ("light", 11), ("light", 13)])
def test_a_python_that_was_named_comes_first(machine: Machine, kind: str, minor: int) -> None:
    machine.python(machine.bin / "python3.12")
    machine.env["PYTHON"] = str(machine.python(machine.home / "my-python", minor))
    machine.setup(kind)
    assert machine.read("made-with").strip() == machine.env["PYTHON"]


def test_the_fast_tests_take_an_older_or_newer_python(machine: Machine) -> None:
    machine.python(machine.bin / "python3", 13)
    assert machine.setup("light")[0] == 0
    assert machine.setup()[1][0].startswith("error: no Python 3.12 was found")
    machine.python(machine.bin / "python3.12")
    assert machine.setup()[0] == 0
    assert machine.read("made-with").strip() == str(machine.bin / "python3.12")


def test_an_environment_of_another_python_is_left_alone(machine: Machine) -> None:
    machine.python(machine.clone / ".venv" / "bin" / "python", 10)
    code, err = machine.setup()
    assert code == 1
    assert told(err) == (".venv holds another Python than 3.12", "remove it: rm -r .venv")
    assert (machine.clone / ".venv" / "bin" / "python").exists()


def test_an_environment_that_was_moved_is_told(machine: Machine) -> None:
    machine.python(machine.bin / "python3.12")
    machine.setup()
    machine.clone = machine.clone.rename(machine.clone.with_name("moved"))
    code, err = machine.setup()
    assert code == 1
    assert told(err) == (".venv was made for another folder", "remove it: rm -r .venv")


def test_an_environment_whose_python_is_gone_is_made_again(machine: Machine) -> None:
    machine.python(machine.bin / "python3.12")
    machine.setup()
    (machine.clone / ".venv" / "bin" / "python").unlink()
    assert machine.setup()[1][0].startswith("making .venv with Python 3.12.4")


@pytest.mark.parametrize("kind", [(), ("dev",)])
def test_a_full_disk_is_told_before_anything_is_made(machine: Machine, kind: tuple[str, ...]) -> None:
    machine.python(machine.bin / "python3.12")
    machine.df(3)
    code, err = machine.setup(*kind)
    assert code == 1
    assert told(err) == (
        "Isaac Lab needs 14 GiB of disk, and 3 GiB are free here",
        "free some, or clone to another disk",
    )
    assert not (machine.clone / ".venv").exists()


def test_the_fast_tests_need_no_such_disk(machine: Machine) -> None:
    machine.python(machine.bin / "python3.12")
    machine.df(3)
    assert machine.setup("light")[0] == 0


def test_an_environment_that_cannot_be_made_is_told(machine: Machine) -> None:
    machine.python(machine.bin / "python3.12")
    machine.write(".venv", "a file")
    code, err = machine.setup("light")
    assert code == 1
    assert err[-2].startswith("error: .venv cannot be made with ")
    assert err[-1].startswith("hint: ")


PIP = {
    "refused": (
        """\
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('[Errno 111] Refused')': /typer/
ERROR: Could not find a version that satisfies the requirement typer>=0.29 (from versions: none)
ERROR: No matching distribution found for typer>=0.29
""",
        "Could not find a version that satisfies the requirement typer>=0.29 (from versions: none)",
        INDEX,
    ),
    "in a subprocess": (
        """\
  error: subprocess-exited-with-error
      ERROR: Could not find a version that satisfies the requirement hatchling>=1.27 (from versions: none)
error: subprocess-exited-with-error
""",
        "Could not find a version that satisfies the requirement hatchling>=1.27 (from versions: none)",
        INDEX,
    ),
    "no space": (
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n",
        "Could not install packages due to an OSError: [Errno 28] No space left on device",
        "free some disk space here and in /tmp, then run this again",
    ),
    "something else": ("building\nKilled\n", "Killed", "the whole output is in .venv/install.log"),
}


@pytest.mark.parametrize("name", PIP)
def test_an_installation_that_fails_is_told_and_tried_again(machine: Machine, name: str) -> None:
    machine.python(machine.bin / "python3.12")
    text, reason, remedy = PIP[name]
    machine.write("pip-says", text)
    code, err = machine.setup()
    assert code == 1
    assert told(err) == (f"the installation failed: {reason}", remedy)
    (machine.clone / "pip-says").unlink()
    assert machine.setup()[0] == 0


def test_a_real_pip_without_an_index(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    environment = machine.clone / ".venv"
    venv.create(environment, symlinks=True)
    pip = next(Path(folder, "pip") for folder in sys.path if Path(folder, "pip", "__main__.py").exists())
    next(environment.glob("lib/python3*/site-packages")).joinpath("pip").symlink_to(pip)
    machine.env |= {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": "http://127.0.0.1:9/"}
    code, err = machine.setup("light")
    assert code == 1
    message, hint = told(err)
    assert message.startswith("the installation failed: Could not find a version that satisfies the requirement ")
    assert hint == INDEX
    assert not (machine.clone / ".venv" / ".spark-rl-light").exists()


def test_two_at_once_wait_for_each_other(machine: Machine) -> None:
    machine.python(machine.bin / "python3.12")
    with (machine.clone / "pyproject.toml").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = start(machine.clone / "scripts" / "setup", cwd=machine.home, env=machine.env)
        assert second.stderr is not None
        assert second.stderr.readline() == "waiting for another scripts/setup\n"
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(0.5)
        assert not (machine.clone / ".venv").exists()
    assert finish(second)[0] == 0
    with (machine.clone / "pyproject.toml").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert machine.setup() == (0, [])


def test_an_unknown_kind_or_tier(machine: Machine) -> None:
    assert told(machine.setup("heavy")[1]) == ("unknown kind of environment: heavy", "scripts/setup [dev|wide|light]")
    code, _, err = machine.run(str(machine.clone / "scripts" / "test"), "--slow")
    assert (code, told(err)) == (2, ("unknown tier: --slow", "scripts/test [--lint|--fast|--wide]"))


class Ready(Machine):
    """A machine that is set up, with stand-ins for the programs the scripts call; each notes its words."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.python(self.bin / "python3.12")
        assert self.setup("wide")[0] == 0
        self.env |= {"CALLS": str(folder / "calls"), "SPARK_RL_LIBRARY": "sb3", "PYTHONPATH": "/opt/ros"}
        self.calls = folder / "calls"
        for name in ("ruff", "mypy"):
            self.stand_in(name)
        self.stand_in("spark-rl", 'case "$1" in play) cat "$CALLS.play"; exit "$PLAY_CODE" ;; esac')
        self.stand_in(
            "python",
            'case "$*" in\n'
            f'  -\\ *) exec {quote(sys.executable)} "$@" ;;\n'
            '  *junitxml=*) for word; do case "$word" in --junitxml=*) cp "$CALLS.xml" "${word#*=}" ;; esac; done\n'
            '    cat "$CALLS.wide" ;;\n'
            "esac",
        )

    def stand_in(self, name: str, body: str = "") -> None:
        note = f'echo "{name} $* $SPARK_RL_LIBRARY$PYTHONPATH$PYTHONDONTWRITEBYTECODE" >>"$CALLS"'
        fail = f'case "$FAILING" in "") ;; {name}) exit 1 ;; "$*") exit 1 ;; esac'
        program(
            self.clone / ".venv" / "bin" / name, f"#!/bin/sh\n# {self.clone}/.venv/bin/python\n{note}\n{body}\n{fail}\n"
        )

    def called(self) -> list[str]:
        return [line.rstrip() for line in self.calls.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def ready(tmp_path: Path) -> Ready:
    return Ready(tmp_path)


LINT = ["ruff check .", "ruff format --check .", "mypy"]
FAST = "python -m pytest -q -p xdist -n 4 -m not real and not wide --ignore tests/real --ignore tests/wide"
REAL = "python -m pytest -v -m real --durations=0"


def test_the_fast_tier_is_lint_types_and_fast_tests(ready: Ready) -> None:
    ready.env["PYTHONDONTWRITEBYTECODE"] = "1"
    assert ready.run(str(ready.clone / "scripts" / "test"), "--fast")[0] == 0
    assert ready.called() == [*LINT, FAST]


@pytest.mark.parametrize("failing", ["ruff", "mypy", FAST.removeprefix("python ")])
def test_what_fails_ends_the_tests(ready: Ready, failing: str) -> None:
    ready.env["FAILING"] = failing
    assert ready.run(str(ready.clone / "scripts" / "test"), "--fast")[0] != 0
    last = ready.called()[-1]
    assert last == "ruff check ." if failing == "ruff" else failing in last


def wide(ready: Ready, report: str, *, failing: bool = False) -> tuple[int, str]:
    ready.calls.with_suffix(".xml").write_text(f"<testsuites><testsuite>{report}</testsuite></testsuites>")
    ready.calls.with_suffix(".wide").write_text("")
    program(ready.bin / "ldconfig", "")
    text = ready.read("scripts/test").replace("/sbin/ldconfig -p", "echo libGL.so.1 libEGL.so.1")
    ready.write("scripts/test", text)
    if failing:
        text = (ready.clone / ".venv" / "bin" / "python").read_text(encoding="utf-8")
        ready.write(".venv/bin/python", text.replace('cat "$CALLS.wide"', "exit 1"))
    code, out, _ = ready.run(str(ready.clone / "scripts" / "test"), "--wide")
    return code, out


RAN = '<testcase name="test_a_clean_clone"/>'
NOT_RUN = (
    '<testcase name="test_gpu"><skipped type="pytest.skip" message="no NVIDIA GPU can be seen">x</skipped></testcase>'
)


def test_the_wide_tier_lists_what_could_not_run(ready: Ready) -> None:
    code, out = wide(ready, RAN + NOT_RUN)
    assert code == 0
    assert out.splitlines()[-2:] == ["NOT RUN: test_gpu: no NVIDIA GPU can be seen", "1 of 2 wide tests did not run"]
    assert "green" not in out
    assert [call.partition(" --junitxml")[0] for call in ready.called()[:6]] == [
        *LINT,
        FAST,
        REAL,
        "python -m pytest -v -m wide --durations=0",
    ]


def test_the_wide_tier_counts_when_all_ran(ready: Ready) -> None:
    code, out = wide(ready, RAN)
    assert (code, out.splitlines()[-1]) == (0, "0 of 1 wide tests did not run")


def test_a_wide_test_that_fails_is_not_hidden_by_one_that_did_not_run(ready: Ready) -> None:
    code, out = wide(ready, RAN + NOT_RUN, failing=True)
    assert (code, out.splitlines()[-1]) == (1, "1 of 2 wide tests did not run")


def play(**played: object) -> str:
    numbers = {"mean_length": 291.4, "mean_return": 4.56, "episodes": 192, "checkpoint": "/logs/model_149.pt"}
    return json.dumps({"state": "succeeded", "message": "done", "played": numbers | played})


@pytest.mark.parametrize(
    ("document", "code", "words"),
    [
        (play(), 0, "for 291 of 300 steps on average, over 192 episodes"),
        (play(mean_length=120.0), 1, "less than the 270 steps"),
        (play(mean_length=None, mean_return=None, episodes=0), 1, "less than the 270 steps"),
        (
            '{"state": "failed", "message": "only 3 of 900 steps were played"}',
            1,
            "error: only 3 of 900 steps were played",
        ),
        ('{"error": {"code": 2, "message": "no checkpoint of"}}', 1, "error: no checkpoint of"),
    ],
)
def test_the_demo_says_what_was_achieved(ready: Ready, document: str, code: int, words: str) -> None:
    ready.calls.with_suffix(".play").write_text(document)
    ready.env["PLAY_CODE"] = "0" if "succeeded" in document else "1"
    ended, out, err = ready.run(str(ready.clone / "scripts" / "demo"))
    assert ended == code
    assert words in out + "\n".join(err)
    train, evaluate = (call for call in ready.called() if call.startswith("spark-rl "))
    lab = f"--task Isaac-Cartpole-Direct-v0 --library rsl_rl --isaaclab {ready.clone}/.venv --headless"
    assert train == f"spark-rl train {lab} --num-envs 256 --max-iterations 150 --seed 42 sb3"
    assert evaluate == f"spark-rl play {lab} --num-envs 64 --steps 900 --seed 1 --json sb3"


def test_the_demo_ends_when_training_fails(ready: Ready) -> None:
    ready.env["FAILING"] = "spark-rl"
    assert ready.run(str(ready.clone / "scripts" / "demo"))[0] == 1
    assert [call.split()[1] for call in ready.called()] == ["train"]
