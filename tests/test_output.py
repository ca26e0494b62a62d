"""What a run printed: whole, its last lines, and as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import runs as recorded
from spark_rl import output, registry, runs
from spark_rl.errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "output.log"


LINES = b"one\ntwo\r\n\xff\xfe three\n\nfive"


@pytest.mark.parametrize(
    ("tail", "read"),
    [
        (None, LINES),
        (0, b""),
        (-1, b""),
        (1, b"five"),
        (2, b"\nfive"),
        (3, b"\xff\xfe three\n\nfive"),
        (5, LINES),
        (6, LINES),
        (99, LINES),
    ],
)
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_the_last_lines(file: Path, tail: int | None, read: bytes, end: bytes) -> None:
    file.write_bytes(LINES + end)
    assert b"".join(output.read(file, tail=tail)) == (read + end if read else b"")


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64])
def test_lines_are_found_across_blocks(file: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_BLOCK", block)
    lines = [f"{'x' * (n % 5)}{n}\n".encode() for n in range(30)]
    file.write_bytes(b"".join(lines))
    for tail in range(1, 32):
        assert b"".join(output.read(file, tail=tail)) == b"".join(lines[-tail:])


def test_an_empty_output(file: Path) -> None:
    file.touch()
    assert list(output.read(file)) == list(output.read(file, tail=3)) == []


def test_no_output(file: Path) -> None:
    with pytest.raises(CheckError, match="there is no output"):
        list(output.read(file))
    with pytest.raises(CheckError, match="there is no output"):
        list(output.follow(file, lambda: False))
    with pytest.raises(CheckError, match="cannot be read: Is a directory"):
        list(output.read(file.parent))


def followed(file: Path, *steps: Callable[[], object], tail: int | None = None) -> bytes:
    """Follow a run that takes the next step whenever its reader waits, and is over after the last one."""
    left = list(steps)

    def pause() -> None:
        left.pop(0)()

    return b"".join(output.follow(file, lambda: bool(left), tail=tail, pause=pause))


def add(file: Path, content: bytes) -> None:
    with file.open("ab") as stream:
        stream.write(content)


def test_what_is_added_comes_until_the_run_is_over(file: Path) -> None:
    file.write_bytes(b"a\nb\n")
    steps = (
        lambda: add(file, b"c \xf0\x9f"),
        lambda: None,
        lambda: add(file, b"\xa4\x96 d\r"),
        lambda: add(file, b"e"),
    )
    assert followed(file, *steps, tail=1) == "b\nc 🤖 d\re".encode()


def test_an_output_that_is_not_there_yet_is_waited_for(file: Path) -> None:
    assert followed(file, lambda: None, lambda: add(file, b"first\n"), lambda: add(file, b"last")) == b"first\nlast"


def test_an_output_that_is_cut_short_is_read_from_its_start(file: Path) -> None:
    file.write_bytes(b"much text\n")
    assert followed(file, lambda: file.write_bytes(b"new\n"), lambda: add(file, b"more\n")) == (
        b"much text\nnew\nmore\n"
    )


def test_an_output_that_is_replaced_is_read_from_its_start(file: Path) -> None:
    file.write_bytes(b"old\n")

    def rotate() -> None:
        add(file, b"older\n")
        file.rename(file.with_suffix(".1"))
        file.write_bytes(b"a longer new text\n")

    assert followed(file, rotate, lambda: add(file, b"more\n"), tail=1) == b"old\nolder\na longer new text\nmore\n"


def test_an_output_that_is_removed_ends_with_the_run(file: Path) -> None:
    file.write_bytes(b"text\n")
    assert followed(file, file.unlink, lambda: None) == b"text\n"


def test_a_run_that_goes_on_and_has_printed_nothing_is_told_to_wait_for() -> None:
    run = registry.create({}, recorded.run())
    with pytest.raises(CheckError, match="run 1 has printed nothing yet") as caught:
        runs.log(run.id, follow=False, tail=None, tell=print)
    assert caught.value.hint == "wait for it: spark-rl runs log 1 -f"
