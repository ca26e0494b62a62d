"""Write down a task's resolved configuration: every key, its type, its value, and the presets that change them.

Run by path inside Isaac Lab's Python (3.0), never imported by spark-rl::

    python configs.py REQUEST OUTPUT

REQUEST is a JSON object: ``task``, ``agent`` (the agent config entry point), ``play`` (whether the changes for play
are wanted) and ``words`` (preset selectors, and overrides that may select a preset by its path). Isaac Lab's own
resolver does the work, no simulator is started. OUTPUT receives the document ``spark-rl/configuration/1``: one
resolution without presets and, where words select any, one with them. A row is ``[key, kind, declared type, type of the
value, value, what it means]``; kinds are ``group`` (a config object), ``dict`` and ``field``, types and values are in
Python's spelling, and None stands for what is not known. A document with ``error`` says that nothing was resolved.
"""

from __future__ import annotations

import ast
import collections.abc
import contextlib
import dataclasses
import enum
import functools
import importlib
import importlib.metadata
import inspect
import json
import math
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SCHEMA = "spark-rl/configuration/1"
PLAIN = (bool, int, float, str)
ROOTS = ("env", "agent")
LONGEST = 4000
"""Characters of a value's text; a longer one is not written down."""

Row = list[Any]


class Unknown:
    """A name in an annotation that is there for type checkers alone: it may be anything."""

    def __getattr__(self, _name: str) -> Unknown:
        return self

    def __getitem__(self, _item: object) -> Unknown:
        return self

    def __or__(self, _other: object) -> Unknown:
        return self

    __ror__ = __or__


class Names(dict[str, Any]):
    """The names that an annotation may use: those of a module, and :class:`Unknown` for all others."""

    def __missing__(self, name: str) -> Any:
        return getattr(typing, name, None) or Unknown()


def main(argv: list[str]) -> int:
    """Resolve what the request asks for and write the document."""
    # Started as a module, as Isaac Lab is, Python looks in the working directory and not in the folder of this file.
    sys.path[0] = ""
    request, output = json.loads(argv[0]), Path(argv[1])
    try:
        document = resolved(request)
    except Exception as error:
        document = {"schema": SCHEMA, "error": f"{type(error).__name__}: {first_line(error)}"}
    draft = output.with_suffix(".draft")
    draft.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
    draft.replace(output)
    return 0


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")


