"""The play driver as a real child process, over a fake gymnasium and fake play entries of both generations."""

from __future__ import annotations

import ast
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

DRIVER = Path(__file__).parents[1] / "src" / "spark_rl" / "drivers" / "play.py"

# Two environments earn 1 and 10 per step; the first fails every 3 steps, the second times out every 4.
GYMNASIUM = """
import os, sys


class Tensor:
    def __init__(self, values):
        self.values = list(values)

    def tolist(self):
        return list(self.values)


class Env:
    num_envs = 2
    step_dt = 0.02
    max_episode_length = 4

    def __init__(self):
        self.count = 0
        self.unwrapped = self
        self.open = True

    def step(self, action):
        assert self.open and action == "action"
        self.count += 1
        if f"fail-at={self.count}" in sys.argv:
            raise ValueError("physics exploded")
        rewards = [float("nan") if "nan" in sys.argv else 1.0, 10.0]
        terminated, truncated = [self.count % 3 == 0, False], [False, self.count % 4 == 0]
        extras = {"log": {"Metrics/success_rate": 1.0 if truncated[1] else 0.25}} if "success" in sys.argv else {}
        if "agents" not in sys.argv:
            return "obs", Tensor(rewards), Tensor(terminated), Tensor(truncated), extras
        never = Tensor([False, False])
        return (
            "obs",
            {"cart": Tensor(rewards), "pole": Tensor([2.0, 20.0])},
            {"cart": Tensor([True, True]), "pole": Tensor(terminated)},
            {"cart": Tensor(truncated), "pole": never},
            extras,
        )

    def close(self):
        if self.open:
            print("env closed after", self.count, flush=True)
        self.open = False
        if "close-fails" in sys.argv:
            raise RuntimeError("close failed")
        if "close-hangs" in sys.argv:
            import time
            time.sleep(60)


class Wrapper:
    def __init__(self, env):
        self.env = env
        self.unwrapped = env.unwrapped

    def step(self, action):
        return self.env.step(action)

    def close(self):
        self.env.close()


class RecordVideo(Wrapper):
    def close(self):
        print("video written", flush=True)
        self.env.close()


def make(task, cfg=None, render_mode=None):
    assert task == "Isaac-Fake"
    return Wrapper(Wrapper(Env()))
"""

# Isaac Lab 3.0: contexts that close on the way out, and handlers that must not take the driver's ending for a failure.
CLI = """
import contextlib, os, subprocess, sys


def run_python_command(script_or_module, args, is_module=False, env=None, check=False):
    print("restarted", flush=True)
    return subprocess.run([sys.executable, str(script_or_module), *args], env={**os.environ, "ISAAC_PATH": "/sim"})


@contextlib.contextmanager
def launch_simulation():
    code = 0
    try:
        yield
    except Exception:
        code = 1
        raise
    finally:
        print("launcher closed with", code, flush=True)
        if "kit" in sys.argv:
            os._exit(code)


def cli():
    import gymnasium as gym

    print("argv", sys.argv, flush=True)
    if "restarts" in sys.argv and "ISAAC_PATH" not in os.environ:
        run_python_command("-m", ["isaaclab", *sys.argv[1:]], check=True)
        return
    resume_path = "runs/a/model_3.pt"
    with launch_simulation(), contextlib.ExitStack() as cleanup:
        if "unavailable" in sys.argv:
            print("A pre-trained checkpoint is currently unavailable for this task.")
            return
        env = gym.RecordVideo(gym.make("Isaac-Fake", cfg=object()))
        cleanup.callback(env.close)
        clip = next((int(word[5:]) for word in sys.argv if word.startswith("clip=")), None)
        count = 0
        print("playing", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while clip is None or count < clip:
                env.step("action")
                count += 1
    if "exits-7" in sys.argv:
        raise SystemExit(7)
"""

# Isaac Lab 2.x: gymnasium only after Kit, a loop that asks the app, and a Kit that ends the process with 0 in close().
APP = """
import os, sys


class SimulationApp:
    def is_running(self):
        return True

    def close(self):
        print("app closed", flush=True)
        os._exit(0)


class AppLauncher:
    def __init__(self, args):
        assert "gymnasium" not in sys.modules
        self._app = SimulationApp()

    @property
    def app(self):
        return self._app
"""

SCRIPT = """
import sys

from isaaclab.app import AppLauncher

import cli_args

simulation_app = AppLauncher(sys.argv).app

import gymnasium as gym


def main():
    print("argv", sys.argv, flush=True)
    if "unavailable" in sys.argv:
        return
    resume_path = "runs/a/model_3.pt"
    env = gym.RecordVideo(gym.make("Isaac-Fake", cfg=object()))
    clip = next((int(word[5:]) for word in sys.argv if word.startswith("clip=")), 0)
    while "deaf" in sys.argv or simulation_app.is_running():
        env.step("action")
        if env.unwrapped.count == clip:
            break
    env.close()
    if "exits-7" in sys.argv:
        raise SystemExit(7)


if __name__ == "__main__":
    main()
    simulation_app.close()
"""


