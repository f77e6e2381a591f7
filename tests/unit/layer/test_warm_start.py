from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from billing.documents.invoice import LANGUAGES
from billing.documents.pdf.warm_start import is_init, render_once, warm_up_invoice
from billing.documents.rendered import RenderedPdf
from billing.errors import RenderFailed

if TYPE_CHECKING:
    from billing.documents.invoice import Logo, PrintedInvoice


ROOT = Path(__file__).parents[3]


class Renderer:
    """Remembers what it was asked to draw; refuses when told to."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.drawn: list[PrintedInvoice] = []
        self._refuses = refuses

    def render_invoice(self, printed: PrintedInvoice, logo: Logo | None) -> RenderedPdf:
        assert logo is None
        self.drawn.append(printed)
        if self._refuses:
            message = "The document could not be rendered (ValueError)."
            raise RenderFailed(message, quote="", invoice=printed.id)
        return RenderedPdf(b"")


def test_one_document_is_drawn_and_its_failure_is_left_to_the_documents_that_follow() -> None:
    for refuses in (False, True):
        renderer = Renderer(refuses=refuses)
        render_once(renderer)
        assert [printed.number for printed in renderer.drawn] == ["0"]


def test_the_first_document_of_no_language_reads_a_file_or_compiles_a_template() -> None:
    """In a process of its own, in which no other test has read anything."""
    program = (
        "import sys\n"
        "from dataclasses import replace\n"
        "from billing.documents.template import DocumentTemplate\n"
        "from billing.documents.pdf.warm_start import render_once, warm_up_invoice\n"
        "from billing.documents.invoice import LANGUAGES\n"
        "class Renderer:\n"
        "    def render_invoice(self, printed, logo): template.invoice_html(printed)\n"
        "template, costs = DocumentTemplate(), []\n"
        "if sys.argv[1:]: render_once(Renderer())\n"
        "else: template.invoice_html(warm_up_invoice())\n"
        "sys.addaudithook(lambda event, _: costs.append(event) if event in {'open', 'compile'} else None)\n"
        "for language in LANGUAGES:\n"
        "    before = len(costs)\n"
        "    template.invoice_html(replace(warm_up_invoice(), language=language))\n"
        "    print(language, len(costs) > before)\n"
    )

    def first_documents(*arguments: str) -> dict[str, str]:
        run = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env={"PYTHONPATH": str(ROOT / "layers/billing"), "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return dict(line.split() for line in run.stdout.splitlines())

    assert first_documents("warm") == dict.fromkeys(LANGUAGES, "False")
    assert first_documents() == dict.fromkeys(LANGUAGES, "True") | {"en": "False"}  # what the test would see


def test_nobodys_invoice_has_the_parts_of_every_invoice() -> None:
    printed = warm_up_invoice()
    (group,) = printed.groups
    assert (group.has_dates, group.has_hours, printed.due_date is not None) == (True, True, True)
    assert printed.tax.minor == 10


@pytest.mark.parametrize("kind", ["on-demand", "provisioned-concurrency"])
def test_lambda_always_says_how_it_initialised(kind: str) -> None:
    assert is_init({"AWS_LAMBDA_INITIALIZATION_TYPE": kind})
    assert not is_init({})
