"""Reading the TensorBoard event files of a run as they grow.

The messages are TensorBoard's own classes; its readers would bring numpy and 30 MB along.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from spark_rl.curves import Point

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_PATTERN = "events.out.tfevents.*"
_HEAD = struct.Struct("<QI")
_TAIL_BYTES = 4
_LONGEST_BYTES = 64 * 2**20
"""A record that claims more is garbage: images and meshes stay far below."""

_PIECE_BYTES = 1 << 20


class Tail:
    """Event files below a folder, read further with each :meth:`poll`."""

    def __init__(self, folder: Path, *, since: float = 0.0, tags: Iterable[str] | None = None) -> None:
        """Watch a folder.

        Args:
            folder: Where the files are, or will be; also below it.
            since: Files that were begun before (seconds since the epoch) belong to somebody else.
            tags: What is wanted; None for everything.
        """
        self.folder = folder
        self.since = since
        self.tags = None if tags is None else frozenset(tags)
        self._needles = None if tags is None else tuple(tag.encode() for tag in self.tags or ())
        self._files: dict[Path, int] = {}

    def poll(self) -> tuple[Point, ...]:
        """Return what was added since the last call; half a record waits for its other half."""
        for file in self._found():
            self._files.setdefault(file, 0)
        return tuple(point for file in sorted(self._files) for point in self._more(file))

    def _found(self) -> Iterator[Path]:
        with suppress(OSError):
            for file in self.folder.rglob(_PATTERN):
                if _begun(file) >= int(self.since):
                    yield file

    def _more(self, file: Path) -> Iterator[Point]:
        with suppress(OSError), file.open("rb") as opened:
            if opened.seek(0, 2) < self._files[file]:
                self._files[file] = 0
            opened.seek(self._files[file])
            rest = b""
            while piece := opened.read(_PIECE_BYTES):
                rest += piece
                used = 0
                for record, end in _records(rest):
                    used = end
                    yield from self._points(record)
                if used < 0:
                    self._files[file] = opened.seek(0, 2)
                    return
                self._files[file] += used
                rest = rest[used:]

    def _points(self, record: bytes) -> Iterator[Point]:
        if self._needles is not None and not any(needle in record for needle in self._needles):
            return
        from tensorboard.compat.proto.event_pb2 import Event

        try:
            event = Event.FromString(record)
        except Exception:
            return
        for value in event.summary.value:
            if self.tags is None or value.tag in self.tags:
                number = _number(value)
                if number is not None:
                    yield Point(tag=value.tag, count=event.step, value=number, at=event.wall_time)


def read(
    folder: Path, *, since: float = 0.0, until: float | None = None, tags: Iterable[str] | None = None
) -> tuple[Point, ...]:
    """Return everything that the event files of a folder hold, or of the wanted tags.

    Args:
        folder: Where they are.
        since: Files that were begun before (seconds since the epoch) do not count.
        until: What was written later does not count; None: all.
        tags: What is wanted; None for everything.
    """
    points = Tail(folder, since=since, tags=tags).poll()
    return points if until is None else tuple(point for point in points if point.at <= until)


def _begun(file: Path) -> int:
    """Return when an event file was begun, as its name says (seconds since the epoch)."""
    with suppress(IndexError, ValueError):
        return int(file.name.split(".")[3])
    return 0


def _records(text: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield each whole record and where it ends; an end of -1 says that what follows is none.

    A record is its length, a checksum of that, the content and a checksum of it.
    """
    at = 0
    while at + _HEAD.size <= len(text):
        length, _ = _HEAD.unpack_from(text, at)
        if length > _LONGEST_BYTES:
            yield b"", -1
            return
        end = at + _HEAD.size + length + _TAIL_BYTES
        if end > len(text):
            return
        yield text[at + _HEAD.size : end - _TAIL_BYTES], end
        at = end


def _number(value: object) -> float | None:
    """Return a scalar in either of its two forms, None of anything else."""
    if value.HasField("simple_value"):  # type: ignore[attr-defined]
        return float(value.simple_value)  # type: ignore[attr-defined]
    tensor = value.tensor  # type: ignore[attr-defined]
    if tensor.float_val:
        return float(tensor.float_val[0])
    if tensor.double_val:
        return float(tensor.double_val[0])
    if len(tensor.tensor_content) == 4:
        return float(struct.unpack("<f", tensor.tensor_content)[0])
    return None
