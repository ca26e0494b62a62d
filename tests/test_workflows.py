"""What GitHub runs: pinned actions, few permissions, no text of strangers in a shell, scripts that exist.

The lint job of CI runs actionlint besides, which knows the syntax; these are the rules of this project.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).parent.parent
WORKFLOWS = {path.name: path.read_text(encoding="utf-8") for path in sorted((TOP / ".github/workflows").glob("*.yml"))}
FORMS = {path.name: path.read_text(encoding="utf-8") for path in sorted((TOP / ".github/ISSUE_TEMPLATE").glob("*.yml"))}

PIN = re.compile(r"^\s*(?:- )?uses: (?P<action>[\w.-]+/[\w./-]+)@(?P<commit>[0-9a-f]{40}) # v\d+\.\d+\.\d+$")
LOCAL = re.compile(r"^\s*uses: \./\.github/workflows/(?P<file>[\w.-]+)$")
WRITES = {("release.yml", "pypi", "id-token"), ("release.yml", "github", "contents")}
"""All that any job may write."""

Texts = Mapping[str, str]


def jobs(text: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)["jobs"]
    return found


def steps(text: str) -> Iterator[dict[str, Any]]:
    for job in jobs(text).values():
        yield from job.get("steps", ())


def violations(workflows: Texts) -> list[str]:
    """Return what is wrong with workflows, name to text."""
    return [*_pins(workflows), *_permissions(workflows), *_shells(workflows), *_calls(workflows), *_limits(workflows)]


def _pins(workflows: Texts) -> Iterator[str]:
    commits: dict[str, str] = {}
    for name, text in workflows.items():
        for line in text.splitlines():
            if line.startswith("#") or "uses:" not in line or LOCAL.match(line):
                continue
            pin = PIN.match(line)
            if pin is None:
                yield f"{name}: not pinned to a commit with its version: {line.strip()}"
            elif commits.setdefault(pin["action"], pin["commit"]) != pin["commit"]:
                yield f"{name}: another commit of {pin['action']} than elsewhere"


def _permissions(workflows: Texts) -> Iterator[str]:
    for name, text in workflows.items():
        if yaml.safe_load(text).get("permissions") != {"contents": "read"}:
            yield f"{name}: it may do more than read"
        for job, told in jobs(text).items():
            for what, may in told.get("permissions", {}).items():
                if may != "read" and (name, job, what) not in WRITES:
                    yield f"{name}: {job} may write {what}"
        for step in steps(text):
            if (
                "actions/checkout" in step.get("uses", "")
                and step.get("with", {}).get("persist-credentials") is not False
            ):
                yield f"{name}: a checkout keeps the token"


def _shells(workflows: Texts) -> Iterator[str]:
    for name, text in workflows.items():
        for step in steps(text):
            script = step.get("run", "")
            if "${{" in script:
                yield f"{name}: an expression in a shell: {script.strip()}"
            for path in re.findall(r"(?:^|\s)(scripts/[\w.]+|\.ci/\w+)", script):
                if not os.access(TOP / path, os.X_OK):
                    yield f"{name}: no such script: {path}"


def _calls(workflows: Texts) -> Iterator[str]:
    for name, text in workflows.items():
        for job in jobs(text).values():
            called = LOCAL.match(f"uses: {job['uses']}") if "uses" in job else None
            known = inputs(workflows[called["file"]]) if called and called["file"] in workflows else None
            if "uses" in job and known is None:
                yield f"{name}: {job['uses']} is not called by its path here"
            yield from (f"{name}: no input {word}" for word in job.get("with", {}) if known and word not in known)


def inputs(text: str) -> dict[str, dict[str, Any]]:
    """Return the inputs of a reusable workflow; YAML reads the key ``on`` as true."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)[True]["workflow_call"]["inputs"]
    return found


def _limits(workflows: Texts) -> Iterator[str]:
    for name, text in workflows.items():
        yield from (f"{name}: {job} has no time limit" for job, told in jobs(text).items() if not _limited(told))


def _limited(job: Mapping[str, Any]) -> bool:
    return "uses" in job or "timeout-minutes" in job


