"""From bytes to lines at any rate: progress bars, bad characters, endless lines, floods."""

from __future__ import annotations

import random

from spark_rl.intake import BUDGET_BYTES, LINE_BYTES, Intake


def test_lines_come_whole_however_they_are_cut() -> None:
    text = "".join(f"line {number}\n" for number in range(500)).encode()
    draw, intake, found = random.Random(1), Intake(), list[str]()
    while text:
        size = draw.randrange(1, 40)
        intake.add(text[:size])
        text = text[size:]
        found += intake.lines()
    assert found == [f"line {number}" for number in range(500)]


def test_a_carriage_return_ends_a_line_and_the_last_one_needs_no_end() -> None:
    intake = Intake()
    intake.add(b"10%\r20%\r\n30%")
    assert intake.lines() == ["10%", "20%"]
    assert intake.last() == ["30%"]
    assert intake.last() == []


def test_bytes_that_are_no_text_do_no_harm() -> None:
    intake = Intake()
    intake.add(b"caf\xe9 \xff\n")
    assert intake.lines() == ["caf\ufffd \ufffd"]


def test_an_endless_line_is_read_once_and_its_rest_is_no_line() -> None:
    intake = Intake()
    for _ in range(20):
        intake.add(b"x" * 100_000)
    assert [len(line) for line in intake.lines()] == [LINE_BYTES]
    intake.add(b"x" * 100_000)
    assert intake.lines() == []
    intake.add(b"x\nnext\n")
    assert intake.lines() == ["next"]


def test_a_flood_leaves_its_end_and_the_errors_on_its_way() -> None:
    intake = Intake()
    noise = b"noise noise noise\n" * 10_000
    intake.add(noise)
    intake.add(noise + b"Traceback (most recent call last):\n  File x\nValueError: the cause\n" + noise)
    for _ in range(20):
        intake.add(noise)
    intake.add(b"Learning iteration 5/10\n")
    lines = intake.lines()
    assert lines[-1] == "Learning iteration 5/10"
    assert "ValueError: the cause" in lines
    assert sum(map(len, lines)) < 2 * BUDGET_BYTES


def test_one_piece_larger_than_the_budget() -> None:
    intake = Intake()
    intake.add(b"first\n" + b"y" * (2 * BUDGET_BYTES) + b"\nlast\n")
    assert intake.lines()[-1] == "last"
