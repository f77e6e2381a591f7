"""Every failure of a request or a message, as one tree. (A broken deployment: `settings`.).

    BillingError                        500  the root: status, code, retryable, the ids concerned
    ├── BadRequest                      400  the caller's request cannot be read
    │   └── SignatureRejected           400  a webhook that Stripe did not sign for us
    ├── Unauthenticated                 401  the flow secret is missing or wrong
    ├── NotFound                        404  unknown, not yours, or a draft: the same answer on purpose
    ├── Conflict                        409  the record's state forbids it (`already_paid`, ...)
    ├── PayloadTooLarge                 413  the body is larger than the route accepts
    ├── Unprocessable                   422  understood, but not acceptable (`invalid_amount`, ...)
    │   └── RenderFailed                    422  the document could not be rendered, or not completely
    ├── TooManyAttempts                 429  too many attempts; `retry_after` is the time to wait
    ├── NotImplementedYet               501  announced and not built yet
    ├── UpstreamFailed                  502  another service refused our request; no queue retries it
    │   ├── DirectusRejected            502  ... with Directus's own code
    │   │   └── RecordNotUnique         502  ... a unique column already holds the value
    │   ├── StripeRejected              502  ... with Stripe's own code
    │   │   ├── SessionNotOpen          502  ... the session was paid or has expired already
    │   │   ├── CreationRefused         502  ... it will never create a session with this key
    │   │   └── StripeUnreadable        502  ... its answer lacks something we need
    │   ├── AnswerTooLarge              502  the answer is too large; it is not read into memory
    │   ├── MailRejected                502  SES refuses this mail for good
    │   ├── MailNotConfigured           502  SES accepts no mail from this deployment until its AWS account is fixed
    │   └── MailOutcomeUnknown          502  SES may have sent it; sending again could send twice
    ├── UpstreamUnavailable             503  another service is unavailable; retry later
    │   ├── SecretUnavailable           503  a secret of the function has no value yet, or cannot be read
    │   ├── ConnectionFailed            503  no answer; the request may have taken effect
    │   ├── StripeReplayed              503  Stripe repeats a server error stored under the key
    │   ├── MailPostponed               503  SES did not accept the mail at the moment
    │   └── ClaimedByAnother            503  another sender is working on the same message
    └── Parked                          500  an event that a person must look at; written on its row, never an answer

`retryable` (the 503 branch only) tells the queue workers whether to retry. The HTTP mapping is in `http_api`, the queue
mapping in `queue_worker`. Messages say what happened, to which record, and what to do: to the firm's administrator, those
of checkout to the client who pays. They never contain a secret, a card number or a client's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class UnreadableRow:
    """A row that our model cannot read. `names` are its ids, ours and Stripe's; records that have one are not compared."""

    collection: str
    id: str
    error: BillingError
    names: frozenset[str] = frozenset()


class BillingError(Exception):
    """The root of the tree.

    `code` is stable and machine-readable; `ids` are the records concerned (never personal data).
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Billing error"
    retryable: ClassVar[bool] = False
    default_code: ClassVar[str] = "billing_error"

    def __init__(self, detail: str, *, code: str | None = None, **ids: str | None) -> None:
        """`detail` is one or two plain sentences; `ids` are the records concerned."""
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.ids: dict[str, str] = {name: value for name, value in ids.items() if value is not None}


class BadRequest(BillingError):
    """The request cannot be parsed."""

    status = 400
    title = "Bad request"
    default_code = "bad_request"


class SignatureRejected(BadRequest):
    """The webhook's signature is missing, wrong, too old or from the future, or the body is not an event."""

    title = "Signature rejected"
    default_code = "signature_rejected"


class Unauthenticated(BillingError):
    """The call has no valid flow secret."""

    status = 401
    title = "Unauthenticated"
    default_code = "unauthenticated"


class NotFound(BillingError):
    """The record is unknown, belongs to someone else, or is a draft; the answer does not reveal which."""

    status = 404
    title = "Not found"
    default_code = "not_found"


class Conflict(BillingError):
    """The record is in a state that forbids the operation."""

    status = 409
    title = "Conflict"
    default_code = "conflict"


class PayloadTooLarge(BillingError):
    """The body is larger than the route accepts."""

    status = 413
    title = "Payload too large"
    default_code = "payload_too_large"


class Unprocessable(BillingError):
    """The request is well formed but its values are not acceptable."""

    status = 422
    title = "Unprocessable"
    default_code = "unprocessable"


class RenderFailed(Unprocessable):
    """The document could not be rendered, or not completely.

    `detail` is a fixed sentence that may be logged. `for_staff` adds what the renderer quoted from the document and
    belongs only on the invoice (`pdf_error`).
    """

    default_code = "rendering_failed"

    def __init__(self, detail: str, *, quote: str = "", invoice: str) -> None:
        """`detail` is one sentence with a period; `quote` is empty if nothing was quoted."""
        super().__init__(detail, invoice=invoice)
        self.for_staff = f"{detail.removesuffix('.')}: {quote}" if quote else detail


class TooManyAttempts(BillingError):
    """Too many new payment attempts for one invoice.

    `retry_after` is in seconds and becomes the `Retry-After` header.
    """

    status = 429
    title = "Too many attempts"
    default_code = "too_many_attempts"

    def __init__(self, detail: str, *, retry_after: int, **ids: str | None) -> None:
        """`retry_after` in seconds."""
        super().__init__(detail, **ids)
        self.retry_after = retry_after