def resolved(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a request."""
    importlib.import_module("isaaclab_tasks")
    with contextlib.suppress(ImportError):
        importlib.import_module("isaaclab_tasks_experimental")
    for entry_point in importlib.metadata.entry_points(group="isaaclab.tasks"):
        entry_point.load()
    task, agent, play = request["task"].split(":")[-1], request["agent"], bool(request["play"])
    used: set[type] = set()
    wanted: list[tuple[str, ...]] = [()]
    selecting = selection(task, agent, request["words"])
    wanted += [selecting] if selecting else []
    resolutions = [resolution(task, agent, play, words, used) for words in wanted]
    return {
        "schema": SCHEMA,
        "task": task,
        "agent": agent,
        "play": play,
        "selectors": selectors(),
        "aliases": dict(target_class().all_legacy_aliases()),
        "presets": list(presets(task, agent)),
        "resolutions": resolutions,
        "sources": sources(task, agent, used),
    }


def target_class() -> Any:
    """Return Isaac Lab's enumeration of preset categories."""
    return importlib.import_module("isaaclab_tasks.utils.preset_target").PresetTarget


def hydra_module() -> Any:
    """Return Isaac Lab's resolver."""
    return importlib.import_module("isaaclab_tasks.utils.hydra")


def selectors() -> list[str]:
    """Return the words before ``=`` that select presets everywhere; ``presets`` is the last."""
    return [target.value for target in target_class()]


def loaded(task: str, agent: str | None) -> dict[str, Any]:
    """Return the configs as registered, their presets not yet chosen."""
    load = importlib.import_module("isaaclab_tasks.utils.parse_cfg").load_cfg_from_registry
    found = {"env": load(task, "env_cfg_entry_point")}
    return found | ({"agent": load(task, agent)} if agent else {})


def selection(task: str, agent: str | None, words: list[str]) -> tuple[str, ...]:
    """Return the words that select presets: the selectors, and the overrides at whose key a preset is found."""
    pairs = [word.split("=", 1) for word in words if "=" in word]
    everywhere = [name.strip() for key, value in pairs if key in selectors() for name in value.split(",")]
    explicit = {key: value for key, value in pairs if key not in selectors()}
    consumed: set[str] = set()
    # A name that is none, or two that contradict: the resolution says so.
    with contextlib.suppress(ValueError):
        for root, config in loaded(task, agent).items():
            own = {key: value for key, value in explicit.items() if key.partition(".")[0] == root}
            hydra_module()._resolve_active_presets(
                config,
                [name for name in everywhere if name],
                own,
                root_path=root,
                strict_explicit=False,
                consumed_explicit=consumed,
            )
    return tuple(f"{key}={value}" for key, value in pairs if key in selectors() or key in consumed)


def resolution(task: str, agent: str | None, play: bool, words: tuple[str, ...], used: set[type]) -> dict[str, Any]:  # noqa: FBT001
    """Return the rows under a selection of presets, or why Isaac Lab refuses it."""
    try:
        configs = hydra_module().resolve_task_config(task, agent, play_mode=play, overrides=list(words))
    except ValueError as error:
        if not words:
            raise
        return {"words": list(words), "refused": first_line(error)}
    rows = [row for root, config in zip(ROOTS, configs, strict=False) for row in walk(root, config, None, (), used)]
    return {"words": list(words), "rows": rows}


def walk(key: str, value: Any, owner: Any, above: tuple[int, ...], used: set[type]) -> Iterator[Row]:
    """Yield the rows of a key and of all below it, in the order in which they are declared.

    ``owner`` is the config object that has the key as a field, None below a dict; ``above`` guards against circles.
    """
    if value is None and owner is None and "." not in key:
        return
    if id(value) in above:
        return
    name = key.rpartition(".")[2]
    declared, doc = (annotation(type(owner), name), described(type(owner), name)) if owner is not None else (None, None)
    inner = (*above, id(value))
    if is_config(value):
        used.add(type(value))
        yield [key, "group", declared, type(value).__name__, None, doc]
        for field, below in vars(value).items():
            if not field.startswith("_"):
                yield from walk(f"{key}.{field}", below, value, inner, used)
    elif isinstance(value, Mapping):
        yield [key, "dict", declared, type_of(value), spelled(value) if owner is not None else None, doc]
        for item, below in value.items():
            if isinstance(item, str) and re.fullmatch(r"[\w/ -]+", item):
                yield from walk(f"{key}.{item}", below, None, inner, used)
    else:
        yield [key, "field", declared, type_of(value), spelled(value), doc]


def is_config(value: Any) -> bool:
    """Whether a value is an object with fields of its own."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type) and hasattr(value, "__dict__")


def spelled(value: Any) -> str | None:
    """Return a value as Python spells it, None where no literal says it."""
    plain = literal(value)
    if plain is Unknown:
        return None
    text = written(plain)
    return text if len(text) <= LONGEST else None


def written(plain: Any) -> str:
    """Return a value as a literal; Python has none for infinity but a number that is too large."""
    if isinstance(plain, float) and math.isinf(plain):
        return "1e999" if plain > 0 else "-1e999"
    if isinstance(plain, list):
        return f"[{', '.join(written(item) for item in plain)}]"
    if isinstance(plain, tuple):
        return f"({', '.join(written(item) for item in plain)}{',' if len(plain) == 1 else ''})"
    if isinstance(plain, dict):
        return f"{{{', '.join(f'{key!r}: {written(item)}' for key, item in plain.items())}}}"
    return repr(plain)


def literal(value: Any) -> Any:
    """Return a value made of literals alone; :class:`Unknown` where there is none, as for a field without a value."""
    if value is None or type(value) in PLAIN:
        return Unknown if value != value else value
    if isinstance(value, enum.Enum):
        return literal(value.value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list | tuple):
        items = [literal(item) for item in value]
        return Unknown if Unknown in items else tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, Mapping):
        pairs = {key: literal(item) for key, item in value.items() if isinstance(key, PLAIN)}
        return Unknown if len(pairs) < len(value) or Unknown in pairs.values() else pairs
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}:{value.__qualname__}"
    return Unknown


def type_of(value: Any) -> str | None:
    """Return the type of a value as text, None for a field without a value."""
    if value is None:
        return "None"
    if isinstance(value, enum.Enum):
        return enumeration(type(value))
    if type(value) in PLAIN:
        return type(value).__name__
    if type(value).__name__ == "ResolvableString" or callable(value):
        return "callable"
    if isinstance(value, str):
        return "str"
    if isinstance(value, tuple):
        return f"tuple[{', '.join(type_of(item) or 'Any' for item in value) or '()'}]"
    if isinstance(value, list):
        kinds = dict.fromkeys(type_of(item) or "Any" for item in value)
        return f"list[{' | '.join(kinds)}]" if kinds else "list"
    if isinstance(value, Mapping):
        kinds = dict.fromkeys(type_of(item) or "Any" for item in value.values())
        return f"dict[str, {kinds.popitem()[0]}]" if len(kinds) == 1 else "dict"
    return None if isinstance(value, type(dataclasses.MISSING)) else f"object[{type(value).__name__}]"


def enumeration(kind: type[enum.Enum]) -> str:
    """Return an enumeration as text; where its members are texts or numbers themselves, these can be set directly."""
    name = "Literal" if issubclass(kind, PLAIN) else "Enum"
    return f"{name}[{', '.join(repr(member.value) for member in kind)}]"


@functools.cache
def annotation(kind: type, name: str) -> str | None:
    """Return the declared type of a field as text, None where there is none or it says nothing."""
    own = (vars(base).get("__annotations__", {}) for base in kind.__mro__)
    text = next((names[name] for names in own if name in names), None)
    if text is None:
        return None
    if not isinstance(text, str):
        return type_text(text)
    # Isaac Lab copies annotations from base classes as text: the module that can evaluate it is any of theirs.
    found = Unknown()
    for base in kind.__mro__:
        module = sys.modules.get(base.__module__)
        names = Names(vars(sys.modules["builtins"]) | vars(module)) if module else Names()
        with contextlib.suppress(Exception):
            found = evaluated(text, names)
        if "Any" not in (said := type_text(found)):
            return said
    return type_text(found)


def evaluated(text: str, names: Names) -> Any:
    """Return the type that an annotation means."""
    return eval(text, {"__builtins__": {}}, names)  # noqa: S307 - an annotation of the installation's own sources


def type_text(kind: Any) -> str:  # noqa: C901 - one line for each form that a type has
    """Return a type as text: Python's own spelling, in the few words that spark-rl knows."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, Unknown) or kind is Any or kind is typing.Any:
        return "Any"
    if kind is None or kind is type(None):
        return "None"
    if isinstance(kind, str):
        return "Any"
    if isinstance(kind, typing.ForwardRef):
        return "Any"
    if isinstance(kind, typing.TypeVar):
        return joined(kind.__constraints__) if kind.__constraints__ else "Any"
    if origin is typing.Literal:
        return f"Literal[{', '.join(repr(choice) for choice in arguments)}]"
    if origin in (typing.Union, types.UnionType):
        return joined(arguments)
    if origin is typing.Annotated or origin in (typing.ClassVar, typing.Final):
        return type_text(arguments[0])
    if origin is tuple:
        return f"tuple[{', '.join('...' if one is Ellipsis else type_text(one) for one in arguments)}]"
    if origin in (list, collections.abc.Sequence, collections.abc.Iterable, set, frozenset):
        return f"list[{type_text(arguments[0])}]"
    if origin in (dict, collections.abc.Mapping, collections.abc.MutableMapping):
        return f"dict[str, {type_text(arguments[1])}]"
    if origin in (collections.abc.Callable, type) or kind in (collections.abc.Callable, typing.Callable, type):
        return "callable"
    if kind in (tuple, list, dict, *PLAIN):
        return str(kind.__name__)
    if kind in (set, frozenset, collections.abc.Sequence, typing.Sequence, typing.List):  # noqa: UP006
        return "list"
    if kind in (typing.Dict, collections.abc.Mapping):  # noqa: UP006
        return "dict"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return enumeration(kind)
    if isinstance(kind, type) and kind is not object:
        return f"object[{kind.__name__}]"
    return "Any"


def joined(kinds: tuple[Any, ...]) -> str:
    """Return alternatives as text."""
    return " | ".join(dict.fromkeys(type_text(one) for one in kinds))


@functools.cache
def described(kind: type, name: str) -> str | None:
    """Return the first sentence of what a config class says of a field."""
    for base in kind.__mro__:
        text = docstrings(base.__module__).get((base.__qualname__, name))
        if text is not None:
            return re.split(r"(?<=\.)\s(?=[A-Z])", " ".join(text.split()), maxsplit=1)[0]
    return None


@functools.cache
def docstrings(module: str) -> dict[tuple[str, str], str]:
    """Return the texts below the fields of a module's classes, by class and field."""
    found: dict[tuple[str, str], str] = {}

    def read(body: list[ast.stmt], prefix: str) -> None:
        for node, after in zip(body, (*body[1:], None), strict=True):
            if isinstance(node, ast.ClassDef):
                read(node.body, f"{prefix}{node.name}.")
            targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
            doc = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
            for target in targets if isinstance(doc, str) else ():
                if isinstance(target, ast.Name):
                    found[prefix.rstrip("."), target.id] = str(doc)

    file = getattr(sys.modules.get(module), "__file__", None)
    if file and file.endswith(".py"):
        with contextlib.suppress(OSError, SyntaxError, ValueError):
            read(ast.parse(Path(file).read_text(encoding="utf-8")).body, "")
    return found


def presets(task: str, agent: str | None) -> Iterator[dict[str, Any]]:
    """Yield every place where presets are declared, those in branches that are not active included."""
    for root, config in loaded(task, agent).items():
        for path, alternatives in hydra_module().collect_presets(config).items():
            yield {
                "path": f"{root}.{path}" if path else root,
                "default": text_of(alternatives.get("default")),
                "names": {name: [category(one), text_of(one)] for name, one in alternatives.items()},
            }


def category(alternative: Any) -> str:
    """Return the selector that a preset belongs to."""
    typed = (target for target in target_class() if target.base_classes and target.matches(alternative))
    return str(next((target.value for target in typed), selectors()[-1]))


def text_of(alternative: Any) -> str:
    """Return a preset's value in a few words: its class, or the literal."""
    return type(alternative).__name__ if is_config(alternative) else (spelled(alternative) or "")[:80]


def sources(task: str, agent: str | None, used: set[type]) -> list[tuple[str, int, int]]:
    """Return path, change time (ns) and size of each file that decides the document."""
    tops = {base.__module__.partition(".")[0] for kind in used for base in kind.__mro__} - sys.stdlib_module_names
    modules = [
        sys.modules[name] for name in [*sys.modules] if name.startswith("isaaclab") or name.split(".")[0] in tops
    ]
    files = {getattr(module, "__file__", None) for module in modules}
    entry = importlib.import_module("gymnasium").spec(task).kwargs.get(agent or "")
    if isinstance(entry, str) and entry.endswith(".yaml"):
        module, _, name = entry.rpartition(":")
        files.add(str(Path(inspect.getfile(importlib.import_module(module))).with_name(name)) if module else entry)
    found = [Path(file) for file in sorted(file for file in files if file)]
    return [(str(file), stat.st_mtime_ns, stat.st_size) for file in found if file.is_file() for stat in [file.stat()]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
