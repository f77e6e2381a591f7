"""A dozen invoices sent at once; `make soak` sends a thousand (tests/soak/test_bulk_sending.py)."""

from local.demo.steps import Firm
from tests.soak.bulk_sending import assert_each_has_its_pdf_and_broken_ones_fail_alone, send_in_bulk


def test_invoices_sent_at_once_get_their_pdfs_and_broken_ones_fail_alone(firm: Firm) -> None:
    bulk = send_in_bulk(firm, 12, broken=2)
    assert len(bulk.broken) == 2
    assert_each_has_its_pdf_and_broken_ones_fail_alone(firm, bulk)
