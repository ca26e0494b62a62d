from __future__ import annotations

import os
import pty
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

import pytest

import stand_in
from fakes.configured import Lab
from spark_rl import catalogues, completion, settings
from spark_rl.__main__ import run
from spark_rl.errors import RequestError
from spark_rl.installations import inspect

SOURCES = Path(__file__).parents[1] / "src"


@dataclass
class Param:
    name: str
    opts: tuple[str, ...]
    is_flag: bool = False
    hidden: bool = False
    secondary_opts: tuple[str, ...] = ()
    param_type_name: str = "option"


@dataclass
class Command:
    params: tuple[Param, ...] = ()
    hidden: bool = False
    commands: dict[str, Any] = field(default_factory=dict)


TRAIN = Command(
    params=(
        Param("task", ("--task",)),
        Param("library", ("--library", "--rl-library")),
        Param("algorithm", ("--algorithm",)),
        Param("num_envs", ("--num-envs",)),
        Param("headless", ("--headless",), is_flag=True, secondary_opts=("--no-headless",)),
        Param("checkpoint", ("--checkpoint",)),
        Param("assets", ("--assets",)),
        Param("gpus", ("--gpus",)),
        Param("isaaclab", ("--isaaclab",)),
        Param("secret", ("--secret",), hidden=True),
    )
)
DESCRIBE = Command(params=(Param("task", (), param_type_name="argument"), Param("as_json", ("--json",), is_flag=True)))
COMPLETION = Command(params=(Param("shell", (), param_type_name="argument"),))
LIST = Command(
    params=(
        Param("query", (), param_type_name="argument"),
        Param("category", ("--category",)),
        Param("robot", ("--robot",)),
    )
)
GROUP = Command(
    params=(Param("version", ("--version",), is_flag=True),),
    commands={
        "train": TRAIN,
        "describe": DESCRIBE,
        "list-envs": LIST,
        "completion": COMPLETION,
        "hidden": Command(hidden=True),
    },
)


def answered(line: str, cwd: Path, shell: str = "zsh", **environ: str) -> list[str]:
    """Complete the last word of a line."""
    words = line.split(" ")
    variables = {completion.VARIABLE: shell, "COMP_CWORD": str(len(words) - 1)} | environ
    text = completion.answer(words, GROUP, variables, cwd)
    return text.split("\n") if text else []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("spark-rl ", ["train", "describe", "list-envs", "completion"]),
        ("spark-rl tr", ["train"]),
        ("spark-rl --v", ["--version"]),
        ("spark-rl bogus ", []),
        ("spark-rl train --lib", ["--library"]),
        ("spark-rl train --rl_", ["--rl-library"]),
        ("spark-rl train --num_e", ["--num-envs"]),
        ("spark-rl train --no", ["--no-headless"]),
        ("spark-rl train --he", ["--headless", "--help"]),
        ("spark-rl train --sec", []),
        ("spark-rl train --library ", ["rsl_rl", "rl_games", "skrl", "sb3"]),
        ("spark-rl train --rl_library=s", ["--rl_library=skrl", "--rl_library=sb3"]),
        ("spark-rl train --algorithm m", ["MAPPO"]),
        ("spark-rl train --task Isaac-Pendulum-MARL-Direct --library ", ["rl_games", "skrl"]),
        ("spark-rl train --task=Isaac-Pendulum-MARL-Direct --library ", ["rl_games", "skrl"]),
        ("spark-rl train --task Isaac-Pendulum-MARL-Direct --algorithm ", ["PPO", "IPPO", "MAPPO"]),
        ("spark-rl train --task Isaac-Pendulum-MARL-Direct --rl_library rl_games --algorithm ", ["PPO"]),
        ("spark-rl train --task Isaac-Velocity-Flat-AnymalD --library rsl_rl --algorithm ", ["PPO"]),
        ("spark-rl train --headless --task isaac-ant", ["Isaac-Ant", "Isaac-Ant-Direct"]),
        ("spark-rl train --task handover-d", ["Isaac-Shadow-Handover-Direct"]),
        ("spark-rl train --task handover", ["Isaac-Shadow-Handover", "Isaac-Shadow-Handover-Direct"]),
        ("spark-rl train --task cartpole", []),
        ("spark-rl train --task zzz", []),
        ("spark-rl train --task=Isaac-Ant-", ["--task=Isaac-Ant-Direct"]),
        ("spark-rl train --checkpoint ", ["latest", "best", "pretrained"]),
        ("spark-rl train --assets e", ["embedded"]),
        ("spark-rl train --num-envs ", []),
        ("spark-rl train agent.device=cpu --gp", ["--gpus"]),
        ("spark-rl train -- --lib", []),
        ("spark-rl describe Isaac-Hum", ["Isaac-Humanoid", "Isaac-Humanoid-Direct"]),
        ("spark-rl describe --j", ["--json"]),
        ("spark-rl list-envs --category flight", []),
        ("spark-rl list-envs --robot Unitree-", []),
        ("spark-rl list-envs --robot Allegro", ["Allegro hand"]),
        ("spark-rl list-envs wor", []),
        ("spark-rl completion z", ["zsh"]),
    ],
)
def test_answers(line: str, found: list[str], tmp_path: Path) -> None:
    assert answered(line, tmp_path) == found


