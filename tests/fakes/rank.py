"""One rank of a training: torchrun or skrl's JAX launcher starts it, and gloo binds it to the others.

Called as Isaac Lab's training script; ``FAKE_TRAINER`` holds the words of trainer.py, and ``WORD@RANK`` is for one
rank alone. Rank 0 says what the RL library says and leaves what that leaves. Each rank notes its process in
``FAKE_NOTES`` as ``rank-N``. ``mute@N`` stops between two iterations and answers nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes import trainer
from fakes.voice import option
from fakes.voices import VOICES


def main(argv: list[str]) -> int:
    jax = "JAX_RANK" in os.environ
    rank, world = (int(os.environ[f"JAX_{name}" if jax else name]) for name in ("RANK", "WORLD_SIZE"))
    trainer.note(f"rank-{rank}", str(os.getpid()))
    meeting = f"tcp://{os.environ['JAX_COORDINATOR_ADDR']}:{os.environ['JAX_COORDINATOR_PORT']}" if jax else "env://"
    dist.init_process_group("gloo", meeting, rank=rank, world_size=world)
    words = shared(trainer.heeded(os.environ.get("FAKE_TRAINER", "train").split()) if rank == 0 else None)
    words = [word.partition("@")[0] for word in words if word.partition("@")[2] in ("", str(rank))]
    if "stubborn" in words:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    training = leading(argv, words) if rank == 0 else None
    first, last = shared((training.first, training.last) if training else None)
    print(f"rank {rank} of {dist.get_world_size()} trains", flush=True)
    try:
        loop(training, words, first, last)
    except KeyboardInterrupt:
        return 0
    dist.destroy_process_group()
    return 0


def shared(value: Any) -> Any:
    """Return what rank 0 has."""
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def leading(argv: list[str], words: list[str]) -> Any:
    library = trainer.library(argv)
    return VOICES[library](
        argv,
        iterations=int(option(argv, "--max_iterations") or 20),
        save=trainer.save_interval(argv, words),
        generation=3 if option(argv, "--rl_library") else 2,
        old=False,
    )


def loop(training: Any, words: list[str], first: int, last: int) -> None:
    pace = float(trainer.value(words, "pace") or 0)
    course: Any = training or SimpleNamespace(first=first, last=last, checkpoints=list)
    if training:
        training.begin()
    trainer.misbehave(course, words, first)
    for done in range(first + 1, last + 1):
        time.sleep(pace)
        total = torch.ones(1)
        dist.all_reduce(total)
        assert int(total) == dist.get_world_size()
        if training:
            training.iteration(done, training.reward(done))
        trainer.misbehave(course, words, done)
    if training:
        training.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
