"""A payment whose receipt nobody asked for, or whose renderer died, is found within the hour."""

import uuid
from typing import Any

import pytest

from tests.fakes.receipts import receipt_columns
from tests.fakes.steps import Crash, crash
from tests.fakes.world import INVOICE, OTHER_CLIENT
from tests.unit.reconcile.house import House

DRAFT = "00000000-0000-4000-8000-0000000000d7"
LONG_AGO = "2026-11-01T12:00:00Z"


def house(**columns: Any) -> House:
    found = House()
    found.without_receipts = True
    found.invoice(
        "100.00", pdf_status="ready", amount_paid="60.00", balance_due="40.00", status="partially_paid"
    )
    found.document(INVOICE)
    found.payment("60.00", **{"date_created": LONG_AGO, "date_updated": None} | columns)
    return found


def missing(found: House) -> list[str]:
    return [
        entry["payment"] for entry in found.run().as_json()["repaired"] if entry["kind"] == "receipt_missing"
    ]


def test_a_payment_without_a_receipt_is_asked_for_and_then_has_one() -> None:
    found = house()
    (payment,) = found.payments()
    assert missing(found) == [payment["id"]]
    found.work_off()
    assert payment["receipt"] is not None
    assert missing(found) == []


def test_the_writer_that_died_when_it_saw_the_invoice_sent_is_made_good() -> None:
    """Its message is delivered again, to a writer that takes what is due for ordered."""
    found = house(invoice=DRAFT)
    found.invoice("100.00", id=DRAFT, status="sent", sent=False)
    found.steps.after_next["PATCH invoices"] = crash
    with pytest.raises(Crash):
        found.recompute(DRAFT)
    found.recompute(DRAFT)
    assert [message["type"] for message in found.rendering.messages] == ["invoice"]
    found.work_off()
    (payment,) = found.payments()
    assert missing(found) == [payment["id"]]
    found.work_off()
    assert payment["receipt"] is not None


@pytest.mark.parametrize(
    "columns",
    [
        {"receipt": "a file"}, {"status": "processing"}, {"invoice": None, "client": None}, {"client": OTHER_CLIENT},
        {"date_updated": "2026-11-20T14:50:00Z"},
    ],
)  # fmt: skip
def test_what_has_one_or_can_have_none_or_was_booked_just_now_is_left_alone(columns: dict[str, Any]) -> None:
    found = house(**columns)
    assert missing(found) == []


def outdated(found: House) -> list[tuple[str, str]]:
    answer = found.run().as_json()
    return [
        (entry["payment"], entry["repair"])
        for entry in answer["repaired"]
        if entry["kind"] == "receipt_outdated"
    ]


@pytest.mark.parametrize(
    "columns", [{"amount": "6.00"}, {"payment_date": "2026-11-02"}, {"receipt_says": None}]
)
def test_a_receipt_that_says_something_else_than_its_row_is_asked_for_and_then_says_it(
    columns: dict[str, Any],
) -> None:
    found = house()
    (payment,) = found.payments()
    payment |= receipt_columns(payment)
    assert outdated(found) == []
    payment |= columns
    assert outdated(found) == [(payment["id"], "render")]
    found.work_off()
    assert outdated(found) == []


def test_a_payment_that_was_taken_off_its_invoice_loses_its_receipt_within_the_hour() -> None:
    found = house()
    (payment,) = found.payments()
    payment |= receipt_columns(payment) | {"invoice": None, "client": None}
    assert outdated(found) == [(payment["id"], "render")]
    found.work_off()
    assert payment["receipt"] is None
    assert outdated(found) == []


def test_a_payment_that_was_moved_to_a_draft_loses_its_receipt_within_the_hour() -> None:
    """The draft itself is looked at by nobody before it is sent."""
    found = house()
    (payment,) = found.payments()
    payment |= receipt_columns(payment) | {
        "invoice": found.invoice("60.00", id=DRAFT, status="draft", sent_at=None)["id"]
    }
    assert outdated(found) == [(payment["id"], "render")]
    found.work_off()
    assert payment["receipt"] is None
    answer = found.run().as_json()
    assert [entry["kind"] for entry in answer["repaired"]] == []
    assert answer["checked"]["unapplied_payments"] == 0


@pytest.mark.parametrize("status", ["succeeded", "canceled"])
@pytest.mark.parametrize("place", ["none", "draft"])
def test_a_receipt_that_a_client_still_sees_is_withdrawn_though_its_payment_names_none(
    place: str, status: str
) -> None:
    """The next one could not be rendered, and then the payment was taken off its invoice."""
    found = house()
    (payment,) = found.payments()
    shown = found.directus.put(
        "documents", type="receipt", payment=payment["id"], invoice=INVOICE, client=payment["client"],
        visible_to_client=True,
    )  # fmt: skip
    elsewhere = {"invoice": None, "client": None}
    if place == "draft":
        elsewhere = {"invoice": found.invoice("60.00", id=DRAFT, status="draft", sent_at=None)["id"]}
    payment |= elsewhere | {"status": status}
    assert outdated(found) == [(payment["id"], "render")]
    found.work_off()
    assert not shown["visible_to_client"]
    assert outdated(found) == []
    shown["visible_to_client"] = True
    assert outdated(found) == [], "staff show it again after it was withdrawn"


def test_a_receipt_of_an_invoice_that_is_a_draft_again_stays_with_its_client() -> None:
    found = house()
    (payment,) = found.payments()
    payment |= receipt_columns(payment)
    found.directus.put(
        "documents", type="receipt", payment=payment["id"], invoice=INVOICE, client=payment["client"],
        visible_to_client=True,
    )  # fmt: skip
    found.stored(INVOICE)["status"] = "draft"
    assert outdated(found) == []


def test_a_receipt_from_before_its_words_were_kept_is_not_said_to_be_untrue() -> None:
    found = house()
    (payment,) = found.payments()
    for says, sentence in ((None, "it is checked once"), ("something else", "was moved there")):
        payment |= receipt_columns(payment) | {"receipt_says": says}
        (entry,) = [one for one in found.run().as_json()["repaired"] if one["kind"] == "receipt_outdated"]
        assert sentence in entry["detail"]


def test_money_that_was_entered_on_a_draft_is_left_alone() -> None:
    found = house()
    (payment,) = found.payments()
    payment["invoice"] = found.invoice("60.00", id=DRAFT, status="draft", sent_at=None)["id"]
    assert (outdated(found), missing(found)) == ([], [])


def test_a_payment_that_was_canceled_and_taken_off_its_invoice_loses_its_receipt_and_is_no_money() -> None:
    found = house()
    (payment,) = found.payments()
    payment |= receipt_columns(payment) | {"invoice": None, "client": None, "status": "canceled"}
    answer = found.run().as_json()
    assert "payment_unapplied" not in {entry["kind"] for entry in answer["differences"]}
    assert [entry["kind"] for entry in answer["repaired"]].count("receipt_outdated") == 1


def test_looking_at_drafts_costs_no_request_for_each() -> None:
    found = house()
    found.run()
    before = len(found.directus.requests)
    found.run()
    usual = len(found.directus.requests) - before
    for _ in range(5):
        found.invoice("60.00", id=str(uuid.uuid4()), status="draft", sent_at=None)
    before = len(found.directus.requests)
    found.run()
    assert len(found.directus.requests) - before == usual


def test_one_that_was_corrected_just_now_may_still_be_on_its_way() -> None:
    found = house()
    (payment,) = found.payments()
    payment |= receipt_columns(payment) | {"amount": "6.00", "date_updated": "2026-11-20T14:50:00Z"}
    assert outdated(found) == []
