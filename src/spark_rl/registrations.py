"""Task registrations, read from source text: ``gym.register(...)`` calls and ``EnvSpec`` tables.

A small interpreter walks the top level of each file: assignments of constants, loops over constant tables, local
functions called with constants, imports. Nothing is imported or run; what the text does not say is reported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spark_rl.literals import Module, Ref, Undecidable, evaluate, last_name, parse_module

__all__ = ["Registration", "read_registrations", "registers"]

_FIELDS = ("id", "entry_point")
_Names = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One registered task: its id, entry point and keyword arguments as the source text has them.

    ``where`` is its ``path:line``. A keyword argument whose value the text does not say is None.
    """

    where: str
    id: str
    package: str
    entry_point: str | None
    kwargs: tuple[tuple[str, Any], ...]


def registers(text: str) -> bool:
    """Return whether a source text can hold a registration at all; cheap, and never wrong about a no."""
    return ("register(" in text or "EnvSpec(" in text) and "gym" in text


def read_registrations(path: str, text: str) -> tuple[tuple[Registration, ...], tuple[str, ...]]:
    """Return the registrations of one source file, and what could not be decided, one line each.

    Args:
        path: Path relative to the import root, with forward slashes.
        text: The file's text.
    """
    try:
        module = parse_module(path, text)
    except Undecidable as error:
        return (), (str(error),)
    reader = _Reader(path, module)
    reader.run(module.body, {"__name__": module.name, "__package__": module.package})
    for name, function in reader.uncalled.items():
        reader.give_up(function, f"in {name}(), which this file does not call")
    return tuple(reader.found), tuple(reader.undecided)


class _Reader:
    """Walks statements with the names bound so far; collects what is registered."""

    def __init__(self, path: str, module: Module) -> None:
        self.path = path
        self.module = module
        self.found: list[Registration] = []
        self.undecided: list[str] = []
        self.depth = 0
        self.uncalled: dict[str, ast.FunctionDef] = {}

    def run(self, body: tuple[ast.stmt, ...] | list[ast.stmt], names: dict[str, Any]) -> None:
        for statement in body:
            self.step(statement, names)

    def step(self, statement: ast.stmt, names: dict[str, Any]) -> None:
        match statement:
            case ast.Import() | ast.ImportFrom():
                imported = self.module.imports(statement)
                names |= _submodules(self.module, imported) | imported
            case ast.FunctionDef(name=name):
                names[name] = self.uncalled[name] = statement
            case ast.ClassDef():
                pass
            case ast.For():
                self.loop(statement, names)
            case ast.If():
                self.branch(statement, names)
            case ast.Try():
                self.run([*statement.body, *statement.orelse, *statement.finalbody], names)
            case ast.With():
                self.run(statement.body, names)
            case _:
                self.simple(statement, names)

    def loop(self, statement: ast.For, names: dict[str, Any]) -> None:
        try:
            rows = tuple(evaluate(statement.iter, names))
        except (Undecidable, TypeError):
            self.give_up(statement, "in a loop over something that is not a constant")
            return
        for row in rows:
            _bind(statement.target, row, names)
            self.run(statement.body, names)

    def branch(self, statement: ast.If, names: dict[str, Any]) -> None:
        if _never_on_import(statement.test):
            self.run(statement.orelse, names)
            return
        try:
            taken = statement.body if evaluate(statement.test, names) else statement.orelse
        except Undecidable:
            self.give_up(statement, "under a condition")
            return
        self.run(taken, names)

    def simple(self, statement: ast.stmt, names: dict[str, Any]) -> None:
        for call in _calls(statement):
            self.call(call, names)
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                names[name] = _value(value, names)

    def call(self, call: ast.Call, names: dict[str, Any]) -> None:
        if _registers(call, names):
            self.register(call, names)
            return
        function = names.get(call.func.id) if isinstance(call.func, ast.Name) else None
        if isinstance(function, ast.FunctionDef) and self.depth < 4 and any(map(_is_register, _calls(function))):
            self.uncalled.pop(function.name, None)
            self.depth += 1
            self.run(function.body, names | _arguments(function, call, names))
            self.depth -= 1

    def register(self, call: ast.Call, names: _Names) -> None:
        given = _given(call, names)
        task_id, kwargs = given.get("id"), given.get("kwargs") or {}
        if not isinstance(task_id, str):
            self.give_up(call, "under an id that is not a constant")
        elif not isinstance(kwargs, dict):
            self.note(call, f"the arguments of {task_id} are not constant")
        else:
            self.record(call, task_id, given.get("entry_point"), kwargs)

    def record(self, call: ast.Call, task_id: str, entry_point: Any, kwargs: dict[str, Any]) -> None:
        self.found.append(
            Registration(
                where=f"{self.path}:{call.lineno}",
                id=task_id,
                package=self.module.name.partition(".")[0],
                entry_point=None if entry_point in (None, Undecidable) else str(entry_point),
                kwargs=tuple((key, None if value is Undecidable else value) for key, value in kwargs.items()),
            )
        )

    def give_up(self, node: ast.stmt | ast.expr, why: str) -> None:
        """Report a statement that registers something under a circumstance the text does not decide."""
        if any(map(_is_register, _calls(node))):
            self.note(node, f"a task is registered {why}")

    def note(self, node: ast.stmt | ast.expr, what: str) -> None:
        self.undecided.append(f"{self.path}:{node.lineno}: {what}")


