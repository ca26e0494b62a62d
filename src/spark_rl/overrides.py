"""Checking overrides against a task's configuration, before Isaac Lab would take a mistyped one in silence.

Isaac Lab 3.0 sets ``KEY=VALUE`` on the resolved configuration without asking whether there is such a key, or what
type it has. It leaves ``+KEY=VALUE``, ``++KEY=VALUE`` and ``~KEY`` to Hydra, and then copies Hydra's result back: as it
stands where an agent config is a dict, into config objects only what keeps their keys and the types of their values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spark_rl import value_types
from spark_rl.configuration import ROOTS, UNWRITABLE
from spark_rl.errors import RequestError
from spark_rl.override_values import hydra_literal, literal
from spark_rl.text import either, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spark_rl.configuration import Configuration, Field

__all__ = ["Word", "check", "may_select", "parse", "selection"]

_INDEX = re.compile(r"(.+)\.(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One override: ``sign`` is ``+``, ``++``, ``~`` or nothing, ``value`` None where there is no ``=``."""

    text: str
    sign: str
    key: str
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wrong:
    """What is wrong with one override, and what would be right."""

    word: Word
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        return self.message + (f" ({self.hint})" if self.hint else "")


def parse(text: str) -> Word:
    """Return an override in its parts."""
    key, equals, value = text.partition("=")
    bare = key.lstrip("+~")
    return Word(text=text, sign=key[: len(key) - len(bare)], key=bare, value=value if equals else None)


def may_select(text: str) -> bool:
    """Say whether an override may choose a preset: a selector, or a text for a key."""
    word = parse(text)
    if word.sign or word.value is None:
        return False
    return "." not in word.key or (word.key.startswith(("env.", "agent.")) and isinstance(literal(word.value), str))


def selection(words: Iterable[str], configuration: Configuration) -> tuple[str, ...]:
    """Return the overrides that may choose a preset of this task; others cannot change its keys."""
    known = {*configuration.selectors, *(preset.path for preset in configuration.presets)}
    return tuple(text for text in words if may_select(text) and parse(text).key in known)


def check(words: Iterable[str], configuration: Configuration) -> tuple[str, ...]:
    """Compare overrides with the configuration; return the keys that it does not have, but may take.

    Raises:
        RequestError: A key does not exist, a value cannot be the key's, or a preset is unknown; all are named.
    """
    parsed = [parse(text) for text in words]
    wrong = list(_wrong_presets(parsed, configuration))
    if not wrong and configuration.refused is not None:
        chosen = " ".join(configuration.selected)
        raise RequestError(f"Isaac Lab refuses {chosen}: {configuration.refused}", _explain(configuration))
    check = _Check(configuration)
    wrong += [found for word in parsed if not _chooses(word, configuration) for found in check.word(word)]
    if len(wrong) == 1:
        hint = wrong[0].hint
        raise RequestError(wrong[0].message, f"{hint}; {_explain(configuration)}" if hint else _explain(configuration))
    if wrong:
        raise RequestError(
            f"{len(wrong)} overrides are wrong: {'; '.join(str(each) for each in wrong)}", _explain(configuration)
        )
    return tuple(check.added)


def _explain(configuration: Configuration) -> str:
    return f"see spark-rl explain --task {configuration.task}; --no-check skips this check"


def _chooses(word: Word, configuration: Configuration) -> bool:
    """Whether a word chooses presets: these were looked at by name, and resolved."""
    return not word.sign and (word.key in configuration.selectors or word.text in configuration.selected)


def _wrong_presets(words: Iterable[Word], configuration: Configuration) -> Iterator[_Wrong]:
    for word in words:
        if word.sign or not word.value:
            continue
        if word.key in configuration.selectors:
            names = [name.strip() for name in word.value.split(",") if name.strip()]
            yield from (_no_preset(word, name, configuration) for name in names if not _known(name, configuration))
        elif configuration.refused is not None and word.text in configuration.selected:
            there = {name for preset in configuration.presets_at(word.key) for name in (*preset.names, "default")}
            if dict(configuration.aliases).get(word.value, word.value) not in there:
                yield _Wrong(
                    word=word,
                    message=f"{word.text}: {word.key} has no preset {word.value}",
                    hint=_among(word.value, there),
                )


def _known(name: str, configuration: Configuration) -> bool:
    names = {each for preset in configuration.presets for each in (*preset.names, "default")}
    return name in names or dict(configuration.aliases).get(name) in names


