"""What Isaac Lab's Python tells of assets: the files that a task's configuration names, and copies of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl import __version__, supplies
from spark_rl.errors import CheckError
from spark_rl.words import is_override

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from spark_rl.model import Installation, Plan, Task
    from spark_rl.supplies import Needs

__all__ = ["DRIVER", "SECONDS", "Child", "cached", "copy", "deciding", "known", "left_by_run", "recall", "resolve"]

DRIVER = str(Path(__file__).parent / "drivers" / "retrieve.py")
SECONDS = 5
"""What asking usually takes; importing Isaac Lab is nearly all of it."""

LINGERING_S = 15.0
"""Time for a child to end after its last line."""

_CACHE = f"spark-rl/asset-references-cache/1 {__version__}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """How Isaac Lab's Python is started: the words before the driver, the whole environment, the working directory."""

    python: tuple[str, ...]
    environ: Mapping[str, str]
    cwd: Path


def known(decided: Plan, tasks: Iterable[Task], cache: Path) -> Needs | None:
    """Return what a plan's task needs as far as it is known without asking: resolved before, or left by a run (2.x).

    Args:
        decided: The plan.
        tasks: All tasks; those that share an experiment's folder leave none of their runs to each other.
        cache: The folder of what was resolved.
    """
    if decided.isaaclab.generation >= 3:
        return recall(cache, decided.isaaclab, decided.task.task.id, deciding(decided))
    task = decided.task.task
    agent = task.agent(decided.library, decided.algorithm)
    if agent is None or agent.experiment is None:
        return None
    twins = (task.id, task.play_id, task.train_id)
    shared = any(
        one.library == agent.library and one.experiment == agent.experiment and other.id not in twins
        for other in tasks
        for one in other.agents
    )
    folder = Path(decided.cwd, "logs", decided.library, agent.experiment)
    return None if shared else left_by_run(folder, task.id)


def deciding(decided: Plan) -> tuple[str, ...]:
    """Return the overrides of a plan that may change what its task needs."""
    return supplies.deciding(word for word in decided.argv if is_override(word))


def cached(address: str) -> Path | None:
    """Return Isaac Lab's own copy of a hosted file in the system's temporary folder, None where there is none."""
    scheme, _, rest = address.partition("://")
    host, _, path = rest.partition("/")
    file = Path(tempfile.gettempdir(), scheme, host.replace(":", "_"), path)
    return file if file.is_file() else None


def recall(folder: Path, installation: Installation, task: str, overrides: Sequence[str]) -> Needs | None:
    """Return what was resolved before, None where it was not or its sources have changed since.

    Args:
        folder: The cache.
        installation: Whose task.
        task: Id of the task.
        overrides: Those that decide (:func:`spark_rl.supplies.deciding`).
    """
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        kept = json.loads(_file(folder, installation, task, overrides).read_text(encoding="utf-8"))
        if kept["cache"] == _CACHE and all(_unchanged(*entry) for entry in kept["document"]["sources"]):
            return supplies.Needs.from_document(kept["document"], _source(installation))
    return None


def resolve(folder: Path, installation: Installation, task: str, overrides: Sequence[str], child: Child) -> Needs:
    """Ask Isaac Lab's Python which files a task's configuration names, and remember it.

    Raises:
        CheckError: It cannot tell; the message is its error.
    """
    lines = [*_ask(child, {"task": task, "overrides": list(overrides)})]
    try:
        document = lines[-1]
        needs = supplies.Needs.from_document(document, _source(installation))
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise CheckError(f"the answer of {child.python[0]} makes no sense: {error!r}") from error
    _remember(_file(folder, installation, task, overrides), document)
    return needs


def copy(root: str, to: Path, files: Sequence[str], child: Child) -> Generator[dict[str, Any]]:
    """Copy files below an asset root, and what they refer to, into a folder; yield what becomes of each.

    The lines are those of ``drivers/retrieve.py``; a file that is whole in the folder is not fetched again.

    Args:
        root: An address, or ``file://`` and a folder.
        to: The folder.
        files: Paths below the root.
        child: How to start Isaac Lab's Python.

    Raises:
        CheckError: Isaac Lab's Python failed, or ended before it was done.
    """
    finished = False
    for line in _ask(child, {"root": root, "to": str(to), "files": list(files)}):
        finished = "finished" in line
        if not finished:
            yield line
    if not finished:
        raise CheckError("Isaac Lab's Python ended before all was fetched", "the same command goes on")