class NotImplementedYet(BillingError):
    """Announced and not built yet; the README lists them under "Known limitations"."""

    status = 501
    title = "Not implemented yet"
    default_code = "not_implemented_yet"


class UpstreamFailed(BillingError):
    """Stripe, Directus or SES refused the request."""

    status = 502
    title = "Upstream failed"
    default_code = "upstream_failed"


class DirectusRejected(UpstreamFailed):
    """Directus refused a request (permission, validation, wrong field); an administrator must fix it."""

    title = "Directus rejected the request"
    default_code = "directus_rejected"


class RecordNotUnique(DirectusRejected):
    """A unique column already holds the value: another writer was first. Read the row back and compare.

    `field` is the column, `collection` its collection, as Directus names them (`RECORD_NOT_UNIQUE`).
    """

    default_code = "record_not_unique"

    def __init__(self, detail: str, *, collection: str, field: str) -> None:
        """`collection` and `field` as in Directus's `extensions`."""
        super().__init__(detail, collection=collection, field=field)
        self.collection = collection
        self.field = field


class StripeRejected(UpstreamFailed):
    """Stripe refused a request permanently; `stripe_code` is the code of its error."""

    title = "Stripe rejected the request"
    default_code = "stripe_rejected"

    def __init__(self, detail: str, *, stripe_code: str | None = None, **ids: str | None) -> None:
        """`stripe_code` is Stripe's own error code, if it gave one."""
        super().__init__(detail, **ids)
        self.stripe_code = stripe_code


class SessionNotOpen(StripeRejected):
    """A session that is not open cannot be expired: it was paid or has expired already."""

    default_code = "session_not_open"


class CreationRefused(StripeRejected):
    """Stripe will never create this session with the same key.

    Either it refused the parameters, or it repeats a server error stored under this key (for 24 h).
    """

    default_code = "session_refused"

    def __init__(
        self, detail: str, *, stripe_code: str | None = None, replayed: bool = False, **ids: str | None
    ) -> None:
        """`replayed`: it is the repeated server error; with another key Stripe may create the session."""
        super().__init__(detail, stripe_code=stripe_code, **ids)
        self.replayed = replayed


class StripeUnreadable(StripeRejected):
    """Stripe's answer lacks something we need, or has it in an unknown form.

    A retry does not help; the request has taken effect.
    """

    default_code = "stripe_unreadable"


class AnswerTooLarge(UpstreamFailed):
    """The answer is larger than the caller accepts, regardless of its headers; it was discarded."""

    default_code = "answer_too_large"


class MailRejected(UpstreamFailed):
    """SES refuses this mail permanently; nothing was sent."""

    title = "Mail rejected"
    default_code = "mail_rejected"


class MailNotConfigured(UpstreamFailed):
    """SES refused the mail because of the AWS account, not because of this recipient.

    Nothing was sent. The same mail may be sent after the account is fixed.
    """

    title = "Mail not configured"
    default_code = "mail_not_configured"


class MailOutcomeUnknown(UpstreamFailed):
    """SES may have sent the mail: its answer was lost. Sending again could send twice."""

    title = "Mail outcome unknown"
    default_code = "mail_outcome_unknown"


class UpstreamUnavailable(BillingError):
    """Stripe, Directus or an AWS service cannot be reached or is overloaded; the same request may succeed later.

    `retry_after` is in seconds and becomes the `Retry-After` header.
    """

    status = 503
    title = "Upstream unavailable"
    retryable = True
    default_code = "upstream_unavailable"

    def __init__(
        self, detail: str, *, retry_after: int = 30, code: str | None = None, **ids: str | None
    ) -> None:
        """`retry_after` in seconds."""
        super().__init__(detail, code=code, **ids)
        self.retry_after = retry_after


class SecretUnavailable(UpstreamUnavailable):
    """A secret of the function has no value yet, or cannot be read.

    `secret` is its ARN: for the log and the caller of the function, never in an answer of the API.
    """

    default_code = "secret_unavailable"

    def __init__(self, detail: str, *, secret: str) -> None:
        """`secret` is the ARN."""
        super().__init__(detail)
        self.secret = secret

    def __str__(self) -> str:
        """The text that Lambda logs when the error ends an invocation."""
        return f"{self.detail} ({self.secret})"


class ConnectionFailed(UpstreamUnavailable):
    """No answer: refused, reset, or timed out. `maybe_sent` is False only if the request certainly did not arrive."""

    default_code = "connection_failed"

    def __init__(self, detail: str, *, maybe_sent: bool) -> None:
        """`maybe_sent`: the request may have taken effect."""
        super().__init__(detail)
        self.maybe_sent = maybe_sent


class StripeReplayed(UpstreamUnavailable):
    """Stripe repeated a stored server error: the same idempotency key will always return it."""

    default_code = "stripe_unavailable"


class MailPostponed(UpstreamUnavailable):
    """SES did not accept the mail at the moment; nothing was sent, so the mail may be retried."""

    default_code = "mail_postponed"


class ClaimedByAnother(UpstreamUnavailable):
    """Another sender holds the claim and may still be sending: retry later."""

    default_code = "claimed_by_another"


class Parked(BillingError):
    """An event that cannot be applied and must stay visible: its row has status `parked` and the reason."""

    title = "Parked"
    default_code = "parked"
