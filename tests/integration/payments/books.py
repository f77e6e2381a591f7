"""An auditor who knows none of our code: does Directus say what Stripe says, and each invoice what its rows say?"""

import json
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from billing.errors import BillingError
from tests.integration.payments.firm import Firm

_NOTHING = Decimal("0.00")
_GONE = {"failed", "canceled"}
#: A dispute in these has taken the money: an appeal gives it back only once it is won.
_LOST = {"lost", "appeal_needs_response", "appeal_under_review"}
_FIELDS = "*,refunds.*,payment_disputes.*"

type Row = dict[str, Any]


def audit(firm: Firm, *invoices: str) -> None:
    """Everything that must hold once all is quiet; money for an invoice that does not exist must be unapplied."""
    assert firm.queue.dead == []
    assert firm.parked == []
    unnamed = [error for error in firm.failures if not (isinstance(error, BillingError) and error.retryable)]
    assert unnamed == []
    for invoice in invoices:
        _Audit(firm, invoice).everything()


def amount_paid(firm: Firm, invoice: str) -> Decimal:
    """What the succeeded payments of an invoice still hold: no less than nothing each."""
    return _held(_below(firm, invoice))


def never_half_written(firm: Firm, invoice: str) -> None:
    """What must hold at every moment at which only the invoice writer is at work: the sum is that of the rows."""
    fields = {"fields": f"amount_paid,{','.join(f'payments.{name}' for name in _FIELDS.split(','))}"}
    for row in firm.admin.rows("/items/invoices", **{"filter[id][_eq]": invoice}, **fields):
        assert _decimal(row["amount_paid"]) == _held(row["payments"])


