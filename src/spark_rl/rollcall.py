"""How the hosts of one training know of each other: who is there, what each came to, and who is gone.

Node 0 listens, the others call it. Each says a JSON document a line::

    to node 0     {"hello": {"node", "host", "about"}}, {"alive": null}, {"end": END}
    from node 0   {"start": {"stamp"}} once all are there, or {"refuse": WHY}; {"alive": PROGRESS}; {"end": END} of any

A connection that breaks without an end, or says nothing for :data:`SILENCE_S`, is a node that is gone.
"""

from __future__ import annotations

import json
import select
import socket
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from spark_rl.errors import CheckError
from spark_rl.evidence import NodeEnd
from spark_rl.signatures import KILLED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Document = dict[str, Any]
    Stopped = Callable[[], bool]

ALIVE_S = 3.0
"""Time between two signs of life."""

SILENCE_S = 30.0
"""Time without one after which a node counts as gone."""

_RETRY_S = 1.0
_LONGEST = 1 << 16


class Line:
    """One connection, which never blocks."""

    def __init__(self, connection: socket.socket, now: float) -> None:
        connection.settimeout(0)
        self.connection = connection
        self.node: int | None = None
        self.host = ""
        self.heard_at = now
        self._pending = b""

    def say(self, document: Document) -> None:
        """Send a document; a line that takes none is found to be broken when it is read."""
        with suppress(OSError):
            self.connection.sendall(json.dumps(document).encode() + b"\n")

    def hear(self) -> list[Document] | None:
        """Return what has come, None when the line is broken or speaks another language."""
        try:
            chunk = self.connection.recv(_LONGEST)
        except BlockingIOError:
            return []
        except OSError:
            return None
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        if not chunk or len(self._pending) > _LONGEST:
            return None
        try:
            documents = [json.loads(line) for line in lines]
        except ValueError:
            return None
        return documents if all(isinstance(one, dict) for one in documents) else None

    def close(self) -> None:
        """Hang up."""
        self.connection.close()


