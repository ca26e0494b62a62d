"""The use cases of assets: say which of a task's files are there, and fetch them for a machine without network."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl import assets, network, preload, retrieving, settings, supplies
from spark_rl.errors import CheckError, RequestError
from spark_rl.supplies import NEWTON_FOLDER, Root, Status, Supply, is_remote, local_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spark_rl.model import Plan
    from spark_rl.plan import Facts
    from spark_rl.supplies import Need, Needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A task as it would be trained; ``assets`` is what the request says of them."""

    plan: Plan
    facts: Facts
    assets: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a fetch has brought: paths below ``to``.

    ``files`` are (path, bytes) of all that is there now, ``kept`` the paths of those that were there before,
    ``failed`` (path, why); ``dangling`` are (path, the file that refers to it) that the host itself has not, as some of
    NVIDIA's models have them; ``elsewhere`` the addresses of other hosts, which no copy serves.
    """

    to: str
    roots: tuple[Root, ...]
    files: tuple[tuple[str, int], ...] = ()
    kept: frozenset[str] = field(default_factory=frozenset)
    failed: tuple[tuple[str, str], ...] = ()
    dangling: tuple[tuple[str, str], ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for _, size in self.files)

    @property
    def received(self) -> int:
        """Bytes that were fetched now."""
        return sum(size for path, size in self.files if path not in self.kept)

    @property
    def newton(self) -> str | None:
        """The folder that takes the place of the second host, None where the task needs nothing of it."""
        return f"{self.to}/{NEWTON_FOLDER}" if any(root.name == "newton" for root in self.roots) else None

    def to_document(self) -> dict[str, Any]:
        """Return it as ``spark-rl/assets-fetch/1``."""
        return {
            "schema": "spark-rl/assets-fetch/1",
            "to": self.to,
            "roots": [{"name": root.name, "path": root.path, "reason": root.reason} for root in self.roots],
            "files": [{"path": path, "size": size, "kept": path in self.kept} for path, size in self.files],
            "size": self.size,
            "received": self.received,
            "failed": [{"path": path, "why": why} for path, why in self.failed],
            "dangling": [{"path": path, "by": by} for path, by in self.dangling],
            "elsewhere": list(self.elsewhere),
        }


def status(asked: Asked, tell: Callable[[str], None]) -> Status:
    """Look for every file that a task's configuration names.

    Raises:
        CheckError: What the task needs is not known.
    """
    needs = _needs(asked, tell)
    roots = _roots(asked, needs)
    places = {supplies.at(need, roots): need for need in needs.needs}
    remote = [place for place in places if is_remote(place) and retrieving.cached(place) is None]
    silent = _silent(remote)
    sizes = network.sizes(place for place in remote if network.host_of(place) not in silent)
    found = tuple(_supply(need, place, sizes) for place, need in places.items())
    return Status(needs=needs, roots=roots, supplies=found, silent=silent)


def _needs(asked: Asked, tell: Callable[[str], None]) -> Needs:
    decided, cache = asked.plan, settings.cache_folder()
    known = retrieving.known(decided, asked.facts.catalog.tasks, cache)
    if known is not None:
        return known
    task = decided.task.task.id
    if decided.isaaclab.generation < 3:
        raise CheckError(
            f"the needs of {task} are not known: Isaac Lab 2 tells its configuration only in a run, and none is here",
            f"one iteration tells it: spark-rl train --task {task} --max-iterations 1",
        )
    tell(f"resolving the configuration of {task}, once: about {retrieving.SECONDS} s")
    return retrieving.resolve(cache, decided.isaaclab, task, retrieving.deciding(decided), _child(asked))


def _child(asked: Asked) -> retrieving.Child:
    decided, wrapper = asked.plan, asked.facts.wrapper
    if ("PYTHONEXE", wrapper) in decided.env:
        preload.write_wrapper(Path(wrapper))
    lab = decided.isaaclab
    own = lab.python or (f"{lab.path}/bin/python" if lab.kind == "package" else None)
    environ = {name: value for name, value in os.environ.items() if name not in decided.env_unset} | dict(decided.env)
    return retrieving.Child(
        python=(own,) if own else (f"{lab.path}/isaaclab.sh", "-p"), environ=environ, cwd=Path(decided.cwd)
    )


def _roots(asked: Asked, needs: Needs) -> tuple[Root, ...]:
    isaac = _isaac_root(asked, needs)
    if not needs.below("newton"):
        return (isaac,)
    return (isaac, _newton_root(isaac, needs))


def _isaac_root(asked: Asked, needs: Needs) -> Root:
    chosen = supplies.chosen_root(asked.plan, asked.facts.host)
    if chosen is not None:
        return Root(name="isaac", path=chosen[0], reason=chosen[1].removeprefix(f"{chosen[0]}, "))
    if asked.plan.isaaclab.generation < 3:
        return Root(name="isaac", path=needs.isaac, reason="that of the newest run")
    if asked.assets == "auto" and assets.covers(needs.task) and not network.answers():
        why = "those of spark-rl: NVIDIA's host does not answer"
        return Root(name="isaac", path=asked.facts.embedded, reason=why)
    return Root(name="isaac", path=needs.isaac, reason="Isaac Lab's default")


def _newton_root(isaac: Root, needs: Needs) -> Root:
    own = os.environ.get("NEWTON_ASSET_DIR")
    if own:
        return Root(name="newton", path=own, reason="your NEWTON_ASSET_DIR")
    folder = local_folder(isaac.path)
    beside = Path(folder, NEWTON_FOLDER) if folder else None
    if beside is not None and beside.is_dir():
        return Root(name="newton", path=str(beside), reason=f"beside {isaac.path}")
    return Root(name="newton", path=needs.newton or "", reason="the second host, Isaac Lab's default")


def _silent(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return the hosts that do not answer."""
    hosts = dict.fromkeys(network.host_of(address) for address in addresses)
    return tuple(host for host in hosts if not network.answers(host))


