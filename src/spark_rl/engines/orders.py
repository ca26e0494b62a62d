"""What Ray Tune is to do, as a value that crosses from one process to the next."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from spark_rl import codec
from spark_rl.engines import Submission  # noqa: TC001 - reading an order looks at its annotations

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One trial: its command, the file that takes its output, and the one that it reports to.

    A report is a line of JSON with ``iteration`` and ``score``. ``values`` are those of an earlier suggestion.
    ASHA compares trials of one ``lane`` only.
    """

    number: int
    command: tuple[str, ...]
    log: str
    reports: str
    values: tuple[tuple[str, float], ...] = ()
    lane: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """The reports (iteration, score) of a trial that is over."""

    lane: int
    reports: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asha:
    """Asynchronous successive halving, in iterations: nothing is stopped before ``grace``, ``longest`` is the end."""

    grace: int
    reduction: int
    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One parameter for Optuna: so many ``choices``, by number, or a range."""

    name: str
    choices: int | None = None
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Optuna:
    """A search that learns from results: each suggestion takes the next ``repeats`` elements.

    ``known`` are suggestions of an earlier start with what they came to, by the parameters' names.
    """

    space: tuple[Dimension, ...]
    repeats: int
    seed: int
    known: tuple[tuple[tuple[tuple[str, float], ...], float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What Ray Tune is to do.

    ``common`` says what each command takes and where it runs; its own commands do not count, and ``gpu_share`` stands
    for its GPUs. ``earlier`` are the trials that are over, so that ASHA knows them. ``cpus``, ``gpus`` and
    ``memory_mib`` are what an embedded Ray has; with an ``address`` the cluster's count. ``talk`` is the file for Ray's
    own words.
    """

    common: Submission
    elements: tuple[Element, ...]
    goal: str
    talk: str
    gpu_share: float = 0.0
    parallel: int | None = None
    time_s: float | None = None
    asha: Asha | None = None
    optuna: Optuna | None = None
    earlier: tuple[Earlier, ...] = ()
    address: str | None = None
    cpus: int = 1
    gpus: int = 0
    memory_mib: int = 1024


def written(order: Order) -> str:
    """Return an order as text for its file."""
    return json.dumps(asdict(order))


def read(file: Path) -> Order:
    """Return the order in a file.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds none.
    """
    return codec.read(Order, json.loads(file.read_text(encoding="utf-8")))
