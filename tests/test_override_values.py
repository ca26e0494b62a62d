from __future__ import annotations

from typing import Any

import pytest

from spark_rl.override_values import hydra_literal, literal, spell


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 0.001),
        ("True", True),
        ("false", False),
        ("none", None),
        ("NULL", None),
        ("banana", "banana"),
        ("'7'", "7"),
        ("", ""),
        ("1,2", (1, 2)),
        ("[1, 2]", [1, 2]),
        ("[a, b]", "[a, b]"),
        ("{'a': 1}", {"a": 1}),
        ("inf", "inf"),
        ("1e999", float("inf")),
        ("isaaclab.envs.mdp:f", "isaaclab.envs.mdp:f"),
        ("1 +", "1 +"),
        ("f()", "f()"),
        ("{[]: 1}", "{[]: 1}"),
        ("(" * 500, "(" * 500),
    ],
)
def test_what_isaac_lab_reads(text: str, value: Any) -> None:
    assert literal(text) == value
    assert type(literal(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("1_000", 1000),
        ("1_", "1_"),
        ("1_0.5", 10.5),
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("inf", float("inf")),
        ("true", True),
        ("null", None),
        ("none", "none"),
        ("banana", "banana"),
        ("'7'", "7"),
        ('"a,b"', "a,b"),
        ("[a,b]", ["a", "b"]),
        ("[1,[2,3],{a: 1}]", [1, [2, 3], {"a": 1}]),
        ("{a:1,b:'x,y'}", {"a": 1, "b": "x,y"}),
        ("[]", []),
        ("{}", {}),
        ("1,2", "1,2"),
    ],
)
def test_what_hydra_reads(text: str, value: Any) -> None:
    assert hydra_literal(text) == value
    assert type(hydra_literal(text)) is type(value)


@pytest.mark.parametrize(
    "value", [1, 0.5, "a'b", None, True, [1, (2, "x")], (1,), (), float("inf"), -float("inf"), [1e999]]
)
def test_a_spelled_value_is_read_back(value: Any) -> None:
    assert literal(spell(value)) == value
