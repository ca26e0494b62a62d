"""Trials on Ray: Ray Tune decides which run where and for how long, and each is a command on the node it is given.

The functions of the engine's Protocol run one command on the node of the caller, which is a Ray worker. Nothing of Ray
is loaded here: see :mod:`.conducting` for the whole of a sweep, and :mod:`.trials` for what Ray Tune is told.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl.engines import Status
from spark_rl.errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spark_rl.engines import Submission
    from spark_rl.engines.orders import Element, Order

STOP_S = 100.0
"""Time for a command to stop by itself: longer than the whole stop ladder of a run."""

REACH_S = 10.0
"""Time for the host of a cluster to answer."""

_POLL_S = 1.0


def installed() -> None:
    """Check that Ray Tune is there, without loading it.

    Raises:
        CheckError: It is not.
    """
    if any(find_spec(name) is None for name in ("ray", "pandas", "pyarrow")):
        raise CheckError("sweeps run on Ray Tune, which is not installed", "pip install 'spark-rl[sweep]'")


def reachable(address: str) -> None:
    """Check that something listens at ``HOST:PORT``; Ray itself would try for minutes, and say nothing.

    Raises:
        CheckError: Nothing does.
    """
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():  # auto, or one that Ray alone can read
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise CheckError(
            f"the Ray at {address} cannot be reached: {why}", "start one there with: ray start --head --port 6379"
        ) from error


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
    if child.stdin is not None:
        child.stdin.close()
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Tells what happens, a line each; Ray copies it with all that it is given, so it holds no more than a number."""

    descriptor: int

    def tell(self, event: str, **values: Any) -> None:
        """Tell of an event."""
        with suppress(OSError):  # nobody listens any more: the end is near
            os.write(self.descriptor, json.dumps({"event": event} | values).encode() + b"\n")


def resources(order: Order) -> dict[str, float]:
    """Return what each command takes, in Ray's words."""
    each = order.common
    memory = {"memory": each.memory_mib * 2**20} if each.memory_mib else {}
    return {"CPU": each.cpus, **({"GPU": order.gpu_share} if order.gpu_share else {}), **memory}


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
