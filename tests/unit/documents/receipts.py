"""A payment whose receipt is rendered."""

from typing import Any

from tests.fakes.firm_rows import payment
from tests.unit.documents.office import Office, office

PAYMENT = "p1"


def paid(**columns: Any) -> Office:
    """An office where a card payment of 800.00 came in after the invoice was sent."""
    firm = office()
    row = payment(
        PAYMENT, amount="800.00", method="card", brand="visa", last4="4242", payment_date="2026-10-05",
        date_created="2026-10-05T12:00:00Z", reference="our own", note="do not tell", transaction_id="pi_1",
    )  # fmt: skip
    firm.directus.collections["payments"] = {PAYMENT: row | columns}
    return firm


def row(firm: Office) -> dict[str, Any]:
    return firm.directus.collections["payments"][PAYMENT]
