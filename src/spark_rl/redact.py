"""Keeping secrets out of records: what smells of one becomes ``***``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

HIDDEN = "***"
"""What stands in a record where a secret was."""

_ALWAYS = ("apikey", "passw", "passphrase", "secret", "credential", "privatekey", "accesskey", "authkey")
_SHORT = re.compile(r"\d{1,5}|\d*\.\d+|true|false|none|null|\*\*\*|", re.IGNORECASE)
"""Values that are no secret whatever their key is called: ``num_tokens=16``."""

_NAME = re.compile(r"""(?<![\w.-])[-.]*(?P<key>[A-Za-z_][\w.-]*)["']?\s?[=:]\s?""")
_VALUE = re.compile(r""""[^"]*"|'[^']*'|[^\s,;&(){}\[\]"']+""")
_URL = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]{1,20}://)(?:[^/\s@:?#]*:[^/\s]*|(?<=https://)[^/\s@]+|(?<=http://)[^/\s@]+)@"
)
_BEARER = re.compile(r"(?P<head>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE)
_SHAPES = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|wandb_v\d_\w{16,}"
    r"|(?:sk|nvapi|xox[abeprs])-[\w-]{16,}|A[KS]IA[0-9A-Z]{16}|AIza[\w-]{30,}"
    r"|eyJ[\w-]{8,500}\.eyJ[\w-]{8,}\.[\w-]*|local-[0-9a-f]{40}"
    r")"
)
_KNOWN_LENGTH = 8
"""Shorter secrets are not looked for elsewhere, nor what looks like a path: every path would have holes."""


def smells(name: str) -> bool:
    """Say whether a variable, key or option of this name holds a secret."""
    folded = re.sub(r"[^a-z0-9]", "", name.lower())
    if any(part in folded for part in _ALWAYS):
        return True
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return any(
        word.lower().endswith(("token", "tokens")) or word.lower() in ("auth", "authorization") for word in words
    )


def word(text: str) -> str:
    """Return one word of a command line, an environment or a message without its secrets."""
    key, sign, value = text.partition("=")
    if sign and _is_name(key) and smells(key) and not _SHORT.fullmatch(value):
        return f"{key}={HIDDEN}"
    text = _BEARER.sub(rf"\g<head>{HIDDEN}", _URL.sub(rf"\g<scheme>{HIDDEN}@", text))
    return _SHAPES.sub(HIDDEN, "".join(_without_values(text)))


def _without_values(text: str) -> Iterator[str]:
    """Yield a text in parts, with the values of telling names hidden, wherever in it."""
    done = 0
    for name in _NAME.finditer(text):
        value = _VALUE.match(text, name.end()) if name.start() >= done and smells(name["key"]) else None
        if value and not _SHORT.fullmatch(value[0]):
            yield f"{text[done : name.end()]}{HIDDEN}"
            done = value.end()
    yield text[done:]


def words(argv: Iterable[str]) -> tuple[str, ...]:
    """Return a command line without its secrets; ``--api-key X`` loses its second word."""
    shown: list[str] = []
    hide = False
    for text in argv:
        hidden = hide and not text.startswith("-") and not _SHORT.fullmatch(text)
        shown.append(HIDDEN if hidden else word(text))
        hide = text.startswith("-") and "=" not in text and smells(text)
    return tuple(shown)


def variables(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets that an environment holds, to look for them in documents."""
    yield from (value for name, value in environ.items() if smells(name) and not _SHORT.fullmatch(value))


def document(value: Any, known: Iterable[str] = ()) -> Any:
    """Return a JSON document without its secrets, wherever in it they are.

    What stands in one place as the value of a telling key is hidden in all others too.

    Args:
        value: Dictionaries, lists or tuples, texts and numbers; tuples become lists.
        known: Secrets from elsewhere, such as those of :func:`variables`.
    """
    texts = {text for text in (*known, *_secrets(value)) if len(text) >= _KNOWN_LENGTH and not text.startswith("/")}
    longest_first = sorted(texts, key=len, reverse=True)
    return _document(value, re.compile("|".join(map(re.escape, longest_first))) if texts else None)


def _document(value: Any, known: re.Pattern[str] | None) -> Any:
    if isinstance(value, str):
        return word(known.sub(HIDDEN, value) if known else value)
    if isinstance(value, dict):
        return {
            name: _emptied(item) if isinstance(name, str) and smells(name) else _document(item, known)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        if all(isinstance(item, str) for item in value):
            texts = [known.sub(HIDDEN, item) if known else item for item in value]
            return _pair(texts) or list(words(texts))
        return [_document(item, known) for item in value]
    return value


def _pair(texts: Sequence[str]) -> list[str] | None:
    """Return a (name, value) pair of an environment without its secret, None when it is no such pair."""
    if len(texts) == 2 and _is_name(texts[0]) and smells(texts[0]) and not _SHORT.fullmatch(texts[1]):
        return [texts[0], HIDDEN]
    return None


def _emptied(value: Any) -> Any:
    if isinstance(value, str):
        return value if _SHORT.fullmatch(value) else HIDDEN
    if isinstance(value, dict):
        return {name: _emptied(item) for name, item in value.items()}
    return [_emptied(item) for item in value] if isinstance(value, (list, tuple)) else value


def _secrets(value: Any) -> Iterator[str]:
    """Yield the texts that :func:`_document` hides for their key alone."""
    if isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str) and isinstance(name, str) and smells(name):
                yield item
            else:
                yield from _secrets(item)
    elif isinstance(value, (list, tuple)):
        for before, item in zip(("", *value), value, strict=False):
            if isinstance(item, str):
                yield from _word_secrets(before if isinstance(before, str) else "", item, pair=len(value) == 2)
            else:
                yield from _secrets(item)


def _word_secrets(before: str, text: str, *, pair: bool) -> Iterator[str]:
    key, sign, value = text.partition("=")
    if sign and _is_name(key) and smells(key):
        yield value.strip("\"'")
    elif "=" not in before and (before.startswith("-") or (pair and _is_name(before))) and smells(before):
        yield text


def _is_name(text: str) -> bool:
    return re.fullmatch(r"[-+~]*[A-Za-z_][\w.@/-]*", text) is not None
