"""Attributes of config classes, read from source text: class bodies, inheritance and ``__post_init__``.

Isaac Lab's configs are dataclasses that set most values in the class body and change some in ``__post_init__``.
The post-inits of a class run after all class bodies, so they are asked first, the most derived class before its bases.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from spark_rl.literals import Module, Ref, Undecidable, evaluate, last_name, parse_module, parse_package

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ConfigSources"]

_CAMERAS = frozenset({"CameraCfg", "TiledCameraCfg"})
_Path = tuple[str, ...]
_Assignment = ast.Assign | ast.AugAssign


@dataclass(frozen=True, slots=True)
class _Class:
    """A class definition and the file it stands in."""

    file: _File
    node: ast.ClassDef


class _File:
    """A parsed file: its classes, and the names its top level binds."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}

    @cached_property
    def names(self) -> dict[str, Any]:
        names: dict[str, Any] = {"__name__": self.module.name, "__package__": self.module.package}
        for statement in self.module.body:
            names.update(self.module.imports(statement))
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                ):
                    try:
                        names[name] = evaluate(value, names)
                    except Undecidable:
                        names[name] = Undecidable
        return names


class ConfigSources:
    """Source texts by path, parsed when a class in them is asked for."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._paths = {parse_package(path)[0]: path for path in texts if path.endswith(".py")}
        self._texts = texts
        self._files: dict[str, _File | None] = {}
        self._bases: dict[tuple[str, str], tuple[_Class, ...]] = {}

    def text(self, path: str) -> str | None:
        """Return the text of a file, None when it is not among the sources."""
        return self._texts.get(path)

    def value(self, target: str, *path: str) -> Any:
        """Return what attribute ``path`` of config class ``target`` (``module:Class``) is set to.

        Returns:
            The constant, or None where the text does not say.
        """
        classes = self._line(target)
        for cls in classes:
            assignments = [node for node in _post_init(cls.node) if _sets(node, path)]
            if assignments:
                last = assignments[-1]
                given = _keyword(last.value, path[len(_assigned(last)) :])
                return _constant(given, cls.file) if _unconditional(cls.node, assignments) else None
            if _ends_chain(cls.node):
                break
        for cls in classes:
            default = _attribute(cls.node, path[0])
            if default is not None:
                return _constant(_keyword(default, path[1:]), cls.file)
        return None

    def has_camera(self, target: str) -> bool:
        """Return whether config class ``target`` has a camera sensor, in itself or in its scene."""
        return self._cameras(self._line(target), seen=set())

    def _cameras(self, classes: tuple[_Class, ...], seen: set[int]) -> bool:
        removed = {
            _assigned(node)[-1]
            for cls in classes
            for node in _post_init(cls.node)
            if _assigned(node) and isinstance(node.value, ast.Constant) and node.value.value is None
        }
        for cls in classes:
            if id(cls.node) in seen:
                continue
            seen.add(id(cls.node))
            if any(name not in removed and self._is_camera(node, cls.file, seen) for name, node in _parts(cls.node)):
                return True
        return False

    def _is_camera(self, node: ast.stmt, file: _File, seen: set[int]) -> bool:
        for part in ast.walk(node):
            if isinstance(part, ast.Name | ast.Attribute) and last_name(part) in _CAMERAS:
                return True
            made = self._find(file, part.func) if isinstance(part, ast.Call) else None
            if made is not None and self._cameras(self._line_of(made), seen):
                return True
        return False

    def _line(self, target: str) -> tuple[_Class, ...]:
        module, _, name = target.partition(":")
        cls = self._lookup(Ref(module, name))
        return self._line_of(cls) if cls else ()

    def _line_of(self, cls: _Class) -> tuple[_Class, ...]:
        """Return the class and its bases, most derived first (depth first, as single inheritance resolves)."""
        key = (cls.file.module.name, cls.node.name)
        if key not in self._bases:
            self._bases[key] = (cls,)  # a class that is its own ancestor ends here
            bases = [base for node in cls.node.bases if (base := self._find(cls.file, node)) is not None]
            self._bases[key] = (cls, *(ancestor for base in bases for ancestor in self._line_of(base)))
        return self._bases[key]

    def _find(self, file: _File, node: ast.expr) -> _Class | None:
        if isinstance(node, ast.Name) and node.id in file.classes:
            return _Class(file, file.classes[node.id])
        try:
            found = evaluate(node, file.names)
        except Undecidable:
            return None
        return self._lookup(found) if isinstance(found, Ref) else None

    def _lookup(self, ref: Ref, depth: int = 0) -> _Class | None:
        file = self._file(ref.module)
        if file is None or depth > 8:
            return None
        if ref.name in file.classes:
            return _Class(file, file.classes[ref.name])
        onward = file.names.get(ref.name)
        return self._lookup(onward, depth + 1) if isinstance(onward, Ref) else None

    def _file(self, module: str) -> _File | None:
        if module not in self._files:
            path = self._paths.get(module)
            try:
                self._files[module] = _File(parse_module(path, self._texts[path])) if path else None
            except Undecidable:
                self._files[module] = None
        return self._files[module]


def _post_init_of(node: ast.ClassDef) -> ast.FunctionDef | None:
    functions = (child for child in node.body if isinstance(child, ast.FunctionDef))
    return next((function for function in functions if function.name == "__post_init__"), None)


def _post_init(node: ast.ClassDef) -> Iterator[_Assignment]:
    function = _post_init_of(node)
    if function is not None:
        yield from (child for child in ast.walk(function) if isinstance(child, ast.Assign | ast.AugAssign))


def _ends_chain(node: ast.ClassDef) -> bool:
    """Whether a class has a post-init that does not call its base's."""
    function = _post_init_of(node)
    return function is not None and not any(last_name(child) == "super" for child in ast.walk(function))