def _ask(child: Child, request: Mapping[str, Any]) -> Generator[dict[str, Any]]:
    """Run the driver and yield its lines; it ends with its reader."""
    reading, writing = os.pipe()
    with (
        open(reading, encoding="utf-8") as lines,  # noqa: PTH123 - a pipe has no name
        tempfile.TemporaryFile("w+", errors="replace") as told,
    ):
        running = _started([*child.python, DRIVER, json.dumps(request), f"/dev/fd/{writing}"], child, told, writing)
        try:
            for line in lines:
                yield _read(line)
            status = _status(running)
        finally:
            _end(running)
        if status:
            told.seek(0)
            raise CheckError(_said(told.read(), status), "spark-rl doctor --deep tells more")


def _status(running: subprocess.Popen[bytes]) -> int:
    """Return the exit status of a child that has said all; one whose libraries do not let it end has done its work."""
    try:
        return running.wait(LINGERING_S)
    except subprocess.TimeoutExpired:
        return 0


def _started(argv: list[str], child: Child, told: Any, writing: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            cwd=child.cwd,
            env={**child.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=told,
            pass_fds=(writing,),
            start_new_session=True,
        )
    except OSError as error:
        raise CheckError(f"{argv[0]} cannot be started: {error.strerror}") from error
    finally:
        os.close(writing)


def _read(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise CheckError(f"Isaac Lab's Python wrote what makes no sense: {line.strip()[:80]}")
    if "error" in value:
        raise CheckError(f"Isaac Lab cannot tell: {value['error']}")
    return value


def _end(running: subprocess.Popen[bytes]) -> None:
    """End the child's whole group, first as Ctrl-C would: it takes away what it left half done."""
    for number, patience in ((signal.SIGINT, 5.0), (signal.SIGKILL, None)):
        if running.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(running.pid, number)
        with suppress(subprocess.TimeoutExpired):
            running.wait(patience)


def _said(text: str, status: int) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"Isaac Lab's Python ended with status {status}" + (f": {lines[-1]}" if lines else "")


def _source(installation: Installation) -> str:
    return f"Isaac Lab {installation.version}'s own configuration"


def _file(folder: Path, installation: Installation, task: str, overrides: Sequence[str]) -> Path:
    whose = repr((installation.path, installation.python, installation.version, task, tuple(overrides))).encode()
    return folder / f"assets-{zlib.crc32(whose):08x}{zlib.adler32(whose):08x}.json"


def _unchanged(path: str, changed: int, size: int) -> bool:
    stat = Path(path).stat()
    return (stat.st_mtime_ns, stat.st_size) == (changed, size)


def _remember(file: Path, document: Mapping[str, Any]) -> None:
    """Write a document for the next :func:`recall`; a folder that cannot be written is no error."""
    draft = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({"cache": _CACHE, "document": document}), encoding="utf-8")
        draft.replace(file)
    except OSError:
        with suppress(OSError):
            draft.unlink()


def left_by_run(folder: Path, task: str) -> Needs | None:
    """Return what the newest run of an experiment wrote down that it needs, None where no run tells.

    Args:
        folder: The experiment's folder of runs.
        task: Id of the task.
    """
    found = []
    for file in folder.glob("*/params/env.yaml"):
        with suppress(OSError):
            found.append((file.stat().st_mtime, file))
    for _, file in sorted(found, reverse=True):
        needs = supplies.from_run(_texts(file), task=task, source=str(file))
        if needs is not None:
            return needs
    return None


def _texts(file: Path) -> list[tuple[str, str]]:
    """Return the keys and texts of a YAML file; of its Python objects nothing is made."""
    import yaml

    try:
        top = yaml.compose(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return []
    found: list[tuple[str, str]] = []
    left: list[tuple[str, Any]] = [("env", top)]
    while left:
        key, node = left.pop()
        if isinstance(node, yaml.MappingNode):
            left += [(f"{key}.{name.value}", below) for name, below in node.value]
        elif isinstance(node, yaml.SequenceNode):
            left += [(f"{key}.{place}", below) for place, below in enumerate(node.value)]
        elif isinstance(node, yaml.ScalarNode):
            found.append((key, node.value))
    return found
