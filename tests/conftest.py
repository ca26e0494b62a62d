"""Every test has a home, caches and an environment of its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

HOSTS = Path(__file__).parent / "hosts"
_DECIDING = ("SPARK_RL_", "ISAACLAB", "ISAACSIM_", "CONDA_", "LD_PRELOAD", "PYTHONEXE", "VIRTUAL_ENV")
_OTHERS = (
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "LOCAL_RANK",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "OMNI_KIT_ACCEPT_EULA",
    "SLURM_JOB_ID",
    "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")


def pytest_configure() -> None:
    # A background shell or nohup starts its programs with signals ignored, and children inherit that.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(_DECIDING) or name in _OTHERS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / ".local" / "state"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
