"""A whole sweep on Ray: a process of its own starts or joins a Ray, has :mod:`.trials` run, and ends what it started.

It tells what happens in lines of JSON on stdout, while Ray's own talk goes to a file. An INT ends it.
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl.engines import orders
from spark_rl.engines.ray import STOP_S, Teller, resources
from spark_rl.errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spark_rl.engines.orders import Order

ENVIRONMENT: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""Variables that keep Ray quiet and at home."""

OBJECT_STORE_BYTES = 80 * 2**20
"""Shared memory of an embedded Ray: trials pass a few numbers."""

LONGEST_TEMP = 20
"""Bytes of a folder below which Ray's sockets still have a path that is short enough."""


def command(file: Path) -> tuple[str, ...]:
    """Return the command that carries out the order in a file."""
    return (sys.executable, "-c", "from spark_rl.engines import conducting; conducting.main()", str(file))


def main() -> None:
    """Carry out the order in the file that the command line names, and exit."""
    sys.exit(_carried_out(Path(sys.argv[1])))


def _carried_out(file: Path) -> int:
    order = orders.read(file)
    teller = Teller(descriptor=os.dup(1))
    with Path(order.talk).open("a", encoding="utf-8") as talk:
        os.dup2(talk.fileno(), 1)
        os.dup2(talk.fileno(), 2)
    try:
        conduct(order, teller)
    except CheckError as error:
        teller.tell("refused", message=error.message, hint=error.hint)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def conduct(order: Order, teller: Teller) -> None:
    """Run all elements of an order, and tell what happens.

    Raises:
        CheckError: Ray cannot be started or reached, or has no room for a trial.
    """
    from spark_rl.engines import trials

    os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})
    with tempfile.TemporaryDirectory(prefix="spark-rl-ray-", dir=_temp(), ignore_cleanup_errors=True) as folder:
        ray = _connected(order, folder)
        try:
            _refuse_small(order, ray)
            teller.tell("ready", nodes=len([node for node in ray.nodes() if node["Alive"]]))
            trials.tune(order, teller, folder)
        finally:
            _wait(element.log for element in order.elements)
            with suppress(Exception):
                ray.shutdown()


def _temp() -> str:
    """Return the folder for Ray's files: the paths of its sockets may not be longer than 107 bytes."""
    usual = tempfile.gettempdir()
    return usual if len(usual.encode()) <= LONGEST_TEMP else "/tmp"  # noqa: S108 - a folder of our own below it


def _connected(order: Order, folder: str) -> Any:
    import ray

    quiet = {"configure_logging": False, "log_to_driver": False}
    try:
        if order.address:
            ray.init(address=order.address, **quiet)
        else:
            ray.init(
                address="local",
                num_cpus=order.cpus,
                num_gpus=order.gpus,
                _memory=order.memory_mib * 2**20,
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                _temp_dir=folder,
                _node_ip_address="127.0.0.1",
                **quiet,
            )
    except Exception as error:  # Ray raises whatever its layers do
        where = f"the Ray at {order.address} cannot be reached" if order.address else "Ray cannot be started"
        hint = f"see {order.talk}" + ("; is its version the same here and there?" if order.address else "")
        if order.address == "auto" and isinstance(error, ConnectionError):
            hint = "start one with: ray start --head; without --address the sweep has one of its own"
        raise CheckError(f"{where}: {str(error).partition(chr(10))[0]}", hint) from error
    return ray


def _refuse_small(order: Order, ray: Any) -> None:
    """Stop when no node of a cluster has what a trial takes: Ray would wait for one for ever."""
    wanted = resources(order)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(name, 0) >= amount for name, amount in wanted.items()) for node in nodes):
        each = order.common
        asked = f"{each.cpus} CPUs, {order.gpu_share:g} GPUs, {each.memory_mib or 0} MiB of memory"
        raise CheckError(
            f"no node has what a trial takes: {asked}",
            'lower it in the table [trial]; without GPUs: device = "cpu" in the recipe',
        )


def _wait(logs: Iterable[str]) -> None:
    """Wait until nothing writes to a log any more: Ray gives a trial less time to stop than a simulator takes."""
    until = time.monotonic() + STOP_S
    for log in map(Path, logs):
        while log.exists() and time.monotonic() < until and not _free(log):
            time.sleep(0.1)


def _free(log: Path) -> bool:
    try:
        with log.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
