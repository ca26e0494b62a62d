"""Resolved configurations from the world: asked of Isaac Lab's Python, remembered between calls, or left by a run."""

from __future__ import annotations

import json
import os
import re
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl import __version__
from spark_rl.configuration import ROOTS, SCHEMA, Configuration
from spark_rl.errors import CheckError
from spark_rl.overrides import may_select, selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from spark_rl.model import Installation

__all__ = ["DRIVER", "SECONDS", "Place", "at_once", "left_by_runs", "recall", "resolve"]

DRIVER = str(Path(__file__).parent / "drivers" / "configs.py")
SECONDS = 8
"""What asking usually takes; importing Isaac Lab is nearly all of it."""

TIMEOUT_S = 300.0
_CACHE = f"spark-rl/configuration-cache/1 {__version__}"
_NOWHERE = "http://127.0.0.1:9"
"""A proxy that answers nobody: what resolves a configuration has nothing to fetch."""

_Files = list[list[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose configuration: a task and agent config of an installation, as ``train`` or ``play`` has them.

    ``stamp`` says what the task is registered with, ``folder`` is the cache.
    """

    installation: Installation
    task: str
    agent: str
    play: bool
    stamp: str
    folder: Path

    def file(self, words: Sequence[str]) -> Path:
        """Return the cache file of one selection of presets."""
        lab = self.installation
        whose = repr((lab.path, lab.python, lab.version, lab.sources, self.task, self.agent, self.play, tuple(words)))
        return self.folder / f"config-{zlib.crc32(whose.encode()):08x}{zlib.adler32(whose.encode()):08x}.json"


def recall(place: Place, words: Sequence[str]) -> Configuration | None:
    """Return the configuration that was resolved before under the presets that ``words`` select, None if none was.

    What was resolved from files that have changed since counts as none.
    """
    base = _remembered(place, (), fresh=True)
    if base is None:
        return None
    chosen = selection(words, base)
    return _remembered(place, chosen, fresh=True) if chosen else base


def at_once(place: Place) -> Configuration | None:
    """Return the configuration as it was last resolved, looking at nothing else: what a keystroke has time for."""
    return _remembered(place, (), fresh=False)


def resolve(
    place: Place, words: Sequence[str], *, python: Sequence[str], environ: Mapping[str, str], cwd: Path
) -> Configuration:
    """Ask Isaac Lab's Python for the configuration under the presets that ``words`` select, and remember it.

    Args:
        place: Whose configuration.
        words: Overrides.
        python: The command that starts Isaac Lab's Python.
        environ: Its environment.
        cwd: Its working directory.

    Raises:
        CheckError: It cannot tell; the message is its first real line of error.
    """
    asked = tuple(word for word in words if may_select(word))
    document = _ask(place, asked, python, environ, cwd)
    try:
        base, last = document["resolutions"][0], document["resolutions"][-1]
        configuration = Configuration.from_document({**document, "resolutions": [base]}, _source(place))
        _remember(place, (), document, [base])
        chosen = selection(asked, configuration)
        if not chosen:
            return configuration
        _remember(place, chosen, document, [base, last] if "refused" in last else [last])
        return Configuration.from_document(document, _source(place))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise CheckError(f"the answer of {python[0]} makes no sense: {error!r}") from error


def _source(place: Place) -> str:
    return f"Isaac Lab {place.installation.version}'s own configuration"


def _ask(
    place: Place, words: Sequence[str], python: Sequence[str], environ: Mapping[str, str], cwd: Path
) -> dict[str, Any]:
    import subprocess
    import tempfile

    request = {"task": place.task, "agent": place.agent, "play": place.play, "words": list(words)}
    with tempfile.TemporaryDirectory(prefix="spark-rl-") as folder:
        output = Path(folder, "configuration.json")
        try:
            child = subprocess.run(
                [*python, DRIVER, json.dumps(request), str(output)],
                cwd=cwd,
                env=_offline(environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=TIMEOUT_S,
                check=False,
            )
        except OSError as error:
            raise CheckError(f"{python[0]} cannot be started: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise CheckError(f"{python[0]} did not answer within {TIMEOUT_S:.0f} s") from error
        document = _json(output)
    if document.get("schema") != SCHEMA:
        raise CheckError(_said(child.stderr.decode(errors="replace"), child.returncode))
    if "error" in document:
        raise CheckError(str(document["error"]))
    return document


def _offline(environ: Mapping[str, str]) -> dict[str, str]:
    proxies = {name: _NOWHERE for each in ("http_proxy", "https_proxy", "all_proxy") for name in (each, each.upper())}
    return dict(environ) | proxies | {"no_proxy": "", "NO_PROXY": "", "OMP_NUM_THREADS": "1"}


def _json(file: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        document = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(document, dict):
            return document
    return {}


def _said(text: str, status: int) -> str:
    """Return the line of a child's talk that names its error: the end of the first traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = next((line for line in lines if re.match(r"[\w.]*(Error|Exception|Exit)\b", line)), None)
    return named or (lines[-1] if lines else f"it ended with status {status} and said nothing")


def _remember(place: Place, words: Sequence[str], document: Mapping[str, Any], resolutions: list[Any]) -> None:
    """Write a document for the next :func:`recall`; a folder that cannot be written is no error."""
    import tempfile

    body = json.dumps({**document, "resolutions": resolutions, "sources": []}, separators=(",", ":"))
    head = json.dumps({**_head(place, body), "sources": document["sources"]}, separators=(",", ":"))
    unfinished: Path | None = None
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=place.folder, suffix=".tmp", delete=False, encoding="utf-8") as out:
            unfinished = Path(out.name)
            out.write(f"{head}\n{body}")
        unfinished.replace(place.file(words))
    except OSError:
        if unfinished:
            with suppress(OSError):
                unfinished.unlink()


def _head(place: Place, body: str) -> dict[str, Any]:
    driver = Path(DRIVER).stat()
    state = [place.stamp, driver.st_mtime_ns, driver.st_size]
    return {"cache": _CACHE, "state": state, "crc": zlib.crc32(body.encode())}


def _remembered(place: Place, words: Sequence[str], *, fresh: bool) -> Configuration | None:
    with suppress(OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        text, _, body = place.file(words).read_text(encoding="utf-8").partition("\n")
        head = json.loads(text)
        sources = head.pop("sources")
        wanted = _head(place, body)
        current = head == wanted and _unchanged(sources)
        if current or (not fresh and {**head, "state": None} == {**wanted, "state": None}):
            return Configuration.from_document(json.loads(body), _source(place))
    return None


def _unchanged(sources: _Files) -> bool:
    return all(
        (stat.st_mtime_ns, stat.st_size) == (changed, size)
        for path, changed, size in sources
        for stat in [os.stat(path)]  # noqa: PTH116
    )


def left_by_runs(root: Path, library: str, experiment: str, *, task: str, manifested: bool) -> Configuration | None:
    """Return the configuration that the newest run of an experiment wrote down, None where there is none to trust.

    Args:
        root: The working directory of runs.
        library: The RL library.
        experiment: The folder of the task's runs.
        task: Id of the task.
        manifested: Whether a run counts only where its own manifest names the task (3.0).
    """
    for folder in _runs(root / "logs" / library / experiment):
        if manifested and _json(folder / "run.json").get("task") != task:
            continue
        values = {name: value for name in ROOTS if (value := _yaml(folder / "params" / f"{name}.yaml")) is not None}
        if "env" in values:
            # rsl_rl's agent config is a config object, the other libraries' are dicts.
            objects = ROOTS if library == "rsl_rl" else ("env",)
            return Configuration.from_values(values, task=task, source=str(folder / "params"), objects=objects)
    return None


def _runs(folder: Path) -> Iterator[Path]:
    """Yield the run folders that hold parameters, the newest first."""
    found = []
    for file in folder.glob("*/params/env.yaml"):
        with suppress(OSError):
            found.append((file.stat().st_mtime, file.parents[1]))
    yield from (run for _, run in sorted(found, reverse=True))


def _yaml(file: Path) -> dict[str, Any] | None:
    """Return what a YAML file holds; of its Python objects nothing is made: they are their parts."""
    import yaml

    class Plain(yaml.SafeLoader):
        """Reads Python's tags as what they hold: a sequence as a tuple, a name as a text."""

    def plain(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return tuple(loader.construct_sequence(node, deep=True))
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None

    Plain.add_multi_constructor("tag:yaml.org,2002:python/", plain)
    with suppress(OSError, UnicodeDecodeError, yaml.YAMLError):
        values = yaml.load(file.read_text(encoding="utf-8"), Loader=Plain)  # noqa: S506 - it constructs nothing
        return values if isinstance(values, dict) else None
    return None