def _submodules(module: Module, imported: Mapping[str, Ref]) -> dict[str, Ref]:
    """Return the modules of a package that it binds by importing from them: ``from .a import B`` binds ``a`` too."""
    if module.name != module.package:
        return {}
    inside = f"{module.package}."
    sources = (ref.module.removeprefix(inside) for ref in imported.values() if ref.module.startswith(inside))
    return {name: Ref(module.package, name) for name in (source.partition(".")[0] for source in sources)}


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (child for child in ast.walk(node) if isinstance(child, ast.Call))


def _is_register(call: ast.Call) -> bool:
    return last_name(call.func) in ("register", "EnvSpec")


def _registers(call: ast.Call, names: _Names) -> bool:
    """Whether the call is gymnasium's, not some other object's method of the same name."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else call.func
    bound = names.get(owner.id) if isinstance(owner, ast.Name) else None
    return _is_register(call) and str(getattr(bound, "dotted", "")).startswith("gym")


def _value(node: ast.expr | None, names: _Names) -> Any:
    """Evaluate, with :class:`Undecidable` itself as the value of what cannot be told; None for nothing."""
    if node is None:
        return None
    try:
        return evaluate(node, names)
    except Undecidable:
        return Undecidable


def _given(call: ast.Call, names: _Names) -> dict[str, Any]:
    """Return the arguments of a registration by name; spread ones that cannot be told leave ``kwargs`` undecidable."""
    given: dict[str, Any] = {name: _value(node, names) for name, node in zip(_FIELDS, call.args, strict=False)}
    for keyword in call.keywords:
        value = _value(keyword.value, names)
        if keyword.arg:
            given[keyword.arg] = value
        else:
            given |= value if isinstance(value, dict) else {"kwargs": Undecidable}
    return given


def _bind(target: ast.expr, value: Any, names: dict[str, Any]) -> None:
    if isinstance(target, ast.Name):
        names[target.id] = value
    elif isinstance(target, ast.Tuple | ast.List) and isinstance(value, tuple):
        for part, item in zip(target.elts, value, strict=False):
            _bind(part, item, names)


def _arguments(function: ast.FunctionDef, call: ast.Call, names: _Names) -> dict[str, Any]:
    parameters = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    defaults = function.args.defaults
    positional = parameters[: len(parameters) - len(function.args.kwonlyargs)]
    bound: dict[str, Any] = dict.fromkeys((p.arg for p in parameters), Undecidable)
    bound |= {
        p.arg: _value(d, names) for p, d in zip(positional[len(positional) - len(defaults) :], defaults, strict=True)
    }
    bound |= {
        p.arg: _value(d, names)
        for p, d in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        if d is not None
    }
    bound |= {p.arg: _value(a, names) for p, a in zip(positional, call.args, strict=False)}
    return bound | {k.arg: _value(k.value, names) for k in call.keywords if k.arg}


def _never_on_import(test: ast.expr) -> bool:
    """Whether a condition is false when the file is imported: TYPE_CHECKING, and ``__name__ == "__main__"``."""
    return last_name(test) == "TYPE_CHECKING" or (isinstance(test, ast.Compare) and last_name(test.left) == "__name__")
