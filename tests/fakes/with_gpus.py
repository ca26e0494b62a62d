"""spark-rl on a host that seems to have GPUs: ``with_gpus.py COUNT WORDS``."""

from __future__ import annotations

import sys

from spark_rl import host
from spark_rl.__main__ import main
from spark_rl.model import Gpu


def pretend(count: int) -> None:
    gpus = tuple(Gpu(index=index, name="Pretended", memory_total_mib=24000) for index in range(count))
    host._gpus = lambda: (gpus, "580.95.05", "13.0")


if __name__ == "__main__":
    pretend(int(sys.argv[1]))
    main(sys.argv[2:])
