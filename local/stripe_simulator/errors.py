"""What the simulator answers when it does not do what was asked.

StripeError                 an error Stripe itself would answer; becomes Stripe's error body
├── NotSimulated            501: part of Stripe's API, not of this simulator
└── AnswerLost              no answer at all: the connection is cut (asked for by a test)
DishonestAnswer             500: the simulator was about to send something that Stripe's document forbids
"""

from collections.abc import Sequence

from local.stripe_simulator.openapi import Violation


class StripeError(Exception):
    """An error answer in Stripe's words.

    `replayed` says whether Stripe keeps the answer under the idempotency key: refusals of the parameters are not
    kept, outcomes of an operation that started are.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        parameter: str | None = None,
        decline_code: str | None = None,
        replayed: bool = False,
        retry: bool | None = None,
    ) -> None:
        """`kind` is Stripe's `type`; `retry` becomes the `Stripe-Should-Retry` header."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.parameter = parameter
        self.decline_code = decline_code
        self.replayed = replayed
        self.retry = retry

    def body(self) -> dict[str, dict[str, str]]:
        """The JSON body, as Stripe shapes it."""
        error = {
            "type": self.kind,
            "message": self.message,
            "code": self.code,
            "decline_code": self.decline_code,
            "param": self.parameter,
            "doc_url": f"https://docs.stripe.com/error-codes/{self.code.replace('_', '-')}"
            if self.code
            else None,
        }
        return {"error": {name: value for name, value in error.items() if value is not None}}


class NotSimulated(StripeError):
    """Stripe supports it, the simulator does not, and reports that instead of pretending. The SDK must not retry it."""

    def __init__(self, what: str) -> None:
        """`what` names the operation or the parameter."""
        super().__init__(
            501, f"{what} is part of Stripe's API but not simulated.", kind="api_error", retry=False
        )


class AnswerLost(StripeError):
    """A test asked for this call to end without an answer."""

    def __init__(self) -> None:
        super().__init__(500, "The connection was cut before the answer.", kind="api_error")


class DishonestAnswer(Exception):
    """An answer or event of ours does not follow Stripe's document: a defect here, never served."""

    def __init__(self, what: str, violations: Sequence[Violation]) -> None:
        """`what` names the answer or event."""
        super().__init__(f"{what} breaks Stripe's document: {'; '.join(str(one) for one in violations[:5])}")


def refuse_parameter(violation: Violation) -> StripeError:
    """Stripe's 400 for a parameter that does not follow the document."""
    name = violation.parameter
    match violation.kind:
        case "unknown":
            return StripeError(
                400, f"Received unknown parameter: {name}", code="parameter_unknown", parameter=name
            )
        case "required":
            return StripeError(
                400, f"Missing required param: {name}.", code="parameter_missing", parameter=name
            )
        case "type" if "integer" in violation.message:
            return StripeError(
                400, f"Invalid integer: {name}", code="parameter_invalid_integer", parameter=name
            )
        case _:
            return StripeError(400, f"Invalid {name}: {violation.message}", parameter=name)