def _supply(need: Need, place: str, sizes: dict[str, int | None]) -> Supply:
    if not is_remote(place):
        file = Path(place.removeprefix("file://"))
        if not file.is_file():
            return Supply(need=need, at=str(file), state="missing")
        return Supply(need=need, at=str(file), state="present", size=file.stat().st_size)
    copy = retrieving.cached(place)
    if copy is not None:
        return Supply(need=need, at=str(copy), state="cached", size=copy.stat().st_size)
    if place not in sizes:
        return Supply(need=need, at=place, state="unreachable")
    size = sizes[place]
    if size is None:
        return Supply(need=need, at=place, state="missing")
    return Supply(need=need, at=place, state="reachable", size=size if size >= 0 else None)


def fetch(asked: Asked, to: Path, tell: Callable[[str], None]) -> Fetched:
    """Copy what a task needs, with all that it refers to, into a folder that ``--assets`` takes.

    Raises:
        RequestError: The folder is the asset root itself, or cannot be made.
        CheckError: The host does not answer, or Isaac Lab's Python cannot fetch.
    """
    if asked.plan.isaaclab.generation < 3:
        raise CheckError(
            "Isaac Lab 2 fetches assets only inside the simulator",
            "name Isaac Lab 3.0 with --isaaclab, or unpack NVIDIA's asset packs, and use --assets PATH",
        )
    needs = _needs(asked, tell)
    isaac, *newton = _roots(asked, needs)
    if isaac.path == asked.facts.embedded and asked.assets == "auto":
        isaac = Root(name="isaac", path=needs.isaac, reason="Isaac Lab's default")
    parts = [(root, to / NEWTON_FOLDER if root.name == "newton" else to) for root in (isaac, *newton)]
    parts = [(root, folder) for root, folder in parts if needs.below(root.name)]
    for root, folder in parts:
        _check(root, folder)
    brought = Fetched(
        to=str(to),
        roots=tuple(root for root, _ in parts),
        elsewhere=tuple(need.path for need in needs.elsewhere),
    )
    for root, folder in parts:
        files = [need.path for need in needs.below(root.name)]
        tell(f"fetching {len(files)} files and what they refer to from {root.path}")
        for line in retrieving.copy(_address(root.path), folder, files, _child(asked)):
            brought = _with(brought, line, f"{NEWTON_FOLDER}/" if root.name == "newton" else "", tell)
        if brought.failed or brought.dangling:
            # To the retriever a host that is gone is one that has not got the file.
            _check(root, folder)
    return brought


def _check(root: Root, folder: Path) -> None:
    source = local_folder(root.path)
    if source is None and not network.answers(network.host_of(root.path)):
        raise CheckError(
            f"{network.host_of(root.path)} does not answer (limit {network.TIMEOUT_S:.0f} s)",
            "fetch on a machine with network, and copy the folder; behind a proxy: export HTTPS_PROXY=http://HOST:PORT",
        )
    if source is not None and not Path(source).is_dir():
        raise CheckError(f"the asset root {source} is no folder", f"{root.reason}: name one that is there")
    if source is not None and folder.absolute() == Path(source).absolute():
        raise RequestError(f"{folder} is the asset root itself", "name another folder with --to")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{folder} cannot be made: {error.strerror}", "name another folder with --to") from error


def _address(root: str) -> str:
    """Return a root as the retriever copies from it: folders too have an address."""
    folder = local_folder(root)
    return root if folder is None else f"file://{Path(folder).absolute()}"


def _with(brought: Fetched, line: dict[str, Any], prefix: str, tell: Callable[[str], None]) -> Fetched:
    """Return a fetch with one more line of the driver, told as progress."""
    if "file" in line:
        path, size = f"{prefix}{line['file']}", int(line["size"])
        tell(f"  {supplies.size_text(size):>9}  {path}" + ("  (was there)" if line["kept"] else ""))
        kept = brought.kept | {path} if line["kept"] else brought.kept
        return replace(brought, files=(*brought.files, (path, size)), kept=kept)
    if "failed" in line:
        path, by = f"{prefix}{line['failed']}", line["by"]
        if line["absent"] and by is not None:
            tell(f"note: {path} is not there, though {prefix}{by} refers to it")
            return replace(brought, dangling=(*brought.dangling, (path, f"{prefix}{by}")))
        tell(f"error: {path}: {line['why']}")
        return replace(brought, failed=(*brought.failed, (path, line["why"])))
    if line["foreign"] not in brought.elsewhere:
        return replace(brought, elsewhere=(*brought.elsewhere, line["foreign"]))
    return brought