def _no_preset(word: Word, name: str, configuration: Configuration) -> _Wrong:
    options = (option for preset in configuration.presets for option in preset.options)
    fitting = dict.fromkeys(each for each, selector, _ in options if word.key in (selector, "presets"))
    hint = _among(name, fitting) if fitting else f"this task has none to choose with {word.key}="
    return _Wrong(word=word, message=f"{word.text}: {configuration.task} has no preset {name}", hint=hint)


def _among(name: str, names: Iterable[str]) -> str:
    names = tuple(names)
    close = nearest(name, names)
    return f"did you mean {either(close)}?" if close else f"it has {either(sorted(names))}"


class _Check:
    """Overrides in the order in which they are applied: one may take away what the next one sets."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.set: dict[str, Any] = {}
        self.added: list[str] = []

    def word(self, word: Word) -> Iterator[_Wrong]:
        """Yield what is wrong with a word, at most one thing."""
        root = word.key.partition(".")[0]
        if word.key.endswith("+"):
            yield _Wrong(
                word=word, message=f"{word.text}: Isaac Lab adds nothing to a list", hint="write the whole list"
            )
        elif root == "hydra" or word.key.startswith("hydra/"):
            return
        elif root not in ROOTS or root not in self.configuration.fields:
            yield self._unknown(word)
        elif word.sign == "~":
            yield from self._removed(word)
        elif word.value is None:
            yield _Wrong(word=word, message=f"{word.text} has no value", hint=f"write {word.text}=VALUE")
        elif word.sign:
            yield from self._merged(word, hydra_literal(word.value))
        else:
            yield from self._plain(word)

    def _plain(self, word: Word) -> Iterator[_Wrong]:
        read = hydra_literal if self.configuration.hydra else literal
        value = read(word.value or "")
        field = self.configuration.fields.get(word.key)
        gone = self._gone(word.key)
        if gone is not None:
            if not _holds(self.set[gone], word.key.removeprefix(f"{gone}.").split(".")):
                yield _Wrong(
                    word=word, message=f"{word.text}: an override before it set {gone} as a whole", hint="use one"
                )
        elif field is None and self._is_optional(word.key):
            self.set[word.key] = value
            self.added.append(word.key)
        elif field is None or "." not in word.key:
            yield self._unknown(word)
        elif not _fits(field, value):
            yield _misfit(word, field, value)
        else:
            self.set[word.key] = value

    def _is_optional(self, key: str) -> bool:
        """Whether a key may be one that an RL library reads where it is given: a YAML config lists the usual ones.

        One that resembles a key of the config is taken for a mistyped one.
        """
        return not self.configuration.hydra and self._new_key(key) and not self.configuration.nearest_keys(key)

    def _gone(self, key: str) -> str | None:
        """Return the key above ``key`` that an earlier override has replaced."""
        return next((above for above in self.set if key.startswith(f"{above}.")), None)

    def _merged(self, word: Word, value: Any) -> Iterator[_Wrong]:
        field = self.configuration.fields.get(word.key) or self._item(word.key)
        if word.sign == "+" and field is not None:
            yield _Wrong(word=word, message=f"{word.text}: {word.key} is there already", hint="write it without +")
        elif field is None and not self._takes_new(word.key):
            yield self._unknown(word)
        elif field is None or _is_member(field, value):
            return
        elif not _fits(field, value):
            yield _misfit(word, field, value)
        elif not self._is_dict(word.key) and not _same_type(field, value):
            yield _Wrong(
                word=word,
                message=f"{word.text}: after ++ Isaac Lab takes a {field.actual or 'null'} alone here",
                hint="write it without ++",
            )

    def _item(self, key: str) -> Field | None:
        """Return the field whose item a key such as ``units.0`` names, as Hydra allows."""
        found = _INDEX.fullmatch(key)
        field = self.configuration.fields.get(found[1]) if found else None
        value = field.default if field is not None else None
        if field is None or found is None or not isinstance(value, list | tuple) or int(found[2]) >= len(value):
            return None
        item = value[int(found[2])]
        return type(field)(key=key, actual=type(item).__name__, value=repr(item))

    def _takes_new(self, key: str) -> bool:
        owner = self.configuration.owner(key)
        return owner is not None and owner.form == "dict" and self._is_dict(key)

    def _is_dict(self, key: str) -> bool:
        """Whether a key's root is a dict, which Hydra's result replaces as a whole."""
        return self.configuration.fields[key.partition(".")[0]].form == "dict"

    def _removed(self, word: Word) -> Iterator[_Wrong]:
        field = self.configuration.fields.get(word.key)
        if field is None:
            yield self._unknown(word)
        elif not self._is_dict(word.key):
            yield _Wrong(
                word=word,
                message=f"{word.text}: Isaac Lab ignores it, {word.key} stays",
                hint=f"to switch it off write {word.key}=null",
            )
        elif word.value is not None and field.form == "field" and hydra_literal(word.value) != field.default:
            yield _Wrong(word=word, message=f"{word.text}: {word.key} is {field.value}", hint=f"write ~{word.key}")

    def _unknown(self, word: Word) -> _Wrong:
        close = self.configuration.nearest_keys(word.key)
        hint = f"did you mean {either(close)}?" if close else None
        owner = self.configuration.owner(word.key)
        if not close and not word.sign and self._new_key(word.key):
            hint = f"to add a key write +{word.text}"
        elif not close and owner is not None and owner.form == "dict":
            hint = f"set the dict as a whole: {owner.key}={{...}}"
        return _Wrong(word=word, message=f"{word.text}: there is no {word.key}", hint=hint)

    def _new_key(self, key: str) -> bool:
        return key.partition(".")[0] in self.configuration.fields and self._takes_new(key)


def _holds(value: Any, parts: list[str]) -> bool:
    """Whether a value that an override has set has the key that the next one changes."""
    for part in parts:
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True


def _fits(field: Field, value: Any) -> bool:
    return value_types.accepts(field.kind, value) or (field.form == "field" and _equal(field.default, value))


def _is_member(field: Field, value: Any) -> bool:
    """Whether a value stands for a member of an enumeration, which Isaac Lab makes of what Hydra hands back."""
    return any(part.name == "Enum" and value in part.choices for part in _parts(field.kind))


def _parts(kind: value_types.Kind) -> tuple[value_types.Kind, ...]:
    return kind.inside if kind.name == "union" else (kind,)


def _equal(default: Any, value: Any) -> bool:
    return default is not UNWRITABLE and type(default) is type(value) and default == value


def _same_type(field: Field, value: Any) -> bool:
    """Whether Isaac Lab copies a value of Hydra's back into a config object."""
    if value is None:
        return True
    if isinstance(value, list | tuple | dict):
        return field.actual is not None and field.actual.startswith(("list", "tuple", "dict"))
    if field.actual == "callable":
        return isinstance(value, str)
    return value_types.of(value).name == field.actual or (field.actual or "").startswith(("Literal", "Enum"))


