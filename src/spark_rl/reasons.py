"""Why a run failed, as far as its output and its end tell: what began it outweighs what followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_rl import signatures
from spark_rl.evidence import signal_name
from spark_rl.signatures import BREAK, CAUSE, FALLOUT, KILLED, NOISE
from spark_rl.witness import plain, raised

if TYPE_CHECKING:
    from spark_rl.evidence import Evidence
    from spark_rl.records import Failure
    from spark_rl.signatures import Signature
    from spark_rl.witness import Raised

_CRASHES = frozenset(("SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSEGV"))
_LAUNCHERS = ("ChildFailedError", "CalledProcessError", "SignalException", "KeyboardInterrupt")
_LIBRARY_FOLDERS = ("/rsl_rl/", "/rl_games/", "/skrl/", "/stable_baselines3/")
_TRAIN = "train one: spark-rl train, or name a file: --checkpoint PATH"
_FEWER = "use fewer environments (--num-envs)"
_AGAIN = "resume it from its last checkpoint: spark-rl runs resume"
_ANEW = "it had saved nothing yet, and starts from the beginning: spark-rl runs resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Something that explains a failure, and how much: see the ranks of :mod:`spark_rl.signatures`."""

    rank: float
    index: int
    failure: Failure
    what: str
    hint: str | None = None
    line: str | None = None
    guess: str | None = None


def find_reason(evidence: Evidence) -> Reason | None:
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


def explanation(evidence: Evidence, *ranks: int) -> Reason | None:
    """Return what the output explains by a line of one of ``ranks``."""
    return next((finding for finding in _explanations(evidence) if finding.rank in ranks), None)


def _explanations(evidence: Evidence) -> tuple[Reason, ...]:
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


def _known(signature: Signature, index: int, line: str, evidence: Evidence) -> Reason:
    groups = dict(signature.match(line) or ())
    hint = _buffer_hint(groups, evidence.generation) if "buffer" in groups else signature.hint
    return Reason(
        rank=NOISE if signature.early and _has_trained(evidence) else signature.rank,
        index=index,
        failure=signature.failure,
        what=signature.what.format(**groups),
        hint=hint,
        line=line.strip(),
    )


def _has_trained(evidence: Evidence) -> bool:
    return (evidence.iteration or 0) > evidence.first_iteration


def _unknown(exceptions: tuple[Raised, ...], known: frozenset[int]) -> tuple[Reason, ...]:
    """Return the exceptions that no table knows; of a chain, the last one alone, and none where one is known."""
    chains: list[list[Raised]] = []
    for one in exceptions:
        if one.chained and chains:
            chains[-1].append(one)
        else:
            chains.append([one])
    ends = (chain[-1] for chain in chains if not any(one.index in known for one in chain))
    return tuple(_of_exception(one) for one in ends)


def _of_exception(one: Raised) -> Reason:
    inner = one.frames[-1] if one.frames else ""
    skewed = "unexpected keyword argument" in one.line and any(folder in inner for folder in _LIBRARY_FOLDERS)
    if skewed or (one.line.startswith("ImportError") and any(folder in inner for folder in _LIBRARY_FOLDERS)):
        hint = "install the version that this Isaac Lab pins: spark-rl doctor"
        what = "an RL library does not have the version that Isaac Lab expects"
        return Reason(rank=CAUSE, index=one.index, failure="library-version", what=what, hint=hint, line=one.line)
    return Reason(rank=BREAK, index=one.index, failure="unknown", what="", line=one.line)


def _of_supervision(evidence: Evidence) -> tuple[Reason, ...]:
    """Return what the supervisor knows besides the output."""
    if evidence.published is False:
        what = "there is no published checkpoint of this task, or it could not be downloaded"
        return (Reason(rank=CAUSE + 0.5, index=0, failure="missing-asset", what=what, hint=_TRAIN),)
    if evidence.ended_by == "memory":
        what = "the machine's memory was running out, and it was ended"
        return (Reason(rank=-1, index=0, failure="out-of-memory", what=what, hint=_FEWER),)
    if evidence.ended_by in ("stall", "hang"):
        what = (
            "no new iteration came, and it was ended" if evidence.ended_by == "stall" else "it did not close by itself"
        )
        return (Reason(rank=BREAK + 0.5, index=0, failure="stall", what=what, hint=_again(evidence)),)
    return ()


def _of_exit(evidence: Evidence) -> tuple[Reason, ...]:
    name = signal_name(evidence.exit_status)
    if name is None or name in evidence.sent:
        return ()
    if name == "SIGKILL" and evidence.oom_killed is False:
        return (
            Reason(rank=KILLED, index=0, failure="unknown", what="", hint=_again(evidence), guess="somebody killed it"),
        )
    if name == "SIGKILL":
        guess = "the machine had no memory left" if evidence.oom_killed else "is the machine out of memory?"
        return (Reason(rank=KILLED, index=0, failure="out-of-memory", what="", hint=_FEWER, guess=guess),)
    if name in _CRASHES:
        return (Reason(rank=FALLOUT + 0.5, index=0, failure="native-crash", what="", hint=_again(evidence)),)
    return (Reason(rank=FALLOUT + 0.5, index=0, failure="unknown", what=""),)


def _again(evidence: Evidence) -> str:
    if evidence.action != "train":
        return "start it again"
    return _AGAIN if evidence.checkpoint_iteration is not None or evidence.checkpoints else _ANEW


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
