from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from spark_rl.model import LIBRARIES, Action
from spark_rl.profiles import Option, Profile
from spark_rl.profiles.options import BOOL_WORDS
from spark_rl.profiles.releases import ACTIONS

pytestmark = pytest.mark.real

# Run by Isaac Lab's Python: lets each backend build its parser and reads that instead of parsing with it.
CHILD = """
import argparse, importlib, json, sys

from isaaclab.visualizers.visualizer_cfg import _VISUALIZER_ALIASES, _VISUALIZER_TYPES

class Built(Exception):
    pass

def accepts(convert, word):
    try:
        convert(word)
    except Exception:
        return False
    return True

def kind(action, bool_words):
    if action.type in (None, str):
        return "str", action.choices or ()
    if action.type in (int, float):
        return action.type.__name__, action.choices or ()
    if action.dest == "visualizer":
        return "csv", [*_VISUALIZER_TYPES, *_VISUALIZER_ALIASES, "none"]
    assert all(accepts(action.type, word) for word in bool_words) and not accepts(action.type, "maybe"), action
    return "bool", ()

def described(action, bool_words):
    if action.nargs == 0:
        return [action.option_strings, "flag", "str", []]
    takes = {None: "value", "?": "optional"}[action.nargs]
    type_, choices = kind(action, bool_words)
    return [action.option_strings, takes, type_, sorted(str(choice) for choice in choices)]

real = argparse.ArgumentParser.parse_known_args

def intercept(parser, *args, **kwargs):
    if not parser.add_help:  # a small parser that looks ahead for one option
        return real(parser, *args, **kwargs)
    raise Built(parser)

argparse.ArgumentParser.parse_known_args = intercept
found = {}
libraries, actions, bool_words = json.loads(sys.argv[1])
sys.argv = ["isaaclab"]
for library in libraries:
    for name in actions:
        module = importlib.import_module(f"isaaclab_rl.entrypoints.backends.{name}_{library}")
        try:
            module._parse_args([])
        except Built as built:
            options = [a for a in built.args[0]._actions if not isinstance(a, argparse._HelpAction)]
            found[f"{library} {name}"] = [described(option, bool_words) for option in options]
print("PARSERS " + json.dumps(found))
"""


@pytest.fixture(scope="module")
def parsers() -> dict[str, list[Any]]:
    asked = json.dumps([LIBRARIES, ACTIONS, BOOL_WORDS])
    child = subprocess.run([sys.executable, "-c", CHILD, asked], capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr
    line = next(line for line in child.stdout.splitlines() if line.startswith("PARSERS "))
    parsed: dict[str, list[Any]] = json.loads(line.removeprefix("PARSERS "))
    return parsed


def described(option: Option) -> list[Any]:
    return [list(option.spellings), option.takes, option.type, sorted(option.choices)]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_the_profile_of_3_0_0_is_what_its_parsers_take(
    parsers: dict[str, list[Any]], library: str, action: Action
) -> None:
    table = Profile(version="3.0.0").options(library, action)
    real = sorted(parsers[f"{library} {action}"])
    assert len(real) > 20
    assert sorted(described(option) for option in {option.name: option for option in table.values()}.values()) == real
    assert sorted(table) == sorted(spelling for spellings, *_ in real for spelling in spellings)
