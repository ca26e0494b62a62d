"""What Isaac Lab and Isaac Sim print, whichever RL library trains."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spark_rl.dialects.event import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_rl.records import Phase


def _folder(value: str) -> Event:
    """Read a run folder; rl_games names its whole path, and its library then the name again."""
    root, _, name = value.rstrip("/").rpartition("/")
    return Event(log_root=root or None, run_folder=name)


_PATHS: dict[str, Callable[[str], Event]] = {
    "[INFO] Logging experiment in directory:": lambda path: Event(log_root=path),
    "Exact experiment name requested from command line:": _folder,
    "[INFO]: Loading model checkpoint from:": lambda path: Event(loaded=path),
    "[INFO] Loading model checkpoint from:": lambda path: Event(loaded=path),
    "Loading checkpoint from:": lambda path: Event(loaded=path),
    "Training time:": lambda _seconds: Event(phase="closing", finished=True),
}
"""Lines that end in a value, in 2.x and in 3.0 (isaaclab_rl's train scripts and entry points)."""

_COMMON: dict[str, Phase] = {
    "[INFO][AppLauncher]:": "simulator",
    "Loading user config located at:": "simulator",
    "[Info] [carb] Logging to file:": "simulator",
    "Simulation App Starting": "simulator",
    "Simulation App Startup Complete": "simulator",
    "[ISAACLAB] KitLauncher": "simulator",
    "[INFO]: Base environment:": "environment",
    "[INFO]: Completed setting up the environment": "agent",
    "Simulation App Shutting Down": "closing",
}
_ONLY_2: dict[str, Phase] = {
    "[INFO] Using python from:": "launching",
    "[INFO]: Parsing configuration from:": "environment",
    "[INFO] Logging experiment in directory:": "environment",
}
_ONLY_3: dict[str, Phase] = {
    "[1/3] Launching simulation": "simulator",
    "[2/3] Creating environment": "environment",
    "[3/3] Preparing agent": "agent",
}


def _extension(text: str) -> bool:
    """Say whether Kit tells how it comes up: ``[1.234s] [ext: omni.usd-1.0] startup``, ``[3.456s] app ready``."""
    head = text[:160]
    return head.startswith("[") and ("s] [ext: " in head or head.endswith(("s] app ready", "s] app started")))


def _reader(phases: dict[str, Phase]) -> Callable[[str], Event | None]:
    starts = tuple({*_PATHS, *phases})

    def read(text: str) -> Event | None:
        if not text.startswith(starts):
            return Event(phase="simulator") if _extension(text) else None
        phase = next((told for start, told in phases.items() if text.startswith(start)), None)
        start = next((start for start in _PATHS if text.startswith(start)), None)
        if start is None:
            return Event(phase=phase)
        found = _PATHS[start](text.removeprefix(start).strip())
        return found if phase is None else replace(found, phase=phase)

    return read


read_2 = _reader(_COMMON | _ONLY_2)
read_3 = _reader(_COMMON | _ONLY_3)

GENERATIONS: dict[int, Callable[[str], Event | None]] = {2: read_2, 3: read_3}
"""Isaac Lab's major version to the reader of its lines: 2.x reads its configuration when Kit is up, 3.0 before."""
