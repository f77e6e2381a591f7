"""The kinds of object of Stripe's events."""

from __future__ import annotations

from enum import Enum, auto


class Subject(Enum):
    """The kind of object whose id an event has."""

    SESSION = auto()
    PAYMENT_INTENT = auto()
    CHARGE = auto()
    REFUND = auto()
    DISPUTE = auto()
    EARLY_FRAUD_WARNING = auto()
    REVIEW = auto()
    NOTHING_OF_OURS = auto()
    UNKNOWN = auto()
