"""Run a program under spark-rl's supervisor: ``supervise.py GRACE_S PROGRAM ...``; prints how it ended."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from spark_rl import supervisor


class Watcher(supervisor.Watcher):
    """Passes output on, and writes down what it is told where the trainer writes its notes."""

    def output(self, chunk: bytes) -> None:
        sys.stderr.buffer.write(chunk)

    def signalled(self, name: str) -> None:
        note("signalled", name)

    def hung_up(self) -> None:
        note("hung-up", "yes")

    def tick(self) -> supervisor.Ending | None:
        return "stall" if os.environ.get("END_IT") else None


def note(name: str, text: str) -> None:
    Path(os.environ["FAKE_NOTES"], name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    ended = supervisor.run(
        sys.argv[2:], cwd=Path.cwd(), environ=os.environ, watcher=Watcher(), grace_s=float(sys.argv[1])
    )
    print(json.dumps(asdict(ended)))