def _misfit(word: Word, field: Field, value: Any) -> _Wrong:
    if field.form == "group":
        inside = f"{field.type_text} is set key by key"
        return _Wrong(word=word, message=f"{word.text}: {inside}", hint=f"{field.key}.KEY=VALUE, or {field.key}=null")
    kind = field.kind
    return _Wrong(
        word=word,
        message=f"{word.text}: {field.key} takes {value_types.say(kind)}, not {_shown(value)}",
        hint=_spelling(word, kind, value),
    )


def _shown(value: Any) -> str:
    kind = {int: "the number ", float: "the number ", str: "the text "}.get(type(value), "")
    return "null" if value is None else f"{kind}{value!r}"


def _spelling(word: Word, kind: value_types.Kind, value: Any) -> str | None:
    """Return how the value could be written so that it fits, None where nobody knows."""
    parts = _parts(kind)
    names = {part.name for part in parts}
    if any(part.name == "Enum" and value in part.choices for part in parts):
        return f"write ++{word.text}, which makes it a member of the enumeration"
    texts = [choice for part in parts for choice in part.choices if isinstance(choice, str)]
    if word.value in texts or (isinstance(value, int | float) and "str" in names):
        return f"quote the text: {word.key}=\"'{word.value}'\""
    if isinstance(value, str) and value.startswith(("[", "(")) and {"list", "tuple"} & names:
        return f"quote the texts inside: \"{word.key}=['a', 'b']\""
    if isinstance(value, float) and value.is_integer() and "int" in names:
        return f"write {word.key}={int(value)}"
    if value in ("inf", "-inf") and {"float", "number"} & names:
        return f"write {word.key}={value.replace('inf', '1e999')}"
    if isinstance(value, str):
        close = nearest(value, texts)
        return f"did you mean {either(close)}?" if close else None
    return None
