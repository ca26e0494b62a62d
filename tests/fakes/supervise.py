"""Run a program under spark-rl's supervisor: ``supervise.py GRACE_S PROGRAM ...``; prints how it ended."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from spark_rl import supervisor

if __name__ == "__main__":
    ended = supervisor.run(
        sys.argv[2:],
        cwd=Path.cwd(),
        environ=os.environ,
        output=2,
        on_signal=lambda name: print(name, file=sys.stderr),
        grace_s=float(sys.argv[1]),
    )
    print(json.dumps(asdict(ended)))
