"""Load and memory of the machine that a run is on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fakes.nvml import Driver
from spark_rl import gauges
from spark_rl.gauges import system
from spark_rl.memory import Memory

MEMINFO = Path("/proc/meminfo")


def gauge(monkeypatch: pytest.MonkeyPatch, driver: Driver, *indices: int) -> gauges.Gauge:
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    monkeypatch.setattr(gauges, "DRIVER_FILES", (str(MEMINFO),))
    return gauges.Gauge(indices)


def test_the_load_and_the_memory_of_the_runs_own_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(memory=(8 * 2**30, 16 * 2**30, 32 * 2**30))
    reading = gauge(monkeypatch, driver, 1, 2).read()
    assert (reading.gpu_percent, reading.memory_used_mib, reading.memory_total_mib) == (7.0, 24 * 1024, 48 * 1024)


def test_unified_memory_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = gauge(monkeypatch, Driver(memory=(None,)), 0).read()
    total = next(int(line.split()[1]) for line in MEMINFO.read_text().splitlines() if line.startswith("MemTotal"))
    assert (reading.gpu_percent, reading.memory_total_mib) == (7.0, total // 1024)
    assert 0 < reading.memory_used_mib < reading.memory_total_mib


@pytest.mark.parametrize("broken", ["nvmlInit", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetUtilizationRates"])
def test_a_driver_that_fails_does_no_harm(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    reading = gauge(monkeypatch, Driver(memory=(None,), broken=broken), 0).read()
    assert reading.gpu_percent is None
    assert reading.memory_total_mib > 0


def test_without_gpus_nobody_asks_the_driver() -> None:
    assert gauges.Gauge(()).read().gpu_percent is None


def test_the_machine_tells_what_is_left() -> None:
    found = system.memory()
    assert found.available_mib is not None
    assert 0 < found.available_mib <= found.total_mib
    assert system.oom_kills() >= 0


MIB = 2**20
UNLIMITED = "9223372036854771712"


def machine(folder: Path, cgroup: str, groups: dict[str, dict[str, str]]) -> Memory:
    """Read the memory of a machine with 16,000 MiB, 9,000 of them free, and these control groups."""
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "meminfo").write_text("MemTotal: 16384000 kB\nMemFree: 1 kB\nMemAvailable: 9216000 kB\n")
    (folder / "proc" / "self" / "cgroup").write_text(cgroup)
    for name, files in groups.items():
        (folder / "sys" / name).mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (folder / "sys" / name / file).write_text(text)
    return system.memory(folder / "proc", folder / "sys")


def v2(limit: str, used_mib: int = 0, *, cached_mib: int = 0) -> dict[str, str]:
    stat = f"anon 1\ninactive_file {cached_mib * MIB}\nactive_file 0\n"
    return {"memory.max": f"{limit}\n", "memory.current": f"{used_mib * MIB}\n", "memory.stat": stat}


def v1(limit: str, used_mib: int = 0) -> dict[str, str]:
    stat = f"inactive_file 7\ntotal_inactive_file {100 * MIB}\ntotal_active_file {50 * MIB}\n"
    return {
        "memory.limit_in_bytes": f"{limit}\n",
        "memory.usage_in_bytes": f"{used_mib * MIB}\n",
        "memory.stat": stat,
    }


@pytest.mark.parametrize(
    ("cgroup", "groups", "total", "available"),
    [
        ("", {}, 16000, 9000),
        ("0::/\n", {"": {}}, 16000, 9000),
        ("0::/a.slice/job\n", {"a.slice": v2("max"), "a.slice/job": v2("max", 5000)}, 16000, 9000),
        ("0::/a.slice/job\n", {"a.slice": v2("max"), "a.slice/job": v2(f"{4000 * MIB}", 1000)}, 4000, 3000),
        ("0::/a.slice/job\n", {"a.slice": v2(f"{2000 * MIB}", 1900), "a.slice/job": v2("max", 5)}, 2000, 100),
        ("0::/a\n", {"a": v2(f"{4000 * MIB}", 3900, cached_mib=3000)}, 4000, 3100),
        ("0::/a\n", {"a": v2(f"{4000 * MIB}", 4001)}, 4000, 0),
        ("0::/a\n", {"a": v2(f"{12000 * MIB}", 0)}, 12000, 9000),
        ("0::/docker/elsewhere\n", {"": v2(f"{3000 * MIB}", 1000)}, 3000, 2000),
        ("4:memory:/job\n0::/\n", {"memory": v1(UNLIMITED, 9), "memory/job": v1(f"{2000 * MIB}", 1000)}, 2000, 1150),
        ("4:cpu,memory:/docker/elsewhere\n", {"memory": v1(f"{2000 * MIB}", 1000)}, 2000, 1150),
        ("4:cpu:/job\n", {"memory": v1(f"{2000 * MIB}", 1000)}, 16000, 9000),
    ],
)
def test_a_container_has_what_its_control_group_leaves(
    tmp_path: Path, cgroup: str, groups: dict[str, dict[str, str]], total: int, available: int
) -> None:
    assert machine(tmp_path, cgroup, groups) == Memory(total_mib=total, available_mib=available)
