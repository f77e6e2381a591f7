"""Use cases of the invoice writer: book what a Stripe session says, and recompute an invoice from its rows.

Only the worker of an invoice's FIFO group runs these, so nobody writes the same invoice at the same time. Every
step can be repeated: the rows are read, the state is derived, and what differs is written in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from billing.errors import (
    BillingError,
    DirectusRejected,
    NotFound,
    Parked,
    RecordNotUnique,
    SessionNotOpen,
    StripeRejected,
    Unprocessable,
    UpstreamUnavailable,
)
from billing.ledger.ledger import (
    Invoice,
    InvoiceStatus,
    Ledger,
    Payment,
    PaymentStatus,
    settled,
    state_of,
)
from billing.ledger.receipts_due import wants_renderer
from billing.messages import RenderInvoicePdf, RenderReceiptPdf
from billing.payments.booking import (
    Booking,
    SessionRow,
    book,
    has_received,
    is_doubtful,
    is_orphan,
    is_ours,
    ledger_after,
    row_of,
    with_note,
    with_reversals,
    with_surplus,
    without_session,
)
from billing.payments.checkout import ended, must_end, time_is_over
from billing.payments.reversals import BookedReversals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from billing.aws.queues import WorkQueue
    from billing.payments.store import BillingStore
    from billing.stripe.objects import CheckoutSession, PaymentIntent, Reversals


class Sessions(Protocol):
    """What the invoice writer asks of Stripe."""

    def retrieve_session(self, session: str) -> CheckoutSession:
        """Fetch a session as it is now."""
        ...

    def expire_session(self, session: str) -> CheckoutSession:
        """Expire it, `SessionNotOpen` if that is too late."""
        ...

    def reversals_of(self, payment_intent: str) -> Reversals:
        """Every refund and dispute of the payment intent as it is now."""
        ...


@dataclass(frozen=True)
class InvoiceWriter:
    """The use cases with what they need; `flagged` is told what a person should look at, with the ids."""

    store: BillingStore
    stripe: Sessions
    render_queue: WorkQueue
    deployment: str
    flagged: Callable[[str, Mapping[str, str]], None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def recompute(
        self, invoice: str, as_of: datetime | None = None, *, payments: Collection[str] = ()
    ) -> None:
        """Make the invoice show what its rows say; carry out what staff asked of an open attempt.

        `as_of` is the moment for which a person planned reminders; the invoice may be overdue then. `payments` are those
        that somebody has entered or changed: their receipts are ordered. Raises `NotFound` if there is no such invoice.
        """
        ledger, failure = self._ledger(invoice), None
        for payment in filter(is_doubtful, ledger.payments):
            try:
                self.sync_session(str(payment.checkout_session))
            except (StripeRejected, UpstreamUnavailable) as error:
                failure = error  # the books do not wait for Stripe; the session is tried again
            ledger = self._ledger(invoice)
        self._recompute(ledger, as_of, payments)
        if failure is not None:
            raise failure

    def sync_session(self, session_id: str) -> bool:
        """Book everything that Stripe says of a session; False if nothing can be booked now.

        It is another application's, or what it says must be looked at by a person: then it is flagged. Repeating the
        message would not help: reconciliation looks again every hour, and names it until it can be booked.
        """
        try:
            return self._sync(session_id)
        except Parked as error:
            self.flagged(error.detail, {"code": "payment_flagged", **error.ids})
            return False

    def row_of(self, session: CheckoutSession) -> SessionRow:
        """The session with its payment row, as both are now."""
        intent = session.payment_intent
        rows = self.store.payments_named(
            transaction_id=intent.id if intent is not None else None,
            checkout_session=session.id,
            payment=session.attempt,
        )
        return row_of(session, rows)

    def apply(self, found: SessionRow, *, thorough: bool = False, again: bool = True) -> bool:
        """Book a session as fetched, with the row it was found on; False if it is another application's.

        `thorough`: ask Stripe for refunds and disputes even where nothing hints at any. `again`: somebody may have
        booked it and died before the receipt was ordered.
        """
        session, attempt = found.session, found.attempt
        if not is_ours(session.metadata, self.deployment):
            return False
        if is_orphan(session, attempt):
            return self._without_orphan(session)
        invoice = attempt.invoice if attempt is not None else session.invoice
        ledger = self.store.ledger(invoice) if invoice else None
        if ledger is not None and attempt is not None:
            attempt = _as_in(ledger, attempt)
        booking = book(session, ledger, attempt)
        if found.held_by_manual_payment:
            booking = without_session(booking)  # the column is unique
        known = BookedReversals()
        if session.payment_intent is not None and has_received(session):
            known = self._known_reversals(ledger, attempt)
            booking = self._reversed(booking, session.payment_intent, attempt, known, thorough=thorough)
        for remark in booking.remarks:
            self.flagged(remark, {"code": "payment_flagged", "checkout_session": session.id})
        unasked = (attempt.id,) if again and attempt is not None else ()
        try:
            self._write_booking(ledger, attempt, booking, known, unasked)
        except RecordNotUnique as error:
            raise self._clash(error, found, ledger) from error
        if ledger is not None:
            self._look_again(ledger, booking, session)
        return True

    def _write_booking(
        self,
        ledger: Ledger | None,
        attempt: Payment | None,
        booking: Booking,
        known: BookedReversals,
        unasked: Collection[str],
    ) -> None:
        created, reversals = booking.created, booking.reversals or BookedReversals()
        if ledger is not None:
            self._write(ledger, booking, unasked=unasked)
        elif booking.updated is not None and attempt is not None:
            self.store.update_payment(attempt, booking.updated, known, reversals)
        # The unapplied row last: once its transaction is booked, a repetition would not see the attempt any more.
        if created is not None and created.invoice is None:
            self._create_unapplied(created, reversals)

    def _clash(self, error: RecordNotUnique, found: SessionRow, ledger: Ledger | None) -> BillingError:
        """Another worker booked the payment a moment ago; or a row holds a value of it that is not its own."""
        session = found.session
        unmoved = ledger is None or self.store.ledger(ledger.invoice.id) == ledger
        if not (unmoved and self.row_of(session) == found):
            message = "The same payment was booked a moment ago; it is read again."
            return UpstreamUnavailable(
                message, code="booked_meanwhile", retry_after=2, checkout_session=session.id
            )
        # Nothing moved: repeating it would clash for ever and keep the invoice's queue waiting.
        message = (
            f"{error.detail} It belongs to the payment of this session: an administrator corrects that row."
        )
        return Parked(message, checkout_session=session.id)

    def remark(self, session: CheckoutSession, sentence: str) -> None:
        """Write a sentence for staff on the payment of a session of ours, once."""
        attempt = self.row_of(session).attempt
        if attempt is None:
            message = f"There is no payment row to write on: {sentence}"
            raise Parked(message, checkout_session=session.id)
        note = with_note(attempt.note, sentence)
        if note != attempt.note:
            self.flagged(sentence, {"code": "payment_flagged", "payment": attempt.id})
            self.store.update_payment(attempt, replace(attempt, note=note))

    # ---- steps ------------------------------------------------------------------------------------------

    def _sync(self, session_id: str) -> bool:
        return self.apply(self.row_of(self.stripe.retrieve_session(session_id)), thorough=True)

    def _recompute(
        self, ledger: Ledger, as_of: datetime | None = None, unasked: Collection[str] = ()
    ) -> None:
        attempt, failure = ledger.open_attempt, None
        if attempt is not None and must_end(ledger, attempt, self.now()):
            try:
                ledger = self._ended(ledger, attempt)
            except (StripeRejected, UpstreamUnavailable) as error:
                failure = error  # as above
                ledger = self._ledger(ledger.invoice.id)
        self._write(ledger, Booking(), as_of, unasked)
        if failure is not None:
            raise failure

    def _ledger(self, invoice: str) -> Ledger:
        ledger = self.store.ledger(invoice)
        if ledger is None:
            message = "There is no such invoice any more; nothing to recompute."
            raise NotFound(message, invoice=invoice)
        return ledger

    def _without_orphan(self, session: CheckoutSession) -> bool:
        """Expire an open session that has no open attempt; if the client paid first, book the payment."""
        self.flagged(
            "An open session belonged to no open attempt and was expired.",
            {"code": "payment_flagged", "checkout_session": session.id},
        )
        try:
            self.stripe.expire_session(session.id)
        except SessionNotOpen as error:
            now = self.stripe.retrieve_session(session.id)
            if now.is_open:
                message = "Stripe neither expires the session nor says that it is over; it is asked again."
                raise UpstreamUnavailable(message, checkout_session=session.id) from error
            return self.apply(self.row_of(now), thorough=True)
        return True

    def _reversed(
        self,
        booking: Booking,
        intent: PaymentIntent,
        attempt: Payment | None,
        known: BookedReversals,
        *,
        thorough: bool,
    ) -> Booking:
        """The booking with the refunds and disputes that Stripe knows of."""
        charge = intent.latest_charge
        hinted = charge is None or charge.amount_refunded > 0 or charge.disputed
        mine = known.of(attempt.id) if attempt is not None else BookedReversals()
        if not (thorough or hinted or mine.refunds or mine.disputes):
            return booking
        reversals = self.stripe.reversals_of(intent.id)
        # Money that gets a row of its own takes its refunds along: those below the attempt are another payment's.
        seen = mine.stripe_ids() if booking.created is None else set()
        fresh = sorted(reversals.ids() - seen)
        return with_reversals(
            booking,
            intent,
            attempt,
            reversals,
            known=known,
            # A row that somebody moved, or made unreadable, must not keep the invoice's queue waiting for a day.
            taken=self.store.reversals_known(fresh) if fresh else (),
            now=self.now(),
        )

    def _known_reversals(self, ledger: Ledger | None, attempt: Payment | None) -> BookedReversals:
        if ledger is not None:
            return BookedReversals(ledger.refunds, ledger.payment_disputes)
        return self.store.reversals_below(attempt) if attempt is not None else BookedReversals()

    def _ended(self, ledger: Ledger, attempt: Payment) -> Ledger:
        """Expire the attempt's session and free the claim; if the client has paid meanwhile, Stripe wins."""
        if attempt.checkout_session is not None:
            try:
                self.stripe.expire_session(attempt.checkout_session)
            except SessionNotOpen:
                # What cannot be booked is flagged: the books of the invoice do not wait for a person.
                self.sync_session(attempt.checkout_session)
                return self._ledger(ledger.invoice.id)
            except StripeRejected as error:
                # Opened with another account's or mode's key: past its time nobody can pay in it any more.
                if error.stripe_code != "resource_missing" or not time_is_over(attempt, self.now()):
                    raise
        if attempt.status is PaymentStatus.SUCCEEDED:
            # An administrator made money of the firm's own of it: that stays.
            over = replace(attempt, open_claim=None)
        else:
            over = ended(attempt, PaymentStatus.CANCELED, "The session no longer fits the invoice.")
        self.store.update_payment(attempt, over)
        return self._ledger(ledger.invoice.id)

    def _look_again(self, ledger: Ledger, booking: Booking, session: CheckoutSession) -> None:
        """Another open session may ask for what this one has just paid; one just found may not fit any more."""
        sibling = ledger.open_attempt
        found = session.is_open and booking.updated is not None
        if not (found or (sibling is not None and sibling.checkout_session not in {None, session.id})):
            return
        try:
            self._recompute(self._ledger(ledger.invoice.id))
        except StripeRejected as error:
            # This payment is booked. The other session is flagged here; every recompute tries to end it again.
            ids = {"invoice": ledger.invoice.id} | ({"payment": sibling.id} if sibling is not None else {})
            self.flagged(error.detail, {"code": error.code, **error.ids, **ids})

    def _create_unapplied(self, payment: Payment, reversals: BookedReversals) -> None:
        """Book money that belongs to no invoice; a row that is there already must say the same."""
        transaction = str(payment.transaction_id)
        try:
            self.store.create_payment(payment, reversals)
        except RecordNotUnique:
            existing = self.store.payment_of_transaction(transaction)
            if existing is None or reversals.refunds or reversals.disputes:
                raise  # the other may not have known of what went back
            if existing.amount != payment.amount:
                message = "The transaction is booked with another amount; compare it with Stripe's dashboard."
                raise Parked(message, transaction=transaction) from None

    def _write(
        self,
        ledger: Ledger,
        booking: Booking,
        as_of: datetime | None = None,
        unasked: Collection[str] = (),
    ) -> None:
        after = ledger_after(ledger, booking)
        try:
            state = state_of(after, self.now(), as_of=as_of)
        except (Unprocessable, DirectusRejected) as error:
            self._book_only(ledger, booking, error, unasked)
            return
        invoice = ledger.invoice
        if state is not None:
            noted = with_surplus(booking, ledger, state.balance_due)
            for remark in noted.remarks[len(booking.remarks) :]:
                self.flagged(remark, {"code": "payment_flagged", "invoice": invoice.id})
            booking, after = noted, ledger_after(ledger, noted)
            invoice = state.on(invoice)
        # A draft's rows may not all be readable: what cannot be added up is not written.
        if after.fault is None:
            payments = [settled(payment, after.refunds, after.payment_disputes) for payment in after.payments]
            after = replace(after, payments=payments)
        before = ledger
        render = state is not None and not invoice.is_void and _must_be_rendered(ledger.invoice, invoice)
        if render and invoice != ledger.invoice:
            # Before the order is queued: if this worker dies between the two, the next write or reconcile queues it.
            invoice = replace(invoice, pdf_status="pending", pdf_error=None)
            # Written whatever was read: the renderer may have finished the document of the old rows since.
            before = replace(ledger, invoice=replace(ledger.invoice, pdf_status="", pdf_error=""))
        self.store.write(before, replace(after, invoice=invoice))
        if render:
            self.render_queue.send_many([RenderInvoicePdf(invoice.id)])
        self._acknowledge(ledger, after, booking, unasked, is_sent=invoice.sent_at is not None)

    def _acknowledge(
        self, before: Ledger, after: Ledger, booking: Booking, unasked: Collection[str], *, is_sent: bool
    ) -> None:
        """Order the receipts that this write made due, and those due before only for the `unasked` payments.

        The others were ordered when they became due and may wait in the renderer's queue: ordering them with every write
        would make n² messages for n payments. Reconcile orders what was lost.
        """
        payments = self._ledger(after.invoice.id).payments if is_sent and booking.created else after.payments
        asked = {*_receipts_due(before.payments, is_sent=before.invoice.sent_at is not None)} - {*unasked}
        wanted = [payment for payment in _receipts_due(payments, is_sent=is_sent) if payment not in asked]
        if wanted:
            self.render_queue.send_many([RenderReceiptPdf(payment) for payment in wanted])

    def _book_only(
        self, ledger: Ledger, booking: Booking, error: BillingError, unasked: Collection[str]
    ) -> None:
        """Money that arrived is booked all the same; the totals stay as they are and the invoice says why."""
        self.flagged(error.detail, {"code": error.code, **error.ids})
        invoice, after = ledger.invoice, ledger_after(ledger, booking)
        # A document that is ready stays ready: it was true when the invoice was sent.
        if invoice.pdf_status != "failed" and not (invoice.sent_at and invoice.pdf_status == "ready"):
            invoice = replace(invoice, pdf_status="failed", pdf_error=error.detail)
        if invoice.is_void:
            # Whatever else cannot be read, this is final.
            invoice = replace(invoice, status=InvoiceStatus.VOID)
        self.store.write(ledger, replace(after, invoice=invoice))
        self._acknowledge(ledger, after, booking, unasked, is_sent=invoice.sent_at is not None)


def _as_in(ledger: Ledger, attempt: Payment) -> Payment:
    """The attempt as the invoice's rows have it, which were read later."""
    found = next((payment for payment in ledger.payments if payment.id == attempt.id), None)
    if found is None:
        message = "The payment was moved to another invoice a moment ago; it is read again."
        raise UpstreamUnavailable(message, code="rows_changing", retry_after=2, payment=attempt.id)
    return found


def _receipts_due(payments: Sequence[Payment], *, is_sent: bool) -> list[str]:
    """The payments that the renderer is to be asked about, as far as their rows tell; on a draft as well."""
    return [payment.id for payment in payments if wants_renderer(payment, is_sent=is_sent)]


def _must_be_rendered(before: Invoice, after: Invoice) -> bool:
    """A first sending and every change of the printed amounts get a document; the same content never two."""
    printed = [(invoice.subtotal, invoice.tax, invoice.total, invoice.sent_at) for invoice in (before, after)]
    return printed[0] != printed[1] or before.pdf_status in {"none", "pending", "failed"}
