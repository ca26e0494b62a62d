"""All that is known of a run that has ended; nothing in it is a judgement yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from spark_rl.model import Action
    from spark_rl.records import Failure

EndedBy = Literal["stall", "hang", "memory", "peer"]
"""Why the supervisor ended a run by itself: no new iteration came, it did not close, memory ran out, or another host of
the same training is over."""

_SIGNALS = dict(
    (
        *((1, "SIGHUP"), (2, "SIGINT"), (3, "SIGQUIT"), (4, "SIGILL"), (5, "SIGTRAP"), (6, "SIGABRT"), (7, "SIGBUS")),
        *(
            (8, "SIGFPE"),
            (9, "SIGKILL"),
            (10, "SIGUSR1"),
            (11, "SIGSEGV"),
            (13, "SIGPIPE"),
            (14, "SIGALRM"),
            (15, "SIGTERM"),
        ),
        *((24, "SIGXCPU"), (25, "SIGXFSZ")),
    )
)
"""Linux's numbers, the same on x86 and ARM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankEnd:
    """How one rank of this host ended, as far as it is known.

    ``number`` counts over all hosts, ``exit_status`` is negative when a signal ended it, ``first`` says that torchrun
    saw it end first, ``output`` is what a :class:`spark_rl.witness.Witness` kept of what it printed.
    """

    number: int
    exit_status: int | None = None
    first: bool = False
    output: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEnd:
    """How another host of the same training ended.

    ``state`` is ``succeeded``, ``failed``, ``interrupted``, or ``gone`` when it did not say. ``message`` is its own
    judgement, ``weight`` the rank of what explains it (see :mod:`spark_rl.signatures`): less explains more.
    """

    node: int
    host: str
    state: str
    message: str
    weight: float
    failure: Failure | None = None

    @property
    def name(self) -> str:
        """The node in words."""
        return f"node {self.node} ({self.host})" if self.host else f"node {self.node}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of a run that has ended.

    ``exit_status`` is negative when a signal ended the child; a shell reports 128 and the signal's number. ``sent``
    are the signals that spark-rl sent, in order; ``stopped_by`` the number of the one it received itself.

    Iterations include those of earlier attempts, of which ``first_iteration`` were done before this one; ``horizon``
    is the env steps per environment and iteration (skrl: rollouts). ``checkpoint_iteration`` is what the newest whole
    checkpoint of this run would resume from. ``checkpoints`` are the whole ones that this run wrote, ``damaged`` the
    others, each the least trained first. ``finished`` says that the library's own end line was seen, ``output`` what a
    :class:`spark_rl.witness.Witness` kept.

    Of play: ``steps`` asked for, ``played``, and whether it is ``unbounded``. ``video`` says that one was asked for,
    ``videos`` counts those found. ``published`` is False where NVIDIA's checkpoint was asked for and is not there.

    ``oom_killed`` says whether the kernel killed something for want of memory meanwhile, None where nobody looked.
    ``ranks`` are the ranks of this host where there are several, or several hosts; ``node`` is the number of this
    host and ``nodes`` are the others that are over.
    """

    action: Action
    library: str
    exit_status: int
    generation: int = 3
    sent: tuple[str, ...] = ()
    stopped_by: int | None = None
    ended_by: EndedBy | None = None
    iteration: int | None = None
    first_iteration: int = 0
    max_iterations: int | None = None
    horizon: int | None = None
    checkpoint_iteration: int | None = None
    checkpoints: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    finished: bool = False
    output: tuple[str, ...] = ()
    steps: int | None = None
    played: int | None = None
    unbounded: bool = False
    video: bool = False
    videos: int = 0
    published: bool | None = None
    oom_killed: bool | None = None
    ranks: tuple[RankEnd, ...] = ()
    node: int = 0
    nodes: tuple[NodeEnd, ...] = ()


def signal_name(status: int) -> str | None:
    """Return the signal that ended a child, None where none did; a shell reports 128 and its number."""
    return _SIGNALS.get(-status if status < 0 else status - 128)


def is_limit(number: int | None) -> bool:
    """Say whether this is the signal by which a scheduler tells that a time limit is near."""
    return number is not None and _SIGNALS.get(number) == "SIGUSR1"


def ending_of(status: int) -> str:
    """Return an exit status in words."""
    name = signal_name(status)
    return f"was ended by {name}" if name else f"ended with status {status}"
