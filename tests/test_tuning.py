"""Climbing on machines that exist in numbers alone: which rungs, where it ends, what was found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from planning import facts, host, lab
from spark_rl import documents, plan, plots, tune_tables, tuning
from spark_rl.errors import RequestError
from spark_rl.model import Gpu, Request
from spark_rl.tables import Screen
from spark_rl.tuning import Climb, Key, Rules, Rung

if TYPE_CHECKING:
    from pathlib import Path

    from spark_rl.model import Host


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine by what its trainings cost: memory in MiB, and a throughput that saturates at ``fastest``."""

    base_mib: float
    env_mib: float
    memory_mib: int
    fastest: float
    half_at: int

    def run(self, count: int) -> Rung:
        held = round(self.base_mib + self.env_mib * count)
        if held > self.memory_mib:
            return Rung(num_envs=count, state="failed", message="out of memory")
        speed = self.fastest * count / (count + self.half_at)
        return Rung(num_envs=count, state="measured", throughput=speed, memory_mib=held)

    def climb(self, rules: Rules) -> tuple[list[Rung], str]:
        rungs: list[Rung] = []
        while (following := tuning.following(rungs, rules)).count is not None:
            rungs.append(self.run(following.count))
        return rungs, following.why


GPU_80 = Machine(base_mib=2900, env_mib=0.14, memory_mib=81_559, fastest=5.2e6, half_at=24_000)
"""An 80 GB GPU on the simplest task."""
GPU_80_HEAVY = Machine(base_mib=5200, env_mib=4.5, memory_mib=81_559, fastest=4e5, half_at=30_000)
"""The same with a task whose environments are large."""
GB10 = Machine(base_mib=6000, env_mib=6.0, memory_mib=110_000, fastest=1.6e5, half_at=9000)
"""128 GB that GPU and system share."""
CPU = Machine(base_mib=800, env_mib=0.6, memory_mib=24_000, fastest=4200, half_at=90)


def heads(rungs: list[Rung]) -> list[int]:
    return [rung.num_envs for rung in rungs]


def test_a_gpu_of_80_gb_is_climbed_until_nothing_is_gained() -> None:
    rules = Rules(first=tuning.first(4096, gpu=True), budget_mib=81_000 - tuning.gpu_reserve(81_559))
    rungs, why = GPU_80.climb(rules)
    assert heads(rungs) == [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144]
    assert why == "262144 is the most allowed"
    assert tuning.knee(rungs) == 131_072
    assert tuning.largest(rungs) == 262_144
    line = tuning.fitted(rungs)
    assert line is not None
    assert line.env_mib == pytest.approx(0.14, abs=0.001)
    assert tuning.capacity(rungs, rules) == pytest.approx((76_922 - 2900) / (0.14 * tuning.MARGIN), rel=0.01)
    assert tuning.capacity(rungs[:4], rules) == 4 * 8192


def test_a_gpu_of_80_gb_is_not_filled() -> None:
    rules = Rules(first=1024, budget_mib=81_000 - tuning.gpu_reserve(81_559))
    rungs, why = GPU_80_HEAVY.climb(rules)
    assert heads(rungs) == [1024, 2048, 4096, 8192, 14_336]
    assert max(rung.memory_mib or 0 for rung in rungs) == 69_712
    assert why == "28672 environments would need about 147126 MiB, more than the 76922 MiB that the reserve leaves"
    assert tuning.capacity(rungs, rules) == 14_336
    assert tuning.knee(rungs) == 14_336


def test_a_gb10_keeps_its_reserve() -> None:
    rules = Rules(first=1024, budget_mib=115_000 - 7354)
    rungs, why = GB10.climb(rules)
    assert heads(rungs) == [1024, 2048, 4096, 8192, 14_336]
    assert max(rung.memory_mib or 0 for rung in rungs) == 92_016
    assert why.endswith(", more than the 107646 MiB that the reserve leaves")