def _unconditional(node: ast.ClassDef, assignments: list[_Assignment]) -> bool:
    function = _post_init_of(node)
    return function is not None and all(
        isinstance(assignment, ast.Assign) and assignment in function.body for assignment in assignments
    )


def _sets(node: _Assignment, path: _Path) -> bool:
    """Whether an assignment sets an attribute, or the whole that it is a part of."""
    assigned = _assigned(node)
    return bool(assigned) and path[: len(assigned)] == assigned


def _assigned(node: _Assignment) -> _Path:
    """Return the attribute path that an assignment sets: ``self.scene.num_envs = 4`` sets (scene, num_envs)."""
    path: list[str] = []
    target: ast.expr = node.target if isinstance(node, ast.AugAssign) else node.targets[0]
    while isinstance(target, ast.Attribute):
        path.insert(0, target.attr)
        target = target.value
    return tuple(path) if last_name(target) == "self" else ()


def _attribute(node: ast.ClassDef, name: str) -> ast.expr | None:
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                return value
            case ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value) if found == name:
                return value
    return None


def _parts(node: ast.ClassDef) -> Iterator[tuple[str, ast.stmt]]:
    """Yield what a class sets, by the last name of what is set."""
    for statement in node.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
            yield last_name(target), statement
    yield from ((path[-1], statement) for statement in _post_init(node) if (path := _assigned(statement)))


def _keyword(node: ast.expr, path: _Path) -> ast.expr | None:
    """Return the node of a nested keyword argument: ``Scene(num_envs=4)`` at (num_envs,) is 4."""
    for name in path:
        if not isinstance(node, ast.Call):
            return None
        found = next((k.value for k in node.keywords if k.arg == name), None)
        if found is None:
            return None
        node = found
    return node


def _constant(node: ast.expr | None, file: _File) -> Any:
    if node is None:
        return None
    try:
        value = evaluate(node, file.names)
    except Undecidable:
        return None
    return value if isinstance(value, str | int | float | bool) else None