def test_the_tasks_are_those_of_the_isaac_lab_that_is_named(tmp_path: Path) -> None:
    old = stand_in.checkout(tmp_path / "lab", "2.3.2")
    assert answered(f"spark-rl train --isaaclab {old} --task Isaac-Cart-D", tmp_path) == [
        "Isaac-Cart-Double-Pendulum-Direct-v0"
    ]
    assert answered(f"spark-rl train --isaaclab={tmp_path / 'none'} --task Isaac-Pend", tmp_path) == [
        "Isaac-Pendulum-MARL-Direct"
    ]


def test_the_tasks_of_the_last_scan_are_there_at_once(tmp_path: Path) -> None:
    lab = stand_in.checkout(tmp_path / "lab", "2.3.2")
    package = lab / "source" / "isaaclab_tasks" / "isaaclab_tasks"
    package.mkdir(parents=True)
    package.joinpath("__init__.py").write_text('import gymnasium as gym\ngym.register(id="Isaac-Mine-v0")\n')
    line = f"spark-rl train --isaaclab {lab} --task Isaac-Mine"
    assert answered(line, tmp_path) == []
    installation = inspect(lab)
    catalogues.remember(catalogues.load(installation, None), installation, settings.cache_folder())
    assert answered(line, tmp_path) == ["Isaac-Mine-v0"]


def test_a_broken_settings_file_costs_only_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "spark-rl.toml").write_text("isaaclab = [")
    assert answered("spark-rl train --task Isaac-Ant-", tmp_path) == ["Isaac-Ant-Direct"]


@pytest.mark.parametrize(
    ("words", "at", "found"),
    [
        (["--task", "=", "Isaac-Ant-"], 4, ["Isaac-Ant-Direct"]),
        (["--checkpoint", "="], 3, ["latest", "best", "pretrained"]),
        (["--task", "=", "Isaac-Pendulum-MARL-Direct", "--library", "=", "s"], 7, ["skrl"]),
        (["--lib", "--num-envs", "8"], 2, ["--library"]),
        (["--library"], 3, ["rsl_rl", "rl_games", "skrl", "sb3"]),
    ],
)
def test_bash_splits_at_equals_signs(words: list[str], at: int, found: list[str], tmp_path: Path) -> None:
    variables = {completion.VARIABLE: "bash", "COMP_CWORD": str(at)}
    assert completion.answer(["spark-rl", "train", *words], GROUP, variables, tmp_path).split("\n") == found


def test_each_shell_gets_what_it_inserts(tmp_path: Path) -> None:
    robot, task = "spark-rl list-envs --robot Alle", "spark-rl train --task=Isaac-Ant-"
    assert answered(robot, tmp_path, "bash") == ["Allegro\\ hand"]
    assert answered(robot, tmp_path, "fish") == answered(robot, tmp_path, "zsh") == ["Allegro hand"]
    assert answered(task, tmp_path, "fish") == ["Isaac-Ant-Direct"]


def test_a_shell_without_a_script_is_refused() -> None:
    assert "compdef" in completion.script("zsh")
    with pytest.raises(RequestError) as caught:
        completion.script("bsh")
    assert str(caught.value.hint).startswith("did you mean")


PROGRAM = f"""#!{sys.executable}
import os, sys
if {completion.VARIABLE!r} in os.environ:
    sys.path.insert(0, {str(SOURCES)!r})
    from spark_rl import cli
    cli.call(sys.argv[1:])
else:
    with open(os.environ["TYPED"], "a") as file:
        print(*sys.argv[1:], sep=" | ", file=file)
"""


