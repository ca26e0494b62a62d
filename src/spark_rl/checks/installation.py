"""Isaac Lab itself: which one is used, why, and whether its Python fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.checks.libraries import needed
from spark_rl.model import Finding
from spark_rl.text import either

if TYPE_CHECKING:
    from spark_rl.model import Installation, Plan

_NONE = Finding(
    code="isaaclab-missing",
    level="error",
    message="no Isaac Lab was found",
    hint="name one with SPARK_RL_ISAACLAB, or: pip install 'spark-rl[isaaclab]' into Python 3.12",
)


def lines(found: tuple[tuple[Installation, str], ...]) -> tuple[str, ...]:
    """Return every installation in words, the one in use first and with its reason."""
    if not found:
        return ("none",)
    (_, reason), *_ = found
    used, *others = (_told(entry) for entry, _ in found)
    return (used, f"used: {reason}", *(f"also {other}" for other in others))


def _told(entry: Installation) -> str:
    python = f", Python {entry.python_version}" if entry.python_version else ""
    return f"{entry.version} {entry.kind} in {entry.path}{python}"


def findings(found: tuple[tuple[Installation, str], ...]) -> tuple[Finding, ...]:
    """Return that there is none, or that the Python of the one in use does not fit."""
    return _python(found[0][0]) if found else (_NONE,)


def for_run(decided: Plan) -> tuple[Finding, ...]:
    """Return that the Python of a plan does not fit."""
    return _python(decided.isaaclab)


def _python(entry: Installation) -> tuple[Finding, ...]:
    wanted = needed(entry)
    if wanted is None or entry.python_version is None or entry.python_version in wanted.pythons:
        return ()
    return (
        Finding(
            code="python-version",
            # The wheel of 3.0 refuses other Pythons; 2.x leaves it to Isaac Sim, of which there are several.
            level="error" if entry.generation > 2 else "warning",
            message=f"Isaac Lab {entry.version} runs on Python {either(wanted.pythons)}, not {entry.python_version}",
            hint=f"make an environment for it: uv venv --python {wanted.pythons[-1]} PATH",
        ),
    )
