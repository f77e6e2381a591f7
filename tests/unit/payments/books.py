"""An auditor who knows none of our code: plain integers from what happened, held against what Directus shows.

`audit` is for when all is quiet; `always` holds at any moment.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from billing.stripe.objects import CheckoutSession, PaymentIntent
from tests.unit.payments.office import DEPLOYMENT, Bill, Office, Row

_GONE = {"failed", "canceled"}
#: A dispute in these has taken the money: an appeal gives it back only once it is won.
_LOST = {"lost", "appeal_needs_response", "appeal_under_review"}
#: The clients of these books live in New York, in a winter without a change of clocks.
_NEW_YORK = timedelta(hours=-5)


@dataclass
class Auditor:
    """`office` is looked at, never touched."""

    office: Office
    _seen: dict[str, Mapping[str, Row]] = field(default_factory=dict)

    # ---- at any moment ----------------------------------------------------------------------------------

    def always(self) -> None:
        """What may not even be so for a moment."""
        self._seen.clear()
        self._rows_hold_only_what_stripe_has()
        self._a_draft_stays_and_a_void_is_not_forgotten()
        self._nothing_is_paid_before_money_came()
        self._one_address_to_pay_at()

    def _rows_hold_only_what_stripe_has(self) -> None:
        intents = self._intents()
        for row in self._payments():
            if row["transaction_id"] is None:
                continue
            intent = intents[row["transaction_id"]]
            if row["status"] == "succeeded":
                assert intent.status == "succeeded", row
                assert (_minor(row["amount"]), row["currency"]) == (intent.amount_received, intent.currency)

    def _a_draft_stays_and_a_void_is_not_forgotten(self) -> None:
        """Only staff enter and leave these; whoever writes at the same moment may hide a void for that moment."""
        for bill in self.office.bills.values():
            stored = self._stored(bill)
            assert bill.state != "draft" or stored["status"] == "draft"
            assert (bill.state == "void") == (stored["voided_at"] is not None)

    def _nothing_is_paid_before_money_came(self) -> None:
        """A bank debit that is under way, above all, pays nothing."""
        for bill in self.office.bills.values():
            came = any(intent.status == "succeeded" for intent in self._intents().values())
            entered = any(e.invoice == bill.id for e in self.office.entered.values())
            if not came and not entered and _total(bill) > 0:
                assert self._stored(bill)["status"] not in {"paid", "partially_paid"}

    def _one_address_to_pay_at(self) -> None:
        """Of the sessions that clients were sent to, one can be paid, or was and is not in the books yet."""
        self.office.stripe.open_sessions()  # those whose time is over are expired
        booked = {row["transaction_id"] for row in self._payments() if row["status"] != "pending"}
        for invoice, sessions in self.office.handed_out.items():
            found = [self.office.stripe.sessions[name] for name in sessions]
            waiting = [session for session in found if session.is_open or _is_under_way(session, booked)]
            assert len(waiting) <= 1, f"invoice {invoice} could be paid twice: {waiting}"

    # ---- when all is quiet ------------------------------------------------------------------------------

    def audit(self) -> None:
        """The promise of these functions."""
        self.always()
        self._stripes_money_is_in_the_books_once()
        self._what_went_back_is_in_the_books_once()
        for bill in self.office.bills.values():
            self._invoice_is_what_happened(bill)
        self._what_can_be_paid_is_claimed_and_fits()
        self._claims_hold_something()
        self._receipts_are_true()
        self._events_are_done()
        assert self.office.dead == []

    def _stripes_money_is_in_the_books_once(self) -> None:
        booked = Counter(
            (row["transaction_id"], _minor(row["amount"]), row["currency"], row["invoice"])
            for row in self._payments()
            if row["transaction_id"] is not None and row["status"] == "succeeded"
        )
        taken = Counter(
            (intent.id, intent.amount_received, intent.currency, self._invoice_of(intent))
            for intent in self._intents().values()
            if intent.status == "succeeded" and _ours(intent)
        )
        assert booked == taken
        for row in self._payments():
            if row["transaction_id"] is not None and row["status"] != "succeeded":
                intent = self._intents()[row["transaction_id"]]
                expected = {"processing"} if intent.status == "processing" else _GONE
                assert row["status"] in expected, (row, intent)
        processing = {
            intent.id
            for intent in self._intents().values()
            if intent.status == "processing" and _ours(intent) and self._invoice_of(intent) is not None
        }
        shown = {row["transaction_id"] for row in self._payments() if row["status"] == "processing"}
        assert shown == processing

    def _what_went_back_is_in_the_books_once(self) -> None:
        intents = self._intents()
        payments = {row["id"]: row for row in self._payments()}
        for collection, key, found in (
            ("refunds", "stripe_refund", self.office.stripe.refunds),
            ("payment_disputes", "stripe_dispute", self.office.stripe.disputes),
        ):
            rows = self._rows(collection).values()
            booked = Counter(
                (row[key], _minor(row["amount"]), row["status"], payments[row["payment"]]["transaction_id"])
                for row in rows
                if row[key] is not None
            )
            went = Counter(
                (one.id, one.amount, one.status, one.payment_intent)
                for one in found.values()
                if one.payment_intent is not None and _ours(intents[one.payment_intent])
            )
            assert booked == went

    def _invoice_is_what_happened(self, bill: Bill) -> None:
        stored = self._stored(bill)
        if bill.state == "draft":
            return
        paid = self.paid(bill)
        balance = -paid if bill.state == "void" else _total(bill) - paid
        shown = {name: _minor(stored[name]) for name in ("amount_paid", "balance_due")}
        assert shown == {"amount_paid": paid, "balance_due": balance}, (bill, stored)
        assert stored["status"] == self._status(bill, balance, paid), (bill, stored)
        if bill.state != "void":
            assert _minor(stored["total"]) == _total(bill)

    def _status(self, bill: Bill, balance: int, paid: int) -> str:
        if bill.state == "void":
            return "void"
        if balance <= 0:
            return "paid"
        today = (self.office.now() + _NEW_YORK).date()
        due = self._due(bill)
        if due is not None and today > due:
            return "overdue"
        return "partially_paid" if paid > 0 else "sent"

    def _due(self, bill: Bill) -> date | None:
        """The day that it was drafted with, or that it got when it was sent: the day of that and the firm's terms."""
        if not bill.undated:
            return bill.due
        stored = self._stored(bill)
        sent = (datetime.fromisoformat(stored["sent_at"]) + _NEW_YORK).date()
        due = sent + timedelta(days=self.office.terms)
        shown = [date.fromisoformat(stored[name][:10]) for name in ("issue_date", "due_date")]
        assert shown == [sent, due], (bill, stored)
        return due

    def paid(self, bill: Bill) -> int:
        """What the invoice's payments still hold."""
        stripe = self.office.stripe
        held = 0
        for intent in self._intents().values():
            if intent.status != "succeeded" or not _ours(intent) or self._invoice_of(intent) != bill.id:
                continue
            back = sum(
                r.amount
                for r in stripe.refunds.values()
                if r.payment_intent == intent.id and r.status not in _GONE
            )
            back += sum(
                d.amount
                for d in stripe.disputes.values()
                if d.payment_intent == intent.id and d.status in _LOST
            )
            held += max(0, intent.amount_received - back)
        for entered in self.office.entered.values():
            if entered.invoice == bill.id and entered.status == "succeeded":
                back = sum(minor for minor, status in entered.refunds.values() if status not in _GONE)
                held += max(0, entered.minor - back)
        return held

    def payable(self, bill: Bill) -> int:
        """What a client may pay now."""
        if bill.state != "sent" or _total(bill) <= 0:
            return 0
        held = 0
        for line, minor in bill.objections.values():
            if line is None and minor is None:
                return 0
            held += minor or 0 if line is None else 0
        for line, amount in bill.lines.items():
            whole = max(0, amount + _tax(amount, bill.tax_thousandths))
            claims = [whole if m is None else m for at, m in bill.objections.values() if at == line]
            held += min(whole, sum(claims))
        return max(0, _total(bill) - self.paid(bill) - held)

    def _what_can_be_paid_is_claimed_and_fits(self) -> None:
        claimed = {
            row["checkout_session"]: row["open_claim"] for row in self._payments() if row["open_claim"]
        }
        for name in self.office.stripe.open_sessions():
            session = self.office.stripe.sessions[name]
            if session.metadata.get("deployment") != DEPLOYMENT:
                continue
            assert name in claimed, f"{session} can be paid, and nothing in Directus says so"
            bill = self.office.bills[claimed[name]]
            assert session.currency == bill.currency
            assert session.amount_total <= self.payable(bill), (session, bill)

    def _claims_hold_something(self) -> None:
        for row in self._payments():
            if not row["open_claim"]:
                continue
            assert row["open_claim"] == row["invoice"], row
            session = self.office.stripe.sessions.get(row["checkout_session"])
            if session is None:
                # Nobody came back to complete it: Stripe could still be asked to, until then.
                assert row["status"] in {"pending", "canceled"}, row
                assert datetime.fromisoformat(row["expires_at"]) > self.office.now(), row
            else:
                assert row["status"] == ("pending" if session.is_open else "processing"), (row, session)

    def _receipts_are_true(self) -> None:
        """Whoever died, and whatever was lost: money on an invoice that was sent is acknowledged as it is.

        Left out is what reconcile leaves alone for now: payments that were changed within the last quarter of an hour.
        On a real Directus, whose own clock dates the rows, that is all of them.
        """
        settled = self.office.now() - timedelta(minutes=15)
        for row in self._payments():
            sent = row["invoice"] and self._rows("invoices")[row["invoice"]]["sent_at"]
            changed = datetime.fromisoformat(row["date_updated"] or row["date_created"])
            if row["status"] != "succeeded" or not sent or changed > settled:
                continue
            day = row["payment_date"] and row["payment_date"][:10]
            amount = _minor(row["amount"])
            said = [row["invoice"], row["client"], amount, row["currency"], row["method"], day]
            assert row["receipt"] is not None, row
            assert _said(row["receipt_says"]) == said, row

    def _events_are_done(self) -> None:
        rows = self._rows("stripe_events")
        mine = {event.event: event for event in self.office.stripe.events}
        for key, event in mine.items():
            if key not in self.office.received:
                continue
            status = rows[key]["status"]
            if status == "parked":
                assert self._cannot_be_booked(event.object), rows[key]
            else:
                assert status in {"done", "ignored"}, rows[key]

    def _cannot_be_booked(self, about: str) -> bool:
        """A bank debit under way that no invoice can take has no row until it ends: nobody knows if money will come."""
        for session in self.office.stripe.sessions.values():
            intent = session.payment_intent
            if intent is not None and about in {session.id, intent.id}:
                return intent.status == "processing" and self._invoice_of(intent) is None
        return False

    # ---- facts ------------------------------------------------------------------------------------------

    def _intents(self) -> dict[str, PaymentIntent]:
        sessions: list[CheckoutSession] = list(self.office.stripe.sessions.values())
        return {s.payment_intent.id: s.payment_intent for s in sessions if s.payment_intent is not None}

    def _invoice_of(self, intent: PaymentIntent) -> str | None:
        """Where the money belongs: where a partner put it, else where its metadata says, if that can be."""
        if intent.id in self.office.assigned:
            return self.office.assigned[intent.id]
        bill = self.office.bills.get(intent.metadata.get("directus_invoice", ""))
        return bill.id if bill is not None and bill.currency == intent.currency else None

    def _rows(self, collection: str) -> Mapping[str, Row]:
        """As they were when the audit began: nothing happens meanwhile."""
        if collection not in self._seen:
            self._seen[collection] = self.office.rows.all(collection)
        return self._seen[collection]

    def _stored(self, bill: Bill) -> Row:
        return self._rows("invoices")[bill.id]

    def _payments(self) -> list[Row]:
        return list(self._rows("payments").values())


def _ours(intent: PaymentIntent) -> bool:
    return intent.metadata.get("deployment") == DEPLOYMENT


def _is_under_way(session: CheckoutSession, booked: set[str | None]) -> bool:
    """Confirmed by its client, for the invoice's currency, and not in the books."""
    intent = session.payment_intent
    return (
        intent is not None
        and session.status == "complete"
        and intent.status in {"processing", "succeeded"}
        and intent.currency == session.currency
        and intent.id not in booked
    )


def _total(bill: Bill) -> int:
    subtotal = sum(bill.lines.values())
    return subtotal + _tax(subtotal, bill.tax_thousandths)


def _tax(minor: int, thousandths: int) -> int:
    """Rounded half up, in integers; `thousandths` of a percent."""
    return (minor * thousandths + 50_000) // 100_000


def _said(statement: str) -> list[Any]:
    """What a receipt says, in the form of the row's columns."""
    invoice, client, amount, currency, method, day = statement.split(" ")
    return [invoice, client, _minor(amount), currency, method, None if day == "-" else day]


def _minor(value: Any) -> int:
    return int(Decimal(str(value or 0)) * 100)
