"""Saying what a run came to, from evidence: an exit code proves nothing.

Isaac Sim ends with 0 after failures, Isaac Lab 3.0 prints that a checkpoint is unavailable and ends with 0, an INT
ends training with 0 and saves nothing, and a run that is long done can crash or hang while it closes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from spark_rl import checkpoints, signatures
from spark_rl.signatures import BREAK, CAUSE, FALLOUT, KILLED
from spark_rl.witness import plain, raised

if TYPE_CHECKING:
    from spark_rl.model import Action
    from spark_rl.records import Failure
    from spark_rl.signatures import Signature
    from spark_rl.witness import Raised

EndedBy = Literal["stall", "hang", "memory"]
"""Why the supervisor ended a run by itself: no new iteration came, it did not close, or memory ran out."""

_LINE = 200
_SIGNALS = dict(
    (
        *((1, "SIGHUP"), (2, "SIGINT"), (3, "SIGQUIT"), (4, "SIGILL"), (5, "SIGTRAP"), (6, "SIGABRT"), (7, "SIGBUS")),
        *((8, "SIGFPE"), (9, "SIGKILL"), (11, "SIGSEGV"), (13, "SIGPIPE"), (14, "SIGALRM"), (15, "SIGTERM")),
        *((24, "SIGXCPU"), (25, "SIGXFSZ")),
    )
)
"""Linux's numbers, the same on x86 and ARM."""

_CRASHES = frozenset(("SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSEGV"))
_LAUNCHERS = ("ChildFailedError", "CalledProcessError", "SignalException", "KeyboardInterrupt")
_LIBRARY_FOLDERS = ("/rsl_rl/", "/rl_games/", "/skrl/", "/stable_baselines3/")
_TRAIN = "train one: spark-rl train, or name a file: --checkpoint PATH"
_FEWER, _AGAIN = "use fewer environments (--num-envs)", "resume it from its last checkpoint: spark-rl runs resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of a run that has ended.

    ``exit_status`` is negative when a signal ended the child; a shell reports 128 and the signal's number. ``sent``
    are the signals that spark-rl sent, in order; ``stopped_by`` the number of the one it received itself.

    Iterations include those of earlier attempts, of which ``first_iteration`` were done before this one; ``horizon``
    is the env steps per environment and iteration (skrl: rollouts). ``checkpoint_iteration`` is what the newest whole
    checkpoint of this run would resume from. ``checkpoints`` are the whole ones that this run wrote, ``damaged`` the
    others. ``finished`` says that the library's own end line was seen, ``output`` what a
    :class:`spark_rl.witness.Witness` kept.

    Of play: ``steps`` asked for, ``played``, and whether it is ``unbounded``. ``video`` says that one was asked for,
    ``videos`` counts those found. ``published`` is False where NVIDIA's checkpoint was asked for and is not there.
    """

    action: Action
    library: str
    exit_status: int
    generation: int = 3
    seconds: float = 0.0
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a run came to: one line that says it, the remedy, and the first real error line of its output."""

    state: Literal["succeeded", "failed", "interrupted"]
    message: str
    failure: Failure | None = None
    hint: str | None = None
    line: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """Something that explains a failure, and how much: see the ranks of :mod:`spark_rl.signatures`."""

    rank: float
    index: int
    failure: Failure
    what: str
    hint: str | None = None
    line: str | None = None
    guess: str | None = None


def judge(evidence: Evidence) -> Verdict:
    """Return what a run came to.

    Training succeeded when its last iteration was reached and a checkpoint of the end is there (see
    :func:`is_trained`), whatever happened afterwards. Bounded play succeeded when its steps were done, unbounded play
    when it ended by itself without an error or was asked to stop. A video that was asked for must be there. A run that
    was asked to stop before its end is interrupted. All else failed, for the reason that :func:`_reason` finds.
    """
    done = is_trained(evidence) if evidence.action == "train" else _is_played(evidence)
    if done and evidence.video and not evidence.videos and evidence.stopped_by is None:
        return _unfilmed(evidence)
    if done:
        return Verdict(state="succeeded", message=_done(evidence))
    if evidence.stopped_by is not None:
        return Verdict(state="interrupted", message=f"stopped on request{_where(evidence)}")
    return _failed(evidence, _shortfall(evidence))


