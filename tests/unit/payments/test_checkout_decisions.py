"""May this invoice be paid now, how much, and where does the client come back to: each code of the contract."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.errors import BillingError, NotFound, Unprocessable
from billing.ledger.ledger import InvoiceStatus, Payment, PaymentStatus
from billing.money import MINIMUM_CHARGE, Money
from billing.payments.checkout import (
    AttemptVerdict,
    CheckoutTerms,
    InvoiceOwnership,
    amount_to_charge,
    judge_attempt,
    new_attempt,
    require_visible,
    return_urls,
)
from billing.stripe.amounts import MAXIMUM_MINOR
from billing.stripe.objects import CheckoutSession, PaymentIntent
from tests.fakes.world import CLIENT, INVOICE, OTHER_CLIENT, TERMS, World

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def refused(world: World, amount: object | None = None) -> BillingError:
    with pytest.raises(BillingError) as refusal:
        amount_to_charge(world.ledger(), amount)
    assert refusal.value.ids.get("invoice", INVOICE) == INVOICE
    return refusal.value


def with_invoice(*lines: str, **columns: Any) -> World:
    world = World()
    world.invoice(*lines, **columns)
    return world


def test_without_an_amount_everything_payable_is_charged() -> None:
    world = with_invoice("100.00", "50.00")
    world.payment("30.00")
    assert amount_to_charge(world.ledger(), None) == Money(12000, "USD")


def test_a_part_may_be_chosen() -> None:
    assert amount_to_charge(with_invoice("100.00").ledger(), "40.00") == Money(4000, "USD")


@pytest.mark.parametrize(
    "amount", [40, 40.0, True, {"value": "40"}, ["40"], "", "-1", "1e1", "40.001", "0", "0.00"]
)
def test_invalid_amount(amount: object) -> None:
    error = refused(with_invoice("100.00"), amount)
    assert isinstance(error, Unprocessable)
    assert error.code == "invalid_amount"


def test_amount_too_large_names_what_can_be_paid() -> None:
    error = refused(with_invoice("100.00"), "100.01")
    assert (error.status, error.code) == (422, "amount_too_large")
    assert "100.00 USD" in error.detail


def test_amount_too_large_for_stripe() -> None:
    error = refused(with_invoice("1000000.00"))
    assert error.code == "amount_too_large"
    assert "999999.99 USD" in error.detail
    assert amount_to_charge(with_invoice("1000000.00").ledger(), "999999.00").minor == 99999900


def test_a_payment_in_another_currency_is_sorted_out_before_more_is_asked_for() -> None:
    world = with_invoice("100.00")
    world.payment("80.00", currency="EUR")
    error = refused(world)
    assert (error.status, error.code) == (409, "not_payable")
    world.payments(currency="EUR")[0]["status"] = "canceled"
    assert amount_to_charge(world.ledger(), None) == Money(10000, "USD")


@pytest.mark.parametrize(("balance", "amount"), [("100.00", "0.49"), ("0.49", None), ("100.00", "0.01")])
def test_amount_too_small(balance: str, amount: str | None) -> None:
    assert refused(with_invoice(balance), amount).code == "amount_too_small"


def test_remainder_too_small() -> None:
    assert refused(with_invoice("100.00"), "99.51").code == "remainder_too_small"
    assert amount_to_charge(with_invoice("100.00").ledger(), "99.50").minor == 9950
    assert amount_to_charge(with_invoice("100.00").ledger(), "100.00").minor == 10000


def test_already_paid() -> None:
    world = with_invoice("100.00", status="sent", amount_paid="0.00", balance_due="100.00")
    world.payment("100.00")
    error = refused(world)
    assert (error.status, error.code) == (409, "already_paid")


def test_what_the_stored_totals_say_of_payments_decides_nothing() -> None:
    world = with_invoice("100.00", status="paid", amount_paid="100.00", balance_due="0.00")
    assert amount_to_charge(world.ledger(), None) == Money(10000, "USD")


def test_payment_processing() -> None:
    world = with_invoice("100.00")
    world.payment("40.00", status="processing", method="us_bank_account")
    error = refused(world)
    assert (error.status, error.code) == (409, "payment_processing")


def test_a_void_invoice_is_not_payable() -> None:
    error = refused(with_invoice("100.00", status="void"))
    assert (error.status, error.code) == (409, "not_payable")


def test_an_invoice_that_was_voided_is_not_payable_whatever_its_status_says() -> None:
    error = refused(with_invoice("100.00", status="sent", voided_at=MOMENT))
    assert (error.status, error.code) == (409, "not_payable")


@pytest.mark.parametrize("lines", [("0.00",), ("100.00", "-100.00"), ("100.00", "-100.01")])
def test_a_total_of_nothing_or_less_is_not_payable(lines: tuple[str, ...]) -> None:
    assert refused(with_invoice(*lines)).code == "not_payable"


def test_a_disputed_invoice_is_not_payable() -> None:
    world = with_invoice("100.00")
    world.directus.put("disputes", invoice=INVOICE, status="open", reason="Not agreed")
    assert refused(world).code == "not_payable"


def test_a_disputed_line_reduces_what_can_be_paid() -> None:
    world = with_invoice("100.00")
    line = world.line("50.00")
    world.stored().update(subtotal="150.00", total="150.00")
    world.directus.put("disputes", invoice=INVOICE, status="open", reason="Twice", line_item=line["id"])
    assert amount_to_charge(world.ledger(), None) == Money(10000, "USD")
    assert refused(world, "150.00").code == "amount_too_large"


def test_totals_do_not_add_up() -> None:
    error = refused(with_invoice("100.00", total="99.00"))
    assert (error.status, error.code) == (422, "totals_do_not_add_up")
    assert "99.00 USD" in error.detail
    assert "100.00 USD" in error.detail


@pytest.mark.parametrize("currency", ["KWD", "XTS"])
def test_currency_not_supported(currency: str) -> None:
    world = with_invoice("100.00", currency=currency)
    with pytest.raises(Unprocessable) as refusal:
        world.pay()
    assert refusal.value.code == "currency_not_supported"
    assert world.payments() == []


@pytest.mark.parametrize("money_as_numbers", [True, False])
def test_yen_are_charged_whole(*, money_as_numbers: bool) -> None:
    world = with_invoice("1200.00", currency="JPY")
    world.directus.money_as_numbers = money_as_numbers
    assert amount_to_charge(world.ledger(), None) == Money(1200, "JPY")
    assert refused(world, "600.50").code == "invalid_amount"
    assert refused(world, "49").code == "amount_too_small"


def test_every_accepted_currency_has_a_smallest_charge() -> None:
    assert all(0 < minimum < MAXIMUM_MINOR for minimum in MINIMUM_CHARGE.values())


# ---- whose invoice --------------------------------------------------------------------------------------


MOMENT = "2026-11-01T10:00:00Z"


def standing(
    status: str | None,
    *,
    client: str | None = CLIENT,
    sent_at: str | None = MOMENT,
    voided_at: str | None = None,
) -> InvoiceOwnership:
    return InvoiceOwnership(client, status, sent_at, voided_at)


def test_unknown_foreign_and_draft_give_the_same_answer() -> None:
    answers = []
    for found, client in (
        (None, CLIENT),
        (standing("sent"), OTHER_CLIENT),
        (standing("sent"), None),
        (standing("sent", client=None), None),
        (standing("draft"), CLIENT),
        (standing("draft", voided_at=MOMENT), CLIENT),
        (standing(None), CLIENT),
        (standing("unheard of"), CLIENT),
        # A draft that was voided was never sent either.
        (standing("void", sent_at=None, voided_at=MOMENT), CLIENT),
        (standing("void", sent_at=None), CLIENT),
        (standing("sent", sent_at=None, voided_at=MOMENT), CLIENT),
    ):
        with pytest.raises(NotFound) as refusal:
            require_visible(found, client, INVOICE)
        answers.append((refusal.value.detail, refusal.value.code, refusal.value.ids))
    assert answers == [answers[0]] * 11


@pytest.mark.parametrize("status", sorted(set(InvoiceStatus) - {InvoiceStatus.DRAFT}))
def test_every_other_status_is_visible_to_its_client(status: InvoiceStatus) -> None:
    require_visible(standing(status.value), CLIENT, INVOICE)
    require_visible(standing(status.value, voided_at=MOMENT), CLIENT, INVOICE)


def test_an_invoice_that_the_writer_has_not_seen_yet_is_visible_to_its_client() -> None:
    require_visible(standing("sent", sent_at=None), CLIENT, INVOICE)


# ---- where the client comes back to ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://portal.example/", "https://portal.example/invoices/1?paid=1#top", "https://portal.example:443/x",
        "HTTPS://PORTAL.EXAMPLE/x", "http://localhost:8055/paid", "https://portal.example",
    ],
)  # fmt: skip
def test_a_return_url_of_the_portals_origin_is_taken(url: str) -> None:
    assert return_urls(TERMS, url) == (url, url)


ATTACKS = [
    "https://evil.example/", "http://portal.example/", "https://portal.example:444/", "https://portal.example:0/",
    "https://portal.example.evil.example/", "https://evilportal.example/", "https://sub.portal.example/",
    "https://portal.example@evil.example/", "https://evil.example@portal.example/", "https://@portal.example/",
    "https://user:word@portal.example/", "https://portal.example:pass@evil.example/", "https://portal.example\\@evil.example/",
    "https:\\\\portal.example/", "https:/\\portal.example/", "https://evil.example\\.portal.example/", "//portal.example/", "/paid", "portal.example",
    "https:portal.example", "https:/portal.example", "https:///portal.example", " https://portal.example/", "https://portal.example/ ",
    "https://portal.example/\n", "https://portal.example/\r\nSet-Cookie: a=b", "https://portal\t.example/", "https://portal.example\x00/",
    "https://portal.example\x7f/", "\x01https://portal.example/", "javascript:alert(1)", "javascript://portal.example/%0aalert(1)", "data:text/html,x",
    "ftp://portal.example/", "https://[::1]/", "https://[portal.example]/", "https://[::ffff:1.2.3.4]:443/", "https://[", "https://portal.example:x/",
    "https://portal.example:99999/", "https://portal.example:-1/", "https://portal\u3002example/", "https://portal.example/\u202e", "https://portal.ex\u00adample/",
    "https://portal.example/\ud800", 'https://portal.example/"><script>', "https://portal.example./", "https://localhost:8055/", "http://localhost/", "",
    "https://portal.example/" + "a" * 3000, "https://evil.example?@portal.example/", "https://evil.example#@portal.example/", "https://evil.example/https://portal.example/",
    "https://%70ortal.example/",
]  # fmt: skip


@pytest.mark.parametrize(
    "url", [*ATTACKS, 1, True, {}, ["https://portal.example/"], b"https://portal.example/"]
)
def test_any_other_return_url_is_refused(url: object) -> None:
    with pytest.raises(Unprocessable) as refusal:
        return_urls(TERMS, url)
    assert refusal.value.code == "return_url_not_allowed"


@pytest.mark.parametrize("origins", [(), ("portal.example",), ("*",), ("",), ("null",), ("https://",)])
@pytest.mark.parametrize(
    "url", [*ATTACKS[:6], "javascript:alert(1)", "portal.example", "", "*", "null", "not a url"]
)
def test_a_mistyped_origin_of_the_portal_opens_nothing(origins: tuple[str, ...], url: str) -> None:
    terms = CheckoutTerms("test", "https://firm.example/paid", ("card",), origins)
    with pytest.raises(Unprocessable):
        return_urls(terms, url)


def test_without_one_the_templates_address_is_used() -> None:
    assert return_urls(TERMS, None) == (TERMS.return_url, TERMS.return_url)


# ---- the attempt ----------------------------------------------------------------------------------------

URLS = (TERMS.return_url, TERMS.return_url)


def made(amount: Money | None = None) -> Payment:
    ledger = with_invoice("100.00", matter_name="Divorce of A and B", client_message="Dear A").ledger()
    wanted = amount or Money(10000, "USD")
    return new_attempt(ledger, wanted, TERMS, payment="p1", urls=URLS, now=NOW)


def parameters(attempt: Payment) -> Mapping[str, Any]:
    assert attempt.attempt is not None
    sent: Mapping[str, Any] = attempt.attempt["parameters"]
    return sent


def test_the_attempt_stores_everything_that_is_sent_and_its_key() -> None:
    attempt = made()
    sent = parameters(attempt)
    assert attempt.attempt is not None
    assert attempt.attempt["idempotency_key"] == "test:p1"
    assert sent["metadata"] == sent["payment_intent_data"]["metadata"]
    assert sent["metadata"] == {"directus_invoice": INVOICE, "directus_payment": "p1", "deployment": "test"}
    assert sent["line_items"][0]["price_data"]["unit_amount"] == 10000
    assert sent["expires_at"] == int((NOW + timedelta(hours=23)).timestamp())
    assert attempt.open_claim == attempt.invoice == INVOICE
    assert attempt.status is PaymentStatus.PENDING


def test_neither_matter_nor_person_reaches_stripe() -> None:
    sent = str(parameters(made()))
    for word in ("Divorce", "Dear", "Client One", "Legal advice", "@", CLIENT):
        assert word not in sent


def test_bank_debits_are_for_dollars_only() -> None:
    assert parameters(made())["allowed_payment_method_types"] == ["card", "us_bank_account"]
    euros = parameters(made(Money(10000, "EUR")))
    assert euros["allowed_payment_method_types"] == ["card"]
    yen = parameters(made(Money(1200, "JPY")))
    assert yen["line_items"][0]["price_data"] | {"product_data": {}} == {
        "currency": "jpy", "unit_amount": 1200, "product_data": {},
    }  # fmt: skip


def judged(*, wanted: int = 10000, urls: tuple[str, str] = URLS, left: timedelta = timedelta(hours=1),
           attempt_status: str = "pending", intent_status: str | None = None, **session: Any) -> AttemptVerdict:  # fmt: skip
    attempt = replace(made(), status=PaymentStatus(attempt_status))
    intent = PaymentIntent("pi_1", intent_status, 0, "USD") if intent_status else None
    found = CheckoutSession(
        **{
            "id": "cs_1", "status": "open", "payment_status": "unpaid", "amount_total": 10000, "currency": "USD",
            "expires_at": NOW + left, "url": "https://x", "payment_intent": intent, **session,
        }
    )  # fmt: skip
    return judge_attempt(attempt, found, Money(wanted, "USD"), urls, NOW)


def test_an_open_session_that_fits_is_handed_out_again() -> None:
    assert judged() is AttemptVerdict.REUSE


@pytest.mark.parametrize(
    "unfit",
    [
        {"wanted": 9999}, {"currency": "EUR"}, {"left": timedelta(minutes=10)}, {"attempt_status": "canceled"},
        {"urls": ("https://portal.example/", "https://portal.example/")}, {"amount_total": 1},
    ],
)  # fmt: skip
def test_an_open_session_that_does_not_fit_is_expired(unfit: dict[str, Any]) -> None:
    assert judged(**unfit) is AttemptVerdict.EXPIRE


def test_a_session_has_to_last_longer_than_ten_minutes() -> None:
    assert judged(left=timedelta(minutes=10, seconds=1)) is AttemptVerdict.REUSE


@pytest.mark.parametrize(
    ("intent", "payment_status", "verdict"),
    [
        ("succeeded", "paid", AttemptVerdict.WAIT), ("processing", "unpaid", AttemptVerdict.WAIT), ("requires_action", "unpaid", AttemptVerdict.WAIT),
        (None, "unpaid", AttemptVerdict.WAIT), ("requires_payment_method", "unpaid", AttemptVerdict.END_FAILED), ("canceled", "unpaid", AttemptVerdict.END_FAILED),
        ("requires_payment_method", "paid", AttemptVerdict.WAIT),
    ],
)  # fmt: skip
def test_a_complete_session_is_waited_for_unless_its_payment_is_dead(
    intent: str | None, payment_status: str, verdict: AttemptVerdict
) -> None:
    assert judged(status="complete", payment_status=payment_status, intent_status=intent) is verdict


def test_an_expired_session_ends_the_attempt() -> None:
    assert judged(status="expired") is AttemptVerdict.END_CANCELED
