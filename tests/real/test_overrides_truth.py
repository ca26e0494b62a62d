"""Overrides that are accepted against what Isaac Lab 3.0's own resolver makes of them, on tasks of every library."""

from __future__ import annotations

import json
import os
import random
import string
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from spark_rl import catalogues, configurations, overrides, value_types
from spark_rl.configuration import UNWRITABLE, Configuration
from spark_rl.errors import RequestError
from spark_rl.model import LIBRARIES
from spark_rl.override_values import hydra_literal, literal

if TYPE_CHECKING:
    from pathlib import Path

    from spark_rl.configuration import Field
    from spark_rl.value_types import Kind

pytestmark = pytest.mark.real

PAIRS_PER_LIBRARY = 6
KEYS_PER_PAIR = 40

# Run by Isaac Lab's Python: documents come from the driver, truths from the resolver that train and play use.
CHILD = """
import contextlib, functools, importlib.util, io, json, sys, warnings

warnings.simplefilter("ignore")
driver, asked = sys.argv[1], json.load(sys.stdin)
spec = importlib.util.spec_from_file_location("configs", driver)
configs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(configs)

import isaaclab_tasks
from isaaclab.utils import to_dict
from isaaclab_tasks.utils import resolve_task_config

def flat(prefix, value, found):
    found[prefix] = repr(value) if not isinstance(value, dict) else "{}"
    if isinstance(value, dict):
        for key, below in value.items():
            flat(f"{prefix}.{key}", below, found)
    return found

def dumped(task, agent, words):
    env, agent = resolve_task_config(task, agent, overrides=words)
    plain = agent if isinstance(agent, dict) else to_dict(agent)
    return flat("env", to_dict(env), flat("agent", plain, {}))

@functools.cache
def unchanged(task, agent, words):
    return dumped(task, agent, list(words))

def truth(task, agent, base, words):
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            shown = dumped(task, agent, words)
    except (Exception, SystemExit) as error:
        return None
    before = unchanged(task, agent, tuple(base))
    return {key: shown.get(key) for key in {*before, *shown} if before.get(key) != shown.get(key)}

def answer(kind, task, agent, *more):
    if kind == "document":
        return configs.resolved({"task": task, "agent": agent, "play": False, "words": more[0]})
    return truth(task, agent, *more)

with contextlib.redirect_stdout(io.StringIO()):
    answers = [answer(*question) for question in asked]
print("ANSWERS " + json.dumps(answers))
"""


def ask(questions: list[list[Any]]) -> list[Any]:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, configurations.DRIVER],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    line = next(line for line in child.stdout.splitlines() if line.startswith("ANSWERS "))
    answers: list[Any] = json.loads(line.removeprefix("ANSWERS "))
    return answers


@dataclass
class Pair:
    """A task with an agent config, its configuration, and the words made up for it."""

    task: str
    agent: str
    document: dict[str, Any] = field(default_factory=dict)
    selected: list[str] = field(default_factory=list)

    @property
    def plain(self) -> Configuration:
        return Configuration.from_document({**self.document, "resolutions": self.document["resolutions"][:1]}, "test")

    @property
    def chosen(self) -> Configuration:
        return Configuration.from_document(self.document, "test")


@cache
def pairs() -> tuple[Pair, ...]:
    """Return tasks of every library, each resolved without presets and with one of its own."""
    dice = random.Random(7)
    found = [
        Pair(task.id, agent.entry_point)
        for library in LIBRARIES
        for task, agent in dice.sample(
            [
                (task, agent)
                for task in catalogues.shipped("3.0.0").tasks
                for agent in task.agents
                if agent.library == library and task.package == "isaaclab_tasks" and task.replaced_by is None
            ],
            PAIRS_PER_LIBRARY,
        )
    ]
    for pair, document in zip(found, ask([["document", p.task, p.agent, []] for p in found]), strict=True):
        pair.document = document
        options = [option for preset in pair.plain.presets for option in preset.options]
        if options:
            name, selector, _ = dice.choice(options)
            pair.selected = [f"{selector}={name}"]
    for pair, document in zip(found, ask([["document", p.task, p.agent, p.selected] for p in found]), strict=True):
        pair.document = document
    return tuple(found)


def accepted(words: list[str], configuration: Configuration) -> bool:
    try:
        overrides.check(words, configuration)
    except RequestError:
        return False
    return True


