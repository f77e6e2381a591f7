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
_TRIED_AGAIN = "It is retried every hour. If it stays here, an administrator checks its row and the logs."
_REVERSAL = (
    "It is retried every hour if this deployment made the payment's checkout. If not, it is never booked: an"
    " administrator enters what Stripe's dashboard shows."
)

#: By kind. Money first: received, then going back, then what invoices show, then the rest.
GUIDANCE: dict[str, Guidance] = {
    "payment_missing": Guidance(
        "Paid at Stripe, missing in Directus",
        "An earlier repair failed, unless no run came before. If it is in the next report as well, resend the payment's events from Stripe's dashboard; the log of the function stripe_webhook_worker says what it did not book and why.",
    ),
    "balance_transaction_unexplained": Guidance(
        "Unexplained money on Stripe's balance",
        "Find the payment in Stripe's dashboard. If a client paid an invoice with it, enter it on that invoice manually.",
    ),
    "payment_unapplied": Guidance(
        "Money that belongs to no invoice yet",
        "A partner opens the payment and chooses its invoice, or refunds it in Stripe's dashboard.",
    ),
    "payment_amount_differs": Guidance("Amounts that differ between Stripe and Directus", _STRIPE_FIRST),
    "payment_not_paid": Guidance("Payments that Stripe has not received", _STRIPE_FIRST),
    "payment_unknown_to_stripe": Guidance(
        "Payments that Stripe does not know",
        "Was it made with another Stripe account, or entered manually? An administrator corrects the row.",
    ),
    "payment_without_transaction": Guidance(
        "Payments that count as Stripe's without a transaction",
        "Find the payment in Stripe's dashboard. If it is there, an administrator enters its id (pi_…) in transaction_id; changing only the method would count the money twice. If Stripe never received it, an administrator empties checkout_session and attempt and sets method to how it was paid, or cancels the payment.",
    ),
    "payment_of_another_deployment": Guidance(
        "Payments of another deployment",
        "Was this deployment renamed, or were rows of another one restored here? Restore the former value of the parameter Deployment; otherwise later events of these payments are not booked. An administrator cancels rows that do not belong here.",
    ),
    "payment_flagged": Guidance(
        "Payments that differ from what was asked for or was due",
        "They are booked as Stripe received them. What is missing can be asked for again; what is too much is refunded in Stripe's dashboard or settled with the client. Named for three days after the payment last changed, and no longer once an administrator sets its flag to resolved.",
    ),
    "payment_status_differs": Guidance(
        "Payments whose state differs between Stripe and Directus",
        "Open the session in Stripe's dashboard. Stripe is right; resend its events if they failed.",
    ),
    "payment_misplaced": Guidance(
        "Payments that stand on another invoice than they were made for",
        "If it was moved by mistake, an administrator moves it back. If it was meant, an administrator sets the payment's flag to moved: then it is named no more.",
    ),
    "payment_of_another_client": Guidance(
        "Payments whose client differs from their invoice's",
        "An administrator corrects the payment's client, or its invoice. Until then the wrong person may see it.",
    ),
    "payment_differs": Guidance(
        "Payments whose refunds or lost disputes do not add up",
        "Compare the payment's refunds and disputes with Stripe's dashboard.",
    ),
    "payment_in_other_currency": Guidance(
        "Payments on an invoice in another currency",
        "They do not count there. An administrator assigns them to an invoice in their currency, or enters their value.",
    ),
    "more_back_than_paid": Guidance(
        "Payments with more refunded or lost than was paid",
        "Compare refunds and lost disputes with Stripe's dashboard or the bank. The firm has paid the excess itself.",
    ),
    "refund_of_unpaid": Guidance(
        "Refunds on payments that failed or were canceled", "Cancel the refund, or correct the payment."
    ),
    "transaction_differs": Guidance(
        "Payments that mix up one payment's transaction and another's session", _STRIPE_FIRST
    ),
    "transaction_missing": Guidance("Payments without their transaction", _TRIED_AGAIN),
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
        "Refunds entered manually that Stripe reports as well",
        "They count twice. Set the one entered manually to canceled.",
    ),
    "refund_misplaced": Guidance("Refunds stored on another payment", _STRIPE_FIRST),
    "refund_not_bookable": Guidance(
        "Refunds that cannot be booked",
        "Look at the refund in Stripe's dashboard and notify an administrator.",
    ),
    "refund_unknown_to_stripe": Guidance("Refunds that Stripe does not know", _STRIPE_FIRST),
    "dispute_missing": Guidance("Disputes at Stripe that Directus does not have", _REVERSAL),
    "dispute_differs": Guidance("Disputes whose state or amount differs", _REVERSAL),
    "dispute_misplaced": Guidance("Disputes stored on another payment", _STRIPE_FIRST),
    "dispute_not_bookable": Guidance(
        "Disputes that cannot be booked",
        "Look at the dispute in Stripe's dashboard and notify an administrator. Answer it there before its deadline.",
    ),
    "dispute_unknown_to_stripe": Guidance("Disputes that Stripe does not know", _STRIPE_FIRST),
    "dispute_without_id": Guidance(
        "Disputes without Stripe's id",
        "If Stripe's dispute has another row (reconcile books it again), an administrator deletes this one; otherwise an administrator enters Stripe's id in stripe_dispute.",
    ),
    "fee_missing": Guidance("Stripe fees missing on a payment", _TRIED_AGAIN),
    "invoice_differs": Guidance("Invoices that differ from their rows", _TRIED_AGAIN),
    "rows_do_not_fit": Guidance(
        "Invoices whose rows cannot be added up",
        "Open the invoice: its lines and payments must be in its own currency. An administrator corrects them.",
    ),
    "totals_do_not_add_up": Guidance(
        "Invoices whose totals do not add up",
        "Open the invoice: its subtotal, tax or total does not match its lines. Correct or empty these fields.",
    ),
    "below_minimum": Guidance(
        "Invoices with less left than can be paid online",
        "Add a discount line for the rest, or enter it as a payment once the client has paid in another way. Until then the invoice stays open without reminders.",
    ),
    "sent_invoice_is_draft": Guidance(
        "Sent invoices that were set back to draft",
        "Their clients no longer see them. Set each to sent, or to void.",
    ),
    "claim_left": Guidance("Finished payments that still block their invoice", _TRIED_AGAIN),
    "claim_of_another": Guidance(
        "Payments that block another invoice",
        "That invoice cannot be paid online. An administrator empties the payment's open_claim.",
    ),
    "attempt_expired": Guidance("Expired checkouts that still block their invoice", _TRIED_AGAIN),
    "attempt_does_not_fit": Guidance("Open checkouts that no longer fit their invoice", _TRIED_AGAIN),
    "attempt_without_session": Guidance(
        "Checkouts that were begun and never reached Stripe",
        "Nothing was paid. When the client tries again, the checkout is completed.",
    ),
    "session_without_attempt": Guidance("Payable sessions without an attempt in Directus", _TRIED_AGAIN),
    "session_not_stored": Guidance("Sessions that are not stored on their attempt", _TRIED_AGAIN),
    "pdf_failed": Guidance(
        "Invoices whose PDF could not be rendered",
        "Open the invoice and read pdf_error; fix what it names, then use Render again.",
    ),
    "pdf_missing": Guidance("Sent invoices without a PDF", _TRIED_AGAIN),
    "receipt_missing": Guidance("Payments without a receipt", _TRIED_AGAIN),
    "receipt_outdated": Guidance("Payments that their receipt no longer matches", _TRIED_AGAIN),
    "document_missing": Guidance("Invoices whose document is not registered", _TRIED_AGAIN),
    "document_without_file": Guidance(
        "Documents without their file",
        "The newest version is rendered again. Restore an older one from a backup of Directus.",
    ),
    "event_unfinished": Guidance("Stripe events that were received but never finished", _TRIED_AGAIN),
    "event_undelivered": Guidance(
        "Events that Stripe could not deliver",
        "They are applied now. If there are many, the webhook's address or secret in Stripe is wrong.",
    ),
    "event_parked": Guidance(
        "Stripe events that could not be applied",
        "Open the event's row: its error says what is missing. It is retried every hour.",
    ),
    "event_failed": Guidance(
        "Stripe events that failed",
        "Open the event's row: its error says why. It is retried every hour.",
    ),
    "notice_failed": Guidance(
        "Messages that could not be sent",
        "Open the message's row: its reason says why. Correct the client's address, or contact the client yourself.",
    ),
    "notice_unknown": Guidance(
        "Messages that may or may not have been sent",
        "They are not sent again automatically. If it matters, ask the client.",
    ),
    "not_compared": Guidance(
        "What could not be compared",
        "Stripe or Directus did not answer as it should. The next run compares it; if it stays here, check the logs.",
    ),
    "run_not_continued": Guidance(
        "A comparison that was not finished",
        "The next run starts again. If it stays here, an administrator gives the function more time.",
    ),
    "dead_letters": Guidance(
        "Messages that failed",
        "Failed messages are retried, at most 24 times; these failed again. docs/runbooks.md says how to read them.",
    ),
    "row_unreadable": Guidance(
        "Rows that cannot be read", "Open the row and correct the field that is named: its value is invalid."
    ),
}


def guidance_for(kind: str) -> Guidance:
    """The guidance for a kind; an unknown kind gets its own name as heading."""
    return GUIDANCE.get(kind) or Guidance(
        kind.replace("_", " ").capitalize(),
        "Each entry says what differs. Notify an administrator if it does not say what to do.",
    )


def rank_of(kind: str) -> tuple[int, str]:
    """The place of a kind in the report; unknown ones last, by name."""
    return (_RANKS.get(kind, len(_RANKS)), kind)


_RANKS = {kind: rank for rank, kind in enumerate(GUIDANCE)}
