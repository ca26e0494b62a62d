"""The JUnit files of spark-rl against a schema, and against the report that they tell of."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import xmlschema

SCHEMA = Path(__file__).with_name("junit.xsd")
MARKS = {"failed": "failure", "interrupted": "error", "skipped": "skipped", "not-run": "skipped"}


@cache
def _schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(SCHEMA)


def validate(text: str) -> ET.Element:
    """Return a JUnit document that the schema accepts and whose counts are those of its cases."""
    _schema().validate(text)
    suites = ET.fromstring(text)
    (suite,) = suites
    cases = suite.findall("testcase")
    counted = {"tests": len(cases)}
    counted |= {f"{mark}s": len(suite.findall(f"testcase/{mark}")) for mark in ("failure", "error")}
    counted |= {"skipped": len(suite.findall("testcase/skipped"))}
    assert {name: int(suite.attrib[name]) for name in counted} == counted
    keys = [(case.get("classname"), case.get("name")) for case in cases]
    assert len(set(keys)) == len(keys), "GitLab drops the second of two of one name"
    return suite


def agree(file: Path, document: dict[str, Any]) -> None:
    """Check that a JUnit file is valid and says of each cell what the report says."""
    suite = validate(file.read_text(encoding="utf-8"))
    said = {
        f"{case.get('classname')}/{case.get('name')}".removesuffix("/default"): [mark.tag for mark in case]
        for case in suite.iter("testcase")
    }
    told = {cell["name"]: [MARKS[cell["status"]]] if cell["status"] != "passed" else [] for cell in document["cells"]}
    assert said == told
