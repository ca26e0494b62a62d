"""Trials on Ray: Ray Tune decides which run where and for how long, and each is a command on the node it is given.

Nothing of Ray is loaded unless a sweep runs. :func:`conduct` belongs to a process of its own, see
:func:`command`: it tells what happens in lines of JSON on stdout, while Ray's own talk goes to
a file. An INT ends it, and what it started.

The functions of the engine's Protocol run one command on the node of the caller, which is a Ray worker.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl.engines import Status, orders
from spark_rl.errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spark_rl.engines import Submission
    from spark_rl.engines.orders import Element, Order

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

LIVES = 5
"""How often a trial is started again after its node or worker died."""

STOP_S = 100.0
"""Time for a command to stop by itself: longer than the whole stop ladder of a run."""

LONGEST_TEMP = 20
"""Bytes of a folder below which Ray's sockets still have a path that is short enough."""

_POLL_S = 1.0


def installed() -> None:
    """Check that Ray Tune is there, without loading it.

    Raises:
        CheckError: It is not.
    """
    if any(find_spec(name) is None for name in ("ray", "pandas", "pyarrow")):
        raise CheckError("sweeps run on Ray Tune, which is not installed", "pip install 'spark-rl[sweep]'")


# --- one command on this node


_started: dict[str, subprocess.Popen[bytes]] = {}
_cancelled: set[str] = set()


def render(submission: Submission) -> str:
    """Return the commands as lines of shell, with what they take of a node."""
    memory = f", {submission.memory_mib} MiB" if submission.memory_mib else ""
    head = f"# {submission.name}: {submission.cpus} CPUs, {submission.gpus:g} GPUs{memory} each"
    env = ["env", *(f"{name}={value}" for name, value in submission.env)] if submission.env else []
    return "\n".join(
        (head, f"cd {shlex.quote(submission.cwd)}", *(shlex.join([*env, *one]) for one in submission.commands))
    )


def submit(submission: Submission) -> str:
    """Start the one command of a submission on this node; it ends when its standard input does.

    The log stays locked for as long as anything of it runs.

    Raises:
        CheckError: It cannot be started.
    """
    (argv,) = submission.commands
    try:
        Path(submission.log).parent.mkdir(parents=True, exist_ok=True)
        with Path(submission.log).open("ab") as log:
            with suppress(OSError):  # a disk that cannot lock
                fcntl.flock(log, fcntl.LOCK_SH)
            child = subprocess.Popen(
                argv,
                cwd=submission.cwd,
                env=os.environ | dict(submission.env),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except OSError as error:
        raise CheckError(f"{argv[0]} cannot be started here: {error.strerror}", "see that each node has it") from error
    _started[str(child.pid)] = child
    return str(child.pid)


def poll(ident: str) -> Status:
    """Return how a command of this node is."""
    child = _started.get(ident)
    code = child.poll() if child else None
    if child is None:
        return Status(state="gone", native="unknown")
    if code is None:
        return Status(state="running", native="running")
    if ident in _cancelled:
        return Status(state="cancelled", native=f"exit {code}")
    return Status(state="failed" if code else "done", native=f"exit {code}")


def survey(idents: Iterable[str]) -> dict[str, Status]:
    """Return how many are."""
    return {ident: poll(ident) for ident in idents}


def cancel(ident: str) -> None:
    """Stop a command of this node as Ctrl-C would, and wait for it."""
    child = _started.get(ident)
    if child is None or child.poll() is not None:
        return
    _cancelled.add(ident)
    child.send_signal(signal.SIGINT)
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


# --- a whole sweep


def command(file: Path) -> tuple[str, ...]:
    """Return the command that carries out the order in a file."""
    return (sys.executable, "-c", "from spark_rl.engines import ray; ray.main()", str(file))


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Tells what happens, a line each; Ray copies it with all that it is given, so it holds no more than a number."""

    descriptor: int

    def tell(self, event: str, **values: Any) -> None:
        """Tell of an event."""
        with suppress(OSError):  # nobody listens any more: the end is near
            os.write(self.descriptor, json.dumps({"event": event} | values).encode() + b"\n")


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
        raise CheckError(f"{where}: {str(error).partition(chr(10))[0]}", hint) from error
    return ray


def _refuse_small(order: Order, ray: Any) -> None:
    """Stop when no node of a cluster has what a trial takes: Ray would wait for one for ever."""
    wanted = resources(order)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(name, 0) >= amount for name, amount in wanted.items()) for node in nodes):
        each = order.common
        asked = f"{each.cpus} CPUs, {order.gpu_share:g} GPUs, {each.memory_mib or 0} MiB of memory"
        raise CheckError(f"no node has what a trial takes: {asked}", "lower it in the table [trial]")


def resources(order: Order) -> dict[str, float]:
    """Return what each command takes, in Ray's words."""
    each = order.common
    memory = {"memory": each.memory_mib * 2**20} if each.memory_mib else {}
    return {"CPU": each.cpus, **({"GPU": order.gpu_share} if order.gpu_share else {}), **memory}


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


@dataclass(slots=True)
class Follower:
    """Runs one element on this node, and reads its reports as they come."""

    order: Order
    element: Element
    values: Mapping[str, Any]
    ident: str = ""
    last: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Start the command, with the values of a search if there is one.

        Raises:
            CheckError: It cannot be started.
        """
        given = ("--values", json.dumps(self.values)) if self.values else ()
        cpus = str(self.order.common.cpus)
        threads = {} if self.order.common.gpus else {"OMP_NUM_THREADS": cpus, "MKL_NUM_THREADS": cpus}
        env = tuple((threads | dict(self.order.common.env)).items())
        one = replace(self.order.common, commands=((*self.element.command, *given),), log=self.element.log, env=env)
        self.ident = submit(one)

    def step(self) -> dict[str, Any]:
        """Wait a moment and return the newest report; ``done`` with the last one."""
        until = time.monotonic() + _POLL_S
        while (running := poll(self.ident).state == "running") and time.monotonic() < until:
            time.sleep(0.05)
        self.last = self._newest() or self.last
        return self.last | {"done": not running}

    def _newest(self) -> dict[str, Any]:
        with suppress(OSError, ValueError, IndexError):
            lines = Path(self.element.reports).read_text(encoding="utf-8").splitlines()
            report = json.loads(lines[-1])
            return {name: report[name] for name in ("iteration", "score")}
        return {}

    def stop(self) -> None:
        """Stop the command."""
        cancel(self.ident)
