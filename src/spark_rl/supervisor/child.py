"""The child behind its reaper."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from spark_rl.supervisor.stopping import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REAPER_S = 15.0
"""Time for the reaper to end all that it adopted: longer than it waits itself."""

PIPE_BYTES = 1 << 20
_REAPER = Path(__file__).parents[1] / "drivers" / "reaper.py"


class Child:
    """The child behind its reaper, and the pipe that its output comes through."""

    def __init__(self, argv: Sequence[str], *, cwd: Path, environ: Mapping[str, str]) -> None:
        """Start ``argv``.

        Raises:
            OSError: It cannot be started.
        """
        self.status: int | None = None
        self.rest_until = 0.0
        self._text = b""
        self.ended = False
        self.control, theirs = socket.socketpair()
        self.output, writing = os.pipe()
        with suppress(OSError):  # the user's share of big pipes is used up
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(self.output, False)
        # A batch system sends TERM to everything in a job: the reaper must not die of it before it can ignore it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (*REQUESTS, signal.SIGHUP))
        try:
            self._reaper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_REAPER)],
                stdin=theirs.fileno(),
                stdout=writing,
                stderr=writing,
                start_new_session=True,
            )
        except OSError:
            self.control.close()
            os.close(self.output)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
            os.close(writing)
        self._send({"argv": list(argv), "cwd": str(cwd), "env": dict(environ)})
        answer = self._receive()
        # A child that ends at once may have been reported with the first word: no second one will wake us.
        self.must_hear = bool(self._text)
        if "pid" not in answer:
            self.close()
            number = answer.get("errno", 0)
            raise OSError(number, os.strerror(number), answer.get("file", argv[0]))
        self.pid: int = answer["pid"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; the last one does not rely on the reaper."""
        self._send({"signal": int(number)})
        if number == signal.SIGKILL:
            kill_group(self.pid)

    def hear(self) -> None:
        """Take what the reaper says; one that is gone took the child with it, and leaves the rest of it to us."""
        self.must_hear = False
        answer = self._receive()
        if "exit" in answer:
            self.status = answer["exit"]
        elif not answer and self.status is None:
            kill_group(self.pid)
            self.status = -signal.SIGKILL

    def read(self) -> bytes:
        """Return output that is there, at most a pipe full; nothing when there is none."""
        with suppress(BlockingIOError):
            return os.read(self.output, PIPE_BYTES)
        return b""

    def end(self) -> None:
        """Have everything below the reaper killed, and wait for it."""
        if self.ended:
            return
        self.ended = True
        self._send({"close": True})
        with suppress(OSError):
            self.control.shutdown(socket.SHUT_WR)
        try:
            self._reaper.wait(_REAPER_S)
        except subprocess.TimeoutExpired:
            self._reaper.kill()
            self._reaper.wait()

    def close(self) -> None:
        """End everything and let go of the pipes."""
        self.end()
        self.control.close()
        os.close(self.output)

    def _send(self, document: dict[str, Any]) -> None:
        with suppress(OSError):
            self.control.sendall(json.dumps(document).encode("utf-8", "surrogateescape") + b"\n")

    def _receive(self) -> dict[str, Any]:
        """Return the reaper's next word, nothing when it is gone."""
        while b"\n" not in self._text:
            with suppress(OSError):
                chunk = self.control.recv(4096)
                if chunk:
                    self._text += chunk
                    continue
            return {}
        line, _, self._text = self._text.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer


def kill_group(group: int) -> None:
    """Kill what is left of a process group."""
    # PermissionError: only processes of another user are left, such as a setuid program's.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
