"""What clients, staff, banks and Stripe do. Nothing here calls our functions but through the office's doors."""

from dataclasses import dataclass
from datetime import timedelta

from billing.messages import StripeEvent
from billing.stripe.objects import CheckoutSession
from tests.unit.payments.office import DEPLOYMENT, LONGEST_WITHOUT_RECONCILE, Bill, Choose, Entered, Office

_UNKNOWN_INVOICE = "a9000000-0000-4000-8000-00000000dead"
_AMOUNTS = (None, None, "25.00", "25.00", "50.00", "99.75", "0.10", "9999.00")
_REFUND_GONE = {"failed", "canceled"}


def text(minor: int) -> str:
    """Money as Directus takes it."""
    sign, minor = ("-", -minor) if minor < 0 else ("", minor)
    return f"{sign}{minor // 100}.{minor % 100:02d}"


@dataclass
class People:
    """Every method is one thing that somebody does; where there is nothing to do it to, nothing happens."""

    office: Office

    # ---- clients ----------------------------------------------------------------------------------------

    def press_pay(self, choose: Choose, *, quiet: bool = True, bill: Bill | None = None) -> None:
        """A client presses Pay. `quiet`: nothing went wrong meanwhile, so the answer can be looked at."""
        bill = bill or self.bill(choose)
        amount = choose(_AMOUNTS, "amount")
        in_debit = {session.id for session in self.debits(bill)}
        answer = self.office.checkout(bill, amount)
        session = getattr(answer, "checkout_session", None)
        if session is None:
            return
        still = {other.id for other in self.debits(bill)}
        assert not in_debit & still, "nobody may pay a second time while a bank debit is under way"
        if quiet:
            found = self.office.stripe.sessions[session]
            assert found.is_open
            assert found.currency == bill.currency
            assert amount is None or text(found.amount_total) == amount

    def pay_quietly(self, choose: Choose) -> None:
        """A payment from the button to the books, so that more can happen to it afterwards."""
        bill = self.bill(choose)
        answer = self.office.checkout(bill, choose([None, "25.00", "50.00"], "amount"))
        session = getattr(answer, "checkout_session", None)
        if session is None:
            return
        if bill.currency == "USD" and choose([False, False, True], "by bank"):
            self.office.stripe.debits(session)
        else:
            self.office.stripe.pays(session)
        for event in self.undelivered():
            self.office.receive(event)
        self.office.drain()

    def press_pay_as_another(self, choose: Choose) -> None:
        """Somebody else's client asks for an address; there is none for them."""
        bill = self.bill(choose)
        stranger = next(other.user for other in self.office.bills.values() if other.client != bill.client)
        answer = self.office.checkout(bill, None, user=stranger)
        assert answer is None or getattr(answer, "status", None) in {404, 503}, answer

    def pay_by_card(self, choose: Choose) -> None:
        if (session := self._open(choose)) is not None:
            self.office.stripe.pays(session.id)

    def pay_something_else(self, choose: Choose) -> None:
        """Stripe received another amount or currency than the session asked for."""
        if (session := self._open(choose)) is None:
            return
        other = "EUR" if session.currency == "USD" else "USD"
        minor, currency = choose([(777, session.currency), (session.amount_total, other)], "received")
        self.office.stripe.pays(session.id, minor=minor, currency=currency)

    def card_declined(self, choose: Choose) -> None:
        if (session := self._open(choose)) is not None:
            self.office.stripe.declines(session.id)

    def debit_begins(self, choose: Choose) -> None:
        sessions = [session for session in self._all_open() if session.currency == "USD"]
        if sessions:
            self.office.stripe.debits(choose(sessions, "session").id)

    def debit_ends(self, choose: Choose) -> None:
        if debits := self.debits():
            self.office.stripe.settles(choose(debits, "debit").id, succeeds=choose([True, False], "settles"))

    def object_to(self, choose: Choose) -> None:
        """A client objects to a line, an amount or the whole invoice."""
        bill = self._bill_that_is("sent", choose)
        if bill is None:
            return
        line = choose([None, *bill.lines], "line")
        minor = choose([None, 1500, 100000], "amount")
        key = self.office.rows.put(
            "disputes",
            invoice=bill.id,
            line_item=line,
            amount=None if minor is None else text(minor),
            reason="Too much.",
            status="open",
        )
        bill.objections[key] = (line, minor)
        self._tell(bill.id, choose)

    def withdraw(self, choose: Choose) -> None:
        found = [(bill, key) for bill in self.office.bills.values() for key in bill.objections]
        if found:
            bill, key = choose(found, "objection")
            self.office.rows.change("disputes", key, status=choose(["withdrawn", "rejected"], "becomes"))
            del bill.objections[key]
            self._tell(bill.id, choose)

    # ---- cardholders, banks, the firm in Stripe's dashboard ---------------------------------------------

    def refund(self, choose: Choose) -> None:
        found = [(s, left) for s in self.paid() if (left := self._refundable(s)) > 0]
        if found:
            session, left = choose(found, "session")
            minor = choose([left, min(left, 1234)], "amount")
            self.office.stripe.refunds_payment(
                session.id, minor, status=choose(["succeeded", "pending"], "as")
            )

    def refund_changes(self, choose: Choose) -> None:
        """It settles, fails even after it succeeded, or is canceled."""
        found = [r for r in self.office.stripe.refunds.values() if r.status not in _REFUND_GONE]
        if found:
            refund = choose(found, "refund")
            becomes = ["failed"] if refund.status == "succeeded" else ["succeeded", "failed", "canceled"]
            self.office.stripe.refund_becomes(refund.id, choose(becomes, "becomes"))

    def dispute(self, choose: Choose) -> None:
        disputed = {d.payment_intent for d in self.office.stripe.disputes.values()}
        found = [s for s in self.paid() if s.payment_intent and s.payment_intent.id not in disputed]
        if found:
            session = choose(found, "session")
            assert session.payment_intent is not None
            received = session.payment_intent.amount_received
            self.office.stripe.disputes_payment(session.id, choose([received, min(received, 900)], "amount"))

    def dispute_changes(self, choose: Choose) -> None:
        onwards = {
            "needs_response": ["under_review", "won", "lost"],
            "under_review": ["won", "lost", "needs_response"],
            "lost": ["appeal_needs_response", "won"],
            "appeal_needs_response": ["appeal_under_review"],
            "appeal_under_review": ["won", "lost"],
        }
        found = [d for d in self.office.stripe.disputes.values() if d.status in onwards]
        if found:
            dispute = choose(found, "dispute")
            becomes = choose(onwards[dispute.status], "becomes")
            self.office.stripe.dispute_becomes(
                dispute.id, becomes, minor=choose([dispute.amount, max(1, dispute.amount // 2)], "amount")
            )

    def fee_becomes_known(self, choose: Choose) -> None:
        """In the payment's currency, or in that which the account settles in."""
        charges = {s.id: s.payment_intent.latest_charge for s in self.paid() if s.payment_intent}
        found = [(name, charge) for name, charge in charges.items() if charge and charge.fee is None]
        if found:
            session, charge = choose(found, "session")
            currency = choose([charge.currency or "USD", "GBP"], "currency")
            self.office.stripe.learns_fee(session, 59, currency)

    def session_expires(self, choose: Choose) -> None:
        """The firm expires a session in its dashboard."""
        if (session := self._open(choose)) is not None:
            self.office.stripe.expires(session.id)

    def stray_session(self, choose: Choose) -> None:
        """Somebody with the account's key makes a session past our checkout: ours by its words, or nobody's."""
        bill = self.bill(choose)
        ours = {"deployment": DEPLOYMENT}
        metadata: dict[str, str] = choose(
            [
                {},
                {"deployment": "another", "directus_invoice": bill.id},
                {**ours, "directus_invoice": _UNKNOWN_INVOICE},
                {**ours, "directus_invoice": bill.id},
                {**ours},
            ],
            "metadata",
        )
        self.office.stripe.makes_session(
            choose([2000, 30000], "amount"), choose(["USD", bill.currency], "currency"), metadata
        )

    # ---- Stripe's deliveries ----------------------------------------------------------------------------

    def deliver(self, choose: Choose) -> None:
        """An event arrives: in any order, again, or in a group that is not its invoice's."""
        waiting = self.undelivered()
        events = waiting or self.office.stripe.events
        if not events:
            return
        event = choose(events, "event")
        how = choose(["once", "once", "twice", "without its invoice", "again"], "delivered")
        if how == "again":
            event = choose(self.office.stripe.events, "event again")
        if how == "without its invoice":
            event = StripeEvent(
                event.event, event.event_type, event.object, event.object_type, event.livemode
            )
        self.office.receive(event)
        if how == "twice":
            self.office.receive(event)

    def undelivered(self) -> list[StripeEvent]:
        self.office.stripe.open_sessions()  # those whose time is over are expired, and tell
        return [e for e in self.office.stripe.events if e.event not in self.office.stripe.delivered]

    # ---- staff ------------------------------------------------------------------------------------------

    def send_draft(self, choose: Choose) -> None:
        if (bill := self._bill_that_is("draft", choose)) is not None:
            self.office.rows.change("invoices", bill.id, status="sent")
            bill.state = "sent"
            self._tell(bill.id, choose)

    def write_sent_again(self, choose: Choose) -> None:
        """Staff may write `sent` where it was sent before; a recompute restores what it is."""
        if (bill := self._bill_that_is("sent", choose)) is not None:
            self.office.rows.change("invoices", bill.id, status="sent")
            self._tell(bill.id, choose)

    def void(self, choose: Choose) -> None:
        if (bill := self._bill_that_is("sent", choose)) is not None:
            self.office.rows.change("invoices", bill.id, status="void")
            bill.state = "void"
            self._tell(bill.id, choose)

    def discount(self, choose: Choose) -> None:
        bill = self._bill_that_is("sent", choose)
        if bill is None or (left := sum(bill.lines.values())) <= 0:
            return
        minor = choose([min(left, 1500), left], "amount")
        key = self.office.rows.put(
            "line_items", invoice=bill.id, kind="discount", description="Discount", amount=text(-minor)
        )
        bill.lines[key] = -minor
        self._tell(bill.id, choose)

    def cancel_attempt(self, choose: Choose) -> None:
        """Staff ask to end an open attempt."""
        found = [
            row
            for row in self.office.rows.all("payments").values()
            if row["status"] == "pending" and row["open_claim"]
        ]
        if found:
            row = choose(found, "attempt")
            self.office.rows.change("payments", row["id"], status="canceled")
            self._tell(row["invoice"], choose, row["id"])

    def enter_payment(self, choose: Choose) -> None:
        """A wire or a check, received or expected."""
        bill = self.bill(choose)
        minor, status = choose([2500, 5000, 20000], "amount"), choose(["succeeded", "pending"], "status")
        key = self.office.rows.put(
            "payments",
            invoice=bill.id,
            client=bill.client,
            amount=text(minor),
            currency=bill.currency,
            method=choose(["wire", "check"], "method"),
            status=status,
        )
        self.office.entered[key] = Entered(bill.id, minor, status)
        self._tell(bill.id, choose, key)

    def edit_payment(self, choose: Choose) -> None:
        if not self.office.entered:
            return
        key = choose(list(self.office.entered), "payment")
        entered = self.office.entered[key]
        entered.minor = choose([entered.minor, 3300], "amount")
        entered.status = choose(["succeeded", "canceled", "pending", "failed"], "status")
        self.office.rows.change("payments", key, amount=text(entered.minor), status=entered.status)
        self._tell(entered.invoice, choose, key)

    def enter_refund(self, choose: Choose) -> None:
        """The firm gives back what a payment by wire or check still holds."""
        found = [
            (key, entered, left)
            for key, entered in self.office.entered.items()
            if entered.status == "succeeded" and (left := entered.minor - _given_back(entered)) > 0
        ]
        if not found:
            return
        key, entered, left = choose(found, "payment")
        minor, status = choose([left, min(left, 700)], "amount"), choose(["succeeded", "pending"], "status")
        refund = self.office.rows.put(
            "refunds",
            payment=key,
            amount=text(minor),
            currency=self.office.bills[entered.invoice].currency,
            status=status,
        )
        entered.refunds[refund] = (minor, status)
        self._tell(entered.invoice, choose)

    def edit_refund(self, choose: Choose) -> None:
        found = [(entered, key) for entered in self.office.entered.values() for key in entered.refunds]
        if found:
            entered, key = choose(found, "refund")
            status = choose(["succeeded", "failed", "canceled"], "status")
            entered.refunds[key] = (entered.refunds[key][0], status)
            self.office.rows.change("refunds", key, status=status)
            self._tell(entered.invoice, choose)

    def assign(self, choose: Choose) -> None:
        """A partner assigns unapplied money to an invoice of its currency."""
        pairs = [
            (row, bill)
            for row in self.office.rows.all("payments").values()
            if row["invoice"] is None and row["status"] == "succeeded"
            for bill in self.office.bills.values()
            if bill.currency == row["currency"]
        ]
        if pairs:
            row, bill = choose(pairs, "money and invoice")
            self.office.rows.change("payments", row["id"], invoice=bill.id, client=bill.client)
            self.office.assigned[row["transaction_id"]] = bill.id
            self._tell(bill.id, choose, row["id"])

    def flow_arrives_late(self, choose: Choose) -> None:
        if self.office.untold:
            late = choose(self.office.untold, "change")
            self.office.untold.remove(late)
            self.office.told(*late)

    # ---- time -------------------------------------------------------------------------------------------

    def time_passes(self, choose: Choose) -> None:
        minutes = choose([20, 12 * 60, 25 * 60], "minutes")
        if self.office.time + timedelta(minutes=minutes) - self.office.reconciled < LONGEST_WITHOUT_RECONCILE:
            self.office.passes(minutes=minutes)

    # ---- inside -----------------------------------------------------------------------------------------

    def _tell(self, invoice: str, choose: Choose, *payments: str) -> None:
        """The Billing changed flow, of the invoice or of these of its payments: at once, late, or never."""
        match choose(["told", "late", "lost"], "flow"):
            case "told":
                self.office.told(invoice, payments)
            case "late":
                self.office.untold.append((invoice, payments))

    def bill(self, choose: Choose) -> Bill:
        """Any invoice."""
        return choose(list(self.office.bills.values()), "invoice")

    def _bill_that_is(self, state: str, choose: Choose) -> Bill | None:
        found = [bill for bill in self.office.bills.values() if bill.state == state]
        return choose(found, "invoice") if found else None

    def _all_open(self) -> list[CheckoutSession]:
        return [self.office.stripe.sessions[name] for name in self.office.stripe.open_sessions()]

    def _open(self, choose: Choose) -> CheckoutSession | None:
        found = self._all_open()
        return choose(found, "session") if found else None

    def paid(self) -> list[CheckoutSession]:
        return [s for s in self.office.stripe.sessions.values() if s.payment_status == "paid"]

    def debits(self, bill: Bill | None = None) -> list[CheckoutSession]:
        """Bank debits under way; of one invoice: those that our checkout began."""
        return [
            session
            for session in self.office.stripe.sessions.values()
            if session.payment_intent is not None
            and session.payment_intent.status == "processing"
            and (bill is None or session.id in self.office.handed_out.get(bill.id, ()))
        ]

    def _refundable(self, session: CheckoutSession) -> int:
        intent = session.payment_intent
        assert intent is not None
        gone = sum(
            refund.amount
            for refund in self.office.stripe.refunds.values()
            if refund.payment_intent == intent.id and refund.status not in _REFUND_GONE
        )
        return intent.amount_received - gone


def _given_back(entered: Entered) -> int:
    return sum(minor for minor, status in entered.refunds.values() if status not in _REFUND_GONE)