class _Audit:
    """One invoice, as Directus and Stripe have it now."""

    def __init__(self, firm: Firm, invoice: str) -> None:
        self._firm = firm
        self._invoice = invoice
        self._stored: Row | None = next(
            iter(
                firm.admin.rows(
                    "/items/invoices", **{"filter[id][_eq]": invoice}, fields="*,line_items.amount"
                )
            ),
            None,
        )
        self._sessions = firm.sessions(invoice)
        self._intents: dict[str, Row] = {
            session["payment_intent"]["id"]: session["payment_intent"]
            for session in self._sessions
            if session["payment_intent"] is not None
        }
        self._rows = self._payments()

    def everything(self) -> None:
        self._each_payment_is_one_row()
        self._what_went_back_is_one_row_each()
        if self._stored is not None:
            self._the_invoice_is_what_its_rows_say(self._stored)
            self._a_claim_is_held_by_what_can_still_be_paid()

    def _payments(self) -> list[Row]:
        """The invoice's rows, and those that hold its money at Stripe without belonging to it."""
        wanted = [
            {"invoice": {"_eq": self._invoice}} if self._stored is not None else None,
            {"transaction_id": {"_in": list(self._intents)}} if self._intents else None,
        ]
        condition = {"_or": [one for one in wanted if one is not None]}
        return _read(self._firm, condition) if condition["_or"] else []

    def _each_payment_is_one_row(self) -> None:
        """Every payment at Stripe is one row where it belongs, and every row with a transaction is one payment."""
        expected = Counter(
            (
                session["id"] if self._belongs(session["payment_intent"]) else None,
                session["payment_intent"]["id"],
                *_money(session["payment_intent"], "amount_received"),
                self._invoice if self._belongs(session["payment_intent"]) else None,
            )
            for session in self._sessions
            if session["status"] == "complete" and session["payment_status"] == "paid"
        )
        booked = Counter(
            (
                row["checkout_session"] if row["invoice"] is not None else None,
                row["transaction_id"],
                _decimal(row["amount"]),
                row["currency"],
                row["invoice"],
            )
            for row in self._rows
            if row["transaction_id"] is not None and row["status"] == "succeeded"
        )
        assert booked == expected
        debits = [intent for intent in self._intents.values() if intent["status"] == "processing"]
        under_way = [row["transaction_id"] for row in self._rows if row["status"] == "processing"]
        assert sorted(under_way) == sorted(debit["id"] for debit in debits if self._belongs(debit))

    def _belongs(self, intent: Row) -> bool:
        """Whether the money can stand on the invoice: else it is unapplied."""
        return self._stored is not None and self._stored["currency"] == intent["currency"].upper()

    def _what_went_back_is_one_row_each(self) -> None:
        """Every refund and dispute at Stripe is one row below its payment; the sums on the payment are theirs."""
        for what, collection, key in (
            ("refunds", "refunds", "stripe_refund"),
            ("disputes", "payment_disputes", "stripe_dispute"),
        ):
            expected = Counter(
                (found["id"], intent, *_money(found, "amount"), found["status"])
                for intent in self._intents
                for found in self._firm.listed(what, payment_intent=intent)
            )
            rows = Counter(
                (below[key], row["transaction_id"], _decimal(below["amount"]), below["currency"], below["status"])
                for row in self._rows
                for below in row[collection]
                if below[key] is not None
            )  # fmt: skip
            assert rows == expected
        for row in self._rows:
            found = {name: _decimal(row[name]) for name in ("amount_refunded", "amount_disputed_lost")}
            assert found == {"amount_refunded": _refunded(row), "amount_disputed_lost": _lost(row)}, row

    def _the_invoice_is_what_its_rows_say(self, stored: Row) -> None:
        total = sum((_decimal(line["amount"]) for line in stored["line_items"]), _NOTHING)
        paid = _held([row for row in self._rows if row["invoice"] == self._invoice])
        void = stored["status"] == "void"
        balance = -paid if void else total - paid
        found = {name: _decimal(stored[name]) for name in ("amount_paid", "balance_due")}
        assert found == {"amount_paid": paid, "balance_due": balance}
        if not void:
            assert _decimal(stored["total"]) == total
            expected = "paid" if balance <= 0 else "partially_paid" if paid else "sent"
            assert stored["status"] == expected

    def _a_claim_is_held_by_what_can_still_be_paid(self) -> None:
        """An open session, or a bank debit on its way; of these there is one at most."""
        holding = [row["checkout_session"] for row in self._rows if row["open_claim"]]
        payable = [
            session["id"]
            for session in self._sessions
            if session["status"] == "open"
            or (session["payment_intent"] is not None and session["payment_intent"]["status"] == "processing")
        ]
        assert len(payable) <= 1
        assert holding == payable


def _read(firm: Firm, condition: Mapping[str, Any]) -> list[Row]:
    found: list[Row] = firm.admin.rows(
        "/items/payments", filter=json.dumps(condition), fields=_FIELDS, sort="id"
    )
    return found


def _below(firm: Firm, invoice: str) -> list[Row]:
    return _read(firm, {"invoice": {"_eq": invoice}})


def _held(payments: list[Row]) -> Decimal:
    left = (
        _decimal(row["amount"]) - _refunded(row) - _lost(row)
        for row in payments
        if row["status"] == "succeeded"
    )
    return sum((max(_NOTHING, held) for held in left), _NOTHING)


def _refunded(payment: Row) -> Decimal:
    return _sum(row["amount"] for row in payment["refunds"] if row["status"] not in _GONE)


def _lost(payment: Row) -> Decimal:
    return _sum(row["amount"] for row in payment["payment_disputes"] if row["status"] in _LOST)


def _sum(amounts: Any) -> Decimal:
    return sum(map(_decimal, amounts), _NOTHING)


def _money(found: Row, amount: str) -> tuple[Decimal, str]:
    """Stripe counts in minor units; these tests know currencies of two decimals only."""
    return Decimal(found[amount]).scaleb(-2), found["currency"].upper()


def _decimal(value: Any) -> Decimal:
    """Directus gives money as a number on SQLite and as text on PostgreSQL."""
    return Decimal(str(value or 0)).quantize(Decimal("0.01"))
