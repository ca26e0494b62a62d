"""Looking into checkpoint files: are they complete, are they finite, how far trained. Nothing in them is executed."""

from __future__ import annotations

import json
import pickletools
import zlib
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from spark_rl.checkpoints import number_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import IO

CRC_LIMIT = 256 * 2**20
"""Files up to this many bytes are read whole to compare CRCs: a quarter of a second. Policies have 0.1 to 50 MB."""

_CHUNK = 2**20
_PICKLE_LIMIT = 64 * 2**20
"""Longest pickle or JSON text that is looked through; tensors lie outside of it."""

_ZIP, _PROTOCOL, _STOP = b"PK\x03\x04", b"\x80", b"."

_BROKEN = (BadZipFile, OSError, EOFError, ValueError, RuntimeError, KeyError, IndexError, OverflowError, zlib.error)
"""What reading a damaged archive raises; RuntimeError is an encrypted entry or an unknown compression."""

_COUNT_KEYS = {"rsl_rl": "iter", "rl_games": "epoch"}
"""Where a library keeps the iterations that are done, inside its checkpoint."""

_WHOLE_NUMBERS = frozenset(("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG"))
_TEXTS = frozenset(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE"))
_PUTS = frozenset(("BINPUT", "LONG_BINPUT", "PUT"))
_GETS = frozenset(("BINGET", "LONG_BINGET", "GET"))

_FLOATS: Mapping[str, tuple[int, frozenset[int], int]] = {
    "FloatStorage": (4, frozenset((0x7F, 0xFF)), 0x80),
    "DoubleStorage": (8, frozenset((0x7F, 0xFF)), 0xF0),
    "BFloat16Storage": (2, frozenset((0x7F, 0xFF)), 0x80),
    "HalfStorage": (2, frozenset((*range(0x7C, 0x80), *range(0xFC, 0x100))), 0x00),
}
"""Width in bytes; an element is NaN or infinite if its last byte is one of these and the one before is this or more."""

_EXACT = frozenset(f"{kind}Storage" for kind in ("Long", "Int", "Short", "Char", "Byte", "Bool"))


def is_whole(path: str | Path) -> bool:
    """Say whether a checkpoint is complete: a trainer that is killed while it saves leaves half a file.

    A zip (torch since 1.6, sb3) is complete when its directory is there, every entry lies inside the file and, up to
    :data:`CRC_LIMIT`, all CRCs are right. A jax pickle must end as pickles do. A torch file of the older form has
    nothing to check: it counts when it is not empty and does not begin with zeros, as a file does whose content was
    lost in a power cut. What cannot be read is not complete.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(4)
            if head == _ZIP:
                return _is_whole_zip(file, path.stat().st_size)
            if path.suffix == ".zip" or not head.strip(b"\0"):
                return False
            return path.suffix != ".pickle" or (head[:1] == _PROTOCOL and _last_byte(file) == _STOP)
    except _BROKEN:
        return False


def _last_byte(file: IO[bytes]) -> bytes:
    file.seek(-1, 2)
    return file.read(1)


def _is_whole_zip(file: IO[bytes], size: int) -> bool:
    with ZipFile(file) as archive:
        entries = archive.infolist()
        # A file that is cut behind a zip inside it (sb3 holds some) looks like that one with other bytes before it.
        if min((entry.header_offset for entry in entries), default=-1) != 0:
            return False
        if any(entry.header_offset + entry.compress_size > size for entry in entries):
            return False
        return size > CRC_LIMIT or archive.testzip() is None


def is_finite(path: str | Path) -> bool | None:
    """Say whether the float tensors of a torch or sb3 checkpoint are free of NaN and infinity, None if unknown.

    The pickle inside is read as text of instructions, none of which is carried out, to learn which bytes are floats;
    those are looked at in pieces of 1 MiB. A storage counts whole, also where a tensor shows a part of it.
    """
    try:
        with ZipFile(path) as archive:
            found = tuple(_storages(archive)) or tuple(_nested(archive))
    except _BROKEN:
        return None
    if False in found:
        return False
    return None if not found or None in found else True


def _nested(archive: ZipFile) -> Iterator[bool | None]:
    """Yield the storages of the torch files that an sb3 checkpoint holds."""
    for name in archive.namelist():
        if name.endswith(".pth"):
            with archive.open(name) as file, ZipFile(file) as inner:
                yield from _storages(inner)


def _storages(archive: ZipFile) -> Iterator[bool | None]:
    """Yield for each storage with numbers in it whether they are finite, None for a kind that is not known."""
    pickled = _pickled(archive)
    if pickled is None:
        return
    folder = pickled.removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
        yield None
        return
    for kind, key in _storage_keys(archive, pickled):
        if kind not in _EXACT:
            yield _is_finite_entry(archive, f"{folder}data/{key}", kind) if kind in _FLOATS else None


def _pickled(archive: ZipFile) -> str | None:
    return next((name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"), None)


def _is_finite_entry(archive: ZipFile, name: str, kind: str) -> bool:
    with archive.open(name) as file:
        while chunk := file.read(_CHUNK):
            if not _is_finite_chunk(chunk, kind):
                return False
    return True


def _is_finite_chunk(chunk: bytes, kind: str) -> bool:
    width, last, before = _FLOATS[kind]
    top = chunk[width - 1 :: width]
    if not any(top.count(byte) for byte in last):
        return True
    return not any(high in last and low >= before for high, low in zip(top, chunk[width - 2 :: width], strict=False))


def _storage_keys(archive: ZipFile, pickled: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and the key of each storage that a torch pickle refers to, each once."""
    stack: list[object] = []
    seen: set[tuple[str, str]] = set()
    for opcode, pushed in _values(archive, pickled):
        if opcode == "MARK":
            stack = []
        elif opcode == "BINPERSID":
            words = [value for value in stack if isinstance(value, str)]
            if words[:1] == ["storage"] and len(words) > 2 and (words[1], words[2]) not in seen:
                seen.add((words[1], words[2]))
                yield words[1].rpartition(" ")[2], words[2]
        elif pushed is not None:
            stack.append(pushed)


def _values(archive: ZipFile, pickled: str) -> Iterator[tuple[str, object]]:
    """Yield a pickle's opcodes with the text or number that each pushes, None where it is anything else."""
    if archive.getinfo(pickled).file_size > _PICKLE_LIMIT:
        raise ValueError(pickled)
    memo: dict[object, object] = {}
    last: object = None
    texts: list[object] = [None, None]
    with archive.open(pickled) as file:
        for operation, argument, _ in pickletools.genops(file):
            name = operation.name
            if name in _PUTS or name == "MEMOIZE":
                memo[argument if name in _PUTS else len(memo)] = last
                yield name, None
                continue
            last = memo.get(argument) if name in _GETS else _pushed(name, argument, texts)
            if isinstance(last, str):
                texts = [texts[1], last]
            yield name, last


def _pushed(name: str, argument: object, texts: list[object]) -> object:
    if name == "STACK_GLOBAL":
        return f"{texts[0]} {texts[1]}"
    return argument if name in _TEXTS or name in _WHOLE_NUMBERS or name == "GLOBAL" else None


def trained(path: str | Path, library: str) -> int | None:
    """Return how far a checkpoint is trained: iterations (skrl: steps of the vectorised env, sb3: env steps).

    The name says so for periodic checkpoints; else what the library wrote inside does: rsl_rl's ``iter``, rl_games'
    ``epoch``, sb3's ``num_timesteps``. None where neither tells.
    """
    named = number_of(str(path), library)
    if named is not None:
        return named
    try:
        with ZipFile(path) as archive:
            return _env_steps(archive) if library == "sb3" else _count(archive, _COUNT_KEYS[library])
    except (*_BROKEN, TypeError):
        return None


def _env_steps(archive: ZipFile) -> int | None:
    if archive.getinfo("data").file_size > _PICKLE_LIMIT:
        return None
    value = json.loads(archive.read("data"))["num_timesteps"]
    return value if isinstance(value, int) else None


def _count(archive: ZipFile, key: str) -> int | None:
    """Return the whole number that follows ``key`` in a torch file's pickle."""
    pickled = _pickled(archive)
    if pickled is None:
        return None
    before: object = None
    for opcode, pushed in _values(archive, pickled):
        if before == key and isinstance(pushed, int):
            return pushed
        if opcode not in _PUTS and opcode != "MEMOIZE":
            before = pushed
    return None
