"""Constant expressions and module names, read from source text without running it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Module", "Ref", "Undecidable", "evaluate", "last_name", "parse_module", "parse_package"]


class Undecidable(Exception):  # noqa: N818  # not an error: the answer "the text does not say"
    """The value of an expression cannot be told from the text."""


@dataclass(frozen=True, slots=True)
class Ref:
    """An imported name: attribute ``name`` of ``module``, or the module itself when ``name`` is empty."""

    module: str
    name: str = ""

    @property
    def dotted(self) -> str:
        """The dotted name it has if it is a module."""
        return f"{self.module}.{self.name}" if self.name else self.module

    def __str__(self) -> str:
        return f"{self.module}:{self.name}" if self.name else self.module


@dataclass(frozen=True, slots=True)
class Module:
    """A parsed source file: its dotted name, the package it lies in and its top-level statements."""

    name: str
    package: str
    body: tuple[ast.stmt, ...]

    def imports(self, node: ast.stmt) -> dict[str, Ref]:
        """Return the names that an import statement binds; nothing for any other statement."""
        if isinstance(node, ast.Import):
            return {
                alias.asname or alias.name.partition(".")[0]: Ref(
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
                for alias in node.names
            }
        if isinstance(node, ast.ImportFrom):
            source = self._source(node)
            return {alias.asname or alias.name: Ref(source, alias.name) for alias in node.names}
        return {}

    def _source(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.package.split(".")
        parent = parts[: len(parts) - node.level + 1]
        return ".".join([*parent, node.module] if node.module else parent)


def parse_package(path: str) -> tuple[str, str]:
    """Return the dotted module name and package of a source path relative to its import root."""
    parts = path.removesuffix(".py").split("/")
    if parts[-1] == "__init__":
        package = ".".join(parts[:-1])
        return package, package
    return ".".join(parts), ".".join(parts[:-1])


def parse_module(path: str, text: str) -> Module:
    """Parse one source file.

    Raises:
        Undecidable: The text is no Python.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise Undecidable(f"{path}: not readable as Python ({error})") from error
    name, package = parse_package(path)
    return Module(name, package, tuple(tree.body))


def last_name(node: ast.AST | None) -> str:
    """Return the last part of a dotted name, ``register`` for ``gym.register``; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def evaluate(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Evaluate a constant expression.

    Understood are literals, containers with ``**`` and ``*``, ``dict(...)``, f-strings, ``+``, ``*`` and ``//``,
    subscripts, ``.items()``, ``.values()`` and ``.keys()`` of a table, ``__name__`` of an imported module, what
    ``names`` binds, and two idioms of Isaac Lab: ``preset(default=X, ...)`` counts as X, an instance ``Class()`` of an
    imported class as the class.

    Raises:
        Undecidable: Anything else.
    """
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return _bound(names, node.id)
        case ast.JoinedStr():
            return "".join(str(_piece(part, names)) for part in node.values)
        case ast.List() | ast.Tuple() | ast.Set():
            return tuple(_elements(node.elts, names))
        case ast.Dict():
            return _table(node, names)
        case ast.BinOp() | ast.UnaryOp():
            return _arithmetic(node, names)
        case ast.Call():
            return _called(node, names)
        case ast.Attribute():
            return _attribute(evaluate(node.value, names), node.attr)
        case ast.Subscript():
            return _subscript(evaluate(node.value, names), evaluate(node.slice, names))
    raise Undecidable(ast.unparse(node))


def _bound(names: Mapping[str, Any], name: str) -> Any:
    if name not in names or names[name] is Undecidable:
        raise Undecidable(name)
    return names[name]


def _piece(part: ast.expr, names: Mapping[str, Any]) -> Any:
    if not isinstance(part, ast.FormattedValue):
        return evaluate(part, names)
    if part.conversion != -1 or part.format_spec is not None:
        raise Undecidable(ast.unparse(part))
    value = evaluate(part.value, names)
    if isinstance(value, Ref):
        raise Undecidable(ast.unparse(part))
    return value


def _elements(nodes: list[ast.expr], names: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = []
    for node in nodes:
        if isinstance(node, ast.Starred):
            found.extend(evaluate(node.value, names))
        else:
            found.append(evaluate(node, names))
    return found


def _table(node: ast.Dict, names: Mapping[str, Any]) -> dict[Any, Any]:
    """Evaluate a dict; a value that cannot be told becomes :class:`Undecidable` itself, the rest stays usable."""
    table: dict[Any, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            table.update(evaluate(value, names))
            continue
        try:
            table[evaluate(key, names)] = evaluate(value, names)
        except Undecidable:
            table[evaluate(key, names)] = Undecidable
    return table


def _attribute(value: Any, attribute: str) -> Any:
    if isinstance(value, Ref):
        return value.dotted if attribute == "__name__" else Ref(value.dotted, attribute)
    raise Undecidable(attribute)


def _subscript(value: Any, key: Any) -> Any:
    try:
        found = value[key]
    except (TypeError, KeyError, IndexError) as error:
        raise Undecidable(str(key)) from error
    if found is Undecidable:
        raise Undecidable(str(key))
    return found


def _called(node: ast.Call, names: Mapping[str, Any]) -> Any:
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("items", "values", "keys"):
        table = evaluate(node.func.value, names)
        if isinstance(table, dict):
            return tuple(getattr(table, node.func.attr)())
    if isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return {keyword.arg: evaluate(keyword.value, names) for keyword in node.keywords}
    if last_name(node.func) == "preset":
        default = next((keyword.value for keyword in node.keywords if keyword.arg == "default"), None)
        if default is not None:
            return evaluate(default, names)
    called = evaluate(node.func, names)
    if isinstance(called, Ref) and called.name[:1].isupper() and not node.args and not node.keywords:
        return called
    raise Undecidable(ast.unparse(node))


def _arithmetic(node: ast.BinOp | ast.UnaryOp, names: Mapping[str, Any]) -> Any:
    try:
        match node:
            case ast.UnaryOp(op=ast.USub()):
                return -evaluate(node.operand, names)
            case ast.BinOp(op=ast.Add()):
                return evaluate(node.left, names) + evaluate(node.right, names)
            case ast.BinOp(op=ast.Mult()):
                return evaluate(node.left, names) * evaluate(node.right, names)
            case ast.BinOp(op=ast.FloorDiv()):
                return evaluate(node.left, names) // evaluate(node.right, names)
    except (TypeError, ZeroDivisionError) as error:
        raise Undecidable(ast.unparse(node)) from error
    raise Undecidable(ast.unparse(node))
