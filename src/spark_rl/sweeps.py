"""The folder of a sweep: what was asked for, its trials, and what each of them reports.

Below the working directory lies ``logs/sweeps/NAME_TIME`` with ``sweep.json``, ``trials.json``, and a folder for each
trial: the number of its run, its reports, what it printed, and Isaac Lab's run folders. Every node reads and writes it.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl.errors import CheckError, RequestError
from spark_rl.sweep import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HOME = Path("logs", "sweeps")
SCHEMA = "spark-rl/sweep-start/1"

_START, _TRIALS, _RUN, _REPORTS, _STOPPED = "sweep.json", "trials.json", "run", "reports.jsonl", "stopped"
_SUBMITTED, _LOCK = "submitted.json", "lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How far a trial is: iterations done, and the newest value of the sweep's metric."""

    iteration: int
    score: float


def create(cwd: Path, name: str, stamp: str) -> Path:
    """Make the folder of a new sweep.

    Raises:
        CheckError: It cannot be made.
    """
    for again in ("", *(f"-{number}" for number in range(2, 100))):
        folder = cwd / HOME / f"{name}_{stamp}{again}"
        try:
            folder.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise _unwritable(folder, error) from error
        return folder
    raise CheckError(f"{cwd / HOME} is full of sweeps called {name}_{stamp}", "start again in a second")


def note_submitted(folder: Path, engine: str, ident: str) -> None:
    """Write down which engine has the trials, under which id.

    Raises:
        CheckError: It cannot be written.
    """
    _write(folder / _SUBMITTED, {"engine": engine, "ident": ident})


def forget_submitted(folder: Path) -> None:
    """Let no engine have the trials, before another one gets them."""
    (folder / _SUBMITTED).unlink(missing_ok=True)


def submitted(folder: Path) -> tuple[str, str] | None:
    """Return the engine that was last given trials, and its id of them."""
    with suppress(OSError, ValueError, KeyError):
        found = json.loads((folder / _SUBMITTED).read_bytes())
        return str(found["engine"]), str(found["ident"])
    return None


def newest(cwd: Path, name: str) -> Path | None:
    """Return the folder of the newest sweep of a name, None where there is none."""
    found = [start.parent for start in (cwd / HOME).glob(f"*/{_START}") if start.parent.name.startswith(f"{name}_")]
    exact = [folder for folder in found if _text(folder, "name") == name]
    return max(exact, key=lambda folder: float(_text(folder, "at") or 0), default=None)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep a sweep to this process, while that runs its trials or hands them over.

    Raises:
        CheckError: Another process runs them, or the folder cannot be written to.
    """
    try:
        descriptor = _own(str(folder / _LOCK), os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise _unwritable(folder / _LOCK, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        hint = "see how far it is with --results; Ctrl-C ends it where it runs"
        raise CheckError(f"the sweep in {folder} runs already", hint) from error
    except OSError:
        pass  # a disk that cannot lock
    try:
        yield
    finally:
        os.close(descriptor)


def withdraw(folder: Path) -> None:
    """Let a sweep of which nothing has begun be none, so that an earlier one is the newest again; its logs stay."""
    if submitted(folder) is None and not any((folder / "trials").glob(f"*/{_RUN}")):
        with suppress(OSError):
            (folder / _START).rename(folder / "withdrawn.json")


def _text(folder: Path, key: str) -> Any:
    with suppress(OSError, ValueError):
        return json.loads((folder / _START).read_bytes()).get(key)
    return None


def save(folder: Path, start: dict[str, Any]) -> None:
    """Write what a sweep was started with.

    Raises:
        CheckError: It cannot be written.
    """
    _write(folder / _START, {"schema": SCHEMA} | start)


def load(folder: Path) -> dict[str, Any]:
    """Return what a sweep was started with.

    Raises:
        RequestError: The folder is none of a sweep.
    """
    with suppress(OSError, ValueError):
        document = json.loads((folder / _START).read_bytes())
        if isinstance(document, dict) and document.get("schema") == SCHEMA:
            return document
    raise RequestError(f"{folder} is no folder of a sweep", "it is made by: spark-rl sweep FILE")


def save_trials(folder: Path, trials: Iterable[Trial]) -> None:
    """Write the trials that are known.

    Raises:
        CheckError: They cannot be written.
    """
    _write(folder / _TRIALS, {"trials": [asdict(trial) for trial in trials]})


def load_trials(folder: Path) -> tuple[Trial, ...]:
    """Return the trials that are known, none where nothing is written yet."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        written = json.loads((folder / _TRIALS).read_bytes())["trials"]
        return tuple(
            Trial(**one | {"values": tuple((name, value) for name, value in one["values"])}) for one in written
        )
    return ()


def home(folder: Path, number: int) -> Path:
    """Return the folder of a trial, there or not."""
    return folder / "trials" / str(number)


def run_of(folder: Path, number: int) -> str | None:
    """Return the id of a trial's run, None where it has none yet."""
    with suppress(OSError, ValueError):
        return (home(folder, number) / _RUN).read_text(encoding="ascii").strip() or None
    return None


def set_run(folder: Path, number: int, run_id: str) -> None:
    """Write down the id of a trial's run."""
    _replace(home(folder, number) / _RUN, run_id)


def reports_file(folder: Path, number: int) -> Path:
    """Return the file that a trial reports to."""
    return home(folder, number) / _REPORTS


def report(folder: Path, number: int, one: Report) -> None:
    """Add a report; a disk that takes none must not end a training."""
    with suppress(OSError), reports_file(folder, number).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(one)) + "\n")


def reports(folder: Path, number: int) -> tuple[Report, ...]:
    """Return all reports of a trial; what an earlier attempt told of iterations that were done again does not count."""
    found: list[Report] = []
    for line in _lines(reports_file(folder, number)):
        with suppress(ValueError, KeyError, TypeError):
            values = json.loads(line)
            new = Report(iteration=int(values["iteration"]), score=float(values["score"]))
            found = (
                [*(one for one in found if one.iteration < new.iteration), new] if _back(found, new) else [*found, new]
            )
    return tuple(found)


def _back(found: list[Report], new: Report) -> bool:
    return bool(found) and new.iteration <= found[-1].iteration


def _lines(file: Path) -> list[str]:
    with suppress(OSError):
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    return []


def mark_stopped(folder: Path, number: int) -> None:
    """Write down that the scheduler has stopped a trial for good."""
    with suppress(OSError):
        home(folder, number).mkdir(parents=True, exist_ok=True)
        (home(folder, number) / _STOPPED).touch()


def is_stopped(folder: Path, number: int) -> bool:
    """Say whether the scheduler has stopped a trial for good."""
    return (home(folder, number) / _STOPPED).exists()


def write(folder: Path, name: str, text: str) -> Path:
    """Write a file of the sweep and return it.

    Raises:
        CheckError: It cannot be written.
    """
    try:
        _replace(folder / name, text)
    except OSError as error:
        raise _unwritable(folder / name, error) from error
    return folder / name


def _write(file: Path, document: dict[str, Any]) -> None:
    try:
        _replace(file, json.dumps(document, indent=1) + "\n")
    except OSError as error:
        raise _unwritable(file, error) from error


def _replace(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    # A recipe may hold a secret, and a shared folder other people.
    with open(new, "w", encoding="utf-8", opener=_own) as stream:
        stream.write(text)
    new.replace(file)


def _own(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _unwritable(file: Path, error: OSError) -> CheckError:
    return CheckError(f"{file} cannot be written: {error.strerror}", "start the sweep in a folder of yours")