def is_trained(evidence: Evidence) -> bool:
    """Say whether training reached its end and kept it.

    The last iteration was seen in the output, or a whole checkpoint proves it; and the last save is there. That is:

    - rsl_rl: ``model_N.pt`` with N counted from zero, so that N + 1 is the number of iterations.
    - rl_games: ``last_..._ep_N_...`` of the last epoch; resumed behind its end, it does one epoch more.
    - sb3: ``model.zip``, which it writes after a stop as well, so that the file alone proves nothing.
    - skrl: ``agent_N`` at the last interval (a tenth of the run, unless configured), so that the end may lie up to one
      interval after the newest one; Isaac Lab 3.0 adds one of the end itself.

    Where the number of iterations is not known, the library's own end line and a whole checkpoint must do.
    """
    if not evidence.checkpoints:
        return False
    if evidence.max_iterations is None:
        return evidence.finished and evidence.stopped_by is None
    return _is_end_reached(evidence) and _last_kept(evidence)


def _is_end_reached(evidence: Evidence) -> bool:
    """Say whether the last iteration is known to be done."""
    kept = evidence.checkpoint_iteration
    proven = -1 if kept is None else kept + (evidence.library == "rsl_rl")
    return max(evidence.iteration or 0, proven) >= (evidence.max_iterations or 0)


def _last_kept(evidence: Evidence) -> bool:
    """Say whether the whole checkpoints include the one of the end."""
    last, kept = evidence.max_iterations or 0, evidence.checkpoint_iteration
    if evidence.library == "sb3":
        return any(path.rpartition("/")[2] == "model.zip" for path in evidence.checkpoints)
    if kept is None:
        return False
    if evidence.library == "skrl":
        return kept + _interval(evidence) >= last
    return kept >= (last - 1 if evidence.library == "rsl_rl" else last)


