"""What a task can be told: its keys with types and defaults, as a value and as ``spark-rl/explain/1``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spark_rl.configuration import ROOTS, UNWRITABLE
from spark_rl.errors import RequestError
from spark_rl.text import either

if TYPE_CHECKING:
    from spark_rl.configuration import Configuration, Field, Preset

__all__ = ["SCHEMA", "Explanation", "explain"]

SCHEMA = "spark-rl/explain/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A part of a configuration.

    ``prefix`` is a key, or the text that was searched where ``searched`` is True, or empty for all. ``fields`` are the
    keys that are meant, groups included, in order; ``presets`` those that change any of them.
    """

    configuration: Configuration
    library: str
    version: str
    prefix: str
    fields: tuple[Field, ...]
    presets: tuple[Preset, ...]
    searched: bool = False

    @property
    def one(self) -> Field | None:
        """The field itself, where ``prefix`` is the key of one that has nothing below."""
        field = self.configuration.fields.get(self.prefix)
        return field if field is not None and not self.configuration.below(self.prefix) else None

    @property
    def leaves(self) -> tuple[Field, ...]:
        """Those of ``fields`` that hold a value."""
        holding = {field.key for field in self.configuration.leaves("")}
        return tuple(field for field in self.fields if field.key in holding)

    def to_document(self) -> dict[str, Any]:
        """Return the ``spark-rl/explain/1`` document."""
        lab = self.configuration
        groups = (field for field in self.fields if lab.below(field.key))
        return {
            "schema": SCHEMA,
            "isaaclab": self.version,
            "task": lab.task,
            "library": self.library,
            "agent": lab.agent,
            "source": lab.source,
            "selected": list(lab.selected),
            "prefix": self.prefix,
            "searched": self.searched,
            "presets": [_preset(preset) for preset in self.presets],
            "groups": [
                {"key": field.key, "type": field.type_text, "keys": len(lab.leaves(field.key)), "doc": field.doc}
                for field in groups
            ],
            "keys": [_key(field) for field in self.leaves],
        }


def explain(configuration: Configuration, prefix: str, *, library: str, version: str) -> Explanation:
    """Return what lies at and below a key; where there is no such key, the keys that hold the text.

    Raises:
        RequestError: No key holds it.
    """
    prefix = prefix.rstrip(".")
    fields = configuration.fields.values()
    below = tuple(field for field in fields if _lies_in(field.key, prefix))
    # Not a whole key: env.sc is the beginning of env.scene.
    found = below or tuple(field for field in fields if "." in prefix and field.key.startswith(prefix))
    searched = not found
    found = found or tuple(field for field in fields if prefix.lower() in field.key.lower())
    if not found:
        close = configuration.nearest_keys(prefix)
        hint = f"did you mean {either(close)}?" if close else f"start from {either(ROOTS)}"
        raise RequestError(f"{configuration.task} has no key with {prefix!r} in it", hint)
    keys = {field.key for field in found}
    return Explanation(
        configuration=configuration,
        library=library,
        version=version,
        prefix=prefix,
        fields=found,
        presets=tuple(p for p in configuration.presets if p.path in keys or _lies_in(prefix, p.path)),
        searched=searched,
    )


def _lies_in(key: str, prefix: str) -> bool:
    return not prefix or key == prefix or key.startswith(f"{prefix}.")


def _preset(preset: Preset) -> dict[str, Any]:
    options = [{"name": name, "selector": selector, "value": value} for name, selector, value in preset.options]
    return {"path": preset.path, "default": preset.default, "options": options}


def _key(field: Field) -> dict[str, Any]:
    known = field.default is not UNWRITABLE
    return {
        "key": field.key,
        "type": field.type_text,
        "default": field.default if known else None,
        "default_known": known,
        "required": field.required,
        "doc": field.doc,
    }
