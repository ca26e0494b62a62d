"""Every dialect over real output (tests/recordings), and over the lines that could not be recorded here."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from spark_rl import dialects
from spark_rl.dialects import Event
from spark_rl.model import LIBRARIES
from spark_rl.records import PHASES

RECORDINGS = Path(__file__).parent / "recordings"
LARGEST = 15_000

CARTPOLE = "/data/logs/{}/cartpole_direct"
RLG = "/data/logs/rl_games/cartpole_direct"
SB3 = "/data/logs/sb3/Isaac-Cartpole-Direct"
STARTED: dict[str, Any] = {"phase": list(PHASES[1:]), "finished": [True]}

TOLD: dict[str, dict[str, Any]] = {
    "isaaclab-3.0.0-rsl_rl": {
        **STARTED,
        "iteration": [1, 2, 3, 4, 5, 6],
        "max_iterations": [6],
        "env_steps": [1024, 2048, 3072, 4096, 5120, 6144],
        "fps": [69, 3548, 3456, 3298, 3488, 3533],
        "iteration_seconds": [14.68, 0.29, 0.3, 0.31, 0.29],
        "reward": [0.08, 0.21, -0.4, -1.11, -0.99, -1.09],
        "length": [6.0, 22.75, 37.21, 48.21, 52.28, 54.82],
        "log_root": [CARTPOLE.format("rsl_rl")],
        "run_folder": ["2026-11-25_15-51-25"],
    },
    "isaaclab-3.0.0-rsl_rl-resumed": {
        **STARTED,
        "iteration": [6, 7, 8, 9],
        "max_iterations": [9],
        "env_steps": [1024, 2048, 3072, 4096],
        "fps": [1604, 3675, 3550, 3493],
        "iteration_seconds": [0.64, 0.28, 0.29],
        "reward": [0.09, -0.23, -0.74, -0.92],
        "length": [6.0, 24.6, 40.45, 46.86],
        "log_root": [CARTPOLE.format("rsl_rl")],
        "run_folder": ["2026-11-25_15-52-31"],
        "loaded": [CARTPOLE.format("rsl_rl") + "/2026-11-25_15-51-25/model_5.pt"],
    },
    "isaaclab-3.0.0-rl_games": {
        **STARTED,
        "iteration": [1, 2, 3, 4, 5, 6],
        "max_iterations": [6],
        "fps": [2401, 4209, 4284, 4267, 4042, 4111],
        "reward": [-3.5530126],
        "log_root": [RLG],
        "run_folder": ["2026-11-25_15-53-46"],
        "checkpoint": [
            f"{RLG}/2026-11-25_15-53-46/nn/last_cartpole_direct_ep_4_rew_-3.5530126.pth",
            f"{RLG}/2026-11-25_15-53-46/nn/cartpole_direct.pth",
            f"{RLG}/2026-11-25_15-53-46/nn/last_cartpole_direct_ep_6_rew_-4.111727.pth",
            f"{RLG}/2026-11-25_15-53-46/nn/last_cartpole_direct_ep_6_rew__-4.111727_.pth",
        ],
    },
    "isaaclab-3.0.0-rl_games-resumed": {
        **STARTED,
        "iteration": [7, 8, 9, 10],
        "max_iterations": [10],
        "fps": [2361, 4248, 4031, 4046],
        "log_root": [RLG],
        "run_folder": ["2026-11-25_15-54-04"],
        "loaded": [f"{RLG}/2026-11-25_15-53-46/nn/last_cartpole_direct_ep_6_rew__-4.111727_.pth"],
        "checkpoint": [
            f"{RLG}/2026-11-25_15-54-04/nn/last_cartpole_direct_ep_8_rew_-1.8717003.pth",
            f"{RLG}/2026-11-25_15-54-04/nn/last_cartpole_direct_ep_10_rew_-1.8802936.pth",
            f"{RLG}/2026-11-25_15-54-04/nn/last_cartpole_direct_ep_10_rew__-1.8802936_.pth",
        ],
    },
    "isaaclab-3.0.0-rl_games-resumed-past-the-end": {
        **STARTED,
        "iteration": [7],
        "max_iterations": [4],
        "fps": [2475],
        "log_root": [RLG],
        "run_folder": ["2026-11-25_15-54-20"],
        "loaded": [f"{RLG}/2026-11-25_15-53-46/nn/last_cartpole_direct_ep_6_rew__-4.111727_.pth"],
        "checkpoint": [f"{RLG}/2026-11-25_15-54-20/nn/last_cartpole_direct_ep_7_rew_-inf.pth"],
    },
    "isaaclab-3.0.0-skrl": {
        **STARTED,
        "timesteps": [
            *(0, 1, 8, 15, 22, 29, 36, 43, 50, 57, 64, 71, 77, 84, 91, 97, 103),
            *(110, 117, 124, 130, 137, 144, 151, 158, 164, 171, 178, 184, 191, 192),
        ],
        "timesteps_total": [192],
        "log_root": [CARTPOLE.format("skrl")],
        "run_folder": ["2026-11-25_15-53-12_ppo_torch"],
    },
    "isaaclab-3.0.0-skrl-resumed": {
        **STARTED,
        "timesteps": [0, 1, 8, 15, 22, 29, 36, 43, 50, 57, 64, 71, 78, 85, 92, 98, 105, 112, 119, 126, 128],
        "timesteps_total": [128],
        "log_root": [CARTPOLE.format("skrl")],
        "run_folder": ["2026-11-25_15-53-29_ppo_torch"],
        "loaded": [CARTPOLE.format("skrl") + "/2026-11-25_15-53-12_ppo_torch/checkpoints/agent_95.pt"],
    },
    "isaaclab-3.0.0-skrl-mappo": {
        **STARTED,
        "timesteps": [0, 1, 8, 14, 19, 26, 32, 38, 45, 51, 57, 63, 69, 75, 81, 87, 93, 96],
        "timesteps_total": [96],
        "log_root": ["/data/logs/skrl/pendulum_marl_direct"],
        "run_folder": ["2026-11-25_15-54-33_mappo_torch"],
    },
    "isaaclab-3.0.0-sb3": {
        **STARTED,
        "timesteps": [6144],
        "timesteps_total": [6144],
        "env_steps": [6144],
        "fps": [3636],
        "log_root": [SB3],
        "run_folder": ["2026-11-25_15-52-44"],
        "checkpoint": [f"{SB3}/2026-11-25_15-52-44/model.zip"],
    },
    "isaaclab-3.0.0-sb3-resumed": {
        **STARTED,
        "timesteps": [4096],
        "timesteps_total": [4096],
        "env_steps": [4096],
        "fps": [3559],
        "log_root": [SB3],
        "run_folder": ["2026-11-25_15-52-58"],
        "checkpoint": [f"{SB3}/2026-11-25_15-52-58/model.zip"],
    },
    "isaaclab-3.0.0-sb3-log-interval": {
        **STARTED,
        "timesteps": [1024, 2048, 3072, 4096],
        "timesteps_total": [4096],
        "env_steps": [1024, 2048, 3072, 4096],
        "fps": [1659, 2254, 2565, 2747, 3682],
        "log_root": [SB3],
        "run_folder": ["2026-11-25_16-03-57"],
        "checkpoint": [f"{SB3}/2026-11-25_16-03-57/model.zip"],
    },
    "isaaclab-3.0.0-sb3-interrupted": {
        **STARTED,
        "timesteps": [9728],
        "timesteps_total": [409_600],
        "env_steps": [9728],
        "fps": [3409],
        "log_root": [SB3],
        "run_folder": ["2026-11-25_16-22-22"],
        "checkpoint": [f"{SB3}/2026-11-25_16-22-22/model.zip"],
    },
    "rsl_rl-2.3.1": {
        "phase": ["training"],
        "iteration": [1, 2, 3, 4],
        "max_iterations": [4],
        "env_steps": [128, 256, 384, 512],
        "fps": [3026, 9963, 10083, 10433],
        "iteration_seconds": [0.04, 0.01],
        "reward": [0.76, 0.89, 0.95, 0.98],
        "length": [8.82, 10.16, 10.91, 11.19],
    },
    "rsl_rl-2.3.1-resumed": {
        "phase": ["training"],
        "iteration": [4, 5, 6],
        "max_iterations": [6],
        "env_steps": [128, 256, 384],
        "fps": [7714, 10542, 10586],
        "iteration_seconds": [0.02, 0.01],
        "reward": [0.76, 0.89, 0.96],
        "length": [8.82, 10.16, 10.91],
    },
    "skrl-1.4.3": {
        "phase": ["training"],
        "timesteps": [0, 187, 374, 559, 745, 931, 1121, 1312, 1504, 1696, 1887, 1999],
        "timesteps_total": [1999],
    },
    "sb3-table": {
        "phase": ["training"],
        "iteration": [1, 2, 3, 4],
        "timesteps": [128, 256, 384, 512],
        "env_steps": [128, 256, 384, 512],
        "fps": [6463, 4833, 5107, 4990],
        "reward": [23.4, 18.4, 21.7, 21.4],
        "length": [23.4, 18.4, 21.7, 21.4],
        "checkpoint": ["/data/table/model_200_steps.zip", "/data/table/model_400_steps.zip"],
    },
    "sb3-table-resumed": {
        "phase": ["training"],
        "iteration": [1, 2, 3, 4],
        "timesteps": [128, 256, 384, 512],
        "env_steps": [128, 256, 384, 512],
        "fps": [7102, 5458, 5592, 5359],
        "reward": [23.4, 18.4, 24.1, 23.1],
        "length": [23.4, 18.4, 24.1, 23.1],
        "checkpoint": ["/data/resumed/model_200_steps.zip", "/data/resumed/model_400_steps.zip"],
    },
}
"""Recording to what it tells: of each field, the values in order, repetitions left out."""

TOLD["rsl_rl-3.1.2"] = TOLD["rsl_rl-2.3.1"] | {"fps": [6933, 9066, 9074, 9169], "iteration_seconds": [0.02, 0.01]}
TOLD["rsl_rl-3.1.2-resumed"] = TOLD["rsl_rl-2.3.1-resumed"] | {"fps": [7070, 8931, 8537]}


def read(text: str, library: str, generation: int) -> dict[str, list[Any]]:
    """Return what a text tells: of each field, the values in order, repetitions left out."""
    dialect = dialects.read(library, generation)
    told: dict[str, list[Any]] = {}
    for event in filter(None, map(dialect, re.split(r"\r\n|\r|\n", text))):
        for field in fields(Event):
            value, values = getattr(event, field.name), told.setdefault(field.name, [])
            if value is not None and value is not False and values[-1:] != [value]:
                values.append(value)
    return {name: values for name, values in told.items() if values}


def recording(name: str) -> tuple[str, str, int]:
    library = next(library for library in LIBRARIES if library in name)
    with (RECORDINGS / f"{name}.log").open(encoding="utf-8", newline="") as file:
        return file.read(), library, 3 if name.startswith("isaaclab-3") else 2


@pytest.mark.parametrize("name", TOLD)
def test_a_recording_tells_its_story(name: str) -> None:
    assert read(*recording(name)) == TOLD[name]


def test_every_recording_is_read_and_small() -> None:
    files = list(RECORDINGS.glob("*.log"))
    assert sorted(file.stem for file in files) == sorted(TOLD)
    assert max(file.stat().st_size for file in files) < LARGEST


@pytest.mark.parametrize("name", TOLD)
@pytest.mark.parametrize("before", ["\x1b[32m", "[default0]:", "[rank0]: ", "  \t"])
def test_colours_and_ranks_change_nothing(name: str, before: str) -> None:
    text, library, generation = recording(name)
    lines = re.split(r"\r\n|\r|\n", text)
    decorated = "\n".join(f"{before}{line}\x1b[0m\x1b[K" for line in lines)
    assert read(decorated, library, generation) == read(text, library, generation)


@pytest.mark.parametrize("name", TOLD)
def test_a_line_cut_anywhere_breaks_nothing(name: str) -> None:
    text, library, generation = recording(name)
    dialect = dialects.read(library, generation)
    for line in set(re.split(r"\r\n|\r|\n", text)):
        for end in range(0, len(line), 7):
            dialect(line[:end])
            dialect(line[end:])


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("generation", [2, 3])
@pytest.mark.parametrize(
    "line",
    [
        "",
        "x" * 4096,
        "[INFO] " * 600,
        "| " * 2048,
        "%| it/s ] " * 400,
        "fps step: " * 400,
        "Learning iteration " + "9/" * 2000,
        "Mean reward",
        "/" * 4096,
        "2025-10-15T23:30:28Z [68,667ms] [Warning] [omni.usd.audio] failed to subscribe to stage events",
        "    Number of environments: 64",
        "Mean episode rew_alive: 0.5",
        "Traceback (most recent call last):",
    ],
)
def test_noise_tells_nothing(library: str, generation: int, line: str) -> None:
    assert dialects.read(library, generation)(line) is None


@pytest.mark.parametrize(
    ("library", "line", "told"),
    [
        ("rsl_rl", "          Mean reward: nan", "nan"),
        ("rsl_rl", "          Mean reward: -inf", "-inf"),
        ("rl_games", "saving next best rewards:  [nan]", "nan"),
        ("sb3", "|    ep_rew_mean     | -1.23e+03 |", "-1230.0"),
    ],
)
def test_odd_rewards_are_told(library: str, line: str, told: str) -> None:
    event = dialects.read(library, 3)(line)
    assert event is not None
    assert str(event.reward) == told


@pytest.mark.parametrize(
    ("library", "line", "event"),
    [
        # rsl_rl before 2.3 (Isaac Lab 2.0)
        ("rsl_rl", "  Mean total reward: 3.50", Event(reward=3.5)),
        # rl_games without a limit of epochs, and with one of frames
        (
            "rl_games",
            "fps step: 9 fps step and policy inference: 8 fps total: 7 epoch: 12 frames: 4096",
            Event(phase="training", iteration=12, fps=7.0),
        ),
        ("rl_games", "MAX FRAMES NUM!", Event(phase="closing", finished=True)),
        ("rl_games", "Maximum reward achieved. Network won!", Event(phase="closing", finished=True)),
        # skrl, before its first step and for hours
        ("skrl", "  0%|          | 0/128 [00:00<?, ?it/s]", Event(phase="training", timesteps=0, timesteps_total=128)),
        (
            "skrl",
            " 25%|██▌       | 32000/128000 [1:02:03<3:06:09,  1.58s/it]",
            Event(phase="training", timesteps=32000, timesteps_total=128000),
        ),
        # a download's bar counts bytes, not env steps
        ("skrl", "model.safetensors:  25%|██▌       | 3.2M/12.8M [00:02<00:06, 1.4MB/s]", None),
        # a live bar of sb3, which only a terminal gets
        (
            "sb3",
            "\x1b[?25l\x1b[35m   0%\x1b[0m \x1b[90m━━━━\x1b[0m \x1b[32m0/1,024 \x1b[0m [ 0:00:00 < -:--:-- , ? it/s ]",
            Event(phase="training", timesteps=0, timesteps_total=1024, env_steps=0),
        ),
        (
            "sb3",
            "  50% ━━━━━━━━━━━━━╸━━━━━━━━━━━━ 2,048/4,096  [ 0:00:03 < 0:00:04 , ? it/s ]",
            Event(phase="training", timesteps=2048, timesteps_total=4096, env_steps=2048),
        ),
        ("sb3", "|    total_timesteps | 1000000 |", Event(phase="training", timesteps=1_000_000, env_steps=1_000_000)),
        ("sb3", "/data/data/robots.zip", None),
        # what stands far behind is not looked for
        ("rsl_rl", " " * 4096 + "Mean reward: 3.50", None),
        ("skrl", "x " * 300 + " 25%|██▌       | 32/128 [00:02<00:06, 1.58s/it]", None),
        ("sb3", "x " * 600 + " 25% ━━ 32/128 [ 0:00:00 < 0:00:00 , 2 it/s ]", None),
        ("skrl", "[6.402s] app ready", Event(phase="simulator")),
        (
            "rl_games",
            "Exact experiment name requested from command line: /data/pbt/logs/rl_games/ant/mine/",
            Event(log_root="/data/pbt/logs/rl_games/ant", run_folder="mine"),
        ),
        ("torchrl", "Mean reward: 3.50", None),
        ("torchrl", "Training time: 3.21 seconds", Event(phase="closing", finished=True)),
    ],
)
def test_lines_that_no_recording_has(library: str, line: str, event: Event | None) -> None:
    assert dialects.read(library, 2)(line) == event


ISAACLAB_2 = """\
[INFO] Using python from: /opt/conda/envs/lab/bin/python
[INFO][AppLauncher]: Using device: cuda:0
[INFO][AppLauncher]: Loading experience file: /opt/IsaacLab/apps/isaaclab.python.headless.kit
Loading user config located at: '/opt/isaac-sim/kit/data/Kit/Isaac-Sim/5.1/user.config.json'
[Info] [carb] Logging to file: /opt/isaac-sim/kit/logs/Kit/Isaac-Sim/5.1/kit_20260102_030405.log
2026-01-02T03:04:05Z [68,667ms] [Warning] [omni.usd.audio] failed to subscribe to stage events
[68.697s] [ext: omni.usd.schema.omniscripting-1.0.0] startup
[INFO]: Parsing configuration from: isaaclab_tasks.direct.cartpole.cartpole_env:CartpoleEnvCfg
[INFO] Logging experiment in directory: /data/logs/rsl_rl/my robots: first
Exact experiment name requested from command line: 2026-01-02_03-04-05
[INFO]: Base environment:
[INFO]: Completed setting up the environment...
[INFO]: Loading model checkpoint from: /data/logs/rsl_rl/my robots: first/2026-01-01_00-00-00/model_5.pt
Simulation App Shutting Down
"""


@pytest.mark.parametrize("library", LIBRARIES)
def test_isaac_lab_2_tells_where_it_is(library: str) -> None:
    assert read(ISAACLAB_2, library, 2) == {
        "phase": ["launching", "simulator", "environment", "agent", "closing"],
        "log_root": ["/data/logs/rsl_rl/my robots: first"],
        "run_folder": ["2026-01-02_03-04-05"],
        "loaded": ["/data/logs/rsl_rl/my robots: first/2026-01-01_00-00-00/model_5.pt"],
    }


def test_isaac_lab_3_reads_its_configuration_before_the_simulator_starts() -> None:
    line = "[INFO]: Parsing configuration from: isaaclab_tasks.core.cartpole.cartpole_direct_env_cfg:CartpoleEnvCfg"
    assert dialects.read("rsl_rl", 3)(line) is None
    assert dialects.read("rsl_rl", 2)(line) == Event(phase="environment")
    assert dialects.read("rsl_rl", 3)("[ISAACLAB] KitLauncher initialization complete") == Event(phase="simulator")
