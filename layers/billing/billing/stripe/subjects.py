"""The kinds of object that Stripe tells about."""

from __future__ import annotations

from enum import Enum, auto


class Subject(Enum):
    """The kind of object whose id an event carries."""

    SESSION = auto()
    PAYMENT_INTENT = auto()
    CHARGE = auto()
    REFUND = auto()
    DISPUTE = auto()
    EARLY_FRAUD_WARNING = auto()
    REVIEW = auto()
    NOTHING_OF_OURS = auto()
    UNKNOWN = auto()
