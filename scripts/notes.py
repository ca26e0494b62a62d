#!/usr/bin/env python3
"""Print what CHANGELOG.md says of this version.

scripts/notes.py [TAG]    ends 1 when TAG is not v and the version, or when the changelog has no section of it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent


def version() -> str:
    """Return the version, from the one place that holds it."""
    text = (TOP / "src" / "spark_rl" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if found is None:
        sys.exit("error: src/spark_rl/__init__.py has no __version__")
    return found[1]


def sections() -> dict[str, str]:
    """Return the text below each heading of the changelog; a heading begins with a version, or Unreleased."""
    text = (TOP / "CHANGELOG.md").read_text(encoding="utf-8")
    _, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    return {part.split(maxsplit=1)[0]: part.partition("\n")[2].strip() for part in parts}


def main(argv: list[str]) -> None:
    """Print the section of this version."""
    ours = version()
    if argv and argv[0] != f"v{ours}":
        sys.exit(f"error: the tag is {argv[0]}, and the version is {ours}\nhint: change src/spark_rl/__init__.py")
    if not (notes := sections().get(ours)):
        sys.exit(f"error: CHANGELOG.md says nothing of {ours}\nhint: put what is under Unreleased under: ## {ours}")
    print(notes)


if __name__ == "__main__":
    main(sys.argv[1:])
