"""Jobs on a Slurm cluster: a batch script for each submission, and squeue's word on how it is.

The options of a submission are ``partition``, ``account``, ``gres`` (what a GPU is called: ``gpu:h100``), ``setup``
(lines of shell before the command), ``container`` (words before it) and ``sbatch`` (more options of sbatch, as in a
shell). Without accounting Slurm forgets a job that is over after its MinJobAge, 5 minutes by default.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import PurePath
from typing import TYPE_CHECKING

from spark_rl.engines import State, Status, shell
from spark_rl.errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from spark_rl.engines import Submission

RUN_VARIABLE = "SPARK_RL_RUN"
"""Tells the spark-rl in a job which record waits for it."""

LEAD_S = 120
"""How long before the time limit a job is told: time to end the trainer. Slurm looks every 30 s."""

LIMIT_CODE = 138
"""What spark-rl exits with when USR1, the signal ahead of the limit, has stopped its run: 128 + 10."""

ANSWER_S = 30.0
"""Time for Slurm to answer; a busy controller takes seconds."""

STATES: Mapping[str, State] = {
    "PENDING": "pending",
    "CONFIGURING": "pending",
    "REQUEUED": "pending",
    "REQUEUE_FED": "pending",
    "REQUEUE_HOLD": "pending",
    "RESV_DEL_HOLD": "pending",
    "SPECIAL_EXIT": "pending",
    "RUNNING": "running",
    "COMPLETING": "running",
    "RESIZING": "running",
    "SIGNALING": "running",
    "STAGE_OUT": "running",
    "STOPPED": "running",
    "SUSPENDED": "running",
    "COMPLETED": "done",
    "CANCELLED": "cancelled",
    "REVOKED": "cancelled",
    "BOOT_FAIL": "failed",
    "DEADLINE": "failed",
    "FAILED": "failed",
    "NODE_FAIL": "failed",
    "OUT_OF_MEMORY": "failed",
    "PREEMPTED": "failed",
    "TIMEOUT": "failed",
}
"""Slurm's words for how a job is."""

_GONE = Status(state="gone", native="")
_TELLING: tuple[State, ...] = ("running", "pending", "failed", "cancelled", "done", "gone")
"""Which of its elements speaks for an array: the first of these that there is."""


def render(submission: Submission) -> str:
    """Return the batch script; several commands make an array, several nodes one training over all of them."""
    return "\n".join(("#!/bin/bash", *_directives(submission), "", *_body(submission), ""))


