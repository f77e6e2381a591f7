"""Every type of event that the pinned SDK knows is decided, and the list of what is left alone is no longer than that."""

from typing import get_args

import pytest
import stripe

from billing.payments import events as event_types
from billing.payments.events import REVERSALS, remark_on, subject_of
from billing.stripe.subjects import Subject

KNOWN = get_args(stripe.Event.__annotations__["type"])


def test_the_sdk_still_lists_its_types_where_we_look() -> None:
    assert len(KNOWN) > 250


def test_every_type_has_a_rule() -> None:
    assert [kind for kind in KNOWN if subject_of(kind) is Subject.UNKNOWN] == []


def test_nothing_about_a_payment_is_left_alone() -> None:
    ours = ("checkout.", "payment_intent.", "charge.", "refund.", "review.", "radar.")
    assert not [
        kind
        for kind in KNOWN
        if kind.startswith(ours) and subject_of(kind) in {Subject.NOTHING_OF_OURS, Subject.UNKNOWN}
    ]


@pytest.mark.parametrize(("prefix", "reason"), event_types._NOTHING_OF_OURS)
def test_what_is_left_alone_exists_and_has_a_reason(prefix: str, reason: str) -> None:
    assert prefix.endswith((".", "_"))
    assert reason.endswith(".")
    assert prefix == "v2.core." or any(kind.startswith(prefix) for kind in KNOWN)


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("charge.refunded", Subject.CHARGE),
        ("charge.refund.updated", Subject.REFUND),
        ("refund.failed", Subject.REFUND),
        ("charge.dispute.closed", Subject.DISPUTE),
        ("radar.early_fraud_warning.updated", Subject.EARLY_FRAUD_WARNING),
        ("review.closed", Subject.REVIEW),
    ],
)
def test_what_goes_back_or_warns_leads_to_its_payment(kind: str, subject: Subject) -> None:
    assert subject_of(kind) is subject


@pytest.mark.parametrize(
    "kind", [kind for kind in KNOWN if kind.startswith(("checkout.", "payment_intent."))]
)
def test_what_a_session_tells_leads_to_it(kind: str) -> None:
    assert subject_of(kind) in {Subject.SESSION, Subject.PAYMENT_INTENT}
    assert not kind.startswith(REVERSALS)


@pytest.mark.parametrize("kind", [kind for kind in KNOWN if kind.startswith(("review.", "radar."))])
def test_a_warning_leaves_a_sentence_that_names_it(kind: str) -> None:
    assert "prv_1" in str(remark_on(kind, "prv_1"))


@pytest.mark.parametrize("kind", [kind for kind in KNOWN if "refund" in kind or "dispute" in kind])
def test_every_type_about_a_reversal_asks_for_all_of_them(kind: str) -> None:
    assert kind.startswith(REVERSALS) == (subject_of(kind) is not Subject.NOTHING_OF_OURS)
    assert remark_on(kind, "re_1") is None


def test_a_name_that_only_begins_alike_is_not_left_alone() -> None:
    assert subject_of("customers") is subject_of("filed.created") is Subject.UNKNOWN
