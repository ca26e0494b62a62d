"""The driver that writes a configuration down, on config classes made here; Isaac Lab's own are for the real tests."""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

DRIVER = Path(__file__).parents[1] / "src" / "spark_rl" / "drivers" / "configs.py"

CONFIGS = '''
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union

if TYPE_CHECKING:
    from elsewhere import OnlyForCheckers

T = TypeVar("T", int, dict)


class Mode(Enum):
    SLOW = "slow"
    FAST = "fast"


class Word(str, Enum):
    A = "a"


@dataclass
class Sim:
    dt: float = 0.01
    """Length of a step (in seconds, i.e. wall time). More follows."""

    gravity: tuple[float, float, float] = (0.0, 0.0, -9.81)
    limit: float = float("inf")
    hole: float = float("nan")


@dataclass
class Env:
    """A class's own text is no field's."""

    sim: Sim = field(default_factory=Sim)
    """How physics runs."""
    count: int | None = None
    mode: Mode = Mode.SLOW
    word: Word = Word.A
    choice: Literal["x", "y"] = "x"
    made: OnlyForCheckers | None = None
    func: Callable[..., None] | str = print
    names: Sequence[str] = ()
    either: Union[int, list[str], None] = 3
    constrained: T = 4
    required: int = field(default_factory=lambda: MISSING)
    params: dict[str, Any] = field(default_factory=lambda: {"a": 1, "in.side": 2, 3: 4, "sub": Sim()})
    _hidden: int = 1


@dataclass
class Child(Env):
    count: int | None = 7
'''


class Level(enum.Enum):
    HIGH = 1


@pytest.fixture(scope="module")
def driver() -> ModuleType:
    spec = importlib.util.spec_from_file_location("configs", DRIVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    file = tmp_path_factory.mktemp("configs") / "made_configs.py"
    file.write_text(CONFIGS, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("made_configs", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["made_configs"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["made_configs"]


@pytest.fixture(scope="module")
def rows(driver: ModuleType, configs: ModuleType) -> dict[str, list[Any]]:
    return {row[0]: row[1:] for row in driver.walk("env", configs.Child(), None, (), set())}


@pytest.mark.parametrize(
    ("key", "row"),
    [
        ("env", ["group", None, "Child", None, None]),
        ("env.sim", ["group", "object[Sim]", "Sim", None, "How physics runs."]),
        ("env.sim.dt", ["field", "float", "float", "0.01", "Length of a step (in seconds, i.e. wall time)."]),
        ("env.sim.gravity", ["field", *["tuple[float, float, float]"] * 2, "(0.0, 0.0, -9.81)", None]),
        ("env.sim.limit", ["field", "float", "float", "1e999", None]),
        ("env.sim.hole", ["field", "float", "float", None, None]),
        ("env.count", ["field", "int | None", "int", "7", None]),
        ("env.mode", ["field", "Enum['slow', 'fast']", "Enum['slow', 'fast']", "'slow'", None]),
        ("env.word", ["field", "Literal['a']", "Literal['a']", "'a'", None]),
        ("env.choice", ["field", "Literal['x', 'y']", "str", "'x'", None]),
        ("env.made", ["field", "Any", "None", "None", None]),
        ("env.func", ["field", "callable | str", "callable", "'builtins:print'", None]),
        ("env.names", ["field", "list[str]", "tuple[()]", "()", None]),
        ("env.either", ["field", "int | list[str] | None", "int", "3", None]),
        ("env.constrained", ["field", "int | dict", "int", "4", None]),
        ("env.required", ["field", "int", None, None, None]),
        ("env.params", ["dict", "dict[str, Any]", "dict", None, None]),
        ("env.params.a", ["field", None, "int", "1", None]),
        ("env.params.sub.dt", ["field", "float", "float", "0.01", "Length of a step (in seconds, i.e. wall time)."]),
    ],
)
def test_a_row(rows: dict[str, list[Any]], key: str, row: list[Any]) -> None:
    assert rows[key] == row


def test_what_no_override_can_reach_is_left_out(rows: dict[str, list[Any]]) -> None:
    assert [key for key in rows if "hidden" in key or "in.side" in key or key.endswith(".3")] == []


def test_an_agent_that_is_a_dict_and_one_that_is_not_there(driver: ModuleType) -> None:
    values = {"seed": 1, "units": [32, 32], "rate": "3e-4", "mixed": [1, "a"]}
    found = {row[0]: row[1:4] for row in driver.walk("agent", values, None, (), set())}
    assert found["agent"] == ["dict", None, "dict"]
    assert found["agent.units"] == ["field", None, "list[int]"]
    assert found["agent.rate"] == ["field", None, "str"]
    assert found["agent.mixed"] == ["field", None, "list[int | str]"]
    assert list(driver.walk("agent", None, None, (), set())) == []


def test_a_circle_ends(driver: ModuleType) -> None:
    @dataclasses.dataclass
    class Loop:
        itself: Any = None

    loop = Loop()
    loop.itself = loop
    assert [row[0] for row in driver.walk("env", loop, None, (), set())] == ["env"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, (2, "x")], "[1, (2, 'x')]"),
        ({"a": float("inf")}, "{'a': 1e999}"),
        ((1.5,), "(1.5,)"),
        ([object()], None),
        ({(1, 2): 3}, None),
        (Level.HIGH, "1"),
        ("x" * 5000, None),
    ],
)
def test_values_are_spelled_as_literals(driver: ModuleType, value: Any, text: str | None) -> None:
    assert driver.spelled(value) == text
    if text is not None:
        ast.literal_eval(text)


def test_without_isaac_lab_it_says_so(tmp_path: Path) -> None:
    request = json.dumps({"task": "T", "agent": "a", "play": False, "words": []})
    output = tmp_path / "out.json"
    child = subprocess.run([sys.executable, "-I", "-S", str(DRIVER), request, str(output)], capture_output=True)
    assert child.returncode == 0, child.stderr
    document = json.loads(output.read_text(encoding="utf-8"))
    assert document["error"] == "ModuleNotFoundError: No module named 'isaaclab_tasks'"
    assert [file.name for file in tmp_path.iterdir()] == ["out.json"]


def test_the_first_line_that_says_something_is_told(driver: ModuleType) -> None:
    assert driver.first_line(ValueError("\n  it broke\nbadly")) == "it broke"
    assert driver.first_line(ValueError("")) == "no reason given"


def test_texts_below_fields_are_read_from_the_source(driver: ModuleType, configs: ModuleType) -> None:
    assert driver.described(configs.Child, "sim") == "How physics runs."
    assert driver.described(configs.Child, "count") is None
