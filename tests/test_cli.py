"""The command line as a user types it: what is accepted, what is refused, and how it is told."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stand_in
from planning import HOSTS
from spark_rl import __version__
from spark_rl.__main__ import run

CARTPOLE = "Isaac-Cartpole-Direct-v0"
TASK = ["--task", CARTPOLE]

Cli = Callable[..., tuple[int, str, str]]
Planned = Callable[..., dict[str, Any]]


class World:
    """A home, a working directory, a checkout of 2.3.2, a kit-less 3.0.0, and files that are not what they seem."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cwd = root / "cwd"
        self.cwd.mkdir(parents=True)
        self.old = stand_in.checkout(root / "IsaacLab", "2.3.2")
        self.new = stand_in.kitless(root / "venv")
        self.host = root / "host.json"
        self.host.write_text((HOSTS / "x86-workstation.json").read_text(encoding="utf-8"), encoding="utf-8")
        (self.cwd / "notes.txt").write_text("no checkpoint\n")
        (self.cwd / "wrong.toml").write_text('task = "Isaac-Cartpole-v0"\ntsak = 1\n')
        (self.cwd / "broken.toml").write_text("task = \n")
        (self.cwd / "binary.toml").write_bytes(b"\xff\xfe\x00")
        (self.cwd / "empty").mkdir()

    def tree(self) -> dict[str, bytes | None]:
        """Return every file and folder below the root, home included."""
        paths = [*self.root.rglob("*"), *Path.home().rglob("*")]
        return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(paths)}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path / "world")
    monkeypatch.chdir(world.cwd)
    return world


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command; return its exit code, stdout and stderr."""

    def call(*argv: str) -> tuple[int, str, str]:
        code = run(argv)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def planned(world: World, cli: Cli) -> Planned:
    """Return the plan of a command on 2.3.2, or with ``on="3.0.0"`` on the kit-less environment."""

    def call(*argv: str, on: str = "2.3.2", host: str | None = None) -> dict[str, Any]:
        lab = world.new if on == "3.0.0" else world.old
        at = list(argv).index("--") if "--" in argv else len(argv)
        place = ["--isaaclab", str(lab), "--host", host or str(world.host), "--dry-run", "--json"]
        code, out, err = cli(*argv[:at], *place, *argv[at:])
        assert (code, err) == (0, ""), out
        return dict(json.loads(out))

    return call


def words(plan: dict[str, Any]) -> list[str]:
    return list(plan["argv"][plan["argv"].index("--task") + 2 :])


# Bad input


BAD = {
    "unknown task": (["train", "--task", "Isaac-Cartpol-v0"], "Isaac-Cartpole-v0"),
    "no task": (["train"], "--task"),
    "empty task": (["train", "--task", ""], "--task"),
    "task without value": (["train", "--task"], "--task VALUE"),
    "task followed by an option": (["train", "--task", "--headless"], "--task VALUE"),
    "task of two lines": (["train", "--task", "Isaac-Cart\npole-v9\n"], "Isaac-Cartpole"),
    "positional task": (["train", CARTPOLE], "--task"),
    "unknown library": (["train", *TASK, "--library", "rsl_lr"], "rsl_rl"),
    "empty library": (["train", *TASK, "--library="], "rsl_rl"),
    "library without config": (
        ["train", "--task", "Isaac-Factory-PegInsert-Direct-v0", "--library", "sb3"],
        "rl_games",
    ),
    "unknown algorithm": (["train", *TASK, "--algorithm", "MAPO"], "MAPPO"),
    "algorithm that does not fit": (["train", *TASK, "--library", "skrl", "--algorithm", "IPPO"], "--algorithm"),
    "unknown option": (["train", *TASK, "--max-iteration", "5"], "--max-iterations"),
    "unknown option of play": (["play", *TASK, "--stepps", "5"], "--steps"),
    "train's option on play": (["play", *TASK, "--gpus", "2"], "leave it out"),
    "option of another script": (["train", *TASK, "--ml_framework", "jax"], "--help"),
    "unknown short option": (["train", *TASK, "-q"], "--"),
    "wrong type": (["train", *TASK, "--num-envs", "abc"], "--help"),
    "wrong type, underscores": (["train", *TASK, "--num_envs=1e3"], "--help"),
    "wrong type of a script's option": (["train", *TASK, "--video_length", "abc"], "--video_length"),
    "option without value": (["train", *TASK, "--num-envs"], "--num-envs VALUE"),
    "script's option without value": (["train", *TASK, "--logger"], "--logger"),
    "flag with a value": (["train", *TASK, "--headless=yes"], "--help"),
    "zero environments": (["train", *TASK, "--num-envs", "0"], "task"),
    "negative iterations": (["train", *TASK, "--max-iterations", "-1"], "task"),
    "negative seed": (["train", *TASK, "--seed", "-7"], "-1"),
    "no steps": (["play", *TASK, "--steps", "0"], "--help"),
    "wrong device": (["train", *TASK, "--device", "gpu"], "cuda:1"),
    "wrong gpus": (["train", *TASK, "--gpus", "many"], "--gpus"),
    "missing checkpoint": (["train", *TASK, "--checkpoint", "nope.pt"], "notes.txt"),
    "checkpoint in no folder": (["play", *TASK, "--checkpoint", "/no/such/model.pt"], "--checkpoint latest"),
    "folder without checkpoints": (["play", *TASK, "--checkpoint", "empty"], "file"),
    "no latest checkpoint": (["play", *TASK, "--checkpoint", "latest"], "spark-rl train"),
    "nothing to resume": (["train", *TASK, "--resume"], "spark-rl train"),
    "bad pattern": (["train", *TASK, "--resume", "--load_run", "*"], ".*"),
    "bad run name": (["train", *TASK, "--run-name", "a/b"], "--run-name"),
    "missing recipe": (["train", *TASK, "--recipe", "nope.toml"], "TOML"),
    "recipe is a folder": (["train", *TASK, "--recipe", "empty"], "TOML"),
    "broken recipe": (["train", *TASK, "--recipe", "broken.toml"], "key"),
    "binary recipe": (["train", *TASK, "--recipe", "binary.toml"], "TOML"),
    "unknown key in a recipe": (["train", *TASK, "--recipe", "wrong.toml"], "task"),
    "missing asset folder": (["train", *TASK, "--assets", "nope"], "embedded"),
    "batch of rl_games": (["train", *TASK, "--library", "rl_games", "--num-envs", "64"], "--num-envs 512"),
    "multi-GPU with sb3": (["train", *TASK, "--library", "sb3", "--gpus", "2"], "--library"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told_in_two_lines(case: str, world: World, cli: Cli) -> None:
    argv, hint = BAD[case]
    before = world.tree()
    code, out, err = cli(argv[0], "--isaaclab", str(world.old), "--host", str(world.host), *argv[1:])
    assert code == 2
    assert out == ""
    lines = err.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["error:", "hint:"]
    assert hint in lines[1]
    assert "Traceback" not in err
    assert world.tree() == before


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told_as_one_document(case: str, world: World, cli: Cli) -> None:
    argv, hint = BAD[case]
    before = world.tree()
    code, out, err = cli(argv[0], "--json", "--isaaclab", str(world.old), "--host", str(world.host), *argv[1:])
    document = json.loads(out)
    assert (code, err) == (2, "")
    assert {*document} == {"schema", "error"}
    assert document["schema"] == "spark-rl/error/1"
    assert document["error"]["code"] == 2
    assert {"code", "message", "hint"} <= {*document["error"]}
    assert hint in document["error"]["hint"]
    assert world.tree() == before


PLACES = {
    "no such path": (["--isaaclab", "nope"], "nope does not exist"),
    "a file": (["--isaaclab", "notes.txt"], "no Isaac Lab"),
    "no Isaac Lab": (["--isaaclab", "empty"], "empty is no Isaac Lab"),
    "no isaaclab value": (["--isaaclab", "--dry-run"], "--isaaclab needs a value"),
    "no host document": (["--host", "notes.txt"], "notes.txt is not a spark-rl/doctor/1 document"),
    "missing host document": (["--host", "nope.json"], "nope.json cannot be read"),
    "binary host document": (["--host", "binary.toml"], "binary.toml is not a spark-rl/doctor/1 document"),
}


@pytest.mark.parametrize("case", PLACES)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_place_that_is_none_is_refused(case: str, as_json: bool, world: World, cli: Cli) -> None:
    place, message = PLACES[case]
    before = world.tree()
    code, out, err = cli("train", *TASK, *place, *["--json"] * as_json)
    assert code == 2
    if as_json:
        assert message in json.loads(out)["error"]["message"]
        assert json.loads(out)["error"]["hint"]
    else:
        assert out == ""
        assert [line.partition(" ")[0] for line in err.splitlines()] == ["error:", "hint:"]
        assert message in err
    assert world.tree() == before


@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        (["trian"], "unknown command trian", "did you mean train?"),
        (["it's"], "unknown command it's", "train, play"),
        (["ply", "--json"], "unknown command ply", "play"),
        ([""], "unknown command", "train"),
        (["--headles"], "spark-rl has no option --headles", "--headless"),
        (["--task", "X"], "spark-rl has no option --task", "spark-rl train --task"),
        (["doctor", "--jsno"], "spark-rl doctor has no option --jsno", "--json"),
        (["config", "extra"], "extra", "spark-rl config --help"),
        (["doctor", "extra"], "extra", "spark-rl doctor --help"),
    ],
)
def test_an_unknown_command_or_option(argv: list[str], message: str, hint: str, world: World, cli: Cli) -> None:
    before = world.tree()
    code, out, err = cli(*argv)
    assert code == 2
    if "--json" in argv:
        error = json.loads(out)["error"]
        assert message in error["message"]
        assert hint in error["hint"]
    else:
        first, second = err.splitlines()
        assert message in first
        assert hint in second
        assert out == ""
    assert world.tree() == before


def test_a_plan_creates_nothing_either(world: World, cli: Cli) -> None:
    before = world.tree()
    for lab in (world.old, world.new):
        for command in ("train", "play"):
            code, out, _ = cli(command, *TASK, "--isaaclab", str(lab), "--host", str(world.host), "--dry-run")
            assert code == 0
            assert out.splitlines()[0].startswith("# task")
    assert world.tree() == before


SOURCE = """
import gymnasium as gym