def test_a_cpu_begins_low_and_stops_early() -> None:
    rules = Rules(first=tuning.first(4096, gpu=False), budget_mib=20_000)
    rungs, why = CPU.climb(rules)
    assert heads(rungs) == [16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
    assert why == "more environments no longer raise the throughput"
    assert tuning.knee(rungs) == 1024


@pytest.mark.parametrize(
    ("default", "gpu", "first"),
    [(4096, True, 1024), (None, True, 1024), (2, True, 1), (8, False, 2)],
)
def test_the_first_rung(default: int | None, gpu: bool, first: int) -> None:
    assert tuning.first(default, gpu=gpu) == first


def test_named_counts_are_measured_one_after_the_other() -> None:
    rules = Rules(first=1024, counts=(64, 100, 7000))
    rungs, why = CPU.climb(rules)
    assert (heads(rungs), why) == ([64, 100, 7000], "every count was measured")


def test_named_counts_are_no_leave_to_fill_the_memory() -> None:
    rungs, why = CPU.climb(Rules(first=1, counts=(64, 128, 60_000), budget_mib=20_000))
    assert heads(rungs) == [64, 128]
    assert why.startswith("60000 environments would need about ")


def test_a_rung_that_fails_is_the_last() -> None:
    rungs, why = GB10.climb(Rules(first=4096))
    assert [rung.state for rung in rungs] == ["measured", "measured", "measured", "failed"]
    assert why == "32768 environments: out of memory"
    assert tuning.largest(rungs) == 16_384
    assert (tuning.capacity(rungs, Rules(first=1, budget_mib=200_000)) or 0) < 32_768


def test_the_first_rung_may_fail() -> None:
    rungs, why = GB10.climb(Rules(first=65_536))
    assert (heads(rungs), why) == ([65_536], "65536 environments: out of memory")
    assert (tuning.knee(rungs), tuning.largest(rungs), tuning.fitted(rungs)) == (None, None, None)


def test_a_second_rung_that_may_not_fit_is_not_tried() -> None:
    rungs = [Rung(num_envs=1024, state="measured", throughput=1.0, memory_mib=9000)]
    assert tuning.following(rungs, Rules(first=1024, budget_mib=11_000)).count is None
    assert tuning.following(rungs, Rules(first=1024, budget_mib=12_000)).count == 1280
    assert tuning.following(rungs, Rules(first=1024, budget_mib=20_000)).count == 2048
    assert tuning.following(rungs, Rules(first=1024)).count == 2048


def test_rl_games_gets_whole_minibatches() -> None:
    rules = Rules(first=100, horizon=16, minibatch=24_576, most=20_000)
    rungs, why = CPU.climb(rules)
    assert heads(rungs) == [1536, 3072, 6144]
    assert all(count * 16 % 24_576 == 0 for count in heads(rungs))
    assert why == "more environments no longer raise the throughput"


def test_the_ladder_ends_at_the_most_that_is_allowed() -> None:
    rungs, why = GPU_80.climb(Rules(first=1024, most=3000))
    assert (heads(rungs), why) == ([1024, 2048, 3000], "3000 is the most allowed")


def test_memory_that_does_not_grow_says_nothing() -> None:
    rungs = [Rung(num_envs=count, state="measured", throughput=1.0, memory_mib=500) for count in (16, 32)]
    assert tuning.fitted(rungs) is None
    assert tuning.capacity(rungs, Rules(first=1, budget_mib=9000)) is None
    assert tuning.expected_mib(rungs, 64) == 500


def test_memory_that_grows_by_leaps_is_expected_to_leap_again() -> None:
    sizes = {16: 500, 32: 500, 64: 1780}
    rungs = [Rung(num_envs=count, state="measured", memory_mib=mib) for count, mib in sizes.items()]
    assert tuning.expected_mib(rungs, 128) == 1780 + tuning.MARGIN * 40 * 64


def test_rungs_without_a_throughput_have_no_knee() -> None:
    assert tuning.knee([Rung(num_envs=16, state="measured")]) is None


@pytest.mark.parametrize(("text", "counts"), [("64", (64,)), ("128, 64,64", (64, 128))])
def test_counts(text: str, counts: tuple[int, ...]) -> None:
    assert tuning.counts(text) == counts


@pytest.mark.parametrize("text", ["", "64,", "0", "-1", "1e3", "many"])
def test_what_are_no_counts(text: str) -> None:
    with pytest.raises(RequestError, match="--counts must be positive whole numbers"):
        tuning.counts(text)


def test_the_first_iterations_are_not_measured() -> None:
    slow_start = [(0.0, 0), (30.0, 1), (60.0, 2), (61.0, 3), (62.0, 4), (63.0, 5)]
    assert tuning.speed(slow_start, 8) == 1.0
    assert tuning.speed([(1.0, 3), (1.0, 8)], 8) is None
    assert tuning.speed([(1.0, 1), (9.0, 8)], 8) is None
    assert tuning.speed([], 8) is None


def test_what_a_measurement_is_good_for() -> None:
    known = facts(lab("kitless"), machine=_two_gpus())
    overrides = ("agent.algorithm.learning_rate=1", "env.scene.num_envs=5", "env.x=2", "agent.num_steps_per_env=8")
    request = Request(
        action="train", task="Isaac-Cartpole-Direct", cwd="/w", library="rsl_rl", device="cuda:1", overrides=overrides
    )
    _, target = plan.resolve(request, known)
    key = tuning.key(request, known, target, "here")
    assert (key.library, key.algorithm, key.version, key.host, key.device) == ("rsl_rl", "PPO", "3.0.0", "here", "B")
    assert key.overrides == ("agent.num_steps_per_env=8", "env.x=2")


def _two_gpus() -> Host:
    return replace(host(), gpus=(Gpu(index=0, name="A"), Gpu(index=1, name="B")))


def found() -> Climb:
    """Return a climb on a GPU of 80 GB that ended for want of memory."""
    rules = Rules(first=4096, budget_mib=76_922)
    rungs = (
        Rung(num_envs=4096, state="measured", throughput=91_000.4, iteration_seconds=1.0803, memory_mib=23_632),
        Rung(num_envs=8192, state="measured", throughput=160_000.0, iteration_seconds=1.2288, memory_mib=42_064),
        Rung(num_envs=12_288, state="measured", throughput=163_000.0, iteration_seconds=1.809, memory_mib=60_496),
        Rung(num_envs=15_360, state="failed", message="out of memory"),
    )
    key = Key(task="Isaac-Ant", library="rsl_rl", algorithm="PPO", version="3.0.0", host="lab", device="NVIDIA H100")
    return Climb(
        key=key,
        default=4096,
        iterations=20,
        reserve_mib=4078,
        rules=rules,
        rungs=rungs,
        why="15360 environments: out of memory",
        remembered="/state/tunings/x.json",
    )


TABLE = """\
Isaac-Ant with rsl_rl (PPO), Isaac Lab 3.0.0, on NVIDIA H100 of lab
 envs  env steps/s  iteration  memory
 4096       91,000     1.08 s  23 GiB  #############
 8192      160,000     1.23 s  41 GiB  ########################  <- knee
12288      163,000     1.81 s  59 GiB  ########################
15360       failed

ended: 15360 environments: out of memory
knee: 8192 environments, the fewest with nearly all of the throughput; the task's default is 4096
largest: 12288 ran, 13281 should fit with 4.0 GiB left free
memory: 5.1 GiB and 4.5 MiB for each environment
remembered: spark-rl train --num-envs auto uses the knee
more environments make larger batches: the learning is another one, not only a faster one"""


def test_a_climb_as_a_table() -> None:
    assert tune_tables.climb(found(), Screen(width=72), ascii_only=True) == TABLE


def test_a_climb_as_a_document() -> None:
    told = documents.tune(found())
    assert (told["knee"], told["largest"], told["capacity"], told["mib_per_env"]) == (8192, 12_288, 13_281, 4.5)
    assert told["rungs"][3] == {
        "num_envs": 15_360,
        "state": "failed",
        "throughput": None,
        "iteration_seconds": None,
        "memory_mib": None,
        "run": None,
        "message": "out of memory",
    }


def test_a_climb_as_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plots.climb_png(found(), tmp_path / "climb.png")
    assert (tmp_path / "climb.png").read_bytes().startswith(b"\x89PNG")
