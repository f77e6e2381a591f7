"""What each kind of difference means to a bookkeeper, and what to do about it; the order is that of the report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guidance:
    """A plain heading, and one or two sentences that say what to do."""

    heading: str
    what_to_do: str


_STRIPE_FIRST = (
    "Compare with Stripe's dashboard, which is right about Stripe's money; an administrator corrects the row."
)
_TRIED_AGAIN = (
    "It is tried again every hour. If it stays here, an administrator looks at its row and at the logs."
)
_REVERSAL = (
    "It is tried again every hour if this deployment made the payment's checkout; if not, nobody else books it: an"
    " administrator corrects the row after Stripe's dashboard."
)

#: By kind. Money first: received, then going back, then what invoices show, then the rest.
GUIDANCE: dict[str, Guidance] = {
    "payment_missing": Guidance(
        "Paid at Stripe, missing in Directus",
        "The repair did not take hold, unless no run came before it. If it stands in the next report as well, resend the payment's events from Stripe's dashboard; the log of the function stripe_webhook says what it would not book, and why.",
    ),
    "balance_transaction_unexplained": Guidance(
        "Money on Stripe's balance that nothing explains",
        "Find the payment in Stripe's dashboard. If a client paid an invoice with it, enter it there by hand.",
    ),
    "payment_unapplied": Guidance(
        "Money that belongs to no invoice yet",
        "A partner opens the payment and chooses the invoice that it is for, or refunds it in Stripe's dashboard.",
    ),
    "payment_amount_differs": Guidance("Amounts that differ between Stripe and Directus", _STRIPE_FIRST),
    "payment_not_paid": Guidance("Payments that Stripe has not received", _STRIPE_FIRST),
    "payment_unknown_to_stripe": Guidance(
        "Payments that Stripe does not know",
        "Was it made with another Stripe account, or written by hand? An administrator corrects the row.",
    ),
    "payment_without_transaction": Guidance(
        "Payments that count as Stripe's and name no transaction",
        "Find the payment in Stripe's dashboard. If it is there, an administrator writes its id (pi_…) into transaction_id; changing the method would count the money twice. If Stripe never received it, an administrator empties checkout_session and attempt and says in method how it came, or cancels the payment.",
    ),
    "payment_of_another_deployment": Guidance(
        "Payments of another deployment",
        "Was this deployment renamed, or were its rows restored from another one's? Give the parameter Deployment its former value; else nothing that happens to these payments at Stripe is booked. An administrator cancels rows that do not belong here.",
    ),
    "payment_flagged": Guidance(
        "Payments that differ from what was asked for or was due",
        "They are booked as Stripe received them. What is missing can be asked for again; what is too much is refunded in Stripe's dashboard or settled with the client. Named for three days after the payment last changed, and no longer once an administrator sets its flag to resolved.",
    ),
    "payment_status_differs": Guidance(
        "Payments whose state differs between Stripe and Directus",
        "Open the session in Stripe's dashboard. What Stripe says is right; resend its events if they failed.",
    ),
    "payment_misplaced": Guidance(
        "Payments that stand on another invoice than they were made for",
        "If it was moved by mistake, an administrator moves it back. If it was meant, an administrator sets the payment's flag to moved: then it is named no more.",
    ),
    "payment_of_another_client": Guidance(
        "Payments that name another client than their invoice",
        "An administrator corrects the payment's client, or its invoice. Until then the wrong person may see it.",
    ),
    "payment_differs": Guidance(
        "Payments whose refunds or lost disputes do not add up",
        "Compare the payment's refunds and disputes with Stripe's dashboard.",
    ),
    "payment_in_other_currency": Guidance(
        "Payments on an invoice in another currency",
        "They count nothing there. An administrator assigns them to an invoice in their currency, or enters what they are worth.",
    ),
    "more_back_than_paid": Guidance(
        "Payments on which more went back than was paid",
        "Compare refunds and lost disputes with Stripe's dashboard or the bank; what is too much the firm has paid out of its own.",
    ),
    "refund_of_unpaid": Guidance(
        "Refunds on payments that failed or were canceled", "Cancel the refund, or correct the payment."
    ),
    "transaction_differs": Guidance(
        "Payments that name one payment and the session of another", _STRIPE_FIRST
    ),
    "transaction_missing": Guidance("Payments that have lost their transaction", _TRIED_AGAIN),
    "session_without_intent": Guidance(
        "Finished checkouts without a payment", "Look at the session in Stripe's dashboard."
    ),
    "session_paid_without_money": Guidance(
        "Checkouts that count as paid though nothing was received",
        "Look at the session in Stripe's dashboard.",
    ),
    "refund_missing": Guidance("Refunds at Stripe that Directus does not have", _REVERSAL),
    "refund_differs": Guidance("Refunds whose state differs", _REVERSAL),
    "refund_amount_differs": Guidance("Refunds whose amount differs", _STRIPE_FIRST),
    "refund_entered_by_hand": Guidance(
        "Refunds entered by hand that Stripe reports as well",
        "They count twice. Set the one that was entered by hand to canceled.",
    ),
    "refund_misplaced": Guidance("Refunds stored on another payment", _STRIPE_FIRST),
    "refund_not_bookable": Guidance(
        "Refunds that cannot be booked", "Look at the refund in Stripe's dashboard and tell an administrator."
    ),
    "refund_unknown_to_stripe": Guidance("Refunds that Stripe does not know", _STRIPE_FIRST),
    "dispute_missing": Guidance("Disputes at Stripe that Directus does not have", _REVERSAL),
    "dispute_differs": Guidance("Disputes whose state or amount differs", _REVERSAL),
    "dispute_misplaced": Guidance("Disputes stored on another payment", _STRIPE_FIRST),
    "dispute_not_bookable": Guidance(
        "Disputes that cannot be booked",
        "Look at the dispute in Stripe's dashboard and tell an administrator. Answer it there in time.",
    ),
    "dispute_unknown_to_stripe": Guidance("Disputes that Stripe does not know", _STRIPE_FIRST),
    "dispute_without_id": Guidance(
        "Disputes that name none of Stripe's",
        "If Stripe's dispute has another row, as it has once reconcile booked it again, an administrator deletes this one; else Stripe's id belongs into its stripe_dispute.",
    ),
    "fee_missing": Guidance("Fees of Stripe's that a payment does not show", _TRIED_AGAIN),
    "invoice_differs": Guidance("Invoices that show something else than their rows say", _TRIED_AGAIN),
    "rows_do_not_fit": Guidance(
        "Invoices whose rows cannot be added up",
        "Open the invoice: its lines and payments must be in its own currency. An administrator corrects them.",
    ),
    "totals_do_not_add_up": Guidance(
        "Invoices whose totals do not add up",
        "Open the invoice: its subtotal, tax or total is not what its lines make. Correct or empty these fields.",
    ),
    "below_minimum": Guidance(
        "Invoices with less left than can be paid online",
        "Add a discount line over what is left, or enter it as a payment once the client has paid it in another way. Until then the invoice stays open, and its client is not reminded of it.",
    ),
    "sent_invoice_is_draft": Guidance(
        "Sent invoices that were set back to draft",
        "Their clients no longer see them. Set each to sent, or to void.",
    ),
    "claim_left": Guidance("Finished payments that still block their invoice", _TRIED_AGAIN),
    "claim_of_another": Guidance(
        "Payments that block another invoice",
        "Nobody can pay that invoice online. An administrator empties open_claim of the payment.",
    ),
    "attempt_expired": Guidance(
        "Checkouts whose time is over and that still block their invoice", _TRIED_AGAIN
    ),
    "attempt_does_not_fit": Guidance("Open checkouts that no longer fit their invoice", _TRIED_AGAIN),
    "attempt_without_session": Guidance(
        "Checkouts that were begun and never reached Stripe",
        "Nothing was paid. The client may simply try again, which completes it.",
    ),
    "session_without_attempt": Guidance(
        "Sessions that can be paid and have no attempt in Directus", _TRIED_AGAIN
    ),
    "session_not_stored": Guidance("Sessions that are not stored on their attempt", _TRIED_AGAIN),
    "pdf_failed": Guidance(
        "Invoices whose PDF could not be made",
        "Open the invoice and read pdf_error; mend what it names, then use Render again.",
    ),
    "pdf_missing": Guidance("Sent invoices without a PDF", _TRIED_AGAIN),
    "receipt_missing": Guidance("Payments without a receipt", _TRIED_AGAIN),
    "receipt_outdated": Guidance("Payments whose receipt says something else", _TRIED_AGAIN),
    "document_missing": Guidance("Invoices whose document is not registered", _TRIED_AGAIN),
    "document_without_file": Guidance(
        "Documents that have lost their file",
        "The newest version is drawn again. An older one can only come from a backup of Directus.",
    ),
    "event_unfinished": Guidance("Events of Stripe that were received and never finished", _TRIED_AGAIN),
    "event_undelivered": Guidance(
        "Events that Stripe could not deliver",
        "They are applied now. Many of them mean that the webhook's address or secret in Stripe is wrong.",
    ),
    "event_parked": Guidance(
        "Events of Stripe that could not be applied",
        "Open the event's row: its error says what is missing. It is tried again every hour.",
    ),
    "event_failed": Guidance(
        "Events of Stripe that failed",
        "Open the event's row: its error says why. It is tried again every hour.",
    ),
    "notice_failed": Guidance(
        "Messages that could not be sent",
        "Open the message's row: its reason says why. Mend the client's address, or tell the client yourself.",
    ),
    "notice_unknown": Guidance(
        "Messages of which nobody knows whether they went out",
        "They are not sent again by themselves. If it matters, ask the client.",
    ),
    "not_compared": Guidance(
        "What could not be compared",
        "Stripe or Directus did not answer as it should. The next run compares it; if it stays, look at the logs.",
    ),
    "run_not_continued": Guidance(
        "A comparison that was not finished",
        "The next run begins anew. If it stays here, an administrator gives the function more time.",
    ),
    "dead_letters": Guidance(
        "Work that could not be done",
        "Messages go back to be tried again, at most 24 times; these have come back. docs/runbooks.md says how to read them.",
    ),
    "row_unreadable": Guidance(
        "Rows that cannot be read", "Open the row: the field that is named holds what cannot be. Correct it."
    ),
}


def guidance_for(kind: str) -> Guidance:
    """The guidance for a kind; an unknown one is named in its own words."""
    return GUIDANCE.get(kind) or Guidance(
        kind.replace("_", " ").capitalize(),
        "Each entry says what differs. Tell an administrator if it does not say what to do.",
    )


def rank_of(kind: str) -> tuple[int, str]:
    """Where a kind stands in the report; unknown ones last, by name."""
    return (_RANKS.get(kind, len(_RANKS)), kind)


_RANKS = {kind: rank for rank, kind in enumerate(GUIDANCE)}
