"""A thousand invoices sent at once, on SQLite and PostgreSQL.

`make test` runs the same with a dozen: tests/e2e/test_bulk_sending.py.
"""

import os

from local.demo.steps import Firm
from local.stack import Stack
from tests.soak.bulk_sending import (
    assert_each_has_its_pdf_and_broken_ones_fail_alone,
    assert_nothing_was_given_up,
    assert_one_could_watch,
    report,
    send_in_bulk,
)

INVOICES = int(os.environ.get("BILLING_SOAK_INVOICES", "1000"))


def test_every_invoice_sent_at_once_gets_its_pdf(stack: Stack) -> None:
    firm = Firm(stack.description())
    bulk = send_in_bulk(firm, INVOICES, broken=max(2, INVOICES // 100))
    report(bulk, stack.database)
    assert_each_has_its_pdf_and_broken_ones_fail_alone(firm, bulk)
    assert_one_could_watch(bulk)
    assert_nothing_was_given_up(firm, bulk)
