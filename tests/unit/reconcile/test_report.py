"""The report as a person reads it, and which document it is."""

import ast
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.reconcile.guidance import GUIDANCE
from billing.reconcile.report import MOST_ENTRIES, PrintableReport, identity_of, page_of
from tests.unit.reconcile.support import INVOICE, PAYMENT

BILLING = Path(__file__).parents[3] / "layers/billing/billing"
NOW = datetime(2026, 3, 3, 12, 35, 59, tzinfo=UTC)
MISSING = {"kind": "payment_missing", "invoice": INVOICE, "checkout_session": "cs_1", "detail": "USD 100.00 is missing."}  # fmt: skip
UNAPPLIED = {"kind": "payment_unapplied", "payment": PAYMENT, "detail": "USD 20.00 belongs to no invoice."}
MENDED = {
    "kind": "invoice_differs",
    "invoice": INVOICE,
    "detail": "status shows sent.",
    "repair": "recompute",
}
REPORT = PrintableReport(
    NOW, NOW - timedelta(days=3), {"sessions": 1240, "open_attempts": 3}, [MENDED], [UNAPPLIED, MISSING]
)


WHAT_WAS_COMPARED = [
    (
        "Compared on 2026-03-03 12:35 UTC. With Stripe: its sessions, refunds, disputes and balance transactions"
        " since 2026-02-28 12:35 UTC; rows of Stripe's payments, refunds and disputes made or changed since then; and,"
        " however old, unfinished checkouts and bank debits, and refunds and disputes that can still change."
    ),
    (
        "In Directus: every sent invoice with its rows and documents, payments without an invoice, events that were not"
        " applied, messages that were not sent. Also: events that Stripe could not deliver, and dead letters."
    ),
    (
        "Not compared with Stripe: finished records older than 2026-02-28 12:35 UTC that were not changed since. The"
        " nightly run compares everything."
    ),
]