class World:
    """A folder with both fake Isaac Labs, where the driver runs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.result = root / "result.json"
        self.script = root / "scripts" / "play.py"
        files = {
            "site/gymnasium.py": GYMNASIUM,
            "site/isaaclab/__init__.py": "",
            "site/isaaclab/cli.py": CLI,
            "site/isaaclab/app.py": APP,
            "scripts/play.py": SCRIPT,
            "scripts/cli_args.py": "",
        }
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)

    def start(self, generation: int, *words: str, steps: int = 7, grace: float = 30) -> subprocess.Popen[str]:
        entry = ["isaaclab", "play"] if generation == 3 else ["scripts/play.py"]
        bounds = ["--steps", str(steps), "--result", self.result.name, "--grace", str(grace)]
        return subprocess.Popen(
            [sys.executable, str(DRIVER), *bounds, "--", *entry, "--task", "Isaac-Fake", *words],
            cwd=self.root,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(self.root / "site")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def play(self, generation: int, *words: str, **bounds: Any) -> tuple[int, str, str]:
        child = self.start(generation, *words, **bounds)
        out, err = child.communicate(timeout=30)
        return child.returncode, out, err

    def read(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.result.read_text())
        return document


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("generation", [2, 3])
def test_numbers_of_a_bounded_play(world: World, generation: int) -> None:
    code, _, err = world.play(generation)
    document = world.read()
    wall = document.pop("wall_seconds")
    assert (code, err) == (0, "")
    assert document == {
        "schema": "spark-rl/play-result/1",
        "task": "Isaac-Fake",
        "steps": 7,
        "num_envs": 2,
        "env_steps": 14,
        "episodes": 3,
        "mean_return": pytest.approx(46 / 3),
        "std_return": pytest.approx(math.sqrt((9 + 9 + 1600) / 3 - (46 / 3) ** 2)),
        "min_return": 3.0,
        "max_return": 40.0,
        "mean_length": pytest.approx(10 / 3),
        "partial_return": 15.5,
        "mean_reward_per_step": 5.5,
        "max_episode_length": 4,
        "step_dt": 0.02,
        "checkpoint": str(world.root / "runs/a/model_3.pt"),
        "ended": "steps",
    }
    assert 0 < wall < 5


def test_without_a_finished_episode_only_partial_numbers_are_given(world: World) -> None:
    assert world.play(3, steps=2)[0] == 0
    document = world.read()
    assert document["episodes"] == 0
    assert [document[f"{name}_return"] for name in ("mean", "std", "min", "max")] == [None] * 4
    assert document["mean_length"] is None
    assert document["partial_return"] == 11.0
    assert document["mean_reward_per_step"] == 5.5


def test_nothing_is_partial_when_every_episode_has_just_ended(world: World) -> None:
    assert world.play(3, steps=12)[0] == 0
    document = world.read()
    assert (document["episodes"], document["partial_return"]) == (7, None)


def test_a_multi_agent_return_is_the_teams_and_ends_with_the_last_agent(world: World) -> None:
    assert world.play(3, "agents")[0] == 0
    document = world.read()
    # The second environment never ends: its cart alone times out.
    assert document["episodes"] == 2
    assert document["mean_return"] == 9.0
    assert document["mean_length"] == 3.0
    assert document["partial_return"] == (3 + 7 * 30) / 2
    assert document["agents"] == {
        "cart": {"mean_return": 3.0, "partial_return": (1 + 70) / 2, "mean_reward_per_step": 5.5},
        "pole": {"mean_return": 6.0, "partial_return": (2 + 140) / 2, "mean_reward_per_step": 11.0},
    }


def test_success_rate_weighs_episodes_and_ignores_stale_extras(world: World) -> None:
    assert world.play(3, "success", steps=12)[0] == 0
    # Ends: 0.25 at 3, 6 and 9; 1.0 at 4 and 8; both environments at 12.
    assert world.read()["success_rate"] == pytest.approx((3 * 0.25 + 2 * 1.0 + 2 * 1.0) / 7)


def test_a_reward_that_is_not_a_number_stays_json(world: World) -> None:
    assert world.play(3, "nan")[0] == 0
    document = world.read()
    assert document["nan"] is True
    assert document["mean_return"] is None
    assert document["partial_return"] is None
    assert document["episodes"] == 3


def test_3_0_closes_its_contexts_without_seeing_a_failure(world: World) -> None:
    code, out, _ = world.play(3)
    assert code == 0
    assert out.splitlines()[-3:] == ["video written", "env closed after 7", "launcher closed with 0"]


def test_2_x_ends_its_own_loop_and_closes_env_then_app(world: World) -> None:
    code, out, _ = world.play(2)
    assert code == 0
    assert out.splitlines()[-3:] == ["video written", "env closed after 7", "app closed"]


def test_2_x_loop_that_never_asks_the_app_is_ended_too(world: World) -> None:
    code, out, _ = world.play(2, "deaf")
    assert code == 0
    assert out.splitlines()[-2:] == ["env closed after 7", "app closed"]
    assert world.read()["steps"] == 7


@pytest.mark.parametrize(("generation", "entry"), [(2, ["scripts/play.py"]), (3, ["isaaclab", "play"])])
def test_words_after_the_cut_reach_the_entry_unchanged(world: World, generation: int, entry: list[str]) -> None:
    words = ["--", "+a.b=[1, 2]", "--steps", "9", "--checkpoint=x y"]
    _, out, _ = world.play(generation, *words)
    assert out.startswith(f"argv {[*entry, '--task', 'Isaac-Fake', *words]}\n")
    assert world.read()["steps"] == 7


@pytest.mark.parametrize("generation", [2, 3])
def test_a_play_that_ends_by_itself_is_told_early(world: World, generation: int) -> None:
    code, out, _ = world.play(generation, "clip=5")
    document = world.read()
    assert (code, document["steps"], document["episodes"], document["ended"]) == (0, 5, 2, "early")
    assert "env closed after 5" in out


def test_an_early_exit_keeps_its_code(world: World) -> None:
    assert world.play(3, "clip=5", "exits-7")[0] == 7
    assert world.read()["ended"] == "early"


@pytest.mark.parametrize("generation", [2, 3])
def test_a_failure_keeps_what_was_counted_and_its_code(world: World, generation: int) -> None:
    code, _, err = world.play(generation, "fail-at=6")
    document = world.read()
    assert code == 1
    assert err.rstrip().endswith("ValueError: physics exploded")
    assert (document["steps"], document["ended"]) == (5, "early")


def test_an_interrupt_keeps_what_was_counted(world: World) -> None:
    with world.start(3, steps=10**9) as child:
        assert child.stdout is not None
        while child.stdout.readline() != "playing\n":
            pass
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        try:
            assert child.wait(timeout=20) == 0
        finally:
            child.kill()
        rest = child.stdout.read()
    document = world.read()
    closed = int(rest.partition("env closed after ")[2].split()[0])
    assert document["ended"] == "early"
    assert closed - document["steps"] in (0, 1)  # the interrupt may fall between a step and its count


@pytest.mark.parametrize("generation", [2, 3])
def test_a_play_without_a_step_fails_in_one_line(world: World, generation: int) -> None:
    world.result.write_text("{}")
    code, _, err = world.play(generation, "unavailable")
    assert code == 1
    assert err.count("\n") == 1
    assert err.startswith("play ended without a single env step")
    assert not world.result.exists()


@pytest.mark.parametrize(("words", "ended"), [((), "steps"), (("clip=5",), "early")])
def test_the_result_is_written_before_a_kit_that_ends_the_process(
    world: World, words: tuple[str, ...], ended: str
) -> None:
    assert world.play(3, "kit", *words)[0] == 0
    assert world.read()["ended"] == ended


def test_nothing_after_the_last_step_changes_the_exit_code(world: World) -> None:
    assert world.play(2, "exits-7")[0] == 0
    assert world.read()["ended"] == "steps"


def test_a_failing_close_does_not_spoil_a_finished_play(world: World) -> None:
    code, _, err = world.play(3, "close-fails")
    assert code == 0
    assert "RuntimeError: close failed" in err
    assert world.read()["ended"] == "steps"


@pytest.mark.parametrize("generation", [2, 3])
def test_a_hanging_close_is_cut_off(world: World, generation: int) -> None:
    begin = time.monotonic()
    code, out, _ = world.play(generation, "close-hangs", grace=0.5)
    assert code == 0
    assert time.monotonic() - begin < 20
    assert out.endswith("env closed after 7\n")


def test_a_restart_of_the_cli_restarts_the_driver(world: World) -> None:
    code, out, err = world.play(3, "restarts")
    assert (code, err) == (0, "")
    assert out.startswith("argv ['isaaclab', 'play', '--task', 'Isaac-Fake', 'restarts']\nrestarted\n")
    assert world.read()["ended"] == "steps"


@pytest.mark.parametrize(
    "words",
    [
        ["--", "isaaclab", "play"],
        ["--steps", "0", "--result", "r.json", "--", "isaaclab", "play"],
        ["--steps", "5", "--result", "r.json", "--"],
        ["--steps", "5", "--result", "r.json", "isaaclab", "play"],
    ],
)
def test_a_wrong_command_line_is_refused(world: World, words: list[str]) -> None:
    done = subprocess.run([sys.executable, DRIVER, *words], cwd=world.root, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: play.py --steps N [--result FILE] -- ENTRY")


def test_needs_only_python_3_10_and_its_standard_library() -> None:
    tree = ast.parse(DRIVER.read_text(), feature_version=(3, 10))
    imported = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
