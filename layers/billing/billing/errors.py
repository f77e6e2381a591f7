"""Every failure of a request or a message, as one tree. (A broken deployment: `settings`.).

    BillingError                        500  the root: status, code, retryable, the ids concerned
    ├── BadRequest                      400  the caller's request cannot be read
    │   └── SignatureRejected           400  a webhook that Stripe did not sign for us
    ├── Unauthenticated                 401  the flow secret is missing or wrong
    ├── NotFound                        404  unknown, not yours, or a draft: the same answer on purpose
    ├── Conflict                        409  the record's state forbids it (`already_paid`, ...)
    ├── PayloadTooLarge                 413  the body is larger than the route accepts
    ├── Unprocessable                   422  understood, but not acceptable (`invalid_amount`, ...)
    │   └── RenderFailed                    422  the document could not be drawn, or not completely
    ├── TooManyAttempts                 429  asked for too often; `retry_after` says when it may be asked for again
    ├── NotImplementedYet               501  a name of the contract that is planned, not built
    ├── UpstreamFailed                  502  another service refused what we asked; repeating will not help
    │   ├── DirectusRejected            502  ... with Directus's own code
    │   │   └── RecordNotUnique         502  ... a unique column already holds the value
    │   ├── StripeRejected              502  ... with Stripe's own code
    │   │   ├── SessionNotOpen          502  ... the session was paid or has expired already
    │   │   ├── CreationRefused         502  ... this session will never be created under this key
    │   │   └── StripeUnreadable        502  ... it answered with an object that lacks what we must know
    │   ├── AnswerTooLarge              502  more than was asked for; it is not read into memory
    │   ├── MailRejected                502  SES refuses this mail for good
    │   ├── MailNotConfigured           502  SES takes no mail of this deployment until its AWS account is mended
    │   └── MailOutcomeUnknown          502  SES may have sent it; sending again could send twice
    ├── UpstreamUnavailable             503  another service cannot be reached now; repeat later
    │   ├── SecretUnavailable           503  a secret of the function has no value yet, or cannot be read
    │   ├── ConnectionFailed            503  no answer at all; it may have acted all the same
    │   ├── StripeReplayed              503  Stripe repeats a server error that it keeps under the key
    │   ├── MailPostponed               503  SES did not take the mail now
    │   └── ClaimedByAnother            503  another sender is at work on the same message
    └── Parked                          500  an event that must be looked at; written on its row, never an answer

`retryable` (503 and below it, nothing else) tells the queue workers whether to try again; the HTTP mapping is in
`http_api`, the queue mapping in `queue_worker`. Messages are written for the firm's administrator: what happened,
to which record, what to do. They never hold a secret, a card number or a client's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class UnreadableRow:
    """A row that our model cannot read; `names` are its ids, ours and Stripe's: what names one is not judged."""

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
        """`detail` is one plain sentence or two; `ids` name the records concerned."""
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.ids: dict[str, str] = {name: value for name, value in ids.items() if value is not None}


class BadRequest(BillingError):
    """The request cannot be read as what the route expects."""

    status = 400
    title = "Bad request"
    default_code = "bad_request"


class SignatureRejected(BadRequest):
    """The webhook's signature is missing, wrong, too old or from the future, or the body is no event."""

    title = "Signature rejected"
    default_code = "signature_rejected"


class Unauthenticated(BillingError):
    """The call does not carry a valid flow secret."""

    status = 401
    title = "Unauthenticated"
    default_code = "unauthenticated"


class NotFound(BillingError):
    """The record is unknown, belongs to somebody else, or is a draft; the answer never tells which."""

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
    """The document could not be drawn, or not completely.

    `detail` is a fixed sentence that may be logged; `for_staff` adds what the drawing software
    quoted of the document, and belongs on the invoice (`pdf_error`) only.
    """

    default_code = "rendering_failed"

    def __init__(self, detail: str, *, quote: str = "", invoice: str) -> None:
        """`detail` is one sentence with its full stop; `quote` is empty if nothing was quoted."""
        super().__init__(detail, invoice=invoice)
        self.for_staff = f"{detail.removesuffix('.')}: {quote}" if quote else detail