def fitting(kind: Kind, dice: random.Random) -> Any:
    """Return some value of a type; :data:`UNWRITABLE` where no literal is one."""
    if kind.name == "union":
        values = [value for value in (fitting(each, dice) for each in kind.inside) if value is not UNWRITABLE]
        return dice.choice(values) if values else UNWRITABLE
    if kind.name == "Literal":
        return dice.choice(kind.choices)
    if kind.name in ("list", "tuple"):
        inside = kind.inside * dice.randint(1, 3) if kind.name == "list" or kind.open_ended else kind.inside
        items = [fitting(each, dice) for each in inside]
        return UNWRITABLE if UNWRITABLE in items else tuple(items) if kind.name == "tuple" else items
    made = {
        "int": dice.randint(2, 999),
        "float": round(dice.uniform(-9, 9), 3),
        "number": dice.choice([7, 0.25]),
        "str": "".join(dice.choices(string.ascii_lowercase, k=6)),
        "bool": dice.random() < 0.5,
        "None": None,
        "callable": "isaaclab.envs.mdp:anything",
        "dict": {"a": 1},
    }
    return made.get(kind.name, UNWRITABLE)


def drawn(configuration: Configuration, dice: random.Random, under: str = "") -> list[tuple[Field, Any]]:
    """Return fields with a value that each may take."""
    leaves = [one for one in configuration.leaves("") if one.key.startswith(under)]
    fields = dice.sample(leaves, min(KEYS_PER_PAIR, len(leaves)))
    values = [(one, fitting(one.kind, dice)) for one in fields]
    return [(one, value) for one, value in values if value is not UNWRITABLE and value_types.accepts(one.kind, value)]


def word(key: str, value: Any) -> str:
    """Return an override; a text that would read as something else is quoted."""
    bare = isinstance(value, str) and literal(value) == value
    return f"{key}={value if bare else repr(value)}"


def shows(shown: dict[str, Any] | None, values: dict[str, Any], before: Configuration) -> list[str]:
    """Return where the dumped configuration differs from what the words say: changed keys, values, other keys."""
    assert shown is not None, "Isaac Lab refuses what was accepted"
    wrong = [key for key in shown if not any(key == one or key.startswith(f"{one}.") for one in values)]
    for key, value in values.items():
        same = before.fields[key].value == repr(value)
        if not same and not isinstance(value, dict) and shown.get(key) != repr(value):
            wrong.append(f"{key}: {value!r} became {shown.get(key)}")
    return wrong


@pytest.mark.parametrize("presets", [False, True], ids=["plain", "presets"])
def test_what_is_accepted_is_what_the_dumped_configuration_shows(presets: bool) -> None:
    dice = random.Random(11)
    cases = []
    for pair in (pair for pair in pairs() if pair.selected or not presets):
        configuration, selected = (pair.chosen, pair.selected) if presets else (pair.plain, [])
        if configuration.refused is not None:
            assert not accepted(selected, configuration)
            continue
        values = {one.key: value for one, value in drawn(configuration, dice)}
        # Spaces are turned into objects after they were set, which changes how they are dumped.
        values = {key: value for key, value in values.items() if "_space" not in key}
        words = [*selected, *(word(key, value) for key, value in values.items())]
        assert accepted(words, configuration), words
        cases.append((pair, selected, words, values, configuration))
    answers = ask([["truth", pair.task, pair.agent, selected, words] for pair, selected, words, *_ in cases])
    assert len(cases) >= 12 if presets else len(cases) >= 20
    assert sum(len(values) for _, _, _, values, _ in cases) > 300
    wrong = [
        (pair.task, pair.agent, found)
        for (pair, _, _, values, configuration), shown in zip(cases, answers, strict=True)
        if (found := shows(shown, values, configuration))
    ]
    assert wrong == []


def mutated(key: str, dice: random.Random) -> str:
    """Return a key with one letter dropped, doubled or exchanged."""
    at = dice.randrange(4, len(key))
    letter = dice.choice(string.ascii_lowercase)
    return dice.choice((key[:at] + key[at + 1 :], key[:at] + key[at] + key[at:], key[:at] + letter + key[at + 1 :]))


def test_a_mistyped_key_is_refused_and_the_right_one_named() -> None:
    dice = random.Random(13)
    tried = named = 0
    for pair in pairs():
        configuration = pair.plain
        for one in dice.sample(configuration.leaves(""), 20):
            typed = mutated(one.key, dice)
            if typed in configuration.fields or typed.endswith("."):
                continue
            tried += 1
            with pytest.raises(RequestError) as caught:
                overrides.check([f"{typed}=1"], configuration)
            named += one.key in (caught.value.hint or "")
    assert tried > 400
    assert named > 0.9 * tried