def test_a_real_bash_completes(tmp_path: Path) -> None:
    """Type at an interactive bash that ran the script; the program it completes writes down the finished lines."""
    program = tmp_path / "bin" / "spark-rl"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    program.chmod(0o755)
    (tmp_path / "spark-rl.toml").write_text("x = ")
    setup = tmp_path / "setup"
    setup.write_text(f"{completion.script('bash')}\nbind 'set bell-style none'\nPS1='> '\n")
    (tmp_path / "some-recipe.toml").touch()
    typed = tmp_path / "typed"
    lines = {
        "spark-rl tra\t --task Isaac-Velocity-Rough-UnitreeG\t": "train | --task | Isaac-Velocity-Rough-UnitreeGo2",
        "spark-rl train --task=isaac-ant-d\t": "train | --task=Isaac-Ant-Direct",
        "spark-rl train --task handover-d\t--num_e\t8": (
            "train | --task | Isaac-Shadow-Handover-Direct | --num-envs | 8"
        ),
        "spark-rl play --task Isaac-Pendulum-MARL-Direct --library s\t": (
            "play | --task | Isaac-Pendulum-MARL-Direct | --library | skrl"
        ),
        "spark-rl play --task=Isaac-Pendulum-MARL-Direct --algorithm=M\t": (
            "play | --task=Isaac-Pendulum-MARL-Direct | --algorithm=MAPPO"
        ),
        "spark-rl list-envs --robot All\t": "list-envs | --robot | Allegro hand",
        "spark-rl train --recipe some-\t": "train | --recipe | some-recipe.toml",
    }
    keys = f"source {quote(str(setup))}\n" + "".join(f"{line}\n" for line in lines) + "exit\n"
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    _at_terminal(["bash", "--norc", "--noprofile", "-i"], keys, tmp_path, PATH=path, TYPED=str(typed), TERM="dumb")
    assert typed.read_text().split("\n")[:-1] == list(lines.values())


def _at_terminal(argv: list[str], keys: str, cwd: Path, **environ: str) -> None:
    """Run a program on a terminal of its own, type ``keys`` and wait until it ends."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        argv,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env=dict(os.environ) | environ,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        for line in keys.splitlines(keepends=True):
            os.write(ours, line.encode())
        while _reads(ours):
            pass
        assert child.wait(60) == 0
    finally:
        child.kill()
        os.close(ours)


def _reads(terminal: int) -> bool:
    try:
        return bool(os.read(terminal, 65536))
    except OSError:  # the other side is closed
        return False


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Make an Isaac Lab whose configuration of one task was resolved before."""
    isaaclab = Lab(tmp_path / "lab")
    monkeypatch.setenv("SPARK_RL_ISAACLAB", str(isaaclab.path))
    monkeypatch.chdir(tmp_path)
    assert run(["explain", "--task", "Isaac-Cartpole-Direct", "env.decimation"]) == 0
    return isaaclab


EXPLAIN = Command(params=(*TRAIN.params, Param("words", (), param_type_name="argument")))
CONFIGURED = Command(params=GROUP.params, commands={**GROUP.commands, "explain": EXPLAIN})
OPTIMIZER = "agent.algorithm.optimizer="


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("train --task Isaac-Cartpole-Direct ", ["env.", "agent.", "physics=", "renderer=", "presets="]),
        ("train --task Isaac-Cartpole-Direct env.sc", ["env.scene."]),
        ("train --task cartpole-direct env.scene.n", ["env.scene.num_envs="]),
        ("explain --task Isaac-Cartpole-Direct env.scene.n", ["env.scene.num_envs"]),
        ("train --task Isaac-Cartpole-Direct phy", ["physics="]),
        ("train --task Isaac-Cartpole-Direct physics=newton_k", ["physics=newton_kamino"]),
        ("train --task Isaac-Cartpole-Direct presets=physx,newton_k", ["presets=physx,newton_kamino"]),
        ("train --task Isaac-Cartpole-Direct env.sim.physics=newton_k", ["env.sim.physics=newton_kamino"]),
        (f"train --task Isaac-Cartpole-Direct {OPTIMIZER}ad", [f"{OPTIMIZER}adam", f"{OPTIMIZER}adamw"]),
        ("train --task Isaac-Cartpole-Direct agent.actor.obs_normalization=t", ["agent.actor.obs_normalization=true"]),
        ("train --task Isaac-Cartpole-Direct env.nothing.", []),
        ("train --task Isaac-Cartpole-Direct --library skrl env.", []),
        ("train --task Isaac-Ant env.", []),
        ("train --task nothing-of-the-kind env.", []),
        ("train env.", []),
    ],
)
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_overrides_are_completed_from_what_is_known(known: Lab, shell: str, line: str, found: list[str]) -> None:
    words = ["spark-rl", *line.split(" ")]
    variables = {"COMP_CWORD": str(len(words) - 1), completion.VARIABLE: shell}
    assert completion.answer(words, CONFIGURED, variables, Path.cwd()).split() == found
    assert len(known.asked) == 1


def test_bash_hands_a_value_over_as_a_word_of_its_own(known: Lab) -> None:
    words = ["spark-rl", "train", "--task", "Isaac-Cartpole-Direct", "physics", "=", "newton_k"]
    variables = {completion.VARIABLE: "bash"}
    assert completion.answer(words, CONFIGURED, variables, Path.cwd()) == "newton_kamino"
    assert "newton_kamino" in completion.answer(words[:-1], CONFIGURED, variables, Path.cwd()).split()
    assert len(known.asked) == 1