class Post(ABC):
    """One node's end of it. ``ends`` are the others that are over, by node; ``progress`` is what node 0 tells."""

    def __init__(self, *, node: int, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.node, self.count = node, count
        self.ends: dict[int, NodeEnd] = {}
        self.progress: Document = {}
        self.stamp: str | None = None
        self._clock = clock
        self._said_at = float("-inf")
        self._lines: list[Line] = []

    def poll(self, seconds: float = 0.0, progress: Mapping[str, Any] | None = None) -> None:
        """Take what comes within some time, and say that this node is alive, and how far it is."""
        now = self._clock()
        if now - self._said_at >= ALIVE_S:
            self._said_at = now
            self._say({"alive": dict(progress or {})})
        for line in self._ready(seconds):
            documents = line.hear()
            if documents is None:
                self._lost(line, "the connection broke")
                continue
            line.heard_at = self._clock()
            for document in documents:
                self._take(line, document)
        for line in [line for line in self._lines if self._clock() - line.heard_at > SILENCE_S]:
            self._lost(line, f"nothing was heard of it for {SILENCE_S:.0f} s")

    def over(self, end: NodeEnd, seconds: float, stopped: Stopped) -> None:
        """Tell the others how this node ended, and wait until it is known how they did."""
        self._say({"end": asdict(end)})
        until = self._clock() + seconds
        while self._lines and len(self.ends) < self.count - 1 and self._clock() < until and not stopped():
            self.poll(0.2)

    def close(self) -> None:
        """Hang up."""
        for line in self._lines:
            line.close()
        self._lines = []

    def _say(self, document: Document, but: Line | None = None) -> None:
        for line in self._lines:
            if line is not but:
                line.say(document)

    def _ready(self, seconds: float) -> list[Line]:
        by_socket = {line.connection: line for line in self._lines}
        if not by_socket:
            time.sleep(seconds)
            return []
        return [by_socket[one] for one in select.select([*by_socket], [], [], seconds)[0]]

    @abstractmethod
    def _take(self, line: Line, document: Document) -> None:
        """Take what was heard on a line."""

    def _lost(self, line: Line, why: str) -> None:
        line.close()
        self._lines.remove(line)
        if line.node is not None and line.node not in self.ends:
            self._ended(line, NodeEnd(node=line.node, host=line.host, state="gone", message=why, weight=KILLED))

    def _ended(self, line: Line, end: NodeEnd) -> None:
        """Note an end that was heard on a line; node 0 passes it on to all others."""
        self.ends[end.node] = end
        if self.node == 0:
            self._say({"end": asdict(end)}, but=line)

    def _heard_end(self, line: Line, document: Document) -> None:
        with suppress(TypeError):
            end = NodeEnd(**document)
            if end.node != self.node:
                self._ended(line, end)


class Lead(Post):
    """Node 0, which all others call."""

    def __init__(self, *, count: int, port: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Listen.

        Raises:
            CheckError: The port is taken.
        """
        super().__init__(node=0, count=count, clock=clock)
        self._about: Document = {}
        self._wrong: str | None = None
        try:
            both = socket.has_dualstack_ipv6()
            family = socket.AF_INET6 if both else socket.AF_INET
            self._server = socket.create_server(("", port), family=family, dualstack_ipv6=both)
        except OSError as error:
            raise CheckError(
                f"port {port} of this host cannot be used: {error.strerror}",
                "another training uses it? take another on every node: --master-port",
            ) from error
        self._server.settimeout(0)

    def gather(self, about: Document, stamp: str, seconds: float, stopped: Stopped) -> bool:
        """Wait until every node is there, and let them start; False when this one was stopped meanwhile.

        Args:
            about: What all of them must have in common.
            stamp: The name of the run's folder, for all.
            seconds: How long to wait.
            stopped: Says that it is not to wait any longer.

        Raises:
            CheckError: One has not come, or is about to do something else.
        """
        self._about = about
        until = self._clock() + seconds
        while self._missing() and self._wrong is None:
            if stopped():
                return False
            if self._clock() >= until:
                names = " and ".join(f"node {one}" for one in self._missing())
                self._wrong = f"{names} of {self.count} did not come within {seconds:.0f} s"
                break
            self.poll(0.2)
        if self._wrong is not None:
            self._say({"refuse": self._wrong})
            raise CheckError(self._wrong, "start the same command on every node, with its own --node-rank")
        self._say({"start": {"stamp": stamp}})
        return True

    def close(self) -> None:
        """Hang up, and listen no more."""
        super().close()
        self._server.close()

    def _missing(self) -> list[int]:
        here = {line.node for line in self._lines}
        return [node for node in range(1, self.count) if node not in here]

    def _ready(self, seconds: float) -> list[Line]:
        by_socket: dict[Any, Line] = {line.connection: line for line in self._lines}
        ready = select.select([self._server, *by_socket], [], [], seconds)[0]
        if self._server in ready:
            with suppress(OSError):
                self._lines.append(Line(self._server.accept()[0], self._clock()))
        return [by_socket[one] for one in ready if one in by_socket]

    def _take(self, line: Line, document: Document) -> None:
        if "hello" in document:
            self._greet(line, document["hello"])
        elif "end" in document and line.node is not None:
            self._heard_end(line, document["end"])

    def _greet(self, line: Line, hello: Any) -> None:
        try:
            node, host, about = int(hello["node"]), str(hello["host"]), dict(hello["about"])
        except (KeyError, TypeError, ValueError):
            self._lost(line, "")
            return
        if node not in self._missing():
            line.say({"refuse": f"there is a node {node} already, or none of that number"})
            self._lost(line, "")
            return
        line.node, line.host = node, host
        self._wrong = self._wrong or difference(self._about, about, f"node {node} ({host})")


class Member(Post):
    """Any other node."""

    def __init__(self, *, node: int, count: int, host: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(node=node, count=count, clock=clock)
        self._host = host
        self._refusal: str | None = None

    def gather(self, about: Document, address: tuple[str, int], seconds: float, stopped: Stopped) -> bool:
        """Call node 0 and wait until it says that all are there; False when this one was stopped meanwhile.

        Args:
            about: What all nodes must have in common.
            address: Host and port of node 0.
            seconds: How long to wait.
            stopped: Says that it is not to wait any longer.

        Raises:
            CheckError: Node 0 does not answer, is gone, or has something against it.
        """
        until = self._clock() + seconds
        while not self._lines:
            if stopped():
                return False
            why = self._call(address)
            if why and self._clock() >= until:
                raise CheckError(
                    f"node 0 does not answer at {address[0]} port {address[1]}: {why} (limit {seconds:.0f} s)",
                    "start it there with --node-rank 0; check the address and that no firewall closes that port",
                )
            if why:
                time.sleep(_RETRY_S)
        self._say({"hello": {"node": self.node, "host": self._host, "about": about}})
        while self.stamp is None:
            if stopped():
                return False
            self.poll(0.2)
            if self._refusal is not None:
                raise CheckError(self._refusal, "start the same command on every node, with its own --node-rank")
            if 0 in self.ends:
                raise CheckError(f"node 0 is gone: {self.ends[0].message}", "see what it says there")
        return True

    def _call(self, address: tuple[str, int]) -> str | None:
        """Try to connect; return why it did not work."""
        try:
            connection = socket.create_connection(address, timeout=5.0)
        except OSError as error:
            return error.strerror or str(error)
        line = Line(connection, self._clock())
        line.node, line.host = 0, address[0]
        self._lines.append(line)
        return None

    def _take(self, line: Line, document: Document) -> None:
        if "start" in document:
            self.stamp = str(document["start"]["stamp"])
        elif "refuse" in document:
            self._refusal = str(document["refuse"])
        elif "end" in document:
            self._heard_end(line, document["end"])
        elif isinstance(document.get("alive"), dict):
            self.progress = document["alive"]


def difference(mine: Mapping[str, Any], theirs: Mapping[str, Any], who: str) -> str | None:
    """Return in words the first thing that two nodes do not have in common, None where there is none."""
    for name, value in mine.items():
        if theirs.get(name) != value:
            return f"{who} has {name} {theirs.get(name)}, and node 0 has {value}"
    return None
