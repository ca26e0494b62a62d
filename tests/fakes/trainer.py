"""A trainer that behaves, and misbehaves on request; it needs nothing but Python.

Called as Isaac Lab's entry would be, in any version's spelling. ``FAKE_TRAINER`` holds words that say what to do, and
``FAKE_NOTES`` a folder where it writes down what it saw:

``train``      print a few lines and leave checkpoints in the library's layout; ``video`` and ``empty-video`` add one
``crash``      print a traceback and end with 1
``nothing``    end with 0 and leave nothing behind
``flood``      print a megabyte on stdout and on stderr before anything else
``hang``       wait for a signal, which ends it
``polite``     wait for a signal, and end with 0 on INT
``deaf``       ignore INT and TERM for ever
``family``     start a grandchild that ignores INT and TERM, first of all
``zombie``     leave a member in the group that ended, and that nobody waits for
``slow-close`` note the signal, close for a while in a shell's child, and end with 0

Started through spark-rl's play driver it reports steps: all that were asked for, or ``steps=N``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

LAYOUTS = {
    "rsl_rl": ("model_0.pt", "model_149.pt"),
    "rl_games": ("nn/last_cartpole_ep_100_rew_12.pth", "nn/cartpole.pth"),
    "skrl": ("checkpoints/agent_3200.pt", "checkpoints/best_agent.pt"),
    "sb3": ("model_1000_steps.zip", "model.zip"),
}
DEAF = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; print('deaf', flush=True); signal.pause()"


def main(argv: list[str]) -> int:
    words = os.environ.get("FAKE_TRAINER", "train").split()
    heard = listen(words)
    if "family" in words:
        start_grandchild()
    if "zombie" in words:
        leave_zombie()
    note("started", json.dumps(seen(argv)))
    if "flood" in words:
        flood()
    if {"hang", "polite", "deaf", "slow-close"} & set(words):
        return wait(heard, words)
    if "crash" in words:
        raise RuntimeError("the physics exploded")
    if argv[:1] and argv[0].endswith("drivers/play.py"):
        play(argv, words)
    elif "nothing" not in words:
        train(argv, words)
    return 0


def note(name: str, text: str) -> None:
    """Write a note so that whoever waits for it finds it complete."""
    folder = os.environ.get("FAKE_NOTES")
    if folder:
        draft = Path(folder, f".{name}")
        draft.write_text(text, encoding="utf-8")
        draft.replace(Path(folder, name))


def seen(argv: list[str]) -> dict[str, object]:
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    return {
        "pid": os.getpid(),
        "group": os.getpgrp(),
        "argv": argv,
        "cwd": str(Path.cwd()),
        "environ": dict(os.environ),
        "input": sys.stdin.read(),
        "mapped": sorted({line.split(maxsplit=5)[5] for line in maps if len(line.split()) > 5}),
    }


def listen(words: list[str]) -> list[int]:
    heard: list[int] = []

    def hear(number: int, _frame: object) -> None:
        heard.append(number)
        note("heard", " ".join(str(one) for one in heard))

    if {"deaf", "polite", "slow-close"} & set(words):
        signal.signal(signal.SIGINT, hear)
    if {"deaf", "slow-close"} & set(words):
        signal.signal(signal.SIGTERM, hear)
    return heard


def wait(heard: list[int], words: list[str]) -> int:
    while not heard or "deaf" in words:
        signal.pause()
    if "slow-close" in words:
        time.sleep(0.4)
        note("closed", "")
    return 0


def start_grandchild() -> None:
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", DEAF], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    note("grandchild", str(child.pid))


def leave_zombie() -> None:
    group = os.getpgrp()
    if os.fork() == 0:
        os.setpgid(0, 0)
        os.closerange(0, 3)
        member = os.fork()
        if member == 0:
            os.setpgid(0, group)
            os._exit(0)
        note("keeper", str(os.getpid()))
        note("zombie", str(member))
        signal.pause()


def flood() -> None:
    for _ in range(8):
        for stream in (sys.stdout, sys.stderr):
            stream.write('{"schema": "not yours"}\n' * 5000)
            stream.flush()


def option(argv: list[str], *names: str) -> str | None:
    return next((after for word, after in pairwise(argv) if word in names), None)


def library(argv: list[str]) -> str:
    return option(argv, "--rl_library") or next(name for name in LAYOUTS if f"/{name}/" in " ".join(argv))


def train(argv: list[str], words: list[str]) -> None:
    name = library(argv)
    run = Path("logs", name, "cartpole_direct", f"2026-01-02_03-04-05_{os.getpid()}")
    if "play" not in argv:
        for index, file in enumerate(LAYOUTS[name]):
            path = run / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("weights", encoding="utf-8")
            os.utime(path, (1_000_000 + index, 1_000_000 + index))
        print("[INFO] Logging experiment in directory:", run.parent.resolve())
        print("Learning iteration 149/150\nMean reward: 3.21\nTraining time: 1.00 seconds")
    if any(word.endswith("video") for word in words):
        record(run, "" if "empty-video" in words else "frames")


def record(run: Path, frames: str) -> None:
    video = run / "videos" / "train" / "clip_0000.mp4"
    video.parent.mkdir(parents=True)
    video.write_text(frames, encoding="utf-8")


def play(argv: list[str], words: list[str]) -> None:
    asked = int(option(argv, "--steps") or 0)
    steps = next((int(word.partition("=")[2]) for word in words if word.startswith("steps=")), asked)
    result = {"steps": steps, "num_envs": 4, "episodes": 2, "mean_return": 4.5, "mean_length": 290.0}
    document = result | {"mean_reward_per_step": 0.015, "checkpoint": option(argv, "--checkpoint")}
    if steps:
        Path(os.environ["SPARK_RL_RESULT"]).write_text(json.dumps(document), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
