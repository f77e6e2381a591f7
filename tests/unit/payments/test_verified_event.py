"""The mutation corpus: whatever an anonymous caller sends, the answer is an event or one error."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from billing.aws.queue_worker import INVOICE_WORK, read
from billing.errors import SignatureRejected
from billing.messages import StripeEvent, to_json
from billing.payments.events import verified_event
from tests.fakes.world import INVOICE

SECRET = "whsec_test"
NOW = 1_795_339_424
EVENT: dict[str, Any] = {
    "id": "evt_1", "object": "event", "type": "checkout.session.completed", "livemode": False, "created": NOW,
    "data": {"object": {"id": "cs_test_1", "object": "checkout.session", "metadata": {"directus_invoice": INVOICE, "deployment": "test"},
                        "customer_details": {"name": "Żółć 🦊"}}},
}  # fmt: skip
BODY = json.dumps(EVENT, ensure_ascii=False).encode()


def signature(body: bytes, secret: str = SECRET, at: int | str = NOW) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def header(body: bytes = BODY, secret: str = SECRET, at: int | str = NOW) -> str:
    return f"t={at},v1={signature(body, secret, at)}"


def verify(
    body: bytes = BODY, given: str | None = None, *, secrets: tuple[str, ...] = (SECRET,)
) -> StripeEvent:
    return verified_event(body, header(body) if given is None else given, iter(secrets), NOW)


def rejected(body: bytes = BODY, given: str | None = None, *, secrets: tuple[str, ...] = (SECRET,)) -> str:
    with pytest.raises(SignatureRejected) as refusal:
        verify(body, given, secrets=secrets)
    assert refusal.value.status == 400
    for secret in secrets:
        assert secret not in refusal.value.detail
    return refusal.value.detail


def changed(**changes: Any) -> bytes:
    return json.dumps({**EVENT, **changes}).encode()


def test_a_signed_event_is_read_down_to_its_ids() -> None:
    event = verify()
    assert event == StripeEvent("evt_1", "checkout.session.completed", "cs_test_1", "checkout.session", False, INVOICE, "test")  # fmt: skip
    assert event.group == INVOICE
    assert "Żółć" not in to_json(event)


@pytest.mark.parametrize(
    "body",
    [
        BODY + b"\n", b"\xef\xbb\xbf" + BODY, BODY[:-1], BODY.replace(b": ", b":"), BODY.replace(b"cs_test_1", b"cs_test_2"),
        json.dumps(EVENT).encode(), b"", b"\xff", b" " + BODY, BODY * 2, base64.b64encode(BODY),
    ],
)  # fmt: skip
def test_a_body_that_is_not_what_was_signed_is_rejected(body: bytes) -> None:
    rejected(body, header(BODY))


GOOD = signature(BODY)
HEADERS = [
    "", "garbage", ",", "=", "t", "v1", "t,v1", "t=,v1=", f"t={NOW}", f"v1={GOOD}", f"t={NOW},v0={GOOD}", f"t={NOW},v1=", f"t={NOW}, v1={GOOD}",
    f" t={NOW},v1={GOOD}", f"t={NOW},v1={GOOD.upper()}", f"t={NOW},v1= {GOOD}", f"t={NOW},v1={GOOD[:-1]}", f"t={NOW},v1={GOOD}0", f"t={NOW},V1={GOOD}",
    f"T={NOW},v1={GOOD}", f"t={NOW};v1={GOOD}", f"t={NOW},v1=é", f"t={NOW},v1=é,v1={GOOD}", f"t={NOW},v1={GOOD},v1=é", f"t={NOW},v1={GOOD},v1",
    f"t={NOW},v1={GOOD},t", f"t={NOW}.0,v1={GOOD}", f"t=+{NOW},v1={GOOD}", f"t= {NOW},v1={GOOD}", f"t=0{NOW},v1={GOOD}", f"t=-{NOW},v1={GOOD}",
    f"t={NOW:_},v1={GOOD}", "t=" + "9" * 4000 + f",v1={GOOD}", f"t=\u0661{str(NOW)[1:]},v1={GOOD}", f"t={NOW + 1},v1={GOOD}", f"t=NaN,v1={GOOD}",
    f"t=1e9,v1={GOOD}", f"t={NOW}\x00,v1={GOOD}", f"t={NOW},v1={GOOD}\n", f"t={NOW},v1=\ud800", "v1=" * 10000, "," * 10000, f"t={NOW},v1={GOOD},🦊",
]  # fmt: skip


@pytest.mark.parametrize("given", HEADERS)
def test_a_malformed_header_is_rejected(given: str) -> None:
    rejected(given=given)


def test_a_missing_header_is_rejected() -> None:
    with pytest.raises(SignatureRejected):
        verified_event(BODY, None, [SECRET], NOW)


@pytest.mark.parametrize("age", [-300, -299, 0, 299, 300])
def test_five_minutes_of_difference_between_clocks_are_accepted(age: int) -> None:
    assert verify(given=header(at=NOW - age)).event == "evt_1"


@pytest.mark.parametrize("age", [301, -301, 86400, -86400, 10**8])
def test_an_old_or_future_signature_is_rejected(age: int) -> None:
    assert "clock" in rejected(given=header(at=NOW - age))


def test_the_order_of_the_headers_parts_and_other_schemes_do_not_matter() -> None:
    assert verify(given=f"v0=nonsense,v1={signature(BODY, 'old')},v1={GOOD},t={NOW},v2=x").event == "evt_1"


def test_any_accepted_secret_will_do_and_a_removed_one_will_not() -> None:
    assert verify(given=header(secret="whsec_old"), secrets=("whsec_new", "whsec_old")).event == "evt_1"
    rejected(given=header(secret="whsec_old"), secrets=("whsec_new",))
    rejected(secrets=())


def test_secrets_are_asked_for_only_as_far_as_needed() -> None:
    asked = []

    def secrets() -> Any:
        for name in (SECRET, "whsec_previous"):
            asked.append(name)
            yield name

    verified_event(BODY, header(), secrets(), NOW)
    assert asked == [SECRET]
    asked.clear()
    with pytest.raises(SignatureRejected):
        verified_event(BODY, "garbage", secrets(), NOW)
    assert asked == []


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"1", b'"event"', b"null", b"{}", b"\xff", b"{", b"", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 10_000, b"\xef\xbb\xbf{}",
        changed(object="charge"), changed(object=None), changed(id=None), changed(id=1), changed(id=""), changed(id="evt 1"), changed(id="x" * 300),
        changed(type=None), changed(type=1), changed(data=None), changed(data=[]), changed(data={}), changed(data={"object": []}),
        changed(object="v2.core.event", related_object=[1]), changed(id="evt_1\n"), changed(id="../evt"),
    ],
)  # fmt: skip
def test_a_signed_body_that_is_no_event_is_rejected(body: bytes) -> None:
    rejected(body)


@pytest.mark.parametrize(
    "kind", ["", "charge.\0updated", "charge updated", "charge.\ud83d", "a" * 121, "é", None, 1]
)
def test_a_type_that_directus_could_not_store_is_no_event(kind: object) -> None:
    rejected(changed(type=kind))


def test_a_type_of_any_plain_name_is_left_to_the_rules() -> None:
    for kind in ("v2.core.account[requirements].updated", "Nothing.Known", "a" * 120):
        assert verify(changed(type=kind)).event_type == kind


@pytest.mark.parametrize(
    ("kind", "marked"),
    [
        ("checkout.session", True),
        ("payment_intent", True),
        ("charge", True),
        ("refund", False),
        ("dispute", False),
    ],
)
def test_only_what_a_checkout_made_says_whose_it_is(kind: str, *, marked: bool) -> None:
    """Whoever makes a refund writes on it what they like; its payment says whose it is."""
    described = {"id": "x_1", "object": kind, "metadata": {"deployment": "another"}}
    assert verify(changed(data={"object": described})).deployment == ("another" if marked else None)


@pytest.mark.parametrize("metadata", [None, [], "x", {"directus_invoice": "1"}, {"directus_invoice": 1, "deployment": 2}, {"directus_invoice": "x" * 36}])  # fmt: skip
def test_metadata_that_is_not_ours_names_no_invoice(metadata: object) -> None:
    event = verify(
        changed(data={"object": {"id": "cs_1", "object": "checkout.session", "metadata": metadata}})
    )
    assert (event.invoice, event.deployment, event.group) == (None, None, "cs_1")


@pytest.mark.parametrize(
    "described",
    [{"object": "balance"}, {"id": None, "object": "invoice"}, {"id": "25 % off", "object": "coupon"}, {"id": "x", "object": None}],
)  # fmt: skip
def test_an_event_about_an_object_without_a_plain_id_is_still_an_event(described: dict[str, Any]) -> None:
    event = verify(changed(type="balance.available", data={"object": described}))
    assert (event.event, event.group) == ("evt_1", "evt_1")


def test_a_thin_event_names_its_object() -> None:
    thin = {"id": "evt_9", "object": "v2.core.event", "type": "v1.checkout.session.completed",
            "related_object": {"id": "cs_1", "type": "checkout.session", "url": "/v1/x"}, "livemode": True}  # fmt: skip
    event = verify(json.dumps(thin).encode())
    assert (event.event_type, event.object, event.object_type, event.livemode) == (
        "checkout.session.completed", "cs_1", "checkout.session", True,
    )  # fmt: skip
    assert verify(json.dumps({**thin, "related_object": None}).encode()).object == "evt_9"


THIN: dict[str, Any] = {
    "id": "evt_9", "object": "v2.core.event", "type": "v1.checkout.session.completed", "livemode": True,
    "related_object": {"id": "cs_1", "type": "checkout.session", "url": "/v1/x"},
}  # fmt: skip


@pytest.mark.parametrize("document", [EVENT, THIN])
@pytest.mark.parametrize(
    "named",
    [
        {"account": "acct_1"}, {"context": "acct_1"}, {"account": "acct_1", "context": "acct_1"}, {"context": "org_1/acct_1"},
        {"account": None, "context": "org_1"}, {"account": "", "context": "acct_1"},
    ],
)  # fmt: skip
def test_an_event_of_a_connected_account_is_told_from_our_own(
    document: dict[str, Any], named: dict[str, str | None]
) -> None:
    event = verify(json.dumps({**document, **named}).encode())
    assert event.of_another_account
    assert read(INVOICE_WORK, to_json(event)) == event


@pytest.mark.parametrize("document", [EVENT, THIN])
@pytest.mark.parametrize("named", [{}, {"account": None, "context": None}, {"account": "", "context": ""}])
def test_an_event_that_names_no_account_is_our_own(
    document: dict[str, Any], named: dict[str, str | None]
) -> None:
    assert not verify(json.dumps({**document, **named}).encode()).of_another_account


@pytest.mark.parametrize("document", [EVENT, THIN])
@pytest.mark.parametrize("name", ["account", "context"])
@pytest.mark.parametrize("value", [5, 0, True, False, {}, {"id": "acct_1"}, [], ["acct_1"]])
def test_an_account_that_is_no_text_is_refused_by_name(
    document: dict[str, Any], name: str, value: object
) -> None:
    """Whose event it is cannot be told: Stripe keeps it and says that it was not taken."""
    rejected(json.dumps({**document, name: value}).encode())


# ---- held to the SDK ------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [f"t={NOW}", f"v1={GOOD}", "v0=x", "v1", "t", "v1=", f"v1={GOOD}=x", f"t={NOW}=1", "=", "", f"v1={signature(BODY, 'other')}", "x=y", "v1=é", " ", "v1 "]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES, max_size=6).map(",".join)))
def test_what_is_accepted_here_the_sdk_accepts_too(given_header: str) -> None:
    try:
        event = verified_event(BODY, given_header, [SECRET], NOW)
    except SignatureRejected:
        return
    assert event.event == "evt_1"
    assert stripe.WebhookSignature.verify_header(BODY, given_header, SECRET)


@given(st.binary(), st.text())
def test_no_input_gets_anything_but_one_error(body: bytes, given_header: str) -> None:
    for signed in (given_header, header(body)):
        with pytest.raises(SignatureRejected):
            verified_event(body, signed, [SECRET], NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from([*EVENT, "related_object", "metadata"]), inner)
    ),
    max_leaves=8,
)


@given(JSON, st.sampled_from([*EVENT, "related_object", "account", "context"]), st.booleans())
def test_no_signed_json_gets_anything_but_an_event_or_one_error(value: Any, name: str, thin: Any) -> None:
    body = json.dumps({**EVENT, **({"object": "v2.core.event"} if thin else {}), name: value}).encode()
    try:
        event = verified_event(body, header(body), [SECRET], NOW)
    except SignatureRejected:
        return
    assert read(INVOICE_WORK, to_json(event)) == event
    assert stripe.WebhookSignature.verify_header(body, header(body), SECRET)
