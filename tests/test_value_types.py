from __future__ import annotations

from typing import Any

import pytest

from spark_rl import value_types
from spark_rl.value_types import ANYTHING, accepts, loosened, of, parse, say


@pytest.mark.parametrize(
    ("text", "fits", "fits_not"),
    [
        ("int", [3, -1], [3.0, True, "3", None, [3]]),
        ("float", [3, 0.5, float("inf")], [True, "0.5", None, (0.5,)]),
        ("bool", [True, False], [0, 1, "true", None]),
        ("str", ["", "x"], [3, None, ["x"]]),
        ("None", [None], [0, "", False]),
        ("int | None", [3, None], [0.5, "x"]),
        ("float | dict[str, float]", [1, {".*": 0.5}, {}], [{".*": "x"}, "x", [1]]),
        ("Literal['a', 'b', 3]", ["a", 3], ["c", True, 3.0, None]),
        ("Literal[True, 'x']", [True, "x"], [1, False]),
        ("Enum['x', 'y']", [], ["x", "z", 1]),
        ("object[SimulationCfg]", [], ["SimulationCfg", None, {}, 1]),
        ("object[Space] | int", [4], ["x", 0.5]),
        ("callable", ["a.b:c", "{DIR}.x:Y"], ["banana", 3, None, "http://x"]),
        ("tuple[float, float]", [(1, 2.5), [1, 2]], [(1,), (1, 2, 3), (1, "x"), 3, "12"]),
        ("tuple[int, ...]", [(), (1,), [1, 2, 3]], [(0.5,), ("x",), 1]),
        ("tuple[int, str]", [(1, "x")], [("x", 1)]),
        ("tuple", [(), (1, "x")], [1, None]),
        ("list[str]", [[], ["a"], ("a", "b")], [["a", 1], "a"]),
        ("list[tuple[str, str]]", [[("a", "b")]], [[("a",)], ["ab"]]),
        ("list", [[], [1, "x"]], ["x", {}]),
        ("dict", [{}, {"a": [1]}], [[], "x"]),
        ("Any", [None, 1, "x", {}], []),
        ("what is this?", [None, 1, "x"], []),
        ("[1, 2]", [3, "x"], []),
    ],
)
def test_what_fits_a_type(text: str, fits: list[Any], fits_not: list[Any]) -> None:
    kind = parse(text)
    assert [value for value in fits if not accepts(kind, value)] == []
    assert [value for value in fits_not if accepts(kind, value)] == []


@pytest.mark.parametrize(
    ("value", "fits", "fits_not"),
    [
        (3, [0, 0.5, None, "lin_3e-4"], [True, "banana", [3]]),
        (0.5, [1, 2.5, None], ["banana", True]),
        ("3e-4", ["x", 0.001, 1, None], [True, ["x"]]),
        (True, [False, None], [1, "x"]),
        (None, [1, "x", [], True], []),
        ([32, 32], [[1], [1, 2, 3], (8,), [0.5]], [32, ["x"], "x"]),
        ((0.0, 1.0), [(1, 2), [0.5, 1]], [(1,), (1, 2, 3), 1, ("a", "b")]),
        ([], [[1], ["x"]], ["x", 1]),
    ],
)
def test_what_one_value_alone_tells_of_a_field(value: Any, fits: list[Any], fits_not: list[Any]) -> None:
    kind = loosened(of(value))
    assert [each for each in fits if not accepts(kind, each)] == []
    assert [each for each in fits_not if accepts(kind, each)] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("int", "a whole number"),
        ("float | None", "a number or null"),
        ("tuple[float, float, float]", "3 numbers"),
        ("tuple[int, str]", "(a whole number, a text)"),
        ("tuple[int, ...]", "a list of whole numbers"),
        ("tuple", "a tuple"),
        ("list[str]", "a list of texts"),
        ("list[str | int]", "a list of texts or whole numbers"),
        ("list[dict[str, int]]", "a list of items, each a dict"),
        ("list", "a list"),
        ("Literal['a', 'b', 'c']", "a, b or c"),
        ("object[Cfg]", "Cfg (no text can write one)"),
        ("callable | str", "a function (module:name) or a text"),
        ("Any", "anything"),
    ],
)
def test_types_in_words(text: str, words: str) -> None:
    assert say(parse(text)) == words


def test_a_union_is_flat_and_names_each_type_once() -> None:
    assert parse("int | (str | int) | None") == parse("int | str | None")
    assert value_types.union(parse("int"), ANYTHING) == ANYTHING
