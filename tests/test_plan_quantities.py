"""Counts, seeds and devices, and rl_games' arithmetic."""

from __future__ import annotations

import re
from typing import Any

import pytest

from planning import codes, host, planned, reason, refused, words
from spark_rl.plan.quantities import valid_counts, valid_minibatch

CARTPOLE = "Isaac-Cartpole-Direct-v0"
NO_GPU = host(gpus=0)


def test_counts_are_passed_on() -> None:
    for on in ("2.1.0", "2.3.2", "kitless"):
        plan = planned(on, CARTPOLE, headless=False, num_envs=64, seed=-1, max_iterations=5, options=())
        assert words(plan)[-6:] == ["--num_envs", "64", "--seed", "-1", "--max_iterations", "5"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"num_envs": 0}, "--num-envs must be at least 1, not 0"),
        ({"num_envs": -4}, "--num-envs must be at least 1, not -4"),
        ({"max_iterations": 0}, "--max-iterations must be at least 1, not 0"),
        ({"seed": -2}, "--seed must be from 0 to 2^32 - 1, not -2"),
        ({"seed": 2**32}, "--seed must be from 0 to 2^32 - 1"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(asked: dict[str, Any], message: str) -> None:
    refusal = refused("2.3.2", CARTPOLE, **asked)
    assert message in refusal.message
    assert refusal.hint


@pytest.mark.parametrize(("on", "taken"), [("2.1.0", False), ("2.2.0", False), ("2.2.1", True), ("kitless", True)])
def test_the_seed_of_play(on: str, taken: bool) -> None:
    if taken:
        assert words(planned(on, CARTPOLE, "play", seed=7))[-2:] == ["--seed", "7"]
    else:
        refusal = refused(on, CARTPOLE, "play", seed=7)
        assert refusal.message == f"play of Isaac Lab {on} has no --seed"
        assert "2.2.1" in (refusal.hint or "")


@pytest.mark.parametrize(("on", "taken"), [("2.1.0", False), ("2.2.0", False), ("2.2.1", True), ("kitless", True)])
def test_the_overrides_of_play(on: str, taken: bool) -> None:
    if taken:
        assert words(planned(on, CARTPOLE, "play", overrides=("env.decimation=4",)))[-1] == "env.decimation=4"
    else:
        refusal = refused(on, CARTPOLE, "play", overrides=("env.decimation=4",))
        assert refusal.message == f"play of Isaac Lab {on} takes no overrides such as env.decimation=4"
        assert "2.2.1" in (refusal.hint or "")
    assert words(planned(on, CARTPOLE, overrides=("env.decimation=4",)))[-1] == "env.decimation=4"


RSL, SB3 = ["agent.device={}"], ["++agent.device={}"]
GAMES_2 = ["++agent.params.config.device={}", "++agent.params.config.device_name={}"]
GAMES_3 = ["agent.params.config.device={}", "agent.params.config.device_name={}"]


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
@pytest.mark.parametrize(
    ("on", "library", "moved"),
    [
        ("2.1.0", "rsl_rl", RSL),
        ("2.3.2", "rsl_rl", RSL),
        ("kitless", "rsl_rl", RSL),
        ("2.3.2", "sb3", SB3),
        ("kitless", "sb3", RSL),
        ("2.2.0", "rl_games", [GAMES_2[0].removeprefix("++"), GAMES_2[1]]),
        ("2.3.0", "rl_games", []),
        ("2.3.2", "rl_games", [GAMES_2[0].removeprefix("++"), GAMES_2[1]]),
        ("kitless", "rl_games", GAMES_3),
        ("2.3.2", "skrl", []),
        ("kitless", "skrl", []),
    ],
)
def test_the_agent_moves_with_the_simulation(on: str, library: str, moved: list[str], device: str) -> None:
    plan = planned(on, CARTPOLE, library=library, device=device, headless=True)
    expected = ["--device", device, *(word.format(device) for word in moved)]
    assert [word for word in words(plan) if word != "--headless"] == expected
    assert reason(plan, "device") == "asked for"


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_the_first_gpu_needs_no_override(device: str) -> None:
    assert words(planned("kitless", CARTPOLE, device=device)) == ["--device", device]
    assert words(planned("kitless", CARTPOLE)) == []


def test_without_a_gpu_the_cpu_is_used() -> None:
    plan = planned("kitless", CARTPOLE, machine=NO_GPU)
    assert words(plan) == ["--device", "cpu", "agent.device=cpu"]
    assert reason(plan, "device") == "no GPU can be seen"
    assert codes(plan) == {}
    plan = planned("2.3.2", CARTPOLE, machine=NO_GPU)
    assert codes(plan) == {"gpu-missing": "warning"}
    assert plan.findings[0].hint == "check the driver: nvidia-smi"


@pytest.mark.parametrize(("visible", "cpu"), [("", True), ("-1", True), ("0", False), ("1", False), (None, False)])
def test_a_hidden_gpu_is_none(visible: str | None, cpu: bool) -> None:
    machine = host(gpus=2, environ={} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    assert ("cpu" in words(planned("kitless", CARTPOLE, machine=machine))) == cpu


def test_a_device_the_user_gave_the_agent_stays() -> None:
    plan = planned("kitless", CARTPOLE, device="cpu", overrides=("agent.device=cuda:0",))
    assert words(plan) == ["--device", "cpu", "agent.device=cuda:0"]


def test_cpu_in_2_s_spelling() -> None:
    for on in ("2.3.2", "kitless"):
        assert words(planned(on, CARTPOLE, headless=False, options=("--cpu",)))[-3:] == [
            *("--device", "cpu"),
            "agent.device=cpu",
        ]


@pytest.mark.parametrize("device", ["banana", "", "cuda:", "cuda:x", "gpu", "CPU", "cuda:1 ", "cpu\n"])
def test_a_device_that_cannot_be_is_refused(device: str) -> None:
    assert "--device must be cpu, cuda, cuda:N or auto" in refused("2.3.2", CARTPOLE, device=device).message


@pytest.mark.parametrize(("library", "planable"), [("rsl_rl", False), ("sb3", False), ("skrl", True)])
def test_play_of_old_releases_cannot_move_the_agent(library: str, planable: bool) -> None:
    for on in ("2.1.0", "2.2.0"):
        if planable:
            assert words(planned(on, CARTPOLE, "play", library=library, device="cpu"))[-2:] == ["--device", "cpu"]
        else:
            refusal = refused(on, CARTPOLE, "play", library=library, device="cpu")
            assert f"leaves {library}'s agent on cuda:0" in refusal.message
        assert planned(on, CARTPOLE, "play", library=library, device="cuda:0").argv


@pytest.mark.parametrize(
    ("asked", "refusable"),
    [
        ({}, False),
        ({"num_envs": 512}, False),
        ({"num_envs": 64}, True),
        ({"num_envs": 4095}, True),
        ({"num_envs": 1024}, False),
        ({"overrides": ("env.scene.num_envs=64",)}, True),
        ({"overrides": ("env.scene.num_envs=1024",)}, False),
        ({"num_envs": 64, "overrides": ("agent.params.config.minibatch_size=2048",)}, False),
        ({"num_envs": 64, "overrides": ("++agent.params.config.minibatch_size=2048",)}, False),
        ({"num_envs": 64, "overrides": ("agent.params.config.horizon_length=256",)}, False),
        ({"num_envs": 64, "overrides": ("agent.params.config.minibatch_size=x",)}, True),
    ],
)
@pytest.mark.parametrize("on", ["2.3.2", "kitless"])
def test_the_batch_of_rl_games(on: str, asked: dict[str, Any], refusable: bool) -> None:
    if refusable:
        assert "rl_games needs env count x horizon" in refused(on, CARTPOLE, library="rl_games", **asked).message
    else:
        assert planned(on, CARTPOLE, library="rl_games", **asked).argv
    assert planned(on, CARTPOLE, "play", library="rl_games", **asked).argv
    assert planned(on, CARTPOLE, library="skrl", **asked).argv


@pytest.mark.parametrize("num_envs", [1, 3, 63, 501, 513, 1001, 4095, 5003])
@pytest.mark.parametrize("task", [CARTPOLE, "Isaac-Velocity-Rough-Anymal-C-v0", "Isaac-Factory-PegInsert-Direct-v0"])
def test_what_the_hint_offers_is_valid(task: str, num_envs: int) -> None:
    hint = refused("2.3.2", task, library="rl_games", num_envs=num_envs).hint or ""
    counts = [int(count) for count in re.findall(r"--num-envs (\d+)", hint)]
    minibatches = re.findall(r"agent\.params\.config\.minibatch_size=\d+", hint)
    assert counts
    assert len(minibatches) == 1
    for count in counts:
        assert planned("2.3.2", task, library="rl_games", num_envs=count).argv
    assert planned("2.3.2", task, library="rl_games", num_envs=num_envs, overrides=tuple(minibatches)).argv


@pytest.mark.parametrize("horizon", [1, 8, 16, 24, 32, 128, 1000])
@pytest.mark.parametrize("minibatch", [512, 2048, 16384, 24576, 999])
def test_the_nearest_valid_numbers(horizon: int, minibatch: int) -> None:
    valid = [n for n in range(1, 3 * 24576) if n * horizon % minibatch == 0]
    for envs in (*range(1, 40), 63, 1021, 4099):
        counts = valid_counts(envs, horizon, minibatch)
        below, above = [n for n in valid if n <= envs], [n for n in valid if n > envs]
        assert counts == (*below[-1:], above[0])
        size = valid_minibatch(envs, horizon, minibatch)
        assert envs * horizon % size == 0
        assert 1 <= size <= minibatch
        assert size % horizon == 0 or horizon > minibatch


@pytest.mark.parametrize(("device", "gpus", "warned"), [("cuda:0", 0, True), ("cuda:1", 1, True), ("cuda:1", 2, False)])
def test_a_device_that_is_not_there_is_warned_of(device: str, gpus: int, warned: bool) -> None:
    plan = planned("kitless", "Isaac-Cartpole", machine=host(gpus=gpus), device=device)
    assert ("device-missing" in codes(plan)) is warned
