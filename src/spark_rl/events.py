"""Reading the TensorBoard event files of a run, while they grow and afterwards.

The files are TFRecords: length (8 bytes), its checksum (4), an ``Event`` protobuf, its checksum (4). Checksums are not
looked at: what is no record or no event is passed over, and nothing here can be worse than a missing point.
"""

from __future__ import annotations

import json
import re
import struct
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl.curves import Collector, Point

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from spark_rl.curves import Curves
    from spark_rl.records import Attempt

_NAME = "events.out.tfevents.*"
_PATTERNS = (_NAME, f"summaries/{_NAME}", f"PPO_[0-9]*/{_NAME}")
"""Where the libraries put them: rl_games in ``summaries``, Stable-Baselines3 in ``PPO_1``."""

_BLOCK = 1 << 20
"""Bytes that are read at once and at most by one poll. A record that is longer holds an image, not a scalar."""

_HEAD, _TAIL = 12, 4
_LENGTH = struct.Struct("<Q")
_NUMBERS = {1: ("f", "float_val"), 2: ("d", "double_val"), 3: ("i", "int_val"), 9: ("q", "int64_val")}
"""TensorFlow's number types (float, double, int32, int64): the letter of ``struct``, the field of the tensor."""


class Tail:
    """The scalars of a run folder as they are written.

    Args:
        folder: The run folder; it may not exist yet.
        tags: The tags that are wanted, all when None.
        since: The time of the first point that is wanted, in seconds since the epoch.
    """

    __slots__ = ("_folder", "_parse", "_read", "_since", "_wanted", "behind")

    behind: bool
    """Whether the last poll left something to read at once."""

    def __init__(self, folder: Path, tags: Collection[str] | None = None, *, since: float = 0.0) -> None:
        self.behind = False
        self._since = since
        self._folder = folder
        self._read: dict[Path, int] = {}
        self._wanted = None if tags is None else re.compile(b"|".join(re.escape(tag.encode()) for tag in tags))
        self._parse = _parser(tags)

    def poll(self) -> tuple[Point, ...]:
        """Return what was written since the last call, of about 1 MiB at most; :attr:`behind` tells that more waits.

        A record that is not complete yet waits. What cannot be read is as if it were not there.
        """
        points: list[Point] = []
        left = _BLOCK
        for file in _files(self._folder):
            while left > 0 and (block := self._next_block(file)):
                left -= len(block)
                records, end = _records(block, self._wanted)
                self._read[file] += end
                points += chain.from_iterable(map(self._parse, records))
        self.behind = left <= 0
        return tuple(point for point in points if point.wall_time >= self._since)

    def _next_block(self, file: Path) -> bytes:
        """Return unread bytes of a file that hold a whole record, none when there is none."""
        start = self._read.setdefault(file, 0)
        with suppress(OSError):
            size = file.stat().st_size
            while size - start > _HEAD + _TAIL:
                with file.open("rb") as stream:
                    stream.seek(start)
                    block = stream.read(_BLOCK)
                length = _length(block, 0)
                if length <= len(block):
                    return block
                if length <= _BLOCK or start + length > size:
                    return b""
                self._read[file] = start = start + length
        return b""


def _records(block: bytes, wanted: re.Pattern[bytes] | None) -> tuple[list[bytes], int]:
    """Return the whole records of a block that ``wanted`` is found in, and where the last of all ends.

    Every record of a long training passes through here: this loop is what reading one takes.
    """
    found: list[bytes] = []
    start, size = 0, len(block)
    while size - start > _HEAD + _TAIL:
        first = start + _HEAD
        last = first + _LENGTH.unpack_from(block, start)[0]
        if last + _TAIL > size:
            break
        if wanted is None or wanted.search(block, first, last):
            found.append(block[first:last])
        start = last + _TAIL
    return found, start


def _length(block: bytes, start: int) -> int:
    """Return the length of the record at ``start`` with all that belongs to it."""
    number: int = _LENGTH.unpack_from(block, start)[0]
    return number + _HEAD + _TAIL


def _files(folder: Path) -> list[Path]:
    """Return the event files of a run folder in the order of their start, which their names tell."""
    with suppress(OSError):
        return sorted(chain.from_iterable(map(folder.glob, _PATTERNS)), key=lambda file: (file.name, file))
    return []


def _parser(tags: Collection[str] | None) -> Callable[[bytes], Iterable[Point]]:
    """Return what makes points of a record; TensorBoard's own message types are loaded for it."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    def parse(record: bytes) -> Iterator[Point]:
        with suppress(DecodeError):
            event = Event.FromString(record)
            step, time = event.step, event.wall_time
            for value in event.summary.value:
                number = _number(value) if tags is None or value.tag in tags else None
                if number is not None:
                    yield Point(tag=value.tag, step=step, value=number, wall_time=time)

    return parse


def _number(value: Any) -> float | None:
    """Return a scalar in either of its two forms, None when the value is an image, a text or the like."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    if kind != "tensor" or value.tensor.dtype not in _NUMBERS:
        return None
    numbers = _elements(value.tensor)
    return float(numbers[0]) if len(numbers) == 1 else None


def _elements(tensor: Any) -> Sequence[float]:
    """Return the numbers of a tensor, which lie in a list or, packed, in ``tensor_content``."""
    letter, name = _NUMBERS[tensor.dtype]
    packed: bytes = tensor.tensor_content
    if not packed:
        listed: Sequence[float] = getattr(tensor, name)
        return listed
    return struct.unpack(f"<{letter}", packed) if len(packed) == struct.calcsize(f"<{letter}") else ()


def read(
    folder: Path, tags: Collection[str] | None = None, *, since: float = 0.0, until: float = float("inf")
) -> Curves:
    """Return the curves of a run folder over the steps as recorded, empty when nothing is there.

    Args:
        folder: The run folder; :func:`spark_rl.curves.join` puts those of several attempts together.
        tags: The tags that are wanted, all when None. Naming them spares time and memory.
        since: The time of the first point that is wanted, in seconds since the epoch.
        until: The same of the last.
    """
    collector = Collector()
    tail = Tail(folder, tags, since=since)
    tail.behind = True
    while tail.behind:
        collector.add(point for point in tail.poll() if point.wall_time <= until)
    return collector.curves()


def sb3_folder(checkpoint: Path) -> Path | None:
    """Return the run folder whose event files Stable-Baselines3 goes on with when it resumes from ``checkpoint``.

    The folder is a part of the checkpoint: whoever resumes writes into the first run's, not into its own. None when
    this is no checkpoint of Stable-Baselines3.
    """
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(checkpoint) as archive:
            folder = json.loads(archive.read("data"))["tensorboard_log"]
    except (OSError, BadZipFile, ValueError, KeyError, TypeError):
        return None
    return Path(folder) if isinstance(folder, str) else None


def home(attempt: Attempt, library: str) -> Path | None:
    """Return where the event files of an attempt are, None while its run folder is not known.

    It is the run folder, but for Stable-Baselines3's: that resumes in the folder of the run it began with. What others
    have written there tells its time.
    """
    if attempt.log_dir is None:
        return None
    resumed = attempt.from_checkpoint if library == "sb3" else None
    return (sb3_folder(Path(resumed)) if resumed else None) or Path(attempt.log_dir)


def tags(folder: Path) -> tuple[str, ...]:
    """Return the tags of a run folder in the order of their first appearance; nothing else is kept."""
    tail = Tail(folder)
    names: dict[str, None] = {}
    tail.behind = True
    while tail.behind:
        names.update(dict.fromkeys(point.tag for point in tail.poll()))
    return tuple(names)