def test_the_workflows_keep_the_rules() -> None:
    assert set(WORKFLOWS) == {"ci.yml", "smoke.yml", "release.yml"}
    assert violations(WORKFLOWS) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        ("ci.yml", r"@[0-9a-f]{40} # v\d+\.\d+\.\d+", "@v7", "not pinned to a commit"),
        ("ci.yml", r" # v\d+\.\d+\.\d+", "", "not pinned to a commit"),
        ("ci.yml", r"@[0-9a-f]{40}", f"@{'0' * 40}", "another commit of actions/checkout"),
        ("ci.yml", r"contents: read", "contents: write", "it may do more than read"),
        ("ci.yml", r"    timeout-minutes: 90", "    permissions: {packages: write}", "real may write packages"),
        ("ci.yml", r"          persist-credentials: false", "          fetch-depth: 0", "a checkout keeps the token"),
        ("ci.yml", r"scripts/test --lint", "scripts/tset --lint", "no such script: scripts/tset"),
        ("ci.yml", r"scripts/test --lint", "echo ${{ github.head_ref }}", "an expression in a shell"),
        ("ci.yml", r"spark-rl: \"\.\"", "sparkrl: .", "no input sparkrl"),
        ("ci.yml", r"uses: \./\.github/workflows/smoke", "uses: ./.github/workflows/smok", "is not called by its path"),
        ("release.yml", r"    timeout-minutes: 15", "", "build has no time limit"),
    ],
)
def test_a_planted_violation_is_found(file: str, old: str, new: str, found: str) -> None:
    planted = re.sub(old, new, WORKFLOWS[file], count=1)
    assert planted != WORKFLOWS[file]
    told = violations(WORKFLOWS | {file: planted})
    assert any(found in line for line in told), told


def test_every_supported_python_and_aarch64_are_tested() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    told = (word.rpartition(" :: ")[2] for word in project["classifiers"] if word.startswith("Programming Language"))
    supported = {version for version in told if "." in version}
    for file, job in (("ci.yml", "fast"), ("release.yml", "install")):
        rows = jobs(WORKFLOWS[file])[job]["strategy"]["matrix"]["include"]
        assert {row["python"] for row in rows} == supported
        assert {row["os"] for row in rows} == {"ubuntu-24.04", "ubuntu-24.04-arm"}


def test_every_input_of_the_reusable_workflow_is_described_and_used() -> None:
    text = WORKFLOWS["smoke.yml"]
    for name, told in inputs(text).items():
        assert told["description"].endswith("."), name
        assert "default" in told, name
        assert text.count(f"inputs.{name} }}}}") == 1, name


def test_the_reusable_workflow_keeps_its_reports_when_a_cell_fails() -> None:
    *_, last = jobs(WORKFLOWS["smoke.yml"])["smoke"]["steps"]
    assert last["if"] == "always()"
    assert set(last["with"]["path"].split()) == {"doctor.json", "smoke.json", "smoke.xml"}


def test_the_release_runs_nothing_with_a_write_permission_but_what_publishes() -> None:
    release = jobs(WORKFLOWS["release.yml"])
    for job in ("pypi", "github"):
        assert not any("checkout" in step.get("uses", "") for step in release[job]["steps"])
    assert release["pypi"]["needs"] == "install"
    assert release["install"]["needs"] == "build"


@pytest.mark.parametrize("file", ["bug.yml", "installation.yml"])
def test_an_issue_brings_the_document_of_the_machine(file: str) -> None:
    form = yaml.safe_load(FORMS[file])
    fields = {field["id"]: field for field in form["body"]}
    assert len(fields) == len(form["body"])
    assert "spark-rl doctor --json" in fields["doctor"]["attributes"]["description"]
    assert fields["doctor"]["validations"]["required"] is True
    assert fields["doctor"]["attributes"]["render"] == "json"


def test_every_form_says_what_it_is_for() -> None:
    assert yaml.safe_load(FORMS["config.yml"]) == {"blank_issues_enabled": False}
    for name, text in FORMS.items():
        if name != "config.yml":
            form = yaml.safe_load(text)
            assert form["name"]
            assert form["description"].endswith(".")
            assert all(field["attributes"]["label"] for field in form["body"])