def _interval(evidence: Evidence) -> int:
    """Return the iterations between two of skrl's checkpoints, rounded up: as their names say, else a tenth."""
    names = {checkpoints.number_of(path, "skrl") for path in (*evidence.checkpoints, *evidence.damaged)}
    numbers = sorted(number for number in names if number is not None)
    tenth = -(-((evidence.max_iterations or 0) - evidence.first_iteration) // 10)
    if evidence.horizon is None or not numbers:
        return tenth
    gap = min((after - before for before, after in pairwise(numbers)), default=numbers[0])
    return -(-gap // evidence.horizon)


def _is_played(evidence: Evidence) -> bool:
    if evidence.published is False:
        return False
    if evidence.steps is not None:
        return (evidence.played or 0) >= evidence.steps
    if evidence.unbounded and evidence.stopped_by is not None:
        return True
    filmed = evidence.video and evidence.videos > 0
    return evidence.exit_status == 0 and (filmed or _explanation(evidence, CAUSE, BREAK) is None)


def _done(evidence: Evidence) -> str:
    """Return how a run ended that did what it was asked."""
    if evidence.ended_by == "hang" or (evidence.ended_by == "stall" and evidence.sent):
        return "done; it did not close by itself and was ended"
    if evidence.action == "play" and evidence.unbounded and evidence.stopped_by is not None:
        return "stopped on request"
    crash = signal_name(evidence.exit_status)
    if crash is not None and crash not in evidence.sent and evidence.stopped_by is None:
        return f"done; it then ended with {crash} while closing"
    return "done"


def _shortfall(evidence: Evidence) -> str:
    """Return what is missing of what was asked for, and how the child ended."""
    ending = ending_of(evidence.exit_status)
    if evidence.action == "play" and evidence.steps is not None:
        done = f"only {evidence.played or 0} of {evidence.steps} steps were played"
        return f"{done}: the script {ending}" if evidence.exit_status else done
    if evidence.action == "play":
        return f"the play script {ending}"
    if evidence.damaged and not _short(evidence):
        return f"the last checkpoint is incomplete: {evidence.damaged[-1]}"
    if not evidence.checkpoints and (_is_end_reached(evidence) or evidence.max_iterations is None):
        return f"training {ending} and left no checkpoint behind"
    if not _short(evidence):
        return f"training {ending} and kept no checkpoint of its end"
    return f"training {ending}{_where(evidence)}"


def _short(evidence: Evidence) -> bool:
    """Say whether the last iteration is known not to have been reached."""
    return evidence.max_iterations is not None and not _is_end_reached(evidence)


def _where(evidence: Evidence) -> str:
    if evidence.action == "play" or evidence.iteration is None:
        return ""
    if evidence.max_iterations is None:
        return f" after {evidence.iteration} iterations"
    return f" after {evidence.iteration} of {evidence.max_iterations} iterations"


def _unfilmed(evidence: Evidence) -> Verdict:
    message, reason = "no video was written", _explanation(evidence, CAUSE)
    if reason is None:
        return Verdict(state="failed", failure="unknown", message=message)
    line = _cut(reason.line or "")
    return Verdict(state="failed", failure=reason.failure, message=f"{message}: {line}", hint=reason.hint, line=line)


def _failed(evidence: Evidence, shortfall: str) -> Verdict:
    reason = _reason(evidence)
    if reason is None:
        return Verdict(state="failed", failure="unknown", message=shortfall)
    line = None if reason.line is None else _cut(reason.line)
    message = f"{reason.what or shortfall}{_where(evidence) if reason.what else ''}"
    return Verdict(
        state="failed",
        failure=reason.failure,
        message=": ".join(filter(None, (message, line, reason.guess))),
        hint=reason.hint,
        line=line,
    )


def _reason(evidence: Evidence) -> _Finding | None:
    """Return why a run failed: what explains most, and of several the first.

    1. What spark-rl ended for the sake of the machine's memory.
    2. A known cause in the output (memory, NaN, assets, the request, versions), also where NCCL, a crash or a stall
       followed.
    3. A traceback that no table knows, or a native crash, whichever came first.
    4. A stall; a child or rank that was killed from outside; what NCCL said; the signal that ended the child.
    5. Lines that healthy runs print as well.
    """
    found = [*_explanations(evidence), *_of_supervision(evidence), *_of_exit(evidence)]
    return min(found, key=lambda finding: (finding.rank, finding.index), default=None)


def _explanation(evidence: Evidence, *ranks: int) -> _Finding | None:
    return next((finding for finding in _explanations(evidence) if finding.rank in ranks), None)


def _explanations(evidence: Evidence) -> tuple[_Finding, ...]:
    """Return what the output explains, in no order: known lines, and the exceptions that no table knows."""
    everything = raised(evidence.output)
    exceptions = tuple(one for one in everything if not any(name in one.line for name in _LAUNCHERS))
    known = [
        _known(signature, index, plain(line), evidence)
        for index, line in enumerate(evidence.output)
        if (signature := signatures.find(line)) is not None and not _is_source(index, plain(line), everything)
    ]
    return (*known, *_unknown(exceptions, frozenset(finding.index for finding in known)))


def _is_source(index: int, line: str, exceptions: tuple[Raised, ...]) -> bool:
    """Say whether a line is source text that a traceback shows; an assertion's is all that tells its meaning."""
    shown = line.startswith(" ") and not line.lstrip().startswith("assert")
    return shown and any(one.first < index < one.index for one in exceptions)


def _known(signature: Signature, index: int, line: str, evidence: Evidence) -> _Finding:
    groups = dict(signature.match(line) or ())
    hint = _buffer_hint(groups, evidence.generation) if "buffer" in groups else signature.hint
    return _Finding(
        rank=signature.rank,
        index=index,
        failure=signature.failure,
        what=signature.what.format(**groups),
        hint=hint,
        line=line.strip(),
    )


def _unknown(exceptions: tuple[Raised, ...], known: frozenset[int]) -> tuple[_Finding, ...]:
    """Return the exceptions that no table knows; of a chain, the last one alone, and none where one is known."""
    chains: list[list[Raised]] = []
    for one in exceptions:
        if one.chained and chains:
            chains[-1].append(one)
        else:
            chains.append([one])
    ends = (chain[-1] for chain in chains if not any(one.index in known for one in chain))
    return tuple(_of_exception(one) for one in ends)


def _of_exception(one: Raised) -> _Finding:
    inner = one.frames[-1] if one.frames else ""
    skewed = "unexpected keyword argument" in one.line and any(folder in inner for folder in _LIBRARY_FOLDERS)
    if skewed or (one.line.startswith("ImportError") and any(folder in inner for folder in _LIBRARY_FOLDERS)):
        hint = "install the version that this Isaac Lab pins: spark-rl doctor"
        what = "an RL library does not have the version that Isaac Lab expects"
        return _Finding(rank=CAUSE, index=one.index, failure="library-version", what=what, hint=hint, line=one.line)
    return _Finding(rank=BREAK, index=one.index, failure="unknown", what="", line=one.line)


def _of_supervision(evidence: Evidence) -> tuple[_Finding, ...]:
    """Return what the supervisor knows besides the output."""
    if evidence.published is False:
        what = "there is no published checkpoint of this task, or it could not be downloaded"
        return (_Finding(rank=CAUSE + 0.5, index=0, failure="missing-asset", what=what, hint=_TRAIN),)
    if evidence.ended_by == "memory":
        what = "it was ended before the machine's memory was full"
        return (_Finding(rank=-1, index=0, failure="out-of-memory", what=what, hint=_FEWER),)
    if evidence.ended_by in ("stall", "hang"):
        what = (
            "no new iteration came, and it was ended" if evidence.ended_by == "stall" else "it did not close by itself"
        )
        return (_Finding(rank=BREAK + 0.5, index=0, failure="stall", what=what, hint=_AGAIN),)
    return ()


def _of_exit(evidence: Evidence) -> tuple[_Finding, ...]:
    name = signal_name(evidence.exit_status)
    if name is None or name in evidence.sent:
        return ()
    if name == "SIGKILL":
        guess = "is the machine out of memory?"
        return (_Finding(rank=KILLED, index=0, failure="out-of-memory", what="", hint=_FEWER, guess=guess),)
    if name in _CRASHES:
        return (_Finding(rank=FALLOUT + 0.5, index=0, failure="native-crash", what="", hint=_AGAIN),)
    return (_Finding(rank=FALLOUT + 0.5, index=0, failure="unknown", what=""),)


_BUFFERS = {
    "njmax": "solver_cfg.njmax",
    "foundLostPairsCapacity": "gpu_found_lost_pairs_capacity",
    "foundLostAggregatePairsCapacity": "gpu_found_lost_aggregate_pairs_capacity",
    "totalAggregatePairsCapacity": "gpu_total_aggregate_pairs_capacity",
    "collisionStackSize": "gpu_collision_stack_size",
    "Patch buffer": "gpu_max_rigid_patch_count",
    "Contact buffer": "gpu_max_rigid_contact_count",
    "heapCapacity": "gpu_heap_capacity",
    "tempBufferCapacity": "gpu_temp_buffer_capacity",
}


def _buffer_hint(groups: dict[str, str], generation: int) -> str | None:
    """Return the override that makes a buffer of PhysX or MJWarp large enough: the next power of two."""
    field = _BUFFERS.get(groups["buffer"])
    if field is None:
        return None
    place = "env.sim.physx" if generation < 3 else "env.sim.physics"
    return f"add {place}.{field}={1 << (int(groups['size']) - 1).bit_length()}"


def signal_name(status: int) -> str | None:
    """Return the signal that ended a child, None where none did; a shell reports 128 and its number."""
    return _SIGNALS.get(-status if status < 0 else status - 128)


def ending_of(status: int) -> str:
    """Return an exit status in words."""
    name = signal_name(status)
    return f"was ended by {name}" if name else f"ended with status {status}"


def _cut(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= _LINE else f"{line[: _LINE - 3]}..."
