"""A report as JUnit XML, in what the schemas of Jenkins (junit-10.xsd) and of Ant (JUnit.xsd) have in common.

GitLab and the actions for GitHub read the same. Ant's has no output for a single test: what a cell that passed has
measured is told in the output of the suite.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from spark_rl import times

if TYPE_CHECKING:
    from spark_rl.proofs import Report, Result

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, such as the escapes of terminals; none of it is told."""

_COLOUR = re.compile("\x1b\\[[0-9;]*[A-Za-z]")


def render(report: Report, told: str) -> str:
    """Return a report as JUnit XML.

    A cell that was interrupted is an error, since nobody knows how it would have ended; one that never began is
    skipped, as one that cannot run is.

    Args:
        report: The report, complete or not.
        told: The report as text, for the output of the suite.
    """
    statuses = [result.status for result in report.results]
    suites = ET.Element("testsuites")
    suite = ET.SubElement(
        suites,
        "testsuite",
        id="0",
        package="spark-rl",
        name="smoke",
        timestamp=times.iso(report.started_at).removesuffix("Z"),
        hostname=_token(report.hostname) or "localhost",
        tests=str(len(statuses)),
        failures=str(statuses.count("failed")),
        errors=str(statuses.count("interrupted")),
        skipped=str(statuses.count("skipped") + statuses.count("not-run")),
        time=f"{report.seconds:.3f}",
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _facts(report):
        ET.SubElement(properties, "property", name=name, value=_text(value))
    for result in report.results:
        suite.append(_case(result))
    ET.SubElement(suite, "system-out").text = _text(told)
    ET.SubElement(suite, "system-err")
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _facts(report: Report) -> tuple[tuple[str, str], ...]:
    return (
        ("spark-rl", report.spark_rl),
        ("isaaclab", f"{report.isaaclab.version} {report.isaaclab.kind}"),
        ("matrix", report.matrix),
        ("machine", f"{report.host.machine}, {report.host.os}"),
        ("device", report.device),
        ("complete", "true" if report.complete else "false"),
    )


def _case(result: Result) -> ET.Element:
    cell = result.cell
    name = cell.name.removeprefix(cell.task).removeprefix("/") or "default"
    case = ET.Element("testcase", classname=_token(cell.task), name=_token(name), time=f"{result.seconds:.3f}")
    message = _text(f"{result.message} ({result.hint})" if result.hint else result.message)
    if result.status in ("skipped", "not-run"):
        ET.SubElement(case, "skipped", message=message)
    elif result.status != "passed":
        word = "failure" if result.status == "failed" else "error"
        kind = result.kind or result.status
        ET.SubElement(case, word, type=kind, message=message).text = _text("\n".join((message, *result.log)))
    return case


def _text(text: str) -> str:
    return _ILLEGAL.sub("", _COLOUR.sub("", text))


def _token(text: str) -> str:
    return " ".join(_text(text).split())
