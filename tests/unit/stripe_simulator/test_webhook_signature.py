import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from local.stripe_simulator.webhooks import signature


@given(body=st.text(), timestamp=st.integers(1_000_000_000, 4_000_000_000))
def test_the_sdk_accepts_the_signature_of_each_secret(body: str, timestamp: int) -> None:
    header = signature(body.encode(), ("whsec_new", "whsec_old"), timestamp)
    for secret in ("whsec_new", "whsec_old"):
        assert stripe.WebhookSignature.verify_header(body, header, secret, None)


def test_a_changed_body_or_time_does_not_verify() -> None:
    header = signature(b"{}", ("whsec_x",), 1_795_000_000)
    for body, changed in (("{} ", header), ("{}", header.replace("t=17", "t=18"))):
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.WebhookSignature.verify_header(body, changed, "whsec_x", None)
