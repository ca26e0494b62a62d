"""Event files of real runs, event files made here, and the records of runs that they belong to."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl import registry, tunings
from spark_rl.records import Attempt, Owner, Progress, Run
from spark_rl.tuning import Key, Tuning

if TYPE_CHECKING:
    from collections.abc import Iterable

EVENTS = Path(__file__).parent / "recordings" / "events"
RUNS = {"rsl_rl": (16, 30), "rl_games": (32, 30), "skrl": (32, 30), "skrl_mappo": (16, 40), "sb3": (16, 30)}
"""Env steps per environment and iteration, and iterations, by folder of :data:`EVENTS`; all with 64 environments."""


def record(payload: bytes) -> bytes:
    return struct.pack("<QI", len(payload), 0) + payload + bytes(4)


def event(tag: str, step: int, value: float, wall_time: float = 1000.0) -> bytes:
    """Return the record of one scalar as torch's SummaryWriter has it."""
    from tensorboard.compat.proto.event_pb2 import Event

    made = Event(wall_time=wall_time, step=step)
    made.summary.value.add(tag=tag, simple_value=value)
    return record(made.SerializeToString())


def write(folder: Path, events: Iterable[bytes], name: str = "events.out.tfevents.1.host.1.0") -> Path:
    """Append records to an event file of a run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("ab") as file:
        file.writelines(events)
    return folder / name


def attempt(log_dir: str | None, **fields: Any) -> Attempt:
    """Return an attempt in the hours in which :data:`EVENTS` were written."""
    values: dict[str, Any] = {"argv": ("python",), "started_at": 1795620000.0, "ended_at": 1795630000.0}
    return Attempt(**values | {"log_dir": log_dir} | fields)


def run(folder: str = "rsl_rl", number: str = "1", **fields: Any) -> Run:
    """Return the record of the run that wrote a folder of :data:`EVENTS`."""
    horizon, iterations = RUNS[folder]
    marl = folder == "skrl_mappo"
    steps = horizon * iterations * 64
    values: dict[str, Any] = {
        "id": number,
        "action": "train",
        "task": "Isaac-Pendulum-MARL-Direct" if marl else "Isaac-Cartpole-Direct",
        "library": folder.removesuffix("_mappo"),
        "algorithm": "MAPPO" if marl else "PPO",
        "version": "3.0.0",
        "cwd": "/work",
        "argv": ("python",),
        "state": "succeeded",
        "started_at": 1000.0,
        "updated_at": 1050.0,
        "ended_at": 1063.0,
        "owner": Owner(host="host", boot="b", pid=1, start_ticks=1),
        "num_envs": 64,
        "progress": Progress(iteration=iterations, max_iterations=iterations, env_steps=steps),
        "attempts": (attempt(str(EVENTS / folder)),),
    }
    return Run(**values | fields)


def measured(knee: int) -> None:
    """Record that ``tune`` found a knee for the cartpole on the CPU of this machine."""
    key = Key(
        task="Isaac-Cartpole-Direct",
        library="rsl_rl",
        algorithm="PPO",
        version="3.0.0",
        host=registry.owner_now().host,
        device="cpu",
    )
    tunings.save(registry.folder(), Tuning(key=key, knee=knee, largest=knee, at=1.0))
