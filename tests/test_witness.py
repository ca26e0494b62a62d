"""What is kept of an endless output: what a judgement needs, and no more."""

from __future__ import annotations

import pytest

from spark_rl.judging import Evidence, judge
from spark_rl.witness import LONGEST, TAIL, Witness, raised
from witnessed import excerpt

NOISE = [f"                       Mean value loss: {number}" for number in range(5000)]
TRACEBACK = [
    "Traceback (most recent call last):",
    *[line for depth in range(20) for line in (f'  File "/env/a.py", line {depth}, in f', "    return g()")],
    "ZeroDivisionError: division by zero",
]


def test_the_end_is_kept() -> None:
    assert excerpt(NOISE) == tuple(NOISE[-TAIL:])
    assert excerpt(NOISE[:7]) == tuple(NOISE[:7])
    assert excerpt(()) == ()


def test_the_first_traceback_is_kept_whole_and_in_its_place() -> None:
    kept = excerpt([*NOISE, *TRACEBACK, *NOISE])
    start = kept.index(TRACEBACK[0])
    assert kept[start : start + len(TRACEBACK)] == tuple(TRACEBACK)
    assert kept[-TAIL:] == tuple(NOISE[-TAIL:])


def test_a_known_line_is_kept_wherever_it_is() -> None:
    line = "Warp CUDA error 2: out of memory (in function wp_alloc_device_async, warp.cu:1234)"
    assert excerpt([*NOISE, line, *NOISE])[0] == line


def test_nothing_is_kept_twice() -> None:
    lines = [*NOISE[:10], *TRACEBACK, "RuntimeError: CUDA error: out of memory"]
    assert len(excerpt(lines)) == len(set(excerpt(lines))) + lines.count("    return g()") - 1


def test_a_flood_of_failures_takes_no_more_memory() -> None:
    witness = Witness()
    for number in range(3000):
        witness.feed(f"PhysX Internal CUDA error. Simulation cannot continue! Error code {number}!")
        for line in TRACEBACK:
            witness.feed(line)
    kept = witness.lines()
    assert len(kept) < 600
    assert kept[0].endswith("Error code 0!")
    assert [one.line for one in raised(kept)][:1] == ["ZeroDivisionError: division by zero"]


def test_a_line_without_end_is_cut() -> None:
    (line,) = excerpt(["x" * 10_000_000])
    assert len(line) == LONGEST


def test_a_traceback_deeper_than_what_is_kept_still_ends_with_its_exception() -> None:
    frames = [f'  File "/env/a.py", line {depth}, in f' for depth in range(400)]
    kept = excerpt([TRACEBACK[0], *frames, "RecursionError: maximum recursion depth exceeded", *NOISE])
    assert [one.line for one in raised(kept)] == ["RecursionError: maximum recursion depth exceeded"]


@pytest.mark.parametrize(
    "before", ["", " 33%|###       | 64/192 [00:02<00:06, 48.41it/s]", "  0%|          | 0/8 [00:00<?]"]
)
@pytest.mark.parametrize("tag", ["", "[rank1]: ", "[default1]:[rank1]: "])
def test_a_progress_bar_may_stand_before_a_traceback(before: str, tag: str) -> None:
    first, *others = TRACEBACK
    other = ("[rank0]: Traceback (most recent call last):", '[rank0]:   File "/env/b.py", line 3, in f')
    printed = [f"{before}{tag}{first}", *other, *(f"{tag}{line}" for line in others), "[rank0]: ValueError: lost"]
    assert [one.line for one in raised(printed)] == ["ZeroDivisionError: division by zero", "ValueError: lost"]


def test_frames_name_where_it_was_raised() -> None:
    (one,) = raised(TRACEBACK)
    assert (one.first, one.index) == (0, len(TRACEBACK) - 1)
    assert one.frames == ("/env/a.py",) * 20


def test_exceptions_that_arose_from_others_say_so() -> None:
    chain = [*TRACEBACK, "", "During handling of the above exception, another exception occurred:", "", *TRACEBACK]
    assert [one.chained for one in raised(chain)] == [False, True]
    assert [one.chained for one in raised([*TRACEBACK, "", "Mean reward: 1.0", *TRACEBACK])] == [False, False]


@pytest.mark.parametrize("noise", [0, 5000])
def test_a_judgement_from_the_excerpt_is_that_from_all(noise: int) -> None:
    lines = [*NOISE[:noise], *TRACEBACK, *NOISE[:noise], "Segmentation fault (core dumped)", *NOISE[:noise]]
    whole, kept = (
        judge(Evidence(action="train", library="rsl_rl", exit_status=-11, max_iterations=9, output=tuple(output)))
        for output in (lines, excerpt(lines))
    )
    assert whole == kept
    assert whole.line == "ZeroDivisionError: division by zero"