gym.register(
    id="Isaac-Mine-v0",
    entry_point="isaaclab.envs:ManagerBasedRLEnv",
    kwargs={"env_cfg_entry_point": f"{__name__}.cfg:Cfg", "rsl_rl_cfg_entry_point": f"{__name__}.agent:AgentCfg"},
)
"""


def test_a_checkout_with_sources_is_scanned_and_bad_input_leaves_no_trace_of_it(world: World, cli: Cli) -> None:
    package = world.old / "source" / "isaaclab_tasks" / "isaaclab_tasks"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(SOURCE)
    before = world.tree()
    place = ["--isaaclab", str(world.old), "--host", str(world.host), "--dry-run"]
    for bad in (["--task", "Isaac-Mein-v0"], ["--task", "Isaac-Mine-v0", "--library", "sb3"]):
        code, _, err = cli("train", *bad, *place)
        assert code == 2
        assert "Isaac-Mine-v0" in err
    assert world.tree() == before
    code, out, _ = cli("train", "--task", "Isaac-Mine-v0", *place)
    assert code == 0
    assert out.splitlines()[0] == "# task       Isaac-Mine-v0"


def test_our_own_bug_is_exit_3_and_says_where_the_trace_is(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr("spark_rl.prepare.gather", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, out, err = cli("train", *TASK)
    assert (code, out) == (3, "")
    assert "ZeroDivisionError('surprise')" in err
    assert "Traceback" not in err
    (trace,) = tmp_path.glob("*.log")
    assert str(trace) in err
    assert "Traceback" in trace.read_text(encoding="utf-8")
    code, out, _ = cli("train", *TASK, "--json")
    assert (code, json.loads(out)["error"]["code"]) == (3, 3)


def test_a_recipe_that_cannot_be_meant_for_json_after_the_dashes(world: World, cli: Cli) -> None:
    code, out, err = cli("train", "--task", "nope-nope", "--isaaclab", str(world.old), "--", "--json")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")


# Help


@pytest.mark.parametrize("argv", [[], ["-h"], ["--help"], ["train", "--help"], ["play", "-h"], ["list-envs", "--help"]])
def test_help_is_data(argv: list[str], cli: Cli) -> None:
    code, out, err = cli(*argv)
    assert (code, err) == (0, "")
    assert out.startswith("Usage: spark-rl")


def test_every_option_has_a_help_text(cli: Cli) -> None:
    from spark_rl.cli import _command

    def below(group: Any) -> list[Any]:
        return [leaf for one in getattr(group, "commands", {}).values() for leaf in (one, *below(one))]

    commands = below(_command(()))
    assert {"train", "describe", "sweep", "stop", "fetch"} <= {command.name for command in commands}
    for command in commands:
        assert command.help
        for param in command.params:
            assert param.hidden or param.help, f"{command.name} {param.name}"
    assert cli("train", "--help")[1].count("--num-envs") == 1


def test_the_version(cli: Cli) -> None:
    assert cli("--version") == (0, f"spark-rl {__version__}\n", "")


@pytest.mark.parametrize(("argv", "code", "out"), [(["--version"], 0, f"spark-rl {__version__}\n"), (["--no"], 2, "")])
def test_the_program_exits_with_the_code(argv: list[str], code: int, out: str) -> None:
    done = subprocess.run([sys.executable, "-m", "spark_rl", *argv], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, out)


# Spellings


@pytest.mark.parametrize(
    "argv",
    [
        ["--task", CARTPOLE, "--num-envs", "2048", "--max-iterations", "5", "--library", "skrl", "--headless"],
        [f"--task={CARTPOLE}", "--num-envs=2048", "--max-iterations=5", "--library=skrl", "--headless"],
        [f"--task={CARTPOLE}", "--num_envs=2048", "--max_iterations=5", "--rl_library=skrl", "--headless"],
        ["--headless", "--rl-library", "skrl", "--max_iterations", "5", "--num_envs", "2048", "--task", CARTPOLE],
    ],
)
def test_the_spellings_of_one_command_plan_the_same(argv: list[str], planned: Planned) -> None:
    expected = ["--headless", "--num_envs", "2048", "--max_iterations", "5"]
    assert words(planned("train", *argv)) == expected
    assert planned("train", *argv)["library"] == "skrl"


@pytest.mark.parametrize("spelling", [["--run-name", "a"], ["--run_name=a"]])
def test_a_script_s_option_that_is_ours_too(spelling: list[str], planned: Planned) -> None:
    assert words(planned("train", *TASK, *spelling)) == ["--headless", "--run_name", "a"]


@pytest.mark.parametrize(
    ("argv", "ranks"),
    [
        (["--gpus", "2"], "2"),
        (["--gpus=all"], "8"),
        (["--distributed"], "8"),
        (["--distributed", "--nproc_per_node=2"], "2"),
        (["--distributed", "--nproc-per-node", "4"], "4"),
        (["--nproc_per_node=gpu"], "8"),
        (["--distributed", "--nproc_per_node", "auto"], "8"),
        (["--num_gpus=3"], "3"),
    ],
)
def test_the_spellings_of_several_gpus(argv: list[str], ranks: str, planned: Planned) -> None:
    plan = planned("train", *TASK, *argv, host=str(HOSTS / "server-8gpu.json"))
    assert f"--nproc_per_node={ranks}" in plan["argv"]
    plan = planned("train", *TASK, *argv, host=str(HOSTS / "server-8gpu.json"), on="3.0.0")
    assert plan["argv"][plan["argv"].index("--num_gpus") + 1] == ranks


BYTES = ("a=b c", 'env.x="é, [1, 2]"', "env.y='it''s'", "+a.b={x: 1}", "~env.z", "a=$HOME", "a=--video", "a=\\n", "b=*")


@pytest.mark.parametrize("on", ["2.3.2", "3.0.0"])
def test_overrides_arrive_byte_for_byte(on: str, planned: Planned) -> None:
    plan = planned("train", "--headless", *BYTES[:4], *TASK, *BYTES[4:], on=on)
    assert tuple(words(plan)[-len(BYTES) :]) == BYTES


@pytest.mark.parametrize("on", ["2.3.2", "3.0.0"])
def test_what_follows_the_dashes_arrives_byte_for_byte(on: str, planned: Planned) -> None:
    raw = ("--num_envs=3", "--", "--dry-run", "", "x y", "--ünknown", "a=1", "--json", "-h", "*", "--task", "Y")
    plan = planned("train", *TASK, "a=0", "--", *raw, on=on)
    assert tuple(plan["argv"][-len(raw) :]) == raw
    assert plan["argv"][-len(raw) - 1] == "a=0"


# Commands pasted from Isaac Lab's documentation


CLIPS = "--video_length=100 --video_interval=50"
AGENT = "rsl_rl_with_symmetry_cfg_entry_point"


@pytest.mark.parametrize(
    ("on", "argv", "expected"),
    [
        ("2.3.2", "train --video --video_length 100 --video_interval 50", f"--headless --video {CLIPS}"),
        ("3.0.0", "train --video --video_length 100 --video_interval 50", f"--video --viz newton_gl {CLIPS}"),
        ("2.3.2", "train --livestream 2", "--headless --livestream=2"),
        ("2.3.2", "train --viz kit", ""),
        ("3.0.0", "train --viz newton_gl", "--visualizer=newton_gl"),
        ("3.0.0", "train --visualizer newton", "--visualizer=newton"),
        ("2.3.2", "train --library skrl --ml_framework jax", "--headless --ml_framework=jax"),
        ("2.3.2", f"train --task=Isaac-Cartpole-v0 --agent {AGENT}", f"--headless --agent={AGENT}"),
        ("2.3.2", "train --cpu", "--headless --device cpu agent.device=cpu"),
        ("3.0.0", "train --cpu --headless", "--device cpu agent.device=cpu"),
        ("2.3.2", "play --use_pretrained_checkpoint --real-time", "--use_pretrained_checkpoint --real-time"),
        ("3.0.0", "play --use_pretrained_checkpoint --headless", "--checkpoint pretrained"),
        ("3.0.0", "play --checkpoint pretrained --real-time --headless", "--checkpoint pretrained --real-time"),
        ("2.3.2", "train agent.run_name=x", "--headless agent.run_name=x"),
        ("2.3.2", "train ~env.x +agent.y=1", "--headless ~env.x +agent.y=1"),
        ("3.0.0", "train physics=newton_mjwarp", "physics=newton_mjwarp"),
        ("3.0.0", "train --task=Isaac-Cartpole-Camera presets=rgb", "presets=rgb"),
        ("3.0.0", "train --enable_cameras --headless", ""),
        ("2.3.2", "train --headless --enable_cameras", "--headless --enable_cameras"),
        (
            "2.3.2",
            "train --headless --logger wandb --log_project_name me",
            "--headless --logger=wandb --log_project_name=me",
        ),
        ("3.0.0", "train --device cuda:0", "--device cuda:0"),
        ("2.3.2", "train --headless --seed -1", "--headless --seed -1"),
    ],
)
def test_pasted_commands(on: str, argv: str, expected: str, planned: Planned) -> None:
    action, *rest = argv.split()
    task = [] if "--task=" in argv else TASK
    assert words(planned(action, *task, *rest, on=on)) == expected.split()


def test_kit_args_of_several_words(planned: Planned) -> None:
    for given in (
        ["--kit_args", "--/app/x=1 --/y=2"],
        ["--kit_args=--/app/x=1 --/y=2"],
        ["--kit-args", "--/app/x=1 --/y=2"],
    ):
        assert words(planned("train", *TASK, *given)) == ["--headless", "--kit_args=--/app/x=1 --/y=2"]
    assert words(planned("train", *TASK, "--kit_args", "--/x")) == ["--headless", "--kit_args=--/x"]


def test_an_option_of_ours_inside_kit_args_is_left_alone(planned: Planned) -> None:
    given = "--/app/num_envs=1 --num_envs=2"
    assert words(planned("train", *TASK, "--kit_args", given)) == ["--headless", f"--kit_args={given}"]


# The documents


def test_the_document_of_a_plan(planned: Planned, world: World) -> None:
    plan = planned("train", *TASK, "--library", "rsl_rl")
    assert {*plan} == {
        *("schema", "action", "task", "library", "algorithm", "isaaclab", "argv", "env", "env_unset", "cwd"),
        *("reasons", "findings"),
    }
    assert plan["schema"] == "spark-rl/plan/1"
    assert plan["task"] == {"requested": CARTPOLE, "resolved": CARTPOLE, "note": None}
    assert plan["isaaclab"] == {"version": "2.3.2", "kind": "checkout", "path": str(world.old)}
    assert (plan["action"], plan["library"], plan["algorithm"]) == ("train", "rsl_rl", "PPO")
    assert plan["argv"][0] == f"{world.old}/isaaclab.sh"
    assert (plan["cwd"], plan["env"], plan["env_unset"], plan["findings"]) == (str(world.old), {}, [], [])
    assert {"isaaclab", "library", "algorithm"} <= {*plan["reasons"]}
    assert all(isinstance(why, str) and why for why in plan["reasons"].values())
    findings = planned("play", *TASK)["findings"]
    assert [{*finding} for finding in findings] == [{"code", "level", "message", "hint"}]


@pytest.mark.parametrize("on", ["2.3.2", "3.0.0"])
@pytest.mark.parametrize("action", ["train", "play"])
def test_a_plan_is_deterministic(on: str, action: str, planned: Planned) -> None:
    argv = [action, *TASK, "--num-envs", "512", "--library", "rl_games", "--device", "cpu", "--video", "env.a=1"]
    assert planned(*argv, on=on) == planned(*argv, on=on)


def test_a_plan_in_words_is_the_plan_as_a_document(planned: Planned, world: World, cli: Cli) -> None:
    argv = ["train", *TASK, "env.x=a b", "--isaaclab", str(world.new), "--host", str(HOSTS / "dgx-spark.json")]
    document = planned("train", *TASK, "env.x=a b", on="3.0.0", host=str(HOSTS / "dgx-spark.json"))
    code, out, err = cli(*argv, "--dry-run")
    assert (code, err) == (0, "")
    *comments, folder, command = out.splitlines()
    assert all(line.startswith("# ") for line in comments)
    assert shlex.split(folder) == ["cd", document["cwd"]]
    setting = [f"{name}={value}" for name, value in document["env"].items()]
    assert shlex.split(command) == ["env", *setting, *document["argv"]]
    assert setting


def test_flags_win_over_the_environment(planned: Planned, monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setenv("SPARK_RL_LIBRARY", "skrl")
    monkeypatch.setenv("SPARK_RL_DEVICE", "cuda:1")
    assert planned("train", *TASK)["library"] == "skrl"
    assert "cuda:1" in planned("train", *TASK)["argv"]
    assert planned("train", *TASK, "--library", "sb3", "--device", "cuda:0")["library"] == "sb3"
    assert "cuda:1" not in planned("train", *TASK, "--device", "cuda:0")["argv"]


def test_the_spark_is_planned_for_from_here(planned: Planned) -> None:
    plan = planned("train", *TASK, host=str(HOSTS / "dgx-spark.json"))
    assert plan["env"] == {"LD_PRELOAD": "/lib/aarch64-linux-gnu/libgomp.so.1"}


# A process of its own: the terminal, the pipe and the folder can be anything


def spark_rl(*argv: str | bytes, **values: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a process of its own."""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src"), **values.pop("environ", {})}
    return subprocess.run(
        [sys.executable, "-m", "spark_rl", *argv],
        stderr=subprocess.PIPE,
        env=environ,
        timeout=60,
        check=False,
        **values,
    )


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_words_the_terminal_cannot_show_do_not_end_the_command(encoding: str, world: World) -> None:
    place = ["--isaaclab", str(world.old), "--host", str(world.host), "--dry-run"]
    environ = {"PYTHONIOENCODING": encoding}
    done = spark_rl("train", *TASK, "a=é".encode(), b"b=\xff", *place, stdout=subprocess.PIPE, environ=environ)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.splitlines()[-1].startswith(str(world.old).encode())
    assert spark_rl("train", "--task", b"\xff", *place, environ=environ).returncode == 2