class TooManyAttempts(BillingError):
    """The caller has asked for too many new attempts to pay one invoice.

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
    """A name of the contract that is planned and not built; the README names them under "Known limitations"."""

    status = 501
    title = "Not implemented yet"
    default_code = "not_implemented_yet"


class UpstreamFailed(BillingError):
    """Stripe or Directus answered that it will not do what we asked."""

    status = 502
    title = "Upstream failed"
    default_code = "upstream_failed"


class DirectusRejected(UpstreamFailed):
    """Directus refused a request: a permission, a validation, a wrong field. A matter for the administrator."""

    title = "Directus rejected the request"
    default_code = "directus_rejected"


class RecordNotUnique(DirectusRejected):
    """A unique column already holds the value: somebody was first. Read back and compare.

    `field` is the column, `collection` its collection, as Directus names them (`RECORD_NOT_UNIQUE`).
    """

    default_code = "record_not_unique"

    def __init__(self, detail: str, *, collection: str, field: str) -> None:
        """`collection` and `field` as in Directus's `extensions`."""
        super().__init__(detail, collection=collection, field=field)
        self.collection = collection
        self.field = field


class StripeRejected(UpstreamFailed):
    """Stripe refused a request for good; `code` of Stripe's error is kept in `stripe_code`."""

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
    """Stripe will not create this session, however often it is asked with the same key.

    Either it refused the parameters, or it repeats a server error it once gave under this key (for 24 h).
    """

    default_code = "session_refused"

    def __init__(
        self, detail: str, *, stripe_code: str | None = None, replayed: bool = False, **ids: str | None
    ) -> None:
        """`replayed`: it is the repeated server error; under another key Stripe may well create the session."""
        super().__init__(detail, stripe_code=stripe_code, **ids)
        self.replayed = replayed


class StripeUnreadable(StripeRejected):
    """Stripe answered with an object that lacks what we must know of it, or says it in a form that we do not know.

    Asking again will not help; whatever was asked for has been done.
    """

    default_code = "stripe_unreadable"


class AnswerTooLarge(UpstreamFailed):
    """The answer is larger than the caller accepts, whatever its headers said; nothing of it was kept."""

    default_code = "answer_too_large"


class MailRejected(UpstreamFailed):
    """SES refuses this mail for good; nothing was sent."""

    title = "Mail rejected"
    default_code = "mail_rejected"


class MailNotConfigured(UpstreamFailed):
    """SES did not take the mail for a reason that lies with the AWS account, not with this recipient.

    Nothing was sent. The same mail may go out once a person has mended the account.
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

    `secret` is its ARN: for the log and for whoever invoked the function, never in an answer of the API.
    """

    default_code = "secret_unavailable"

    def __init__(self, detail: str, *, secret: str) -> None:
        """`secret` is the ARN."""
        super().__init__(detail)
        self.secret = secret

    def __str__(self) -> str:
        """What Lambda writes into the log of an invocation that it ended."""
        return f"{self.detail} ({self.secret})"


class ConnectionFailed(UpstreamUnavailable):
    """No answer: refused, reset, or timed out. `maybe_sent` is False only if the request surely did not arrive."""

    default_code = "connection_failed"

    def __init__(self, detail: str, *, maybe_sent: bool) -> None:
        """`maybe_sent`: the other side may have acted on the request."""
        super().__init__(detail)
        self.maybe_sent = maybe_sent


class StripeReplayed(UpstreamUnavailable):
    """Stripe repeated a stored server error: the same idempotency key will never give anything else."""

    default_code = "stripe_unavailable"


class MailPostponed(UpstreamUnavailable):
    """SES did not take the mail now; nothing was sent, so the same mail may be tried later."""

    default_code = "mail_postponed"


class ClaimedByAnother(UpstreamUnavailable):
    """Another sender holds the claim and may still be at work: look again later."""

    default_code = "claimed_by_another"


class Parked(BillingError):
    """An event that cannot be applied now and must stay visible: its row says `parked` and why."""

    title = "Parked"
    default_code = "parked"