class Reader(HTMLParser):
    """A page as its reader sees it: the text line by line, and the tags that it is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and "style" not in self._open:
            self.lines.append(data.strip())

    def links(self) -> list[str | None]:
        return [attributes["href"] for tag, attributes in self.tags if tag == "a"]


def read(report: PrintableReport, data_studio: str = "https://directus.example/") -> Reader:
    return Reader(page_of(report, data_studio))


def test_the_page_says_when_what_and_how_many_before_what_differs_and_what_was_repaired() -> None:
    assert read(REPORT).lines == [
        "Reconciliation 2026-03-03 12:35 UTC",
        "Reconciliation 2026-03-03 12:35 UTC",
        *WHAT_WAS_COMPARED,
        "What was compared", "What", "How many", "Sessions", "1,240", "Open attempts", "3",
        "What needs a person: 2",
        "Paid at Stripe, missing in Directus: 1",
        "What to do:", GUIDANCE["payment_missing"].what_to_do,
        "What differs", "Records",
        "USD 100.00 is missing.", "Invoice:", INVOICE, "Checkout session: cs_1",
        "Money that belongs to no invoice yet: 1",
        "What to do:", GUIDANCE["payment_unapplied"].what_to_do,
        "What differs", "Records",
        "USD 20.00 belongs to no invoice.", "Payment:", PAYMENT,
        "What was repaired: 1",
        "What differed", "Repair", "Records",
        "status shows sent.", "recomputed from its rows", "Invoice:", INVOICE,
    ]  # fmt: skip


def test_the_page_of_a_part_says_that_it_has_not_looked_at_everything() -> None:
    said = "Time ran out: the rest is compared in another part, with its own report."
    assert said not in read(REPORT).lines
    assert read(replace(REPORT, continued=True)).lines[5] == said


def test_records_lead_into_the_data_studio() -> None:
    studio = "https://directus.example/admin/content"
    assert read(REPORT).links() == [
        f"{studio}/invoices/{INVOICE}",
        f"{studio}/payments/{PAYMENT}",
        f"{studio}/invoices/{INVOICE}",
    ]
    assert read(REPORT, "").links() == []


@pytest.mark.parametrize(
    ("name", "value", "collection"),
    [
        ("stored_on", PAYMENT, "payments"),
        ("made_for", INVOICE, "invoices"),
        ("dispute_row", PAYMENT, "payment_disputes"),
        ("claimed", INVOICE, "invoices"),
        ("notices", PAYMENT, "notices"),
        ("event", "evt_1", "stripe_events"),
        ("refund", "re_1", None),
        ("transaction_id", "pi_1", None),
        ("invoice", "../../users", None),
        ("queue", INVOICE, None),
    ],
)
def test_only_what_is_a_row_becomes_a_link(name: str, value: str, collection: str | None) -> None:
    report = replace(REPORT, repaired=[], differences=[{"kind": "x", "detail": "y", name: value}])
    expected = [] if collection is None else [f"https://directus.example/admin/content/{collection}/{value}"]
    assert read(report).links() == expected


def test_an_id_cannot_leave_its_place_in_a_link() -> None:
    report = replace(REPORT, repaired=[], differences=[{"kind": "x", "detail": "", "event": '../?a="b"#c'}])
    assert read(report).links() == [
        "https://directus.example/admin/content/stripe_events/..%2F%3Fa%3D%22b%22%23c"
    ]


NASTY = "<script>alert(1)</script>\" onload='x' &amp; \ud800"


def test_nothing_that_is_printed_becomes_part_of_the_page() -> None:
    entry = {"kind": NASTY, "detail": NASTY, NASTY: NASTY, "event": NASTY, "repair": NASTY}
    calm = {"kind": "x", "detail": "x", "x": "x", "event": "x", "repair": "x"}
    nasty = replace(REPORT, checked={NASTY: 1}, repaired=[entry], differences=[entry])
    plain = replace(REPORT, checked={"x": 1}, repaired=[calm], differences=[calm])
    shape, expected = (
        [(tag, sorted(attributes)) for tag, attributes in read(report).tags] for report in (nasty, plain)
    )
    assert shape == expected
    assert "alert(1)</script>" not in page_of(nasty, "https://directus.example").replace(
        "&lt;/script&gt;", ""
    )


@given(st.dictionaries(st.text(), st.text()), st.dictionaries(st.text(), st.text()))
def test_every_text_survives_as_text(difference: dict[str, str], repaired: dict[str, str]) -> None:
    def tags(report: PrintableReport) -> list[str]:
        return [tag for tag, _ in read(report, "").tags if tag != "br"]

    report = replace(REPORT, repaired=[repaired], differences=[difference])
    simple = replace(REPORT, repaired=[{"kind": "x"}], differences=[{"kind": "x"}])
    assert tags(report) == tags(simple)


def test_the_page_fetches_nothing_and_runs_nothing() -> None:
    page = read(REPORT)
    assert {tag for tag, _ in page.tags} <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "strong", "table", "thead", "tbody",
        "tr", "th", "td", "br", "a",
    }  # fmt: skip
    assert not {name for _, attributes in page.tags for name in attributes} & {
        "src",
        "onload",
        "style",
        "background",
    }
    assert "url(" not in page_of(REPORT)
    assert "@import" not in page_of(REPORT)


def test_the_same_report_is_the_same_page_wherever_it_was_made() -> None:
    elsewhere = timezone(timedelta(hours=-8))
    moved = replace(REPORT, moment=NOW.astimezone(elsewhere), since=REPORT.since.astimezone(elsewhere))
    assert page_of(moved) == page_of(REPORT)


def test_an_empty_report_says_so() -> None:
    lines = read(PrintableReport(NOW, NOW, {}, [], [])).lines
    assert lines[-4:] == ["What needs a person: 0", "Nothing.", "What was repaired: 0", "Nothing."]


def test_entries_beyond_the_most_are_counted() -> None:
    many = [{**UNAPPLIED, "detail": f"number {number}"} for number in range(MOST_ENTRIES + 1234)]
    page = page_of(replace(REPORT, repaired=many, differences=[*many, MISSING]))
    assert page.count("number ") == 2 * MOST_ENTRIES - 1, "what matters most comes first"
    assert "USD 100.00 is missing." in page
    assert "What needs a person: 11,235" in page
    assert "Money that belongs to no invoice yet: 11,234" in page
    assert re.findall(r"([\d,]+) more are not shown here", page) == ["1,235", "1,234"]
    assert "more are not shown" not in page_of(replace(REPORT, differences=many[:MOST_ENTRIES]))


def test_entries_that_were_not_given_are_counted_too() -> None:
    page = page_of(replace(REPORT, differences_total=12_000, repaired_total=3))
    assert "What needs a person: 12,000" in page
    assert "What was repaired: 3" in page
    assert re.findall(r"([\d,]+) more are not shown here", page) == ["11,998", "2"]


def test_an_unknown_kind_comes_last_in_its_own_words() -> None:
    report = replace(REPORT, differences=[{"kind": "moon_is_full", "detail": "It is."}, UNAPPLIED])
    lines = read(report).lines
    assert lines.index("Moon is full: 1") > lines.index("Money that belongs to no invoice yet: 1")


@pytest.mark.parametrize("kind", GUIDANCE)
def test_guidance_is_a_heading_and_sentences(kind: str) -> None:
    guidance = GUIDANCE[kind]
    assert guidance.heading[0].isupper()
    assert not guidance.heading.endswith(".")
    assert guidance.what_to_do.endswith(".")


def kinds_in_the_code() -> set[str]:
    """The first argument of every `Difference(...)` that is written out, those for a kind of reversal twice."""
    found: set[str] = set()
    for path in BILLING.glob("reconcile/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "Difference"
            ):
                kind = re.sub(r"^f?'(.*)'$", r"\1", ast.unparse(node.args[0]))
                found |= {kind.replace("{kind}", reversal) for reversal in ("refund", "dispute")}
    found -= {"error.code", "found[0].kind"}
    return {kind.replace("{event.status}", status) for kind in found for status in ("parked", "failed")}


def test_every_kind_that_can_be_found_has_its_guidance() -> None:
    kinds = kinds_in_the_code()
    assert {"payment_missing", "refund_missing", "dispute_missing", "event_failed", "dead_letters"} <= kinds
    assert kinds - set(GUIDANCE) == {"report_not_stored"}, "which never stands in a stored report"
    assert set(GUIDANCE) - kinds == {"totals_do_not_add_up"}, "of the ledger's own"


def test_the_same_differences_are_the_same_document_whatever_else_changed() -> None:
    first = identity_of(REPORT, "main")
    hour_later = PrintableReport(
        NOW + timedelta(hours=1), NOW, {"sessions": 7}, [], [dict(reversed(MISSING.items())), UNAPPLIED]
    )
    assert identity_of(hour_later, "main") == first
    assert len({first.file_id, first.document_id, first.content_hash}) == 3


def test_other_differences_other_deployments_and_another_report_before_are_other_documents() -> None:
    found = [
        identity_of(REPORT, "main"),
        identity_of(REPORT, "test"),
        identity_of(REPORT, "main", "the report before"),
        identity_of(replace(REPORT, differences=[MISSING]), "main"),
        identity_of(replace(REPORT, differences=[MISSING, MISSING]), "main"),
        identity_of(
            replace(REPORT, differences=[{**MISSING, "detail": "USD 100.01 is missing."}, UNAPPLIED]), "main"
        ),
    ]
    assert len({identity.document_id for identity in found}) == len({i.file_id for i in found}) == 6
