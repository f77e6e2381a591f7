from __future__ import annotations

import pytest

from billing.settings import CheckoutSettings, RenderWorkerSettings, SettingMissing

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
