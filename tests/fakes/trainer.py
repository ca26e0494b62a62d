"""A trainer that behaves, and misbehaves on request; it needs nothing but Python.

Called as Isaac Lab's entry would be, in any version's spelling. ``FAKE_TRAINER`` holds words that say what to do, and
``FAKE_NOTES`` a folder where it writes down what it saw. Without words it trains 150 iterations: it says what the RL
library says and leaves what that leaves (voices.py), resumes from ``--checkpoint`` by the library's own rule, and
obeys ``--max_iterations``, ``--num_envs`` and a save interval among the overrides.

``iterations=N``  when the command line does not say; ``pace=SECONDS`` sleeps before each, ``save=N`` saves every N
``version=2.1``   speak as that version does (else 2.3.2 or 3.0.0, by the spelling of the command line)
``silent``        train and say nothing; ``stubborn`` ignore INT and TERM
``video``, ``empty-video``  leave a video too; ``past`` dates the checkpoints back to 1970
``flood=BYTES``, ``longline=BYTES``, ``latin1``  print so much, so long a line, bytes that are not UTF-8, then train
``env-pace=SECONDS``  sleeps so long for each environment before an iteration; ``oom-above=N`` fails with more of them
``hang-at-end``   say that all is done and never end
``scale=KEY``     multiply the rewards by the value of this override

At an iteration of the library's own count, when it is told and saved (0: before the first):

``die-at=N``      SIGKILL; ``segv-at=N`` SIGSEGV
``stall-at=N``    silence for ever, with a note ``stalled``
``crash-at=N``    a traceback, ends with 1; ``zero-after-traceback=N`` ends with 0 (without a number: half-way)
``oom-at=N``      torch's words of a full GPU, ends with 1
``nan-at=N``      a reward of NaN, then rsl_rl's error, ends with 1
``truncate=N``    cut the newest checkpoint in half, then SIGKILL (without a number: half-way)

``K:WORD`` is a word for the K-th start only, of those that share FAKE_NOTES.

In place of training:

``crash``      print a traceback and end with 1
``nothing``    end with 0 and leave nothing behind
``flood``      print a megabyte on stdout and on stderr before anything else
``hang``       wait for a signal, which ends it
``polite``     wait for a signal, and end with 0 on INT
``deaf``       ignore INT and TERM for ever
``family``     start a grandchild that ignores INT and TERM, first of all
``zombie``     leave a member in the group that ended, and that nobody waits for
``slow-close`` note the signal, close for a while in a shell's child, and end with 0

Started through spark-rl's play driver it reports steps: all that were asked for, or ``steps=N``; with ``export=FOLDER``
it leaves policy files there.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fakes import files, voice
from fakes.voice import Voice, option
from fakes.voices import VOICES

SAVING = ("agent.save_interval", "agent.params.config.save_frequency")
DEAF = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; print('deaf', flush=True); signal.pause()"


def main(argv: list[str]) -> int:
    words = heeded(os.environ.get("FAKE_TRAINER", "train").split())
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
        return train(argv, words)
    return 0


def note(name: str, text: str) -> None:
    """Write a note so that whoever waits for it finds it complete."""
    folder = os.environ.get("FAKE_NOTES")
    if folder:
        draft = Path(folder, f".{name}.{os.getpid()}")
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
    import subprocess  # slow to load, and most trainers start nothing

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


def heeded(words: list[str]) -> list[str]:
    """Return the words for this start, without the number before them."""
    number = 1
    if "FAKE_NOTES" in os.environ:
        file = Path(os.environ["FAKE_NOTES"], "starts")
        number += int(file.read_text(encoding="utf-8")) if file.exists() else 0
        note("starts", str(number))
    numbered = [word.partition(":") for word in words]
    return [rest or which for which, _, rest in numbered if not rest or which == str(number)]


def value(words: list[str], name: str) -> str | None:
    return next((word.partition("=")[2] for word in words if word.startswith(f"{name}=")), None)


def library(argv: list[str]) -> str:
    return option(argv, "--rl_library") or next(name for name in VOICES if f"/{name}/" in " ".join(argv))


def save_interval(argv: list[str], words: list[str]) -> int | None:
    every = option(argv, "--every")  # through spark-rl's driver for sb3: in calls of the env's step
    found = value(words, "save") or option(argv, *SAVING) or (every and str(int(every) // VOICES["sb3"].horizon))
    return int(found) if found else None


def train(argv: list[str], words: list[str]) -> int:
    if "play" in argv:
        return 0
    voice.SILENT = "silent" in words
    if "stubborn" in words:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    version = value(words, "version") or ("3.0.0" if option(argv, "-m") == "isaaclab" else "2.3.2")
    training = VOICES[library(argv)](
        argv,
        iterations=int(value(words, "iterations") or 150),
        save=save_interval(argv, words),
        generation=int(version[0]),
        old=version.startswith(("2.0", "2.1")),
    )
    noise(words)
    try:
        loop(training, words)
    except KeyboardInterrupt:
        training.interrupted()
        return 0
    if "past" in words:
        for index, path in enumerate(training.checkpoints()):
            os.utime(path, (1_000_000 + index, 1_000_000 + index))
    if any(word.endswith("video") for word in words):
        record(training.run, "" if "empty-video" in words else "frames")
    if "hang-at-end" in words:
        stall()
    return 0


def noise(words: list[str]) -> None:
    """Print what no dialect knows."""
    line = b"[Warning] [omni.hydra] a line that tells nothing of the training at all\n"
    for _ in range(int(value(words, "flood") or 0) // len(line)):
        sys.stdout.buffer.write(line)
    if value(words, "longline"):
        sys.stdout.buffer.write(b"x" * int(value(words, "longline") or 0) + b"\n")
    if "latin1" in words:
        sys.stdout.buffer.write("Geh\xe4use f\xfcr \xff\n".encode("latin-1"))
    sys.stdout.buffer.flush()


def loop(training: Voice, words: list[str]) -> None:
    scale = float(option(training.argv, value(words, "scale") or "") or 1)
    pace = float(value(words, "pace") or 0) + float(value(words, "env-pace") or 0) * training.num_envs
    training.begin()
    if training.num_envs > int(value(words, "oom-above") or training.num_envs):
        fill_memory(training)
    misbehave(training, words, training.first)
    for done in range(training.first + 1, training.last + 1):
        time.sleep(pace)
        nan = value(words, "nan-at") == str(done)
        training.iteration(done, float("nan") if nan else scale * training.reward(done))
        if nan:
            text = "The rewards returned by the environment contain NaN values. This usually indicates a bug in the"
            raise ValueError(f"{text} environment's reward computation.")
        misbehave(training, words, done)
    training.end()


def misbehave(training: Voice, words: list[str], done: int) -> None:
    """Do what a word wants at this iteration; the start of a resumed run is nobody's."""
    half = str((training.first + training.last) // 2)
    for word in words:
        name, _, at = word.partition("=")
        act = ACTS.get(name)
        first = done == training.first
        if act and (at or half) == ("0" if first else str(done)):
            act(training)


def stall(_training: Voice | None = None) -> None:
    note("stalled", "")
    while True:
        signal.pause()


def segfault(_training: Voice) -> None:
    faulthandler.enable()
    os.kill(os.getpid(), signal.SIGSEGV)
    stall()


def die(_training: Voice) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    stall()


def truncate(training: Voice) -> None:
    files.cut(training.checkpoints()[-1])
    die(training)


def crash(_training: Voice) -> None:
    raise RuntimeError("the physics exploded")


def fill_memory(_training: Voice) -> None:
    """Fail as torch does, whose error has its module before its name."""
    error = type("OutOfMemoryError", (RuntimeError,), {"__module__": "torch"})
    raise error(
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.68 GiB of which 1.06 GiB is "
        "free. Including non-PyTorch memory, this process has 22.61 GiB memory in use."
    )


def fail_with_zero(training: Voice) -> None:
    """Fail as a script does whose simulator ends the process while it closes."""
    try:
        crash(training)
    except RuntimeError:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(0)


ACTS = {
    "die-at": die,
    "segv-at": segfault,
    "crash-at": crash,
    "stall-at": stall,
    "oom-at": fill_memory,
    "zero-after-traceback": fail_with_zero,
    "truncate": truncate,
}


def record(run: Path, frames: str) -> None:
    video = run / "videos" / "train" / "clip_0000.mp4"
    video.parent.mkdir(parents=True, exist_ok=True)
    video.write_text(frames, encoding="utf-8")


def play(argv: list[str], words: list[str]) -> None:
    asked = int(option(argv, "--steps") or 0)
    steps = next((int(word.partition("=")[2]) for word in words if word.startswith("steps=")), asked)
    result = {"steps": steps, "num_envs": 4, "episodes": 2, "mean_return": 4.5, "mean_length": 290.0}
    document = result | {"mean_reward_per_step": 0.015, "checkpoint": option(argv, "--checkpoint")}
    for folder in (word.partition("=")[2] for word in words if word.startswith("export=")):
        for name in ("policy.pt", "policy.onnx"):
            Path(folder, name).write_text("policy", encoding="utf-8")
    if steps:
        Path(os.environ["SPARK_RL_RESULT"]).write_text(json.dumps(document), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
