"""Where a command of spark-rl runs: an engine takes it, tells how it is, and ends it.

Each engine is a module that meets :class:`Engine`; spark-rl itself, started by the engine, supervises what it trains.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

State = Literal["pending", "running", "done", "failed", "cancelled", "gone"]
"""Of what was submitted; ``gone`` when the engine does not know it (any more)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What an engine is to run.

    ``commands`` are the command lines: one, or one for each element of an array, which may have ``numbers`` of their
    own. ``env`` is set over the environment there. ``gpus`` and ``cpus`` are per command, ``memory_mib`` too (None: the
    engine's default). ``parallel`` is the most elements of an array that run at once. ``log`` is the file that takes
    the output, ``time_s`` the time limit in seconds. ``options`` are the engine's own, as its module names them.
    ``run`` is the number of the record that waits for the one command, if any.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    cwd: str
    log: str
    numbers: tuple[int, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    nodes: int = 1
    gpus: int = 0
    cpus: int = 1
    memory_mib: int | None = None
    parallel: int | None = None
    time_s: int | None = None
    options: tuple[tuple[str, str], ...] = ()
    run: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How something submitted is: ``native`` is the engine's own word for it, ``reason`` why it is so."""

    state: State
    native: str
    reason: str | None = None


class Engine(Protocol):
    """One way to run submissions."""

    def render(self, submission: Submission) -> str:
        """Return as text exactly what :meth:`submit` would start."""
        ...

    def submit(self, submission: Submission) -> str:
        """Start it and return the engine's own id of it.

        Raises:
            CheckError: The engine is not there, or refuses it.
        """
        ...

    def poll(self, ident: str) -> Status:
        """Return how it is.

        Raises:
            CheckError: The engine is not there, or does not answer.
        """
        ...

    def survey(self, idents: Iterable[str]) -> dict[str, Status]:
        """Return how many are, asked at once.

        Raises:
            CheckError: The engine is not there, or does not answer.
        """
        ...

    def cancel(self, ident: str) -> None:
        """End it; nothing happens to what is over.

        Raises:
            CheckError: The engine is not there, or refuses.
        """
        ...


MODULES: Mapping[str, str] = {"local": "local", "slurm": "slurm", "torchrun": "torchrun"}
"""Engine names, and the modules of this package that hold them."""


def load(name: str) -> Engine:
    """Return the engine of that name; only its own module is loaded."""
    return cast("Engine", import_module(f"{__name__}.{MODULES[name]}"))