POOL = (
    "banana",
    "3",
    "-1.5",
    "true",
    "null",
    "[1, 2]",
    "(1.0, 2.0, 3.0)",
    "(1, 2, 3, 4, 5)",
    "['a']",
    "{'a': 1}",
    "'7'",
)


def alike(value: Any, default: Any) -> bool:
    """Whether a value could stand where a default stands, judged by nothing but the two."""
    if isinstance(default, dict):
        return False
    if isinstance(default, list | tuple):
        length = isinstance(default, list) or len(value) == len(default) if isinstance(value, list | tuple) else False
        return length and (not default or all(alike(item, default[0]) for item in value))
    return type(value) is type(default) or (type(default) is float and type(value) is int)


def test_any_value_is_accepted_or_cannot_be_the_fields() -> None:
    dice = random.Random(17)
    cases, refused = [], 0
    for pair in pairs():
        configuration, values = pair.plain, {}
        for one in dice.sample(configuration.leaves(""), KEYS_PER_PAIR):
            text = dice.choice(POOL)
            if accepted([f"{one.key}={text}"], configuration):
                values[one.key] = literal(text)
            else:
                refused += 1
                homogeneous = not isinstance(one.default, list | tuple) or len({type(i) for i in one.default}) == 1
                limited = any(name in f"{one.declared} {one.actual}" for name in ("Literal", "object", "callable"))
                if homogeneous and not limited and one.default is not None:
                    assert not alike(literal(text), one.default), (pair.task, one, text)
        values = {key: value for key, value in values.items() if "_space" not in key}
        cases.append((pair, values, configuration))
    questions = [["truth", p.task, p.agent, [], [word(*item) for item in values.items()]] for p, values, _ in cases]
    wrong = []
    for (pair, values, configuration), shown in zip(cases, ask(questions), strict=True):
        wrong += [(pair.task, found) for found in shows(shown, values, configuration)]
    assert wrong == []
    assert refused > 300


def hydra_words(configuration: Configuration, dice: random.Random) -> list[str]:
    """Return words that Hydra handles: new keys, forced ones, deleted ones, of both roots."""
    env, agent = (
        dice.choice([one for one in configuration.leaves(root) if one.actual in ("int", "float", "str", "bool")])
        for root in ("env", "agent")
    )
    return [
        f"+{agent.key}_new=1.5",
        f"+{env.key}_new=1",
        f"+{agent.key}=1",
        f"++{agent.key}={agent.value}",
        f"++{env.key}=3",
        f"++{agent.key}=3.5",
        f"~{dice.choice((agent.key, env.key))}",
        f"~{agent.key}x",
        f"{env.key}+=[1]",
    ]


def test_what_hydra_gets_is_accepted_exactly_when_its_result_shows_it() -> None:
    dice = random.Random(19)
    cases = []
    for pair in pairs()[::4]:
        cases += [(pair, text, accepted([text], pair.plain)) for text in hydra_words(pair.plain, dice)]
    answers = ask([["truth", pair.task, pair.agent, [], [text]] for pair, text, _ in cases])
    for (pair, text, ours), shown in zip(cases, answers, strict=True):
        one = overrides.parse(text)
        told = None if one.value is None else repr(hydra_literal(one.value))
        changed = shown is not None and (one.key in shown and shown[one.key] == told)
        known = pair.plain.fields.get(one.key)
        same = shown is not None and known is not None and one.sign == "++" and known.value == told
        if ours:
            assert changed or same, (pair.task, pair.agent, text, shown)
        elif changed:
            # Isaac Lab takes it, and it cannot be the field's.
            assert known is not None, (pair.task, text, shown)
            assert one.sign == "++", (pair.task, text, shown)
            assert not value_types.accepts(known.kind, hydra_literal(one.value or ""))
    assert {ours for _, _, ours in cases} == {True, False}


def test_a_mistyped_override_is_refused_in_a_blink_before_anything_starts(tmp_path: Path) -> None:
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "SPARK_RL_ISAACLAB": sys.prefix}
    words = {
        "env.decimatoin=8": "env.decimation",
        "env.decimation=banana": "env.decimation takes a whole number",
        "agent.max_iteration=5": "agent.max_iterations",
        "agent.algorithm.learnin_rate=1": "agent.algorithm.learning_rate",
        "env.scene.num_env=3": "env.scene.num_envs",
    }
    for text, right in words.items():
        child = subprocess.run(
            [sys.executable, "-m", "spark_rl", "train", "--task", "Isaac-Cartpole-Direct", text],
            capture_output=True,
            text=True,
            env=environ,
            cwd=tmp_path,
        )
        assert child.returncode == 2, child.stderr
        assert right in child.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["spark-rl"]
