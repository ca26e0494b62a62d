"""The fake trainer is like the real ones where supervision looks: words, counts, files, ends."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from fakes import files, lab
from spark_rl import dialects
from spark_rl.dialects import Event
from spark_rl.model import LIBRARIES

if TYPE_CHECKING:
    from pathlib import Path

CHECKPOINTS = {
    "rsl_rl": ["model_0.pt", "model_2.pt", "model_4.pt"],
    "rl_games": [
        "nn/last_cartpole_direct_ep_2_rew_0.1584.pth",
        "nn/last_cartpole_direct_ep_4_rew_0.3105.pth",
        "nn/last_cartpole_direct_ep_5_rew__0.3843_.pth",
    ],
    "skrl": ["checkpoints/agent_128.pt", "checkpoints/agent_160.pt", "checkpoints/agent_64.pt"],
    "sb3": ["model.zip", "model_2048_steps.zip", "model_4096_steps.zip"],
}
REWARDS = {
    "rsl_rl": ("Train/mean_reward", "Train/mean_episode_length"),
    "rl_games": ("rewards/iter", "episode_lengths/iter"),
    "skrl": ("Reward / Total reward (mean)", "Episode / Total timesteps (mean)"),
    "sb3": ("rollout/ep_rew_mean", "rollout/ep_len_mean"),
}


class Output:
    """What a trainer printed, and what it tells."""

    def __init__(self, out: bytes, library: str, generation: int) -> None:
        self.out, self.library, self.generation = out, library, generation

    @property
    def lines(self) -> list[str]:
        return re.split(r"[\r\n]+", self.out.decode(errors="replace"))

    def told(self, field: str) -> list[Any]:
        """Return the values of a field in order, repetitions left out."""
        told: list[Any] = []
        for event in filter(None, map(dialects.read(self.library, self.generation), self.lines)):
            value = getattr(event, field)
            if value is not None and value is not False and told[-1:] != [value]:
                told.append(value)
        return told

    @property
    def fields(self) -> set[str]:
        return {field.name for field in fields(Event) if self.told(field.name)}


class Trained(Output):
    """A run of the fake trainer that ended by itself."""

    def __init__(
        self, folder: Path, library: str, words: str = "save=2", *options: str, generation: int = 3, iterations: int = 5
    ) -> None:
        self.folder = folder
        entry = ["-m", "isaaclab", "train", "--rl_library", library]
        script = [f"scripts/reinforcement_learning/{library}/train.py"]
        argv = [*(entry if generation == 3 else script), "--max_iterations", str(iterations), *options]
        (folder / "notes").mkdir(exist_ok=True)
        ended = subprocess.run(
            [sys.executable, "-I", "-S", str(lab.TRAINER), *argv],
            cwd=folder,
            env=os.environ | {"FAKE_TRAINER": words, "FAKE_NOTES": str(folder / "notes")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=lab.PATIENCE_S,
        )
        super().__init__(ended.stdout, library, generation)
        self.status, self.err = ended.returncode, ended.stderr.decode()
        self.run = max((folder / "logs" / library).glob("*/*"))

    @property
    def checkpoints(self) -> list[str]:
        files = [path for path in self.run.rglob("*") if path.suffix in (".pt", ".pth", ".zip")]
        return sorted(path.relative_to(self.run).as_posix() for path in files if path.stem != "best_agent")


def resumed(first: Trained, name: str, iterations: int, words: str = "save=2") -> Trained:
    checkpoint = first.run / name
    return Trained(first.folder, first.library, words, "--checkpoint", str(checkpoint), iterations=iterations)


@pytest.mark.parametrize(
    ("recording", "library", "words", "more"),
    [
        ("isaaclab-3.0.0-rsl_rl", "rsl_rl", "save=2", set()),
        ("isaaclab-3.0.0-rl_games", "rl_games", "save=2", {"reward"}),
        ("isaaclab-3.0.0-skrl", "skrl", "save=2", set()),
        ("isaaclab-3.0.0-sb3", "sb3", "", set()),
    ],
)
def test_it_tells_what_the_real_one_tells(
    tmp_path: Path, recording: str, library: str, words: str, more: set[str]
) -> None:
    fake = Trained(tmp_path, library, words)
    real = Output((lab.FAKES.parent / "recordings" / f"{recording}.log").read_bytes(), library, 3)
    assert fake.status == 0, fake.err
    assert fake.fields | more == real.fields
    assert fake.told("phase") == real.told("phase")
    assert fake.told("log_root") == [str(fake.run.parent)]
    assert fake.told("run_folder") == [fake.run.name]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("generation", [2, 3])
def test_it_leaves_what_the_real_one_leaves(tmp_path: Path, library: str, generation: int) -> None:
    trained = Trained(tmp_path, library, generation=generation)
    expected = [name for name in CHECKPOINTS[library] if generation == 3 or name != "checkpoints/agent_160.pt"]
    assert (trained.status, trained.checkpoints) == (0, expected)
    assert (trained.run / "run.json").exists() == (generation == 3)
    assert all(zipfile.is_zipfile(trained.run / name) for name in trained.checkpoints)
    env = yaml.safe_load((trained.run / "params" / "env.yaml").read_text())
    assert env["scene"]["num_envs"] == 64


def test_its_configs_have_the_keys_that_tell_the_horizon(tmp_path: Path) -> None:
    def agent(library: str) -> dict[str, Any]:
        run = Trained(tmp_path, library, "", "--num_envs", "8").run
        config: dict[str, Any] = yaml.safe_load((run / "params" / "agent.yaml").read_text())
        return config

    rsl_rl, rl_games, skrl, sb3 = map(agent, LIBRARIES)
    assert (rsl_rl["max_iterations"], rsl_rl["num_steps_per_env"]) == (5, 16)
    assert rl_games["params"]["config"]["max_epochs"] == 5
    assert rl_games["params"]["config"]["horizon_length"] == 32
    assert (skrl["trainer"]["timesteps"], skrl["agent"]["rollouts"]) == (5 * 32, 32)
    assert (sb3["n_timesteps"], sb3["n_steps"]) == (5 * 16 * 8, 16)


@pytest.mark.parametrize("library", LIBRARIES)
def test_tensorboard_reads_its_event_files(tmp_path: Path, library: str) -> None:
    trained = Trained(tmp_path, library, "version=2.1" if library == "sb3" else "", generation=2)
    (file,) = trained.run.rglob("events.out.tfevents.*")
    loader = importlib.import_module("tensorboard.backend.event_processing.event_file_loader")
    tags: dict[str, list[tuple[int, float]]] = {}
    for event in loader.LegacyEventFileLoader(str(file)).Load():
        for value in event.summary.value:
            tags.setdefault(value.tag, []).append((event.step, round(value.simple_value, 4)))
    reward, length = REWARDS[library]
    steps = {"rsl_rl": range(5), "rl_games": range(1, 6), "skrl": range(32, 192, 32), "sb3": range(1024, 6144, 1024)}
    assert tags[reward] == list(zip(steps[library], (0.08, 0.1584, 0.2352, 0.3105, 0.3843), strict=True))
    assert [value for _, value in tags[length]] == [8, 10, 12, 14, 16]


def test_rsl_rl_goes_on_and_does_the_iteration_of_its_checkpoint_again(tmp_path: Path) -> None:
    again = resumed(Trained(tmp_path, "rsl_rl"), "model_4.pt", 3)
    assert (again.told("iteration"), again.told("max_iterations")) == ([5, 6, 7], [7])
    assert again.told("env_steps") == [1024, 2048, 3072]
    assert again.checkpoints == ["model_4.pt", "model_6.pt"]


def test_rsl_rl_of_isaac_lab_2_finds_its_checkpoint_by_pattern(tmp_path: Path) -> None:
    first = Trained(tmp_path, "rsl_rl", generation=2)
    words = ("--resume", "--load_run", re.escape(first.run.name), "--checkpoint", "model_2.pt")
    again = Trained(tmp_path, "rsl_rl", "save=2", *words, generation=2)
    assert again.told("loaded") == [str(first.run / "model_2.pt")]
    assert again.told("iteration") == [3, 4, 5, 6, 7]


def test_rl_games_goes_on_toward_the_same_total(tmp_path: Path) -> None:
    first = Trained(tmp_path, "rl_games")
    again = resumed(first, CHECKPOINTS["rl_games"][2], 7)
    assert (again.told("iteration"), again.told("max_iterations")) == ([6, 7], [7])
    assert [name.split("_rew")[0] for name in again.checkpoints] == [
        "nn/last_cartpole_direct_ep_6",
        "nn/last_cartpole_direct_ep_7",
    ]
    late = resumed(first, CHECKPOINTS["rl_games"][2], 4)
    assert (late.told("iteration"), late.told("max_iterations")) == ([6], [4])


def test_skrl_starts_at_0_again(tmp_path: Path) -> None:
    again = resumed(Trained(tmp_path, "skrl"), "checkpoints/agent_128.pt", 2)
    assert (again.told("timesteps"), again.told("timesteps_total")) == ([0, 32, 64], [64])
    assert again.checkpoints == ["checkpoints/agent_64.pt"]


def test_sb3_starts_at_0_again_and_writes_its_events_where_it_came_from(tmp_path: Path) -> None:
    first = Trained(tmp_path, "sb3")
    again = resumed(first, "model.zip", 2)
    assert again.told("timesteps") == [2048]
    assert again.run != first.run
    assert again.checkpoints == ["model.zip", "model_2048_steps.zip"]
    assert sorted(path.name for path in first.run.glob("PPO_*")) == ["PPO_1", "PPO_2"]
    assert not list(again.run.glob("PPO_*"))


def test_old_versions_speak_their_own_way(tmp_path: Path) -> None:
    old = Trained(tmp_path, "sb3", "version=2.1", generation=2)
    assert (old.told("iteration"), old.told("finished")) == ([1, 2, 3, 4, 5], [])
    assert old.told("timesteps") == [1024, 2048, 3072, 4096, 5120]
    assert "ETA: 1.2s" in Trained(tmp_path, "rsl_rl", "version=2.1", generation=2).out.decode()
    assert Trained(tmp_path, "skrl", "", "--algorithm", "MAPPO").told("run_folder")[0].endswith("_mappo_torch")


@pytest.mark.parametrize(
    ("word", "status", "words"),
    [
        ("die-at=3", -signal.SIGKILL, ""),
        ("segv-at=3", -signal.SIGSEGV, "Fatal Python error: Segmentation fault"),
        ("crash-at=3", 1, "RuntimeError: the physics exploded"),
        ("zero-after-traceback=3", 0, "RuntimeError: the physics exploded"),
        ("oom-at=3", 1, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate"),
        ("nan-at=3", 1, "ValueError: The rewards returned by the environment contain NaN values."),
    ],
)
@pytest.mark.parametrize("library", ["rsl_rl", "rl_games"])
def test_it_ends_as_asked(tmp_path: Path, library: str, word: str, status: int, words: str) -> None:
    ended = Trained(tmp_path, library, f"save=1 {word}")
    assert ended.status == status
    assert ended.told("iteration") == [1, 2, 3]
    assert words in ended.err
    assert not ended.told("finished")
    assert len(ended.checkpoints) == 3


def test_a_nan_is_told_before_it_ends(tmp_path: Path) -> None:
    assert str(Trained(tmp_path, "rsl_rl", "nan-at=2").told("reward")) == "[0.08, nan]"


def test_a_word_may_be_for_one_start_only(tmp_path: Path) -> None:
    words = "save=1 1:die-at=3 2:crash-at=2"
    assert [Trained(tmp_path, "rl_games", words).status for _ in range(3)] == [-signal.SIGKILL, 1, 0]


def test_a_cut_checkpoint_cannot_be_loaded(tmp_path: Path) -> None:
    cut = Trained(tmp_path, "rsl_rl", "save=1 truncate=3")
    assert cut.status == -signal.SIGKILL
    assert [zipfile.is_zipfile(cut.run / name) for name in cut.checkpoints] == [True, True, False]
    again = resumed(cut, "model_2.pt", 3)
    assert (again.status, "PytorchStreamReader failed reading zip archive" in again.err) == (1, True)
    assert files.read_checkpoint(cut.run / "model_1.pt") == {"iter": 1}


def test_noise_is_noise(tmp_path: Path) -> None:
    noisy = Trained(tmp_path, "rsl_rl", "flood=100000 longline=50000 latin1")
    assert noisy.told("iteration") == [1, 2, 3, 4, 5]
    assert len(noisy.out) > 150_000 - 100
    assert max(map(len, noisy.lines)) == 50_000
    with pytest.raises(UnicodeDecodeError):
        noisy.out.decode()


def test_silence_still_leaves_files(tmp_path: Path) -> None:
    silent = Trained(tmp_path, "rsl_rl", "silent save=2")
    assert (silent.status, silent.out, silent.checkpoints) == (0, b"", CHECKPOINTS["rsl_rl"])


class Going:
    """A run of the fake trainer that does not end by itself."""

    def __init__(self, folder: Path, words: str, *options: str) -> None:
        (folder / "notes").mkdir()
        self.out = folder / "out"
        with self.out.open("wb") as out:
            self.child = subprocess.Popen(
                [sys.executable, "-I", "-S", str(lab.TRAINER), "-m", "isaaclab", "train", *options],
                cwd=folder,
                env=os.environ | {"FAKE_TRAINER": words, "FAKE_NOTES": str(folder / "notes")},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def until(self, text: str) -> None:
        lab.eventually(lambda: text in self.out.read_text(encoding="utf-8"), text)

    def stop(self, *numbers: signal.Signals) -> int:
        for number in numbers:
            assert self.child.poll() is None
            self.child.send_signal(number)
        return self.child.wait(lab.PATIENCE_S)


@pytest.mark.parametrize(
    ("words", "last"),
    [
        ("stall-at=0", "[3/3] Preparing agent"),
        ("stall-at=3", "Learning iteration 2/150"),
        ("hang-at-end", "Training time: "),
        ("iterations=100000 pace=0.01", "Learning iteration 3/100000"),
    ],
)
def test_it_stalls_as_asked_and_int_ends_it_with_0(tmp_path: Path, words: str, last: str) -> None:
    going = Going(tmp_path, words, "--rl_library", "rsl_rl")
    going.until(last)
    status = going.stop(signal.SIGINT)
    assert status == (-signal.SIGINT if words == "hang-at-end" else 0)
    assert ("Training time" in going.out.read_text()) == (words == "hang-at-end")


def test_sb3_saves_when_it_is_interrupted(tmp_path: Path) -> None:
    going = Going(tmp_path, "stall-at=3", "--rl_library", "sb3")
    going.until("Logging to ")
    lab.eventually((tmp_path / "notes" / "stalled").exists, "the stall")
    assert going.stop(signal.SIGINT) == 0
    ended = Output(going.out.read_bytes(), "sb3", 3)
    assert (ended.told("timesteps"), ended.told("timesteps_total")) == ([3 * 1024], [150 * 1024])
    assert (ended.told("checkpoint"), ended.told("finished")) == ([str(*tmp_path.rglob("model.zip"))], [True])


def test_a_stubborn_one_hears_only_kill(tmp_path: Path) -> None:
    going = Going(tmp_path, "stall-at=1 stubborn", "--rl_library", "rl_games")
    going.until("epoch: 1/150")
    assert going.stop(signal.SIGINT, signal.SIGTERM, signal.SIGKILL) == -signal.SIGKILL


def test_the_manifest_names_the_task(tmp_path: Path) -> None:
    run = Trained(tmp_path, "skrl", "", "--task=Isaac-Ant", "--run_timestamp=mine").run
    assert run.name == "mine_ppo_torch"
    assert json.loads((run / "run.json").read_text())["task"] == "Isaac-Ant"


@pytest.mark.parametrize(
    ("library", "override", "found"),
    [
        ("rsl_rl", "agent.save_interval=3", ["model_0.pt", "model_3.pt", "model_4.pt"]),
        (
            "skrl",
            "agent.agent.experiment.checkpoint_interval=96",
            ["checkpoints/agent_160.pt", "checkpoints/agent_96.pt"],
        ),
    ],
)
def test_it_obeys_a_save_interval(tmp_path: Path, library: str, override: str, found: list[str]) -> None:
    assert Trained(tmp_path, library, "", override).checkpoints == found
