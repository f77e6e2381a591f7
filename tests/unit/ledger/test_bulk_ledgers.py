"""A ledger is read with one request, and never cut without somebody being told."""

from collections.abc import Mapping
from typing import Any

import pytest

from billing.directus.client import DirectusClient
from billing.errors import UpstreamUnavailable
from billing.ledger.store import BulkLedgers, UnreadableInvoice
from billing.payments.store import FIRM_TIMEZONE_KEPT, BillingStore
from tests.fakes.directus import FakeDirectus, FixedToken, Row
from tests.fakes.world import INVOICE, World

OTHER = "a2000000-0000-4000-8000-000000000002"
FEW = 3


class ShortSighted(FakeDirectus):
    """Directus with a QUERY_LIMIT_MAX, which holds for lists below a row, too; `short` looks are cut."""

    short = 0

    def _list(
        self, collection: str, key: str, name: str, fields: list[str], deep: Mapping[str, Any]
    ) -> list[Row]:
        rows = super()._list(collection, key, name, fields, deep)
        if name == "line_items" and len(rows) > FEW and self.short > 0:
            self.short -= 1
            return rows[:FEW]
        return rows


def _client(directus: FakeDirectus) -> DirectusClient:
    return DirectusClient("http://directus", FixedToken(), directus.http, sleep=lambda _: None)


def _short_sighted(short: int) -> tuple[World, ShortSighted]:
    world = World()
    world.invoice("1.00", "1.00", "1.00", "1.00")
    world.invoice("7.00", id=OTHER)
    directus = ShortSighted(world.steps, world.directus.tables)
    directus.short = short
    return world, directus


def test_a_ledger_takes_one_request_and_the_firm_one_a_minute() -> None:
    world, seconds = World(), [0.0]
    world.invoice("100.00", "20.00")
    payment = world.payment("50.00", transaction_id="pi_1", method="card")
    refund = {"amount": "5.00", "currency": "USD", "status": "succeeded", "stripe_refund": "re_1"}
    world.directus.put("refunds", payment=payment["id"], **refund)
    store = BillingStore(_client(world.directus), lambda: seconds[0])
    begun = len(world.steps.names)
    ledger = store.ledger(INVOICE)
    assert ledger is not None
    assert (len(ledger.line_items), len(ledger.payments), len(ledger.refunds)) == (2, 1, 1)
    seconds[0] = FIRM_TIMEZONE_KEPT - 1.0
    store.ledger(INVOICE)
    assert world.steps.names[begun:] == ["GET firm", "SEARCH invoices", "SEARCH invoices"]
    world.directus.firm["timezone"] = "Asia/Tokyo"
    seconds[0] = float(FIRM_TIMEZONE_KEPT)
    later = store.ledger(INVOICE)
    assert later is not None
    assert later.firm_timezone == "Asia/Tokyo"


def test_a_row_added_between_two_queries_is_seen_by_a_second_look() -> None:
    world, directus = _short_sighted(short=1)
    found = BulkLedgers(_client(directus)).ledgers([INVOICE, OTHER], None)
    assert [len(ledger.line_items) for ledger in found if not isinstance(ledger, UnreadableInvoice)] == [4, 1]
    assert world.steps.names.count("SEARCH invoices") == 2


def test_a_list_that_stays_cut_is_no_ledger_and_hides_no_other() -> None:
    _, directus = _short_sighted(short=99)
    cut, whole = BulkLedgers(_client(directus)).ledgers([INVOICE, OTHER], None)
    assert isinstance(cut, UnreadableInvoice)
    assert (cut.invoice, cut.readable, cut.error.code) == (INVOICE, None, "rows_cut")
    assert not isinstance(whole, UnreadableInvoice)
    with pytest.raises(UpstreamUnavailable, match="QUERY_LIMIT_MAX"):
        BillingStore(_client(directus)).ledger(INVOICE)
