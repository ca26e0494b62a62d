"""Looking into checkpoint files without running what is in them: are they whole, are their numbers finite?

torch and sb3 write zip archives, whose table of contents comes last: a file that was cut off has none. Nothing is
unpickled; a pickle's opcodes are only read.
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
import zipfile
from array import array
from itertools import pairwise
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CHECKED_BYTES = 64 * 2**20
"""Up to this size every byte is compared with its checksum (some 50 ms); above it the structure must do."""

_STOP = b"."
_CHUNK = 1 << 20
_FLOATS: Mapping[str, str] = {"FloatStorage": "f", "DoubleStorage": "d", "HalfStorage": "e", "BFloat16Storage": "b"}
_SIZES = {"f": 4, "d": 8, "e": 2, "b": 2}


def is_whole(file: Path) -> bool:
    """Say whether a checkpoint is complete.

    A pickle (jax) must end with its stop mark. A file that is neither, as torch wrote them before 1.6, is believed
    when it is not empty.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            if opened.read(4) in (b"PK\x03\x04", b"PK\x05\x06"):
                return _is_whole_archive(opened, checked=size <= CHECKED_BYTES)
            if file.suffix != ".pickle":
                return size > 0 and file.suffix != ".zip" and not _looks_cut(opened)
            opened.seek(-1, io.SEEK_END)
            return opened.read(1) == _STOP
    except (OSError, ValueError, EOFError, struct.error, NotImplementedError):
        return False


def _looks_cut(opened: IO[bytes]) -> bool:
    """Say whether a file holds nothing but zeros at its beginning: a crash of the machine leaves such files."""
    opened.seek(0)
    return not opened.read(64).strip(b"\0")


def _is_whole_archive(opened: IO[bytes], *, checked: bool) -> bool:
    try:
        with zipfile.ZipFile(opened) as archive:
            if checked:
                return archive.testzip() is None
            return all(_is_inside(archive, entry) for entry in archive.infolist())
    except (zipfile.BadZipFile, RuntimeError):
        return False


def _is_inside(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    with archive.open(entry) as content:
        return content.read(1) != b"" or entry.file_size == 0


def is_finite(file: Path) -> bool | None:
    """Say whether the floating-point tensors of a torch or sb3 checkpoint hold no NaN and no infinity.

    None where that cannot be told: another kind of file, or one that is damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if "policy.pth" in archive.namelist():
                with zipfile.ZipFile(io.BytesIO(archive.read("policy.pth"))) as inner:
                    return _is_finite_archive(inner)
            return _is_finite_archive(archive)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, RuntimeError, struct.error):
        return None


def _is_finite_archive(archive: zipfile.ZipFile) -> bool | None:
    pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
    if len(pickles) != 1:
        return None
    folder = pickles[0].removesuffix("data.pkl")
    storages = dict(_storages(archive.read(pickles[0])))
    return all(
        _is_finite_storage(archive, f"{folder}data/{key}", _FLOATS[kind])
        for key, kind in storages.items()
        if kind in _FLOATS
    )


def _storages(pickled: bytes) -> Iterator[tuple[str, str]]:
    """Yield each storage's key and class: torch pickles them as ``('storage', Class, key, device, size)``."""
    recent: list[object] = []
    memo: dict[object, object] = {}
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in ("GLOBAL", "BINUNICODE", "SHORT_BINUNICODE", "UNICODE"):
            recent = [*recent[-5:], argument]
        elif opcode.name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = recent[-1] if recent else None
        elif opcode.name in ("BINGET", "LONG_BINGET"):
            recent = [*recent[-5:], memo.get(argument)]
        elif opcode.name == "BINPERSID":
            for kind, key in pairwise(recent):
                if isinstance(kind, str) and kind.startswith("torch ") and kind.endswith("Storage"):
                    yield str(key), kind.removeprefix("torch ")


def _is_finite_storage(archive: zipfile.ZipFile, name: str, kind: str) -> bool:
    with archive.open(name) as content:
        while chunk := content.read(_CHUNK):
            if not _is_finite_chunk(chunk[: len(chunk) // _SIZES[kind] * _SIZES[kind]], kind):
                return False
    return True


def _is_finite_chunk(chunk: bytes, kind: str) -> bool:
    if kind in ("e", "b"):
        # All bits of the exponent set: half precision has five of them, bfloat16 eight.
        mask = 0x7C00 if kind == "e" else 0x7F80
        return all(word & mask != mask for word in array("H", chunk))
    values = array(kind, chunk)
    return math.isfinite(sum(values)) or all(map(math.isfinite, values))
