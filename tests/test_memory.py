"""The memory that a run must leave: its amount, the readings that count, and a run that takes too much."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from fakes import lab
from planning import GPU, HOSTS, host
from spark_rl import host as hosts
from spark_rl import launch, memory, network, prepare, registry, supervisor
from spark_rl.errors import RequestError
from spark_rl.gauges import system
from spark_rl.launch import watching
from spark_rl.live import Silent
from spark_rl.memory import Guard, Memory
from spark_rl.model import Request
from spark_rl.outcome import Outcome

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "mib"),
    [("4096", 4096), ("8GiB", 8192), ("8 gib", 8192), ("1.5G", 1536), ("512MiB", 512), ("512m", 512), ("0", 0)],
)
def test_an_amount_of_memory(text: str, mib: int) -> None:
    assert memory.mib(text, "--memory-reserve") == mib


@pytest.mark.parametrize("text", ["", "much", "-1", "8TiB", "8 GiB left", "1e3"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(RequestError, match="--memory-reserve must be an amount of memory"):
        memory.mib(text, "--memory-reserve")


def test_only_memory_that_is_shared_is_watched_unasked() -> None:
    assert memory.reserve(host(), None) is None
    assert memory.reserve(host(gpus=0), None) is None
    assert memory.reserve(host(gpus=0, memory_total_mib=8000), "1GiB") == 1024
    spark, _ = hosts.load(HOSTS / "dgx-spark.json")
    assert memory.reserve(spark, None) == round(spark.memory_total_mib * 0.06)


def test_a_small_machine_keeps_two_gibibytes() -> None:
    assert memory.default_reserve(16_000) == 2048
    assert memory.default_reserve(122_571) == 7354


def test_a_reserve_as_large_as_the_machine_is_refused() -> None:
    with pytest.raises(RequestError, match="leaves nothing of the machine's 32000 MiB") as caught:
        memory.reserve(host(), "32000")
    assert caught.value.hint == "for example --memory-reserve 2048"


@pytest.mark.parametrize(
    ("readings", "ends", "least"),
    [
        ((9000, 8000, 7000), False, None),
        ((9000, 5900), False, 5900),
        ((5900, 5800), False, 5800),
        ((5900, 5800, 5950), True, 5800),
        ((5900, 5800, 6000, 5900, 5900), False, 5800),
        ((9000, 2999), True, 2999),
        ((9000, 3000), False, 3000),
        ((2999, 9000), False, 2999),
    ],
)
def test_what_readings_come_to(readings: tuple[int, ...], ends: bool, least: int | None) -> None:
    guard = Guard(reserve_mib=6000)
    for reading in readings:
        guard = guard.read(reading)
    assert (guard.ends, guard.least_mib) == (ends, least)


def test_without_a_reserve_nothing_ends() -> None:
    assert not Guard(reserve_mib=0).read(0).ends


def test_the_gpu_of_a_workstation_is_not_the_systems() -> None:
    assert not GPU.unified
    assert memory.reserve(host(gpus=2), None) is None


class Falling:
    """A machine whose memory falls from one reading to the next, and stays where it is at the end."""

    oom_kills = staticmethod(system.oom_kills)

    def __init__(self, *mib: int) -> None:
        self.mib = [*mib]

    def memory(self) -> Memory:
        left = self.mib.pop(0) if len(self.mib) > 1 else self.mib[0]
        return Memory(total_mib=100_000, available_mib=left)


class Told(Silent):
    """Keeps what the user is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def trained(
    folder: Path, monkeypatch: pytest.MonkeyPatch, behaviour: str, machine: Falling, limits: launch.Limits
) -> tuple[Outcome, list[str]]:
    """Train on a machine whose memory falls."""
    monkeypatch.setenv("FAKE_TRAINER", behaviour)
    monkeypatch.setattr(network, "answers", lambda: True)
    monkeypatch.setattr(watching, "system", machine)
    monkeypatch.setattr(supervisor, "TICK_S", 0.1)
    request = Request(
        action="train", cwd=str(folder), task="Isaac-Cartpole-Direct", library="rsl_rl", save_every="1", preflight=False
    )
    facts = prepare.gather(prepare.Place(cwd=folder, isaaclab=str(lab.package(folder / "env"))))
    what = launch.Start(plan=prepare.decide(request, facts), request=request, facts=facts, limits=limits)
    view = Told()
    outcome = launch.start(what, show=lambda _run: view, tell=lambda _line: None)
    assert isinstance(outcome, Outcome)
    return outcome, view.lines


def test_a_run_is_ended_before_the_memory_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = launch.Limits(reserve_mib=6000, grace=0.2)
    outcome, told = trained(tmp_path, monkeypatch, "pace=0.05", Falling(9000, 5900, 5800, 5700), limits)
    assert (outcome.state, outcome.run.failure) == ("failed", "out-of-memory")
    assert "the machine's memory was running out, and it was ended" in outcome.message
    assert outcome.hint == "use fewer environments (--num-envs)"
    assert told[0] == (
        "warning: 5900 MiB of memory are left, less than the reserve of 6000 MiB: "
        "the run is ended if that lasts (--memory-reserve)"
    )
    assert registry.load("1").least_memory_mib == 5700
    assert outcome.checkpoint is not None


def test_memory_that_comes_back_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = launch.Limits(reserve_mib=6000)
    falling = Falling(9000, 5900, 5800, 9000)
    outcome, told = trained(tmp_path, monkeypatch, "pace=0.008", falling, limits)
    assert (outcome.state, outcome.run.least_memory_mib) == ("succeeded", 5800)
    assert len(told) == 1


def test_a_run_without_a_reserve_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, told = trained(tmp_path, monkeypatch, "pace=0.005", Falling(0), launch.Limits())
    assert (outcome.state, outcome.run.least_memory_mib, told) == ("succeeded", None, [])


def test_a_run_that_takes_the_memory_is_not_asked_for_long() -> None:
    stop = supervisor.Stop(grace_s=30.0)
    stop.end("memory")
    sent = [(stop.due(now), now) for now in (0.0, 4.9, 5.0, 9.9, 10.0)]
    assert [(signal.Signals(one).name, now) for one, now in sent if one] == [
        ("SIGINT", 0.0),
        ("SIGTERM", 5.0),
        ("SIGKILL", 10.0),
    ]
