"""Converts the SDK's objects to the values of `stripe.objects`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from billing.errors import StripeUnreadable
from billing.stripe.objects import (
    BalanceTransaction,
    CheckoutSession,
    StripeDispute,
    StripeRefund,
    UndeliveredEvent,
    id_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

#: Stripe's name of each object that we read, and its model.
_READERS: dict[object, tuple[str, TypeAdapter[Any]]] = {
    BalanceTransaction: ("balance_transaction", TypeAdapter(BalanceTransaction)),
    CheckoutSession: ("checkout.session", TypeAdapter(CheckoutSession)),
    StripeDispute: ("dispute", TypeAdapter(StripeDispute)),
    StripeRefund: ("refund", TypeAdapter(StripeRefund)),
    UndeliveredEvent: ("event", TypeAdapter(UndeliveredEvent)),
}


def read[Value](model: type[Value], found: Mapping[str, Any]) -> Value:
    """A Stripe object as a value. Raises `StripeUnreadable` if a required field is not usable."""
    kind, reader = _READERS[model]
    try:
        value: Value = reader.validate_python(found)
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"]))
    else:
        return value
    identifier = id_of(dict(found))
    message = (
        f"Stripe's {kind} {identifier or 'without an id'} has no usable {place}; look at it in its dashboard."
    )
    raise StripeUnreadable(message, object=identifier)


def each_readable[Value](
    found: Iterable[Mapping[str, Any]],
    model: type[Value],
    unreadable: Callable[[StripeUnreadable], None] | None = None,
) -> Iterator[Value]:
    """Every readable object in a Stripe list; unreadable ones are skipped.

    `unreadable` is called for each of them. Without it the first is raised at the end of the list, so that an unreadable
    object is never mistaken for one that Stripe does not have.
    """
    first: StripeUnreadable | None = None
    for one in found:
        try:
            value = read(model, one)
        except StripeUnreadable as error:
            if unreadable is not None:
                unreadable(error)
            first = first or error
        else:
            yield value
    if first is not None and unreadable is None:
        raise first
