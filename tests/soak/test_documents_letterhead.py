"""`TemplatePrefix` on the deployed stack: a firm's own template in the documents bucket, used, broken and mended.

`sh local/run_soak.sh documents` runs this. What may be in a template and what is refused has its cases in
tests/unit/documents/test_template_override.py and tests/integration/render_pdf/test_firm_template.py.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from local.demo import steps
from local.demo.people import pay_on_the_page
from local.demo.steps import Firm
from local.stack import Stack
from tests.soak import documents

FOLDER = "letterhead"
HTML = (Path(__file__).parents[2] / "layers/billing/billing/templates/invoice.html").read_text("utf-8")
#: Two files of the firm's own; the style is ours.
GOOD = {
    "invoice.html": HTML.replace("<h1>", '<p class="quiet">Chambers of Honig</p>\n<h1>'),
    "labels/en.toml": 'invoice = "Fee note"\n',
}
OWN_PAPER, OWN_WORD = "Chambers of Honig", "Fee note"


@dataclass(frozen=True)
class Letterhead:
    """A firm with a template of its own; `before` is an invoice that was sent when it had none."""

    stack: Stack
    firm: Firm
    before: str

    def put(self, files: Mapping[str, str]) -> None:
        """These files are the firm's template from now on, and nothing else."""
        s3, bucket = self.firm.aws("s3"), self.firm.description["aws"]["documents_bucket"]
        for key in documents.objects(self.firm):
            if key.startswith(f"{FOLDER}/") and key.removeprefix(f"{FOLDER}/") not in files:
                s3.delete_object(Bucket=bucket, Key=key)
        for name, text in files.items():
            s3.put_object(Bucket=bucket, Key=f"{FOLDER}/{name}", Body=text.encode())

    def functions(self) -> dict[str, str]:
        """When each function was deployed last."""
        rows = self.stack.emulator().client("lambda").list_functions()["Functions"]
        return {row["FunctionName"]: f"{row['LastModified']} {row['RevisionId']}" for row in rows}

    def text_of(self, document: dict[str, Any]) -> str:
        """What the client reads."""
        return documents.text_of(self.firm.clients[0], document["file"])


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Letterhead]:
    """Deployed without a template; then a firm's template is put into the bucket, and the parameter is set."""
    given = os.environ.get("BILLING_TEST_DIRECTORY")
    directory = (Path(given) if given else tmp_path_factory.mktemp("soak")) / "stack-letterhead"
    plain = Stack(directory, say=print, database="sqlite")
    try:
        plain.up(fresh=True)
        firm = Firm(plain.description())
        before = documents.sent(firm)
        # An order that is still under way would draw the next version as soon as the template is there.
        documents.wait_until_drawn(firm)
        stack = Stack(directory, say=print, parameters={"TemplatePrefix": FOLDER})
        Letterhead(stack, firm, before).put(GOOD)
        stack.up()
        yield Letterhead(stack, Firm(stack.description()), before)
    finally:
        plain.discard()


@pytest.fixture
def letterhead(deployed: Letterhead) -> Letterhead:
    deployed.put(GOOD)
    return deployed


def test_invoices_are_drawn_in_the_firms_own_template_and_receipts_in_ours(letterhead: Letterhead) -> None:
    firm = letterhead.firm
    invoice = documents.sent(firm)
    document = documents.the_document_of(firm, invoice)
    assert OWN_PAPER in letterhead.text_of(document)
    assert OWN_WORD in letterhead.text_of(document)
    assert document["title"].startswith(OWN_WORD)
    documents.assert_only_its_client_reads(firm, document["file"], "invoice")

    file = documents.receipt_of(firm, documents.pay_by_check(firm, invoice))
    assert OWN_PAPER not in documents.text_of(firm.clients[0], file)
    documents.wait_until_drawn(firm)


