"""Failures of Stripe's API on order, so that a test can see what its caller does then."""

from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from local.stripe_simulator.openapi import Operation
from local.stripe_simulator.store import Store

type Kind = Literal["lose_answer", "lose_request", "status", "delay"]
_KINDS: tuple[str, ...] = get_args(Kind.__value__)
_SETTING = "faults"
_STATUSES = range(400, 600)
_LONGEST_DELAY = 60.0


class InvalidFault(ValueError):
    """A fault that cannot be requested; the message has the reason."""


@dataclass(frozen=True)
class Fault:
    """What shall happen to the next `count` calls of the API.

    `lose_answer`: the work is done and remembered, then the connection is cut. `lose_request`: the connection is
    cut, nothing is done. `status`: that HTTP status is answered and nothing is done; with `replay` the answer is
    kept under the idempotency key, as Stripe keeps even a 500. `delay`: the call takes `seconds`; meanwhile its
    idempotency key is in use. `operation` (`POST /v1/checkout/sessions`, path as in Stripe's document) limits the
    fault to one operation.
    """

    fault: Kind
    count: int = 1
    status: int = 500
    code: str | None = None
    retry: bool | None = None
    replay: bool = False
    seconds: float = 0.0
    operation: str | None = None

    @classmethod
    def read(cls, given: object) -> Self:
        """A fault from JSON; raises `InvalidFault`."""
        if not isinstance(given, dict) or not set(given) <= set(cls.__dataclass_fields__):
            raise InvalidFault(f"A fault is an object with some of: {', '.join(cls.__dataclass_fields__)}.")
        if given.get("fault") not in _KINDS:
            raise InvalidFault(f"fault must be one of: {', '.join(_KINDS)}.")
        expected: dict[str, tuple[type, ...]] = {
            "count": (int,), "status": (int,), "code": (str, type(None)), "retry": (bool, type(None)),
            "replay": (bool,), "seconds": (int, float), "operation": (str, type(None)),
        }  # fmt: skip
        for name, types in expected.items():
            if name in given and (
                not isinstance(given[name], types) or (isinstance(given[name], bool) and bool not in types)
            ):
                raise InvalidFault(f"{name} has the wrong type.")
        fault = cls(**given)
        if fault.count < 1 or fault.status not in _STATUSES or not 0 <= fault.seconds <= _LONGEST_DELAY:
            raise InvalidFault("count is at least 1, status 400 to 599, seconds 0 to 60.")
        return fault

    def concerns(self, operation: Operation) -> bool:
        """Whether a call of that operation fails so."""
        return self.operation in (None, f"{operation.method} {operation.path}")


def ordered(store: Store) -> list[Fault]:
    """The faults that are still to come, in their order."""
    return [Fault(**fault) for fault in store.setting(_SETTING, [])]


def order(store: Store, fault: Fault) -> None:
    """Adds a fault behind those already ordered."""
    _remember(store, [*ordered(store), fault])


def clear(store: Store) -> None:
    """Forgets all ordered faults."""
    _remember(store, [])


def take(store: Store, operation: Operation) -> Fault | None:
    """The fault that hits this call, used up by one; None when the call shall work."""
    faults = ordered(store)
    for index, fault in enumerate(faults):
        if fault.concerns(operation):
            left = [replace(fault, count=fault.count - 1)] if fault.count > 1 else []
            _remember(store, [*faults[:index], *left, *faults[index + 1 :]])
            return fault
    return None


def _remember(store: Store, faults: list[Fault]) -> None:
    store.store_setting(_SETTING, [vars(fault) for fault in faults])