def test_a_reader_that_has_gone_is_no_bug(world: World) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = spark_rl("train", *TASK, "--isaaclab", str(world.old), "--dry-run", stdout=pipe)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_full_disk_is_told(world: World) -> None:
    with Path("/dev/full").open("wb") as full:
        done = spark_rl("train", *TASK, "--isaaclab", str(world.old), "--dry-run", stdout=full)
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: the output cannot be written: No space left on device\nhint: ")


def test_a_working_directory_that_is_gone_is_told(world: World, cli: Cli) -> None:
    gone = world.root / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    for command in (["train", *TASK], ["list-envs"], ["doctor"], ["config"]):
        code, out, err = cli(*command)
        assert (code, out) == (2, "")
        assert err.startswith("error: the working directory does not exist any more\nhint: ")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("--help >/dev/full", 1),
        ("doctor --json >/dev/full", 1),
        ("doctor >&-", 0),
        ("train --task foo >&-", 2),
        ("train --task foo 2>/dev/full", 2),
        ("train --task foo --json >/dev/full", 2),
    ],
)
def test_output_that_nobody_takes_is_no_bug(line: str, code: int, tmp_path: Path) -> None:
    lab = stand_in.kitless(tmp_path / "lab")
    done = subprocess.run(
        f'"{sys.executable}" -m spark_rl {line}',
        shell=True,
        env=os.environ | {"SPARK_RL_ISAACLAB": str(lab), "TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("spark-rl-bug-*"))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--nnodes=1", "--dry-run"), 0),
        (("--nnodes=2", "--master_addr=10.0.0.1", "--dry-run"), 0),
        (("--nnodes=2", "--node_rank=1", "--master_addr=10.0.0.1", "--master_port=5555", "--dry-run"), 0),
        (("--nnodes=2", "--node_rank=2", "--master_addr=10.0.0.1", "--dry-run"), 2),
        (("--nnodes=2", "--master_addr=10.0.0.1"), 2),
        (("--nnodes=2", "--master_addr=10.0.0.1", "--max_restarts=1", "--dry-run"), 2),
    ],
)
def test_hosts_are_named_in_torchruns_words(cli: Cli, world: World, words: tuple[str, ...], code: int) -> None:
    spread = ("--library", "rsl_rl", "--distributed", "--nproc_per_node=2")
    assert cli("train", *TASK, *spread, *words, "--isaaclab", str(world.new))[0] == code


def test_the_command_of_every_host_has_all_that_was_asked_for(cli: Cli, world: World) -> None:
    asked = ("--stall-timeout", "10m", "--node-timeout", "20m", "--memory-reserve", "4GiB", "--no-check")
    argv = ("train", *TASK, "--gpus", "2", "--nnodes", "2", "--master-addr", "10.0.0.1", *asked, "--dry-run", "--json")
    nodes = json.loads(cli(*argv, "--isaaclab", str(world.new))[1])["nodes"]
    for node in nodes:
        assert all(pair in " ".join(node["command"]) for pair in ("--stall-timeout 10m", "--node-timeout 20m"))
        assert {"--memory-reserve", "--no-check"} <= {*node["command"]}
    assert len(nodes) == 2


def test_an_empty_number_of_gpus_is_no_number(cli: Cli, world: World) -> None:
    code, _, err = cli("train", *TASK, "--gpus", "", "--dry-run", "--isaaclab", str(world.new))
    assert (code, "--gpus must be a positive whole number, not ''" in err) == (2, True)
