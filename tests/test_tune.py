"""``spark-rl tune`` and ``--num-envs auto`` as a user types them, on a stand-in whose Python is the fake trainer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fakes import lab
from fakes.nvml import Driver
from planning import HOSTS
from spark_rl import registry, runs, tunings
from spark_rl.errors import CheckError
from spark_rl.gauges import footprints, system
from spark_rl.memory import Memory
from spark_rl.tuning import Key, Tuning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TASK = "Isaac-Cartpole-Direct-v0"
PACE = "pace=0.05"
"""An iteration takes the same time whatever the env count: throughput doubles with it."""


class Desk(lab.Desk):
    """A desk at which env counts are measured."""

    def start(self, behaviour: str, *words: str) -> Any:
        return lab.spark_rl(*self.words(*words), cwd=self.cwd, env=self.environ(behaviour))

    def words(self, action: str, *rest: str, library: str = "rsl_rl") -> tuple[str, ...]:
        return (action, "--task", TASK, "--library", library, "--isaaclab", str(self.lab), *rest)

    def environ(self, behaviour: str) -> dict[str, str]:
        return lab.environ(behaviour, self.notes, TMPDIR=str(self.temp))

    def document(self, behaviour: str, *words: str, library: str = "rsl_rl") -> tuple[int, dict[str, Any]]:
        argv = self.words(*words, "--json", library=library)
        code, out, err = lab.call(*argv, cwd=self.cwd, env=self.environ(behaviour))
        assert out, err
        document: dict[str, Any] = json.loads(out)
        return code, document

    def tune(self, behaviour: str, *words: str) -> tuple[int, dict[str, Any]]:
        return self.document(behaviour, "tune", "--iterations", "8", *words)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.notes.sweep()


def test_a_climb_is_measured_told_and_remembered(desk: Desk) -> None:
    code, found = desk.tune(PACE, "--counts", "64,16,32")
    assert (code, found["schema"]) == (0, "spark-rl/tune/1")
    assert [(rung["num_envs"], rung["state"]) for rung in found["rungs"]] == [
        (16, "measured"),
        (32, "measured"),
        (64, "measured"),
    ]
    assert all(rung["throughput"] > 0 and rung["iteration_seconds"] > 0.02 for rung in found["rungs"])
    assert (found["knee"], found["largest"], found["default"]) == (64, 64, 4096)
    assert found["ended"] == "every count was measured"

    code, planned = desk.document("", "train", "--num-envs", "auto", "--dry-run")
    assert code == 0
    at = planned["argv"].index("--num_envs")
    assert planned["argv"][at + 1] == "64"
    assert planned["reasons"]["num_envs"].startswith("auto: 64, the knee that `spark-rl tune` found here on 20")
    (note,) = [one for one in planned["findings"] if one["code"] == "env-count-auto"]
    assert note["message"] == (
        "64 environments instead of the task's 4096 make each batch 0.0156 times as large, and the learning another one"
    )


def test_a_climb_leaves_nothing_behind_but_its_records(desk: Desk) -> None:
    desk.tune(PACE, "--counts", "16,32")
    assert list(desk.cwd.iterdir()) == []
    assert list(desk.temp.glob("spark-rl-tune-*")) == []
    assert runs.select().runs == ()
    measured = runs.select(action="tune").runs
    assert [(run.num_envs, run.state, run.action) for run in measured] == [
        (32, "succeeded", "tune"),
        (16, "succeeded", "tune"),
    ]


def test_a_rung_without_enough_memory_ends_the_climb(desk: Desk) -> None:
    code, found = desk.tune(f"{PACE} oom-above=40", "--counts", "16,32,64,128")
    assert (code, found["knee"], found["largest"]) == (0, 32, 32)
    assert [(rung["num_envs"], rung["state"]) for rung in found["rungs"]] == [
        (16, "measured"),
        (32, "measured"),
        (64, "failed"),
    ]
    assert found["ended"].startswith("64 environments: ")
    assert "memory" in found["ended"]
    assert registry.load("3").failure == "out-of-memory"
    assert found["remembered"] is not None


def test_a_climb_that_cannot_begin_is_an_error(desk: Desk) -> None:
    code, found = desk.tune("crash", "--counts", "16,32")
    assert (code, found["schema"]) == (1, "spark-rl/error/1")
    assert found["error"]["message"].startswith("16 environments: ")
    assert found["error"]["hint"] == "see what it printed: spark-rl runs log 1"
    assert list(desk.temp.glob("spark-rl-tune-*")) == []


def test_one_rung_is_no_measurement_to_remember(desk: Desk) -> None:
    code, found = desk.tune(PACE, "--counts", "16")
    assert (code, found["knee"], found["remembered"]) == (0, 16, None)


def test_a_climb_that_is_stopped_ends_its_run(desk: Desk) -> None:
    child = desk.start("polite", "tune", "--counts", "16,32", "--json")
    trainer = desk.notes.started()["pid"]
    child.send_signal(signal.SIGINT)
    code, out, _ = lab.finish(child)
    assert (code, json.loads(out)["remembered"]) == (130, None)
    assert not lab.is_running(trainer)
    assert registry.load("1").state == "interrupted"


def test_the_ladder_ends_at_its_last_rung(desk: Desk) -> None:
    code, found = desk.tune(PACE, "--max-envs", "40", "--device", "cpu")
    assert code == 0
    assert [rung["num_envs"] for rung in found["rungs"]] == [16, 32, 40]
    assert found["ended"] == "40 is the most allowed"


@pytest.mark.parametrize("library", ["rl_games", "skrl", "sb3"])
def test_each_library_is_measured(desk: Desk, library: str) -> None:
    counts = "512,1024" if library == "rl_games" else "16,32"
    code, found = desk.document(PACE, "tune", "--iterations", "8", "--counts", counts, library=library)
    assert code == 0, found
    assert [rung["state"] for rung in found["rungs"]] == ["measured", "measured"]
    assert all(rung["throughput"] > 0 for rung in found["rungs"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--counts", "64,many"), "--counts must be positive whole numbers, not 'many'"),
        (("--counts", "64", "--max-envs", "32"), "every count of --counts is above --max-envs 32"),
        (("--num-envs", "64"), "tune has no option --num-envs"),
        (("--max_iterations=64",), "tune has no option --max-iterations"),
        (("--library", "rl_games", "--max-envs", "8"), "rl_games takes no fewer than 512 environments here"),
        (("--memory-reserve", "all"), "--memory-reserve must be an amount of memory, not 'all'"),
        (("--library", "rl_games", "--counts", "512,600"), "rl_games needs env count x horizon"),
    ],
)
def test_what_makes_no_sense_is_told_before_the_first_run(desk: Desk, words: tuple[str, ...], message: str) -> None:
    code, found = desk.tune(PACE, *words)
    assert code == 2
    assert found["error"]["message"].startswith(message)
    assert not (desk.notes.folder / "started").exists()


def test_a_person_sees_a_table(desk: Desk) -> None:
    code, out, err = lab.finish(desk.start(PACE, "tune", "--iterations", "8", "--counts", "16,32"))
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("Isaac-Cartpole-Direct with rsl_rl (PPO), Isaac Lab 3.0.0, on ")
    assert lines[1].split() == ["envs", "env", "steps/s", "iteration", "memory"]
    assert lines[3].split()[0] == "32"
    assert lines[3].endswith("#  <- knee")
    assert "remembered: spark-rl train --num-envs auto uses the knee" in lines
    assert "measuring 16 environments" in err.splitlines()


def test_auto_is_the_tasks_default_where_nothing_was_measured(desk: Desk) -> None:
    _, planned = desk.document("", "train", "--num_envs=auto", "--dry-run")
    assert planned["reasons"]["num_envs"] == "auto: 4096, the task's default (spark-rl tune measures this machine)"
    assert "4096" in planned["argv"]
    assert [one for one in planned["findings"] if one["code"] == "env-count-auto"] == []


def test_what_another_machine_measured_is_not_known_here(desk: Desk) -> None:
    desk.tune(PACE, "--counts", "16,32")
    there = ("--host", str(HOSTS / "laptop-no-gpu.json"), "--device", "cpu")
    _, planned = desk.document("", "train", "--num-envs", "auto", "--dry-run", *there)
    assert planned["reasons"]["num_envs"] == (
        "auto: 4096, the task's default (what was measured there is known there alone)"
    )


def test_what_was_measured_for_another_library_does_not_count(desk: Desk) -> None:
    desk.tune(PACE, "--counts", "16,32")
    _, planned = desk.document("", "train", "--num-envs", "auto", "--dry-run", library="skrl")
    assert planned["reasons"]["num_envs"].startswith("auto: 4096, the task's default")
    _, planned = desk.document("", "train", "--num-envs", "auto", "--dry-run", "env.sim.dt=0.01")
    assert planned["reasons"]["num_envs"].startswith("auto: 4096, the task's default")


def test_auto_is_what_another_host_with_the_same_gpu_measured(tmp_path: Path) -> None:
    key = Key(task=TASK, library="rsl_rl", algorithm="PPO", version="3.0.0", host="here", device="NVIDIA H100")
    others = [("n1", "NVIDIA H100", 1.0), ("n2", "NVIDIA H100", 3.0), ("n3", "NVIDIA L4", 4.0), ("n4", "cpu", 5.0)]
    for number, (host, device, at) in enumerate(others, 1):
        tunings.save(tmp_path, Tuning(key=replace(key, host=host, device=device), knee=number, largest=9, at=at))
    found = tunings.alike(tmp_path, key)
    assert found is not None
    assert (found.key.host, found.knee) == ("n2", 2)
    assert tunings.alike(tmp_path, replace(key, device="cpu")) is None
    assert tunings.alike(tmp_path, replace(key, version="2.3.2")) is None


def test_the_run_keeps_the_number_that_auto_meant(desk: Desk) -> None:
    desk.tune(PACE, "--counts", "16,32")
    code, outcome = desk.document("", "train", "--num-envs", "auto", "--max-iterations", "5")
    assert (code, outcome["state"]) == (0, "succeeded")
    request, _ = runs.request_of(registry.load(outcome["run"]))
    assert (request.num_envs, request.auto_envs) == (32, False)


KEY = Key(task="T", library="skrl", algorithm="PPO", version="3.0.0", host="here", device="cpu")


def test_a_measurement_is_read_back_and_replaced(tmp_path: Path) -> None:
    assert tunings.load(tmp_path, KEY) is None
    first = Tuning(key=KEY, knee=64, largest=128, at=1.5)
    file = tunings.save(tmp_path, first)
    assert tunings.load(tmp_path, KEY) == first
    second = replace(first, knee=32)
    assert tunings.save(tmp_path, second) == file
    assert tunings.load(tmp_path, KEY) == second
    assert [one.name for one in file.parent.iterdir()] == [file.name]
    assert tunings.load(tmp_path, replace(KEY, device="NVIDIA GB10")) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema": "spark-rl/tuning/1"}', b"\xff", b"[" * 100_000])
def test_a_broken_file_is_no_measurement(tmp_path: Path, content: bytes) -> None:
    file = tunings.save(tmp_path, Tuning(key=KEY, knee=64, largest=128, at=1.5))
    file.write_bytes(content)
    assert tunings.load(tmp_path, KEY) is None


def test_a_measurement_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "tunings").write_text("")
    with pytest.raises(CheckError, match="the measurement cannot be remembered in"):
        tunings.save(tmp_path, Tuning(key=KEY, knee=64, largest=128, at=1.5))


def test_a_program_below_this_one_is_weighed() -> None:

    program = "x = bytearray(64 << 20); print('ready', flush=True); input()"
    pipe = subprocess.PIPE
    footprint = footprints.Footprint()
    footprint.look()
    before = footprint.peak_mib or 0
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        footprint.look()
        child.communicate("\n")
    assert (footprint.peak_mib or 0) >= before + 64


class Filling(Driver):
    """A GPU that fills up from one reading to the next."""

    used = 1 << 30

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        known = super().nvmlDeviceGetMemoryInfo(handle)
        known.used = self.used
        return known


@pytest.mark.parametrize(
    ("processes", "peak"),
    [((), 2048), (((1, 5 << 30),), 2048)],
)
def test_the_growth_of_a_gpu_stands_in_for_processes_of_other_numbers(
    monkeypatch: pytest.MonkeyPatch, processes: tuple[tuple[int, int], ...], peak: int
) -> None:
    driver = Filling((80 << 30,), processes=processes)
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    footprint = footprints.Footprint(0)
    driver.used = 3 << 30
    footprint.look()
    driver.used = 2 << 30
    footprint.look()
    assert (footprint.peak_mib, footprint.free_mib()) == (peak, 40 * 1024)


def test_the_own_processes_of_a_gpu_count_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Filling((80 << 30,), processes=((7, 5 << 30), (8, 1 << 30)))
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    monkeypatch.setattr(footprints, "_below", lambda _pid: iter((7,)))
    footprint = footprints.Footprint(0)
    footprint.look()
    assert footprint.peak_mib == 5 * 1024


def test_shared_memory_is_weighed_by_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    left = [100_000, 60_000, 80_000]
    monkeypatch.setattr(system, "memory", lambda: Memory(total_mib=120_000, available_mib=left.pop(0)))
    footprint = footprints.Footprint(0, unified=True)
    footprint.look()
    footprint.look()
    assert footprint.peak_mib == 40_000
