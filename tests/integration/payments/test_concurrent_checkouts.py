"""Many people press Pay on one invoice at the same moment: one session, one claim, one address."""

import functools
from collections.abc import Mapping
from typing import Any

from tests.integration.payments.at_once import at_once
from tests.integration.payments.books import amount_paid, audit
from tests.integration.payments.firm import ORIGIN, Firm, only
from tests.integration.payments.sizes import SIZES

type Answer = tuple[int, Mapping[str, Any]]


def started(answers: list[Answer]) -> list[Mapping[str, Any]]:
    """The bodies of those who were let through; every other answer is a plain refusal that one may repeat."""
    assert {status for status, _ in answers} <= {200, 409, 503}, answers
    return [body for status, body in answers if status == 200]


def test_one_session_whoever_asks(firm: Firm) -> None:
    invoice = firm.invoice("1250.00")
    given = started(at_once([functools.partial(firm.checkout, invoice)] * SIZES.at_once))
    session = only(firm.sessions(invoice))
    assert {body["url"] for body in given} == {session["url"]}
    row = only(firm.rows("payments", invoice))
    assert (row["checkout_session"], row["open_claim"], row["status"]) == (session["id"], invoice, "pending")
    firm.stripe_delivers(firm.client_pays(session["id"])["events"][-1])
    firm.drain(workers=4)
    audit(firm, invoice)
    row = only(firm.rows("payments", invoice))
    assert (row["status"], row["open_claim"], row["checkout_session"]) == ("succeeded", None, session["id"])
    assert (firm.stored(invoice)["status"], str(amount_paid(firm, invoice))) == ("paid", "1250.00")


def test_different_wishes_never_leave_two_sessions_to_pay_in(firm: Firm) -> None:
    invoice = firm.invoice("1250.00")
    payable: list[int] = []

    def look(question: str) -> None:
        if question == "create_session":  # only then can there be one more
            payable.append(len(firm.open_sessions(invoice)))

    firm.stripe_answered = look

    def press_pay(number: int) -> Answer:
        return firm.checkout(invoice, f"{100 + 10 * (number % 5)}.00", return_url=f"{ORIGIN}/{number % 3}")

    assert started(at_once([functools.partial(press_pay, number) for number in range(SIZES.at_once)]))
    assert max(payable) == 1
    firm.settle(workers=4)
    for session in firm.open_sessions(invoice):
        firm.client_pays(session)
    firm.settle(workers=4)
    audit(firm, invoice)
