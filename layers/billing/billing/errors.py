"""Every failure this project knows, as one tree.

    BillingError                        (status, code, retryable, the ids concerned)
    ├── BadRequest                      400  the caller's request cannot be read
    │   └── SignatureRejected           400  a webhook that Stripe did not sign for us
    ├── Unauthenticated                 401  the flow secret is missing or wrong
    ├── NotFound                        404  unknown, not yours, or a draft: the same answer on purpose
    ├── Conflict                        409  the record's state forbids it (`already_paid`, ...)
    ├── PayloadTooLarge                 413
    ├── Unprocessable                   422  understood, but not acceptable (`invalid_amount`, ...)
    ├── NotImplementedYet               501  a name of the contract that is planned, not built
    ├── UpstreamFailed                  502  Stripe or Directus refused what we asked; repeating will not help
    │   ├── DirectusRejected                 … with Directus's own code
    │   │   └── RecordNotUnique              … a unique column already holds the value
    │   └── StripeRejected                   … with Stripe's own code
    ├── UpstreamUnavailable             503  Stripe, Directus or AWS cannot be reached now; repeat later
    └── Parked                          (no status) an event that cannot be applied and must be looked at

`retryable` tells the queue workers whether to try again; the HTTP mapping is in `http_api`, the queue
mapping in `queue_worker`. Messages are written for the firm's administrator: what happened, to which
record, what to do. They never hold a secret, a card number or a client's name.
"""

from typing import ClassVar


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


class NotImplementedYet(BillingError):
    """A name of the contract that is planned and not built; the README lists them."""

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


class Parked(BillingError):
    """An event that cannot be applied now and must stay visible: its row says `parked` and why."""

    title = "Parked"
    default_code = "parked"