def _directives(submission: Submission) -> Iterator[str]:
    """Yield the #SBATCH lines; those that the user gave come last, and win."""
    options, several = dict(submission.options), bool(_numbers(submission))
    lead = LEAD_S if submission.time_s is None else min(LEAD_S, submission.time_s // 4)
    given: tuple[tuple[str, str | None], ...] = (
        ("job-name", submission.name),
        ("partition", options.get("partition")),
        ("account", options.get("account")),
        ("time", _clock(submission.time_s) if submission.time_s is not None else None),
        ("nodes", str(submission.nodes)),
        ("ntasks-per-node", "1"),
        ("cpus-per-task", str(submission.cpus) if submission.cpus > 1 else None),
        ("gres", f"{options.get('gres') or 'gpu'}:{submission.gpus}" if submission.gpus else None),
        ("mem", f"{submission.memory_mib}M" if submission.memory_mib else None),
        ("array", _array(submission) if several else None),
        ("chdir", submission.cwd),
        ("output", log_of(submission.log) if several else submission.log),
        ("open-mode", "append"),
        ("signal", f"B:USR1@{lead}"),
    )
    yield from (f"#SBATCH --{name}={_quoted(value)}" for name, value in given if value is not None)
    yield "#SBATCH --requeue"
    yield from (f"#SBATCH {line}" for line in (options.get("sbatch") or "").splitlines())


def _numbers(submission: Submission) -> tuple[int, ...]:
    """Return the numbers of an array's elements, none for a single command that has no number."""
    several = len(submission.commands) > 1
    return submission.numbers or (tuple(range(len(submission.commands))) if several else ())


def _array(submission: Submission) -> str:
    """Return the elements as sbatch takes them: ``1-3,7%2``."""
    spans: list[list[int]] = []
    for number in _numbers(submission):
        if spans and spans[-1][-1] == number - 1:
            spans[-1][1:] = [number]
        else:
            spans.append([number])
    limit = f"%{submission.parallel}" if submission.parallel else ""
    return ",".join("-".join(map(str, span)) for span in spans) + limit


def log_of(log: str, element: int | None = None) -> str:
    """Return the file for the output of an array's element, or Slurm's pattern for those of all."""
    path = PurePath(log)
    own = str(path.with_name(f"{path.stem}-%a{path.suffix}")) if "%" not in log else log
    return own if element is None else own.replace("%a", str(element))


def _clock(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{clock}" if days else clock


def _quoted(text: str) -> str:
    """Return a word for a #SBATCH line."""
    return text if all(mark not in text for mark in " \t\"'\\#") else '"' + text.replace('"', '\\"') + '"'


def _body(submission: Submission) -> Iterator[str]:
    options = dict(submission.options)
    setup = [*(options.get("setup") or "").strip().splitlines()]
    setup += [f"export {name}={shlex.quote(value)}" for name, value in submission.env]
    if setup:
        yield from (*setup, "")
    hidden = shell.secrets(submission.commands)
    if hidden:
        yield f"# Not in this script, but in the environment that sbatch passes on: {', '.join(hidden.values())}"
    yield from _command(submission, shlex.split(options.get("container") or ""), hidden)
    yield from _TAIL


def _command(submission: Submission, container: Sequence[str], hidden: Mapping[str, str]) -> Iterator[str]:
    """Yield what starts the command in the background, so that this shell hears the signals."""
    if numbers := _numbers(submission):
        yield "case $SLURM_ARRAY_TASK_ID in"
        for number, command in zip(numbers, submission.commands, strict=True):
            yield f"  {number}) set -- {shell.wrapped((*container, *command), hidden, '       ')} ;;"
        yield from ("esac", *_TRAPS, '"$@" &')
        return
    command = (*container, *submission.commands[0])
    if submission.nodes == 1:
        yield from (*_TRAPS, f"{shell.wrapped(command, hidden)} &")
        return
    yield from _nodes(command, hidden)


def _nodes(command: Sequence[str], hidden: Mapping[str, str]) -> Iterator[str]:
    """Yield what starts one spark-rl on each node."""
    at = command.index("--") if "--" in command else len(command)
    place = '--nnodes "$SLURM_NNODES" --node-rank "$SLURM_NODEID" --master-addr "$head" --master-port "$port"'
    parts = (shell.wrapped(command[:at], hidden, "    "), place, shell.wrapped(command[at:], hidden, "    "))
    words = " \\\n    ".join(filter(None, parts))
    yield from (*_MEETING, f"  exec {words}", "}", "export -f node", *_TRAPS)
    yield "srun --kill-on-bad-exit=0 bash -c node &"


_MEETING = (
    "# One spark-rl on each node. They meet at the first one's host, whose record counts; the others have a copy.",
    'export head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
    "export port=$((20000 + SLURM_JOB_ID % 5000 * 2))",
    "node() {",
    '  if [ "$SLURM_NODEID" != 0 ] && [ -n "$SPARK_RL_RUN" ]; then',
    "    copy=$SPARK_RL_STATE/jobs/$SLURM_JOB_ID-node$SLURM_NODEID",
    '    mkdir -p "$copy/runs/$SPARK_RL_RUN"',
    '    cp "$SPARK_RL_STATE/runs/$SPARK_RL_RUN"/*.json "$copy/runs/$SPARK_RL_RUN"',
    "    export SPARK_RL_STATE=$copy",
    "  fi",
)
_TRAPS = (
    "# Ahead of the time limit Slurm sends USR1, and scancel sends TERM: spark-rl ends its run in time.",
    """trap 'heard=1; kill -USR1 $!' USR1""",
    """trap 'heard=1; kill -TERM $!' TERM""",
)
_TAIL = (
    "run=$!",
    "# A signal cuts a wait short.",
    'while heard=; wait "$run"; code=$?; [ "$heard" ]; do :; done',
    "# Stopped for the limit: back into the queue; the next start goes on from the newest checkpoint.",
    f'if [ "$code" = {LIMIT_CODE} ]; then scontrol requeue "$SLURM_JOB_ID"; fi',
    'exit "$code"',
)


def submit(submission: Submission) -> str:
    """Give the script to sbatch, with this environment, and return the job's id.

    Raises:
        CheckError: There is no Slurm here, or it refuses the job.
    """
    environ = {name: value for name, value in os.environ.items() if name != RUN_VARIABLE}
    environ |= {RUN_VARIABLE: submission.run} if submission.run else {}
    environ |= shell.variables(shell.secrets(submission.commands))
    done = _slurm("sbatch", "--parsable", text=render(submission), environ=environ)
    if done.returncode:
        raise CheckError(f"Slurm refuses the job: {_reason(done)}", "see the script with: --dry-run --engine slurm")
    return done.stdout.strip().partition(";")[0]


def poll(ident: str) -> Status:
    """Return how a job is, an array as a whole, or one element of it (``ID_INDEX``).

    Raises:
        CheckError: There is no Slurm here, or it does not answer.
    """
    return survey((ident,))[ident]


def survey(idents: Iterable[str]) -> dict[str, Status]:
    """Return how jobs are.

    Raises:
        CheckError: There is no Slurm here, or it does not answer.
    """
    asked = tuple(dict.fromkeys(idents))
    if not asked:
        return {}
    found = parse(_queue(asked))
    forgotten = [ident for ident in asked if _about(ident, found) is _GONE]
    if forgotten:
        found |= parse(_accounted(forgotten))
    return {ident: _about(ident, found) for ident in asked}


def parse(text: str) -> dict[str, Status]:
    """Return how jobs are by id, from lines ``ID|STATE|REASON``; sacct's have none: its reason is why a job had waited.

    Its state may go on: ``CANCELLED by 0``.
    """
    found = {}
    for line in text.splitlines():
        ident, _, rest = line.partition("|")
        words, _, reason = rest.partition("|")
        native = (words.split() or [""])[0].rstrip("+")
        state, reason = STATES.get(native, "running"), reason.strip().strip("()")
        stale = reason in ("", "None") or state in ("cancelled", "done")  # why it had waited
        found[ident] = Status(state=state, native=native, reason=None if stale else reason)
    return found


def _about(ident: str, found: Mapping[str, Status]) -> Status:
    """Return how one of those asked for is; what is furthest from its end speaks for an array."""
    elements = [status for name, status in found.items() if name == ident or name.startswith(f"{ident}_")]
    return min(elements, key=lambda status: _TELLING.index(status.state), default=_GONE)


def _queue(idents: Sequence[str]) -> str:
    """Return what squeue knows of jobs, those included that are just over; nothing of those that Slurm forgot."""
    done = _slurm("squeue", "--noheader", "--array", "--states=all", "--format=%i|%T|%r", f"--jobs={','.join(idents)}")
    if done.returncode and "Invalid job id" not in done.stderr:
        raise CheckError(f"Slurm does not tell how its jobs are: {_reason(done)}", "try again: squeue --me")
    return done.stdout


def _accounted(idents: Sequence[str]) -> str:
    """Return what the accounting knows of jobs, nothing where there is none."""
    try:
        done = _slurm(
            *("sacct", "--noheader", "--allocations", "--parsable2", "--format=JobID,State"),
            f"--jobs={','.join(idents)}",
        )
    except CheckError:
        return ""
    return "" if done.returncode else done.stdout


def cancel(ident: str) -> None:
    """End a job, an array or an element; nothing happens to what is over.

    Raises:
        CheckError: There is no Slurm here, or it refuses.
    """
    done = _slurm("scancel", ident)
    if done.returncode and "Invalid job id" not in done.stderr:
        raise CheckError(f"Slurm does not end job {ident}: {_reason(done)}", f"try: scancel {ident}")


def here(environ: Mapping[str, str]) -> str | None:
    """Return the id of the job that this process belongs to, None outside."""
    array, element = environ.get("SLURM_ARRAY_JOB_ID"), environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{element}" if array and element else environ.get("SLURM_JOB_ID")


def _slurm(
    *argv: str, text: str | None = None, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv, check=False, input=text, env=environ, capture_output=True, text=True, timeout=ANSWER_S
        )
    except FileNotFoundError as error:
        raise CheckError(f"{argv[0]} is not on this machine", "use a login node of the Slurm cluster") from error
    except OSError as error:
        raise CheckError(f"{argv[0]} cannot be started: {error.strerror}", "check Slurm's programs here") from error
    except subprocess.TimeoutExpired as error:
        raise CheckError(f"{argv[0]} has not answered for {ANSWER_S:.0f} s", "check the cluster: sinfo") from error


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a program of Slurm complains of, in one line."""
    lines = [line.partition("error: ")[2] or line for line in done.stderr.splitlines() if line.strip()]
    return "; ".join(lines) or f"exit status {done.returncode}"
