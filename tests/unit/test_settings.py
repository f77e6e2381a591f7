from __future__ import annotations

import pytest

from billing.settings import (
    CheckoutSettings,
    RenderWorkerSettings,
    SenderSettings,
    SettingMissing,
    SettingRefused,
)

CHECKOUT = {
    "DIRECTUS_URL": "https://directus.example.com",
    "DIRECTUS_TOKEN_SECRET": "arn:directus",
    "STRIPE_API_BASE": "https://api.stripe.com",
    "STRIPE_SECRET": "arn:stripe",
    "DEPLOYMENT": "firm",
    "FLOW_SECRET": "arn:flow",
    "INVOICE_QUEUE_URL": "https://queue",
    "RETURN_URL": "https://firm.example.com/thanks",
    "PORTAL_ORIGINS": " https://a.example.com, ,https://b.example.com ",
    "ALLOWED_PAYMENT_METHOD_TYPES": "card",
}


def test_every_variable_finds_its_field() -> None:
    settings = CheckoutSettings.from_environment(CHECKOUT)
    assert settings.directus.url == "https://directus.example.com"
    assert (settings.stripe.key_secret, settings.stripe.deployment) == ("arn:stripe", "firm")
    assert settings.portal_origins == ("https://a.example.com", "https://b.example.com")


@pytest.mark.parametrize(
    "absent", [name for name in CHECKOUT if name not in {"PORTAL_ORIGINS", "ALLOWED_PAYMENT_METHOD_TYPES"}]
)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_variable_is_named(absent: str, value: str | None) -> None:
    environment = {name: given for name, given in CHECKOUT.items() if name != absent}
    if value is not None:
        environment[absent] = value
    with pytest.raises(SettingMissing, match=absent):
        CheckoutSettings.from_environment(environment)


def test_what_has_a_default_may_be_empty() -> None:
    environment = {
        "DIRECTUS_URL": "https://directus.example.com",
        "DIRECTUS_TOKEN_SECRET": "arn",
        "DOCUMENTS_BUCKET": "bucket",
        "DIRECTUS_STORAGE": "s3",
        "INVOICE_QUEUE_URL": "q1",
        "RENDER_QUEUE_URL": "q2",
        "RENDER_DLQ_URL": "q3",
    }
    assert RenderWorkerSettings.from_environment(environment).portal_url == ""


ADDRESSES = ("DIRECTUS_URL", "STRIPE_API_BASE", "RETURN_URL")


@pytest.mark.parametrize("variable", ADDRESSES)
@pytest.mark.parametrize(
    "address",
    [
        "http://directus.example.com",
        "HTTP://directus.example.com",
        "http://10.0.0.7:8055",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "http://localhost.example.com",
        "http://[::2]:8055",
        "http://128.0.0.1",
        "http://0.0.0.0:8055",
        "http://[::1",
        "http://",
        "https://",
        "https:/directus.example.com",
        "ftp://127.0.0.1",
        "directus.example.com",
        "//127.0.0.1",
    ],
)
def test_an_address_that_others_could_read_along_is_refused_by_name(variable: str, address: str) -> None:
    with pytest.raises(SettingRefused, match=variable) as refusal:
        CheckoutSettings.from_environment({**CHECKOUT, variable: address})
    assert "example.com" not in str(refusal.value), "an address may hold a password"


@pytest.mark.parametrize("variable", ADDRESSES)
@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:8055",
        "http://127.8.9.1",
        "http://localhost:8055/x",
        "http://[::1]:8055",
        "https://d.example/sub",
    ],
)
def test_https_and_this_machine_are_accepted(variable: str, address: str) -> None:
    settings = CheckoutSettings.from_environment({**CHECKOUT, variable: address})
    assert address in {settings.directus.url, settings.stripe.api_base, settings.return_url}


def test_the_portals_address_may_be_empty_but_not_readable_to_others() -> None:
    environment = {
        "DIRECTUS_URL": "https://directus.example.com",
        "DIRECTUS_TOKEN_SECRET": "arn",
        "MESSAGE_QUEUE_URL": "q1",
        "MESSAGE_DLQ_URL": "q2",
        "SENDER_EMAIL": "billing@example.com",
    }
    assert SenderSettings.from_environment(environment).portal_url == ""
    with pytest.raises(SettingRefused, match="PORTAL_URL"):
        SenderSettings.from_environment({**environment, "PORTAL_URL": "http://portal.example.com"})
