"""A task's configuration as text: groups and presets first, then the keys below one, then one key alone."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from spark_rl import value_types
from spark_rl.configuration import ROOTS
from spark_rl.override_values import literal
from spark_rl.text import cut, either

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spark_rl.configuration import Field, Preset
    from spark_rl.explanation import Explanation
    from spark_rl.tables import Screen

__all__ = ["page"]

_MANY = 60
"""More keys than this are not listed at once: the groups among them are counted."""
_NAME_WIDTH, _TYPE_WIDTH = 40, 26
_LABEL = 10

_Row = tuple[str, str, str]


def page(value: Explanation, on: Screen) -> str:
    """Return what was asked for: all, a part, or one key."""
    if value.one is not None:
        return "\n".join([on.bold(value.one.key), *_alone(value, value.one, on.width)])
    if not value.prefix:
        return "\n".join([*_heading(value, on), *_overview(value, on)])
    heading = [f"no key starts with {value.prefix!r}; these hold it"] if value.searched else _heading(value, on)
    rows = list(_found(value.leaves) if value.searched else _tree(value))
    return "\n".join([*heading, *_lines(rows, on), *_presets(value.presets, on)])


def _heading(value: Explanation, on: Screen) -> list[str]:
    lab = value.configuration
    chosen = f" with {' '.join(lab.selected)}" if lab.selected else ""
    told = f"{_count(len(value.leaves))}, {lab.source}{chosen}"
    return [on.bold(f"{lab.task}, {value.library}"), *_wrapped(told, on.width)]


def _count(number: int) -> str:
    return f"{number} key" + ("" if number == 1 else "s")


def _overview(value: Explanation, on: Screen) -> Iterator[str]:
    lab = value.configuration
    for root in (root for root in ROOTS if root in lab.fields):
        yield ""
        yield on.bold(root) + f"  ({_count(len(lab.leaves(root)))})"
        groups = [field for field in lab.children(root) if lab.below(field.key)]
        width = max((len(_name(field)) for field in groups), default=0)
        for field in groups:
            counted = f"  {_name(field):<{width}}  {len(lab.leaves(field.key)):>4}"
            yield cut(f"{counted}  {field.doc or ''}".rstrip(), on.width)
        own = [_name(field) for field in lab.children(root) if field not in groups]
        yield from _wrapped(f"  and {', '.join(own)}" if own else "", on.width)
    yield from _presets(value.presets, on)
    yield ""
    yield from _wrapped(f"see below one: spark-rl explain --task {lab.task} env.sim", on.width)


def _presets(presets: Iterable[Preset], on: Screen) -> list[str]:
    """Return the presets by what selects them, and the keys that each changes."""
    found: dict[tuple[str, str], list[str]] = {}
    for preset in presets:
        for name, selector, _ in preset.options:
            paths = found.setdefault((selector, name), [])
            paths += [preset.path] if preset.path not in paths else []
    if not found:
        return []
    lines = ["", on.bold("presets")]
    for (selector, name), paths in found.items():
        more = f" and {len(paths) - 2} more" if len(paths) > 2 else ""
        lines.append(cut(f"  {f'{selector}={name}':<30}  {', '.join(paths[:2])}{more}", on.width))
    return lines


def _tree(value: Explanation) -> Iterator[_Row]:
    """Yield the rows below a key, deeper ones further in; where they are many, groups only with their counts."""
    lab, many = value.configuration, len(value.leaves) > _MANY
    base = value.prefix.count(".") if value.prefix in lab.fields else value.prefix.count(".") - 1
    closed = ""
    for field in value.fields:
        if closed and field.key.startswith(closed):
            continue
        depth = field.key.count(".") - base
        below = lab.below(field.key)
        indent = "  " * depth
        if below and many and depth > 0:
            closed = f"{field.key}."
            yield f"{indent}{_name(field)}.", _count(len(lab.leaves(field.key))), ""
        elif below:
            yield f"{indent}{field.key if depth == 0 else _name(field)}", field.type_text, ""
        else:
            yield f"{indent}{_name(field)}", field.type_text, _default(field)


def _found(fields: Iterable[Field]) -> Iterator[_Row]:
    return ((field.key, field.type_text, _default(field)) for field in fields)


def _default(field: Field) -> str:
    if field.form == "group":
        return ""
    return "required" if field.required else f"= {field.value}" if field.value is not None else "= (an object)"


def _lines(rows: list[_Row], on: Screen) -> Iterator[str]:
    """Yield rows in three columns; a name too long for its column has a line of its own."""
    names = min(max((len(name) for name, _, _ in rows), default=0), _NAME_WIDTH, max(20, on.width // 2))
    kinds = min(
        max((len(kind) for _, kind, _ in rows), default=0), _TYPE_WIDTH, max(8, (on.width - names - 2) * 3 // 5)
    )
    for name, kind, default in rows:
        rest = f"{cut(kind, kinds):<{kinds}}  {default}".rstrip()
        if len(name) > names:
            yield name
            name = ""  # noqa: PLW2901 - the rest stands below
        yield cut(f"{name:<{names}}  {rest}".rstrip(), on.width)


def _alone(value: Explanation, field: Field, width: int) -> Iterator[str]:
    lab = value.configuration
    presets = [preset for preset in value.presets if preset.options]
    facts = [
        ("type", f"{field.type_text}: {value_types.say(field.kind)}"),
        ("default", "required: it has no value" if field.required else _default(field).removeprefix("= ") or "a group"),
        ("meaning", field.doc or ""),
        ("presets", "; ".join(f"{each.path} has {either(each.names)}" for each in presets)),
        ("source", f"{lab.source} of {lab.task}" + (f" with {' '.join(lab.selected)}" if lab.selected else "")),
        ("write", f"spark-rl train --task {lab.task} {_example(field)}"),
    ]
    for label, text in facts:
        lead = f"  {label:<{_LABEL}}"
        yield from textwrap.wrap(
            text, max(width, 40), initial_indent=lead, subsequent_indent=" " * len(lead), break_long_words=False
        )


def _example(field: Field) -> str:
    import shlex

    value = field.value if field.value is not None and len(field.value) <= 60 else "VALUE"
    return shlex.quote(f"{field.key}={_bare(value)}")


def _bare(text: str) -> str:
    """Return a value as an override spells it: a text that reads as nothing else needs no quotes."""
    inside = text[1:-1]
    return inside if text == repr(inside) and literal(inside) == inside else text


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, 20), subsequent_indent="    ", break_on_hyphens=False)


def _name(field: Field) -> str:
    return field.key.rpartition(".")[2]
