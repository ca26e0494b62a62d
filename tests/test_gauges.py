"""Load and memory of the machine that a run is on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fakes.nvml import Driver
from spark_rl import gauges

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
    assert gauges.oom_kills() >= 0
