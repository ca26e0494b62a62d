"""Real runs keep the machine's caches (compiled Warp kernels take half a minute) and lose only the user's settings."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SPARK_RL_", "ISAACSIM_")) or name in ("DISPLAY", "WAYLAND_DISPLAY", "LOCAL_RANK"):
            monkeypatch.delenv(name)
    # Tiny networks: a second thread only spins, and slows everything down on a busy machine.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
