"""A task's resolved configuration: its keys with types and defaults, and the presets that change them."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self

from spark_rl import value_types
from spark_rl.override_values import spell
from spark_rl.text import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spark_rl.value_types import Kind

__all__ = ["ROOTS", "SCHEMA", "UNWRITABLE", "Configuration", "Field", "Form", "Preset"]

SCHEMA = "spark-rl/configuration/1"
ROOTS = ("env", "agent")
UNWRITABLE = object()
"""The value of a field whose value no literal writes."""

Form = Literal["group", "dict", "field"]
_VAGUE = (None, "Any", "tuple", "list", "dict")
_OBJECT = re.compile(r"object\[(\w*)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One key: ``group`` is a config object, ``dict`` a mapping, ``field`` everything else.

    ``declared`` is the annotated type as text, None where there is none, ``actual`` the type of ``value`` (of a group:
    its class). ``value`` is the default as Python spells it, None where nothing says it: a field without a value has
    no ``actual`` either.
    """

    key: str
    form: Form = "field"
    declared: str | None = None
    actual: str | None = None
    value: str | None = None
    doc: str | None = None

    @property
    def required(self) -> bool:
        """Whether the field has no value yet."""
        return self.form == "field" and self.actual is None

    @property
    def default(self) -> Any:
        """The value itself, :data:`UNWRITABLE` where no literal writes it."""
        if self.value is None:
            return UNWRITABLE
        try:
            return ast.literal_eval(self.value)
        except (ValueError, SyntaxError):
            return UNWRITABLE

    @property
    def kind(self) -> Kind:
        """The type of what may be set.

        Annotations are not always true to their values: the type of the value is right as well.
        """
        if self.form == "group":
            return value_types.NOTHING
        actual = value_types.parse(self.actual) if self.actual else None
        if self.declared is None or value_types.parse(self.declared) == value_types.ANYTHING:
            return value_types.loosened(actual) if actual else value_types.ANYTHING
        declared = value_types.parse(self.declared)
        if self.actual in (None, "None", "callable"):
            declared = value_types.functions(declared)
        if actual is None:
            return declared
        if declared.name == actual.name == "tuple" and not (declared.inside or declared.open_ended):
            return value_types.loosened(actual)
        if value_types.accepts(declared, self.default) or actual in (declared, *declared.inside):
            return declared
        return value_types.union(declared, actual)

    @property
    def type_text(self) -> str:
        """The type as a person reads it: what is annotated, where that says more than the value does."""
        vague = self.form != "field" or self.declared in _VAGUE
        actual = self.declared if self.actual == "None" else self.actual
        return _OBJECT.sub(r"\1", (actual if vague else self.declared) or "Any")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A place with alternatives: ``options`` are (name, selector, value in a few words), ``default`` left out."""

    path: str
    default: str
    options: tuple[tuple[str, str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the alternatives."""
        return tuple(name for name, _, _ in self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What a task's environment and agent can be told, under one selection of presets.

    ``source`` says where it comes from. ``selected`` are the words that chose presets, ``refused`` why Isaac Lab takes
    no such choice (None: it does). ``aliases`` are old names of presets. ``hydra`` is True where Hydra reads every
    override (2.x); 3.0 sets plain ones itself and leaves ``+`` and ``~`` to Hydra.
    """

    task: str
    agent: str | None
    source: str
    fields: Mapping[str, Field]
    presets: tuple[Preset, ...] = ()
    selectors: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    selected: tuple[str, ...] = ()
    refused: str | None = None
    hydra: bool = False

    @classmethod
    def from_document(cls, document: Mapping[str, Any], source: str) -> Self:
        """Read what the driver wrote; of its resolutions the last one counts.

        Raises:
            KeyError: Something is missing in the document; TypeError and ValueError likewise.
        """
        chosen, base = document["resolutions"][-1], document["resolutions"][0]
        return cls(
            task=document["task"],
            agent=document["agent"],
            source=source,
            fields=_fields(chosen.get("rows", base["rows"])),
            presets=tuple(_preset(entry) for entry in document["presets"]),
            selectors=tuple(document["selectors"]),
            aliases=tuple(document["aliases"].items()),
            selected=tuple(chosen["words"]),
            refused=chosen.get("refused"),
        )

    @classmethod
    def from_values(cls, values: Mapping[str, Any], *, task: str, source: str, objects: Iterable[str]) -> Self:
        """Read the configuration that an earlier run wrote down: its types are those of its values.

        Args:
            values: The values by root: ``env``, ``agent``.
            task: Id of the task.
            source: Where they were read.
            objects: The roots that Isaac Lab keeps as config objects, to which no key can be added.
        """
        rows = [field for root, value in values.items() for field in _walk(root, value)]
        forms = [replace(field, form="group") if field.key in objects else field for field in rows]
        return cls(
            task=task,
            agent=None,
            source=source,
            fields=MappingProxyType({field.key: field for field in forms}),
            hydra=True,
        )

    def below(self, prefix: str) -> tuple[Field, ...]:
        """Return the fields under a key, in order; all of them for an empty prefix."""
        start = f"{prefix}." if prefix else ""
        return tuple(field for key, field in self.fields.items() if key.startswith(start))

    def children(self, prefix: str) -> tuple[Field, ...]:
        """Return the fields one level under a key."""
        depth = prefix.count(".") + 1 if prefix else 0
        return tuple(field for field in self.below(prefix) if field.key.count(".") == depth)

    def leaves(self, prefix: str) -> tuple[Field, ...]:
        """Return the fields under a key that hold values; groups, and dicts with keys of their own, are left out."""
        parents = {key.rpartition(".")[0] for key in self.fields}
        return tuple(field for field in self.below(prefix) if field.form != "group" and field.key not in parents)

    def owner(self, key: str) -> Field | None:
        """Return the deepest field that ``key`` lies in, itself left out."""
        parts = key.split(".")
        above = (".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1))
        return next((self.fields[prefix] for prefix in above if prefix in self.fields), None)

    def presets_at(self, path: str) -> tuple[Preset, ...]:
        """Return the presets declared at a key."""
        return tuple(preset for preset in self.presets if preset.path == path)

    def nearest_keys(self, key: str) -> tuple[str, ...]:
        """Return the keys that were probably meant: siblings first, then the same or a like name elsewhere."""
        owner = self.owner(key)
        parts, name = key.split("."), key.rpartition(".")[2]
        if owner is not None:
            wrong = parts[owner.key.count(".") + 1]
            rest = parts[owner.key.count(".") + 2 :]
            siblings = [field.key.rpartition(".")[2] for field in self.children(owner.key)]
            close = [".".join((owner.key, one, *rest)) for one in nearest(wrong, siblings)]
            close = [one for one in close if one in self.fields]
            if close:
                return tuple(close[:3])
        inside = f"{owner.key}." if owner is not None else ""
        keys = [one for one in self.fields if one.startswith(inside)]
        same = [one for one in keys if one.endswith(f".{key}")] or [one for one in keys if one.endswith(f".{name}")]
        if same:
            return tuple(sorted(same, key=lambda one: one.count("."))[:3])
        names: dict[str, str] = {}
        for one in sorted(keys, key=lambda one: one.count(".")):
            names.setdefault(one.rpartition(".")[2], one)
        return tuple(names[one] for one in nearest(name, names))


def _fields(rows: Iterable[list[Any]]) -> Mapping[str, Field]:
    return MappingProxyType(
        {
            key: Field(key=key, form=form, declared=declared, actual=actual, value=value, doc=doc)
            for key, form, declared, actual, value, doc in rows
        }
    )


def _preset(entry: Mapping[str, Any]) -> Preset:
    options = tuple((name, *told) for name, told in entry["names"].items() if name != "default")
    return Preset(path=entry["path"], default=entry["default"], options=options)


def _walk(key: str, value: Any) -> Iterable[Field]:
    if isinstance(value, dict):
        yield Field(key=key, form="dict", actual="dict", value=repr(value) if not value else None)
        for name, below in value.items():
            if isinstance(name, str) and "." not in name:
                yield from _walk(f"{key}.{name}", below)
    else:
        yield Field(key=key, actual=_type_text(value), value=spell(value))


def _type_text(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, tuple):
        return f"tuple[{', '.join(_type_text(item) for item in value)}]" if value else "tuple"
    if isinstance(value, list):
        kinds = dict.fromkeys(_type_text(item) for item in value)
        return f"list[{' | '.join(kinds)}]" if kinds else "list"
    return type(value).__name__
