"""What the README and docs/deploy.md say is what the code says; `python -m tests.unit.test_readme` writes the table anew."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from tests.unit.template.sam_template import read_template

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs/deploy.md"
_TABLE = re.compile(r"(<!-- parameters -->\n).*(<!-- /parameters -->)", re.DOTALL)


def parameters_table() -> str:
    parameters: dict[str, Any] = read_template()["Parameters"]
    lines = ["| parameter | default | meaning |", "| --- | --- | --- |"]
    for name, parameter in parameters.items():
        default = parameter.get("Default")
        shown = "required" if default is None else f"`{default}`" if default != "" else "empty"
        lines.append(f"| `{name}` | {shown} | {parameter['Description']} |")
    return "\n".join(lines) + "\n"


def with_table(readme: str) -> str:
    return _TABLE.sub(lambda match: match.group(1) + parameters_table() + match.group(2), readme)


def test_the_parameters_of_the_template_are_explained() -> None:
    text = DEPLOY.read_text()
    assert text == with_table(text), "run: python -m tests.unit.test_readme"


def test_the_readme_is_read_in_a_minute() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 90


def test_every_target_that_the_readme_names_exists() -> None:
    texts = "\n".join(
        (ROOT / name).read_text()
        for name in (
            "README.md",
            *(f"docs/{page}.md" for page in ("deploy", "documents", "layer", "runbooks", "testing")),
        )
    )
    named = set(re.findall(r"(?m)(?:^|`)make ([a-z][a-z-]*)", texts))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets


def test_every_file_that_the_documents_link_to_exists() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_architecture_names_every_function_and_its_handler() -> None:
    document = (ROOT / "docs/architecture.md").read_text()
    for name, resource in read_template()["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = resource["Properties"]
            module = properties["Handler"].replace(".handler", "")
            assert f"(`{name}`) | `{properties['CodeUri']}/{module}.handler`" in document


def test_every_alarm_has_its_runbook() -> None:
    headings = [
        line for line in (ROOT / "docs/runbooks.md").read_text().splitlines() if line.startswith("## ")
    ]
    named = set(re.findall(r"\w+Alarm", " ".join(headings)))
    alarms = {
        name
        for name, resource in read_template()["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }
    assert named == alarms


if __name__ == "__main__":
    path = DEPLOY
    path.write_text(with_table(path.read_text()))
    sys.exit(0)