def test_an_invoice_from_before_stays_and_gets_the_new_paper_as_its_next_version(
    letterhead: Letterhead,
) -> None:
    firm, invoice = letterhead.firm, letterhead.before
    first = documents.the_document_of(firm, invoice)
    assert OWN_PAPER not in letterhead.text_of(first)
    for _ in range(2):
        documents.render_again(firm, firm.staff[0], invoice)
        documents.wait_until_drawn(firm)
    kept, second = documents.documents_of(firm, invoice)
    assert kept == first
    assert second["version"] == 2
    for document in (kept, second):
        documents.assert_whole(firm, document)
    assert OWN_PAPER in letterhead.text_of(second)


def line_of(part: str) -> int:
    return GOOD["invoice.html"][: GOOD["invoice.html"].index(part)].count("\n") + 1


H1 = line_of("<h1>")
REFUSED = ("The firm's own template cannot be used", "then choose Render again")
BROKEN = {
    "not Jinja": (
        {"invoice.html": GOOD["invoice.html"].replace("<h1>", "<h1>{{ invoice.number }")},
        (f"invoice.html, line {H1}: unexpected '}}'", *REFUSED),
    ),
    "only for some": (
        {"invoice.html": GOOD["invoice.html"].replace("<h1>", "<h1>{{ invoice.payments[0].method }}")},
        (f"invoice.html, line {H1}", "The firm's own template cannot be filled in", "has no element 0"),
    ),
    "an unknown label": (
        {"labels/en.toml": 'invoise = "Fee note"\n'},
        ("labels/en.toml: there is no label invoise", *REFUSED),
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_with_a_broken_template_invoices_wait_while_money_goes_on_until_it_is_mended(
    letterhead: Letterhead, broken: str
) -> None:
    firm = letterhead.firm
    functions = letterhead.functions()
    owed = documents.sent(firm)
    changed, reasons = BROKEN[broken]
    letterhead.put({**GOOD, **changed})

    waiting = documents.draft(firm)
    row = steps.send_invoice(firm, firm.staff[0], waiting)
    assert (row["status"], row["pdf_status"]) == ("sent", "failed")
    for reason in reasons:
        assert reason in row["pdf_error"]
    assert firm.staff[0].read("invoices", waiting, "pdf_error")["pdf_error"] == row["pdf_error"]
    assert documents.rows_of(firm, waiting) == []

    # The client pays by card what has a document and what has none yet; a lawyer enters a check.
    for invoice in (owed, waiting):
        paying = firm.clients[0].pay(firm.flow("pay_invoice"), invoice, "100.00")
        assert pay_on_the_page(paying.json["url"], steps.GOOD_CARD).status == 303
        check = documents.pay_by_check(firm, invoice)
        paid = steps.wait_for_invoice(
            firm, invoice, lambda row: Decimal(str(row["amount_paid"])) == Decimal("250.00")
        )
        assert paid["status"] == "partially_paid"
        booked = steps.payments_of(firm, invoice, status="succeeded")
        assert {row["method"] for row in booked} == {"card", "check"}
        assert check in {row["id"] for row in booked}
        for payment in booked:
            file = documents.receipt_of(firm, payment["id"])
            documents.assert_only_its_client_reads(firm, file, "receipt")

    # What was there stays as it is, whoever asks for it again meanwhile.
    document = documents.the_document_of(firm, owed)
    documents.render_again(firm, firm.staff[0], owed)
    documents.wait_until_drawn(firm)
    assert firm.administrator.read("invoices", owed)["pdf_status"] == "failed"
    assert documents.the_document_of(firm, owed) == document

    letterhead.put(GOOD)
    for invoice in (waiting, owed):
        documents.render_again(firm, firm.staff[0], invoice)
    documents.wait_until_drawn(firm)
    for invoice in (waiting, owed):
        row = firm.administrator.read("invoices", invoice)
        assert (row["pdf_status"], row["pdf_error"]) == ("ready", None)
        assert OWN_PAPER in letterhead.text_of(documents.the_document_of(firm, invoice))
    assert documents.the_document_of(firm, owed) == document
    assert letterhead.functions() == functions
