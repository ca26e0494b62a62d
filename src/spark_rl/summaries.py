"""What a list tells of a run, and an index of it: reading thousands of whole records takes too long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_rl.records import Run

SCHEMA = "spark-rl/index/1"

Stamp = tuple[int, int]
"""Change time (nanoseconds) and size of a record: what says that an index still holds."""


class Summary(NamedTuple):
    """One run of a list; the words mean what they mean in :class:`spark_rl.records.Run` and its progress.

    ``seconds`` is the time from the start to the end, or to the newest sign of life. ``attempts`` is their number,
    ``engine``, ``job`` and ``job_state`` are the name of the engine that runs it, the engine's own id and word on it
    (None for a run that was started here), ``folder`` is the folder of the record. A tuple, as ten thousand of them
    are made at once.
    """

    id: str
    task: str
    library: str
    algorithm: str
    state: str
    iteration: int | None
    max_iterations: int | None
    reward: float | None
    started_at: float
    log_dir: str | None
    checkpoint: str | None
    argv: tuple[str, ...]
    action: str
    length: float | None
    run_name: str | None
    ended_at: float | None
    updated_at: float
    seconds: float
    env_steps: int | None
    fps: float | None
    message: str | None
    failure: str | None
    hint: str | None
    attempts: int
    cwd: str
    host: str
    version: str
    num_envs: int | None
    unattended: bool
    weights_only: bool
    engine: str | None
    job: str | None
    job_state: str | None
    folder: str

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self.ended_at is not None or self.state not in ("starting", "running")


_STORED = Summary._fields[:-1]
"""The folder is left out of an index: both may be moved together."""


def summarize(run: Run, folder: str) -> Summary:
    """Return what a list tells of a run whose record lies in ``folder``."""
    progress = run.progress
    return Summary(
        id=run.id,
        task=run.task,
        library=run.library,
        algorithm=run.algorithm,
        state=run.state,
        iteration=progress.iteration,
        max_iterations=progress.max_iterations,
        reward=run.mean_return if run.action == "play" else progress.reward,
        started_at=run.started_at,
        log_dir=run.log_dir or progress.log_dir,
        checkpoint=progress.checkpoint,
        argv=run.argv,
        action=run.action,
        length=run.mean_length if run.action == "play" else progress.length,
        run_name=run.run_name,
        ended_at=run.ended_at,
        updated_at=run.updated_at,
        seconds=round(max(0.0, (run.ended_at or run.updated_at) - run.started_at), 3),
        env_steps=progress.env_steps,
        fps=progress.fps,
        message=run.message,
        failure=run.failure,
        hint=run.hint,
        attempts=len(run.attempts),
        cwd=run.cwd,
        host=run.owner.host,
        version=run.version,
        num_envs=run.num_envs,
        unattended=run.unattended,
        weights_only=run.weights_only,
        engine=run.job.engine if run.job else None,
        job=run.job.ident if run.job else None,
        job_state=str(run.job) if run.job and run.job.native else None,
        folder=folder,
    )


def pack(known: Mapping[str, tuple[Stamp, Summary]]) -> dict[str, Any]:
    """Return an index of runs that are over as a document."""
    rows = {run_id: [*stamp, *summary[:-1]] for run_id, (stamp, summary) in known.items()}
    return {"schema": SCHEMA, "fields": _STORED, "rows": rows}


def unpack(document: object) -> dict[str, list[Any]]:
    """Return the rows of an index by id, for :func:`restored`; none where the document is no index of this spark-rl."""
    if not isinstance(document, dict) or document.get("schema") != SCHEMA or document.get("fields") != [*_STORED]:
        return {}
    rows = document.get("rows")
    return rows if isinstance(rows, dict) else {}


def restored(row: object, run_id: str, stamp: Stamp, folder: str) -> Summary | None:
    """Return the summary in a row of an index, None where it is of an older record or of none."""
    if type(row) is not list or len(row) != len(_STORED) + 2 or row[0] != stamp[0] or row[1] != stamp[1]:
        return None
    if row[2] != run_id or type(row[2 + _ARGV]) is not list:
        return None
    row[2 + _ARGV] = tuple(row[2 + _ARGV])
    return Summary._make((*row[2:], folder))


_ARGV = _STORED.index("argv")
