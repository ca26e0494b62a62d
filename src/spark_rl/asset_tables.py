"""Assets as text: which files of a task are there, and what a fetch has brought."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from spark_rl.supplies import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_rl.provisioning import Fetched
    from spark_rl.supplies import Status, Supply

_ROOTS = {"isaac": "root", "newton": "second root"}


def status(value: Status) -> str:
    """Return the roots with their reasons, every file with its state, and what follows."""
    return "\n".join(_status(value))


def _status(value: Status) -> Iterator[str]:
    yield f"{value.needs.task}, after {value.needs.source}"
    yield from (f"{_ROOTS[root.name]}: {root.path} ({root.reason})" for root in value.roots)
    yield from (f"{host} does not answer" for host in value.silent)
    yield ""
    yield from (_row(supply) for supply in value.supplies)
    yield ""
    yield _summary(value)


def _row(supply: Supply) -> str:
    size = "" if supply.size is None else size_text(supply.size)
    where = f"  {supply.at}" if supply.state == "cached" else ""
    return f"{supply.state:<11}  {size:>9}  {supply.need.path}{where}"


def _summary(value: Status) -> str:
    absent = [supply for supply in value.supplies if not supply.there]
    count = len(value.supplies)
    files = "1 file" if count == 1 else f"{count} files"
    if not absent:
        here = sum(supply.state in ("present", "cached") for supply in value.supplies)
        return f"{files}, all here" if here == count else f"{files}, {here} of them here, the others answer"
    unknown = sum(supply.state == "unreachable" for supply in absent)
    told = f"{files}, {len(absent) - unknown} missing"
    return f"{told}, {unknown} out of reach" if unknown else told


def fetched(value: Fetched) -> str:
    """Return what a fetch has brought, with sizes, and the command that uses it."""
    return "\n".join(_fetched(value))


def _fetched(value: Fetched) -> Iterator[str]:
    new = len(value.files) - len(value.kept)
    yield (
        f"{len(value.files)} files in {value.to}, {size_text(value.size)}: "
        f"{new} fetched ({size_text(value.received)}), {len(value.kept)} were there"
    )
    if value.failed:
        yield f"the copy is not complete, {len(value.failed)} could not be had:"
        yield from (f"  {path}: {why}" for path, why in value.failed)
    if value.dangling:
        yield f"{len(value.dangling)} that files refer to are not on the host either"
    if value.elsewhere:
        yield f"{len(value.elsewhere)} lie elsewhere, and are not in the copy:"
        yield from (f"  {address}" for address in value.elsewhere)
    if not value.failed:
        yield f"use it: --assets {shlex.quote(value.to)}"
