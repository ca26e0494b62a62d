"""Tell which assets a task's configuration names, or copy them with Isaac Lab's own retriever.

Run by path inside Isaac Lab's Python (3.0), never imported by spark-rl::

    python retrieve.py REQUEST OUTPUT

REQUEST is a JSON object. With ``task`` and ``overrides`` it asks what the environment's resolved configuration names:
OUTPUT receives one line, the document ``spark-rl/asset-references/1``. With ``files``, ``root`` (an address) and ``to``
(a folder) it asks for these files, paths below the root, and what they refer to: OUTPUT receives a line of JSON for
each file that is whole in the folder or cannot be had. A line with ``error`` says that nothing more comes.

The folder ``.retriever`` keeps the revision of each file, by which the retriever knows the next time what is whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import importlib.metadata
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

SCHEMA = "spark-rl/asset-references/1"
HOSTED = "/spark-rl/hosted"
NEWTON = "/spark-rl/newton"
"""Stand for the two asset roots while the configuration is resolved: whatever it names below them is hosted."""

ENDINGS = (
    *(".usd", ".usda", ".usdc", ".usdz", ".urdf", ".xml", ".mdl", ".hdr", ".exr", ".png", ".jpg", ".obj", ".stl"),
    *(".pt", ".pth", ".jit", ".onnx", ".npz", ".npy", ".json", ".yaml"),
)
REVISION = ".isaaclab-cache.json"
STAGE = ".retriever"
LOCK = ".lock"
READABLE = 0o666
USD = (".usd", ".usda", ".usdc")
IN_MDL = re.compile(r'"([^"\n]+\.(?:png|jpe?g|hdr|exr|dds|tga|tiff?))"', re.IGNORECASE)

Say = Callable[[dict[str, Any]], None]


def main(argv: list[str]) -> int:
    """Answer the request, line by line."""
    # Started as a module, as Isaac Lab is, Python looks in the working directory and not in the folder of this file.
    sys.path[0] = ""
    request = json.loads(argv[0])
    with open(argv[1], "w", encoding="utf-8") as output:  # noqa: PTH123 - a pipe has no other name

        def say(told: dict[str, Any]) -> None:
            output.write(f"{json.dumps(told)}\n")
            output.flush()

        try:
            if "task" in request:
                say(references(request["task"], request["overrides"]))
            else:
                Mirror(request["root"], Path(request["to"]), say).copy(request["files"])
        except Exception as error:
            say({"error": f"{type(error).__name__}: {first_line(error)}"})
    return 0


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")


def references(task: str, overrides: list[str]) -> dict[str, Any]:
    """Return the document of a task: its asset roots, the texts that name assets with their keys, and the sources."""
    os.environ.pop("ISAACSIM_ASSET_ROOT", None)
    assets = importlib.import_module("isaaclab.utils.assets")
    roots = {"isaac": str(assets.NUCLEUS_ASSET_ROOT_DIR), "newton": str(assets._NEWTON_ASSET_HTTP_URL)}
    for name in [name for name in sys.modules if name.partition(".")[0] == "isaaclab"]:
        del sys.modules[name]
    os.environ |= {"ISAACSIM_ASSET_ROOT": HOSTED, "NEWTON_ASSET_DIR": NEWTON}
    import isaaclab_tasks  # type: ignore[import-not-found, unused-ignore]  # noqa: F401

    with contextlib.suppress(ImportError):
        importlib.import_module("isaaclab_tasks_experimental")
    for entry_point in importlib.metadata.entry_points(group="isaaclab.tasks"):
        entry_point.load()
    hydra = importlib.import_module("isaaclab_tasks.utils.hydra")
    config, _ = hydra.resolve_task_config(task.rsplit(":", maxsplit=1)[-1], None, overrides=overrides)
    found: dict[tuple[str | None, str], list[str]] = {}
    for key, text in texts("env", config, set()):
        if is_asset(text):
            found.setdefault(located(text), []).append(key)
    named = [{"root": root, "path": path, "keys": keys} for (root, path), keys in found.items()]
    return {"schema": SCHEMA, "task": task, "roots": roots, "references": named, "sources": sources(type(config))}


def texts(key: str, value: Any, seen: set[int]) -> Iterator[tuple[str, str]]:
    """Yield every text in a configuration with its key; lists may hold config objects too."""
    if isinstance(value, str):
        yield key, str(value)
        return
    if id(value) in seen or isinstance(value, type) or callable(value):
        return
    seen.add(id(value))
    inner = getattr(value, "__dict__", value)
    if isinstance(inner, Mapping):
        for name, below in inner.items():
            yield from texts(f"{key}.{name}", below, seen)
    elif isinstance(inner, list | tuple | set):
        for place, below in enumerate(inner):
            yield from texts(f"{key}.{place}", below, seen)


def is_asset(text: str) -> bool:
    """Whether a text names a file or folder to load; names with a colon or a blank in front are something else."""
    if "\n" in text:
        return False
    return text.startswith((HOSTED, NEWTON, "omniverse://")) or text.lower().endswith(ENDINGS)


def located(text: str) -> tuple[str | None, str]:
    """Return the root that a text lies below, and the path there; None and the text for all else."""
    for name, root in (("isaac", HOSTED), ("newton", NEWTON)):
        if text.startswith(f"{root}/"):
            return name, re.sub("/+", "/", text.removeprefix(root)).lstrip("/")
    return None, text


def sources(kind: type) -> list[tuple[str, int, int]]:
    """Return path, change time (ns) and size of each file that decides the references."""
    tops = {base.__module__.partition(".")[0] for base in kind.__mro__} - sys.stdlib_module_names
    tops |= {"isaaclab_tasks", "isaaclab_assets"}
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] in tops]
    files = [Path(file) for file in sorted({getattr(module, "__file__", None) or "" for module in modules})]
    return [(str(file), stat.st_mtime_ns, stat.st_size) for file in files if file.is_file() for stat in [file.stat()]]


class Mirror:
    """A folder that takes the place of an asset root.

    Isaac Lab's retriever downloads into a stage, below scheme and host, with the revision beside each file; from there
    files are linked into the folder. Only the revisions stay in the stage.
    """

    def __init__(self, root: str, folder: Path, say: Say) -> None:
        self.assets = importlib.import_module("isaaclab.utils.assets")
        self.root = root.rstrip("/")
        self.ask = self.assets.check_file_path
        # What lies elsewhere has no place in the copy, and hosts that are gone hold the question up for minutes.
        self.assets.check_file_path = self.is_there
        self.folder = folder
        self.stage = folder / STAGE
        self.say = say
        self.seeded: dict[Path, tuple[int, int]] = {}
        self.done: set[str] = set()
        self.mask = os.umask(0)
        os.umask(self.mask)

    def is_there(self, address: str) -> int:
        """Answer as Isaac Lab's ``check_file_path`` does, with no for every file that is not below the root."""
        return int(self.ask(address)) if address.startswith(f"{self.root}/") else 0

    def staged(self, path: str) -> Path:
        """Return where the retriever puts a file, by its path below the root."""
        return Path(self.assets._mirror_path(f"{self.root}/{path}", str(self.stage)))

    def copy(self, files: list[str]) -> None:
        """Copy files and what they refer to."""
        self.stage.mkdir(parents=True, exist_ok=True)
        with (self.stage / LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self.say({"error": f"another fetch writes to {self.folder}"})
                return
            self.seed()
            try:
                for path in files:
                    self.take(path, None)
                self.say({"finished": True})
            finally:
                self.clear()

    def seed(self) -> None:
        """Show the retriever what the folder holds; what is not whole is left out, and comes again."""
        base = self.staged("x").parent
        for note in [*base.rglob(f"*{REVISION}")]:
            staged = note.with_name(note.name.removesuffix(REVISION))
            there = self.folder / staged.relative_to(base)
            if not is_whole(there, note):
                staged.unlink(missing_ok=True)
                continue
            put(there, staged)
            self.seeded[staged] = identity(staged)

    def take(self, path: str, by: str | None) -> None:
        """Retrieve a file, publish it, and go on with what it refers to; ``by`` is the file that named it."""
        if path in self.done:
            return
        self.done.add(path)
        address, staged = f"{self.root}/{path}", self.staged(path)
        try:
            if not (staged.is_file() and address in self.assets._REMOTE_FINGERPRINTS):
                self.assets.retrieve_file_path(address, download_dir=str(self.stage))
            references = named_in(staged)
        except (OSError, RuntimeError) as error:
            absent = isinstance(error, FileNotFoundError)
            why = "is not there" if absent else first_line(error)
            self.say({"failed": path, "why": why, "absent": absent, "by": by})
            return
        self.publish(path, staged)
        for reference in references:
            self.follow(reference, path)

    def publish(self, path: str, staged: Path) -> None:
        """Link a staged file into the folder."""
        kept = self.seeded.get(staged) == identity(staged)
        if not kept:
            staged.chmod(READABLE & ~self.mask)  # The retriever's downloads are for its user alone.
            put(staged, self.folder / path)
        self.say({"file": path, "size": staged.stat().st_size, "kept": kept})

    def follow(self, reference: str, by: str) -> None:
        """Take what a file refers to; a module's bare name is one of the renderer's own unless it lies beside."""
        address = self.assets._resolve_reference_url(f"{self.root}/{by}", reference)
        if not address.startswith(f"{self.root}/"):
            self.say({"foreign": address, "by": by})
            return
        path = address.removeprefix(f"{self.root}/")
        if "<UDIM>" in path:
            for tile in self.tiles(path):
                self.take(tile, by)
        elif path.endswith(".mdl") and "/" not in reference and not self.is_there(address):
            return
        else:
            self.take(path, by)

    def tiles(self, path: str) -> Iterator[str]:
        """Yield the tiles of a texture that are there: they are numbered from 1001, ten to a row."""
        for row in range(1001, 1101, 10):
            for tile in range(row, row + 10):
                name = path.replace("<UDIM>", str(tile))
                if not self.is_there(f"{self.root}/{name}"):
                    break
                yield name
            if tile == row:
                return

    def clear(self) -> None:
        """Leave nothing but revisions in the stage."""
        for path in sorted(self.stage.rglob("*"), reverse=True):
            if path.is_dir():
                with contextlib.suppress(OSError):
                    path.rmdir()
            elif not path.name.endswith(REVISION) and path.name != LOCK:
                path.unlink()


def is_whole(file: Path, note: Path) -> bool:
    """Whether a file has the size that its revision tells; hosts that tell none leave it at 0."""
    try:
        size = int(json.loads(note.read_text(encoding="utf-8"))["size"])
        return file.stat().st_size == size or (size == 0 and file.stat().st_size > 0)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def identity(file: Path) -> tuple[int, int]:
    """Return what tells two versions of a file apart."""
    stat = file.stat()
    return stat.st_mtime_ns, stat.st_size


def put(source: Path, target: Path) -> None:
    """Make a file appear at another place, whole or not at all; where the disk has no links it is copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        os.link(source, draft)
    except OSError:
        shutil.copy2(source, draft)
    draft.replace(target)
    # Two names of one file: a rename does nothing then, and the draft stays.
    draft.unlink(missing_ok=True)


def named_in(file: Path) -> list[str]:
    """Return what a file refers to, as it is written there."""
    if file.suffix.lower() in USD:
        from pxr import UsdUtils  # type: ignore[import-not-found, unused-ignore]

        return [reference for kind in UsdUtils.ExtractExternalReferences(str(file)) for reference in kind if reference]
    if file.suffix.lower() == ".mdl":
        return IN_MDL.findall(file.read_text(encoding="utf-8", errors="replace"))
    return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
