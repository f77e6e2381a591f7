"""The environment of the functions, read once, in one place, into frozen values.

A missing or empty variable is a deployment mistake and named as such when the function starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

type Environment = Mapping[str, str]


class SettingMissing(RuntimeError):
    """A variable that the template sets is absent: the deployment is broken, not the request."""


def required(environment: Environment, name: str) -> str:
    """The value of a variable, `SettingMissing` if it is absent or empty."""
    value = environment.get(name, "").strip()
    if not value:
        message = f"The environment variable {name} is missing; template.yaml sets it for this function."
        raise SettingMissing(message)
    return value


def _list(environment: Environment, name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in environment.get(name, "").split(",") if part.strip())


@dataclass(frozen=True)
class DirectusSettings:
    """Where Directus is and which secret holds the service user's token (an ARN)."""

    url: str
    token_secret: str

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read `DIRECTUS_URL` and `DIRECTUS_TOKEN_SECRET`."""
        return cls(
            url=required(environment, "DIRECTUS_URL"),
            token_secret=required(environment, "DIRECTUS_TOKEN_SECRET"),
        )


@dataclass(frozen=True)
class StripeSettings:
    """Stripe's API base, the ARN of the key's secret, and this deployment's name in Stripe's metadata."""

    api_base: str
    key_secret: str
    deployment: str

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read `STRIPE_API_BASE`, `STRIPE_SECRET` and `DEPLOYMENT`."""
        return cls(
            api_base=required(environment, "STRIPE_API_BASE"),
            key_secret=required(environment, "STRIPE_SECRET"),
            deployment=required(environment, "DEPLOYMENT"),
        )


@dataclass(frozen=True)
class CheckoutSettings:
    """What the checkout function is told by the template."""

    directus: DirectusSettings
    stripe: StripeSettings
    flow_secret: str
    invoice_queue_url: str
    return_url: str
    portal_origins: tuple[str, ...]
    allowed_payment_method_types: tuple[str, ...]

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read every variable of `CheckoutFunction`."""
        return cls(
            directus=DirectusSettings.from_environment(environment),
            stripe=StripeSettings.from_environment(environment),
            flow_secret=required(environment, "FLOW_SECRET"),
            invoice_queue_url=required(environment, "INVOICE_QUEUE_URL"),
            return_url=required(environment, "RETURN_URL"),
            portal_origins=_list(environment, "PORTAL_ORIGINS"),
            allowed_payment_method_types=_list(environment, "ALLOWED_PAYMENT_METHOD_TYPES"),
        )


@dataclass(frozen=True)
class WebhookSettings:
    """What the receiver of Stripe's webhooks is told: no Directus, no Stripe key."""

    webhook_secret: str
    invoice_queue_url: str

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read every variable of `StripeWebhookFunction`."""
        return cls(
            webhook_secret=required(environment, "WEBHOOK_SECRET"),
            invoice_queue_url=required(environment, "INVOICE_QUEUE_URL"),
        )


@dataclass(frozen=True)
class InvoiceWorkerSettings:
    """What the one writer of invoices is told."""

    directus: DirectusSettings
    stripe: StripeSettings
    invoice_queue_url: str
    invoice_dlq_url: str
    render_queue_url: str

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read every variable of `StripeWebhookWorkerFunction`."""
        return cls(
            directus=DirectusSettings.from_environment(environment),
            stripe=StripeSettings.from_environment(environment),
            invoice_queue_url=required(environment, "INVOICE_QUEUE_URL"),
            invoice_dlq_url=required(environment, "INVOICE_DLQ_URL"),
            render_queue_url=required(environment, "RENDER_QUEUE_URL"),
        )


@dataclass(frozen=True)
class BillingChangedSettings:
    """What the function behind the Billing changed flow is told."""

    directus: DirectusSettings
    flow_secret: str
    invoice_queue_url: str

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read every variable of `BillingChangedFunction`."""
        return cls(
            directus=DirectusSettings.from_environment(environment),
            flow_secret=required(environment, "FLOW_SECRET"),
            invoice_queue_url=required(environment, "INVOICE_QUEUE_URL"),
        )


@dataclass(frozen=True)
class RenderAcceptorSettings:
    """What the acceptor of render requests is told."""

    directus: DirectusSettings
    flow_secret: str
    render_queue_url: str

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read every variable of `RenderPdfFunction`."""
        return cls(
            directus=DirectusSettings.from_environment(environment),
            flow_secret=required(environment, "FLOW_SECRET"),
            render_queue_url=required(environment, "RENDER_QUEUE_URL"),
        )


@dataclass(frozen=True)
class RenderWorkerSettings:
    """What the rendering worker is told. `portal_url` is empty while there is no portal."""

    directus: DirectusSettings
    documents_bucket: str
    directus_storage: str
    invoice_queue_url: str
    render_queue_url: str
    render_dlq_url: str
    portal_url: str

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read every variable of `RenderPdfWorkerFunction`."""
        return cls(
            directus=DirectusSettings.from_environment(environment),
            documents_bucket=required(environment, "DOCUMENTS_BUCKET"),
            directus_storage=required(environment, "DIRECTUS_STORAGE"),
            invoice_queue_url=required(environment, "INVOICE_QUEUE_URL"),
            render_queue_url=required(environment, "RENDER_QUEUE_URL"),
            render_dlq_url=required(environment, "RENDER_DLQ_URL"),
            portal_url=environment.get("PORTAL_URL", "").strip(),
        )


@dataclass(frozen=True)
class RemindersSettings:
    """What the planner of reminders is told."""

    directus: DirectusSettings
    invoice_queue_url: str
    message_queue_url: str

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read every variable of `RemindersFunction`."""
        return cls(
            directus=DirectusSettings.from_environment(environment),
            invoice_queue_url=required(environment, "INVOICE_QUEUE_URL"),
            message_queue_url=required(environment, "MESSAGE_QUEUE_URL"),
        )


@dataclass(frozen=True)
class SenderSettings:
    """What the sender of messages is told."""

    directus: DirectusSettings
    message_queue_url: str
    message_dlq_url: str
    sender_email: str
    portal_url: str

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read every variable of `RemindersSenderFunction`."""
        return cls(
            directus=DirectusSettings.from_environment(environment),
            message_queue_url=required(environment, "MESSAGE_QUEUE_URL"),
            message_dlq_url=required(environment, "MESSAGE_DLQ_URL"),
            sender_email=required(environment, "SENDER_EMAIL"),
            portal_url=environment.get("PORTAL_URL", "").strip(),
        )


@dataclass(frozen=True)
class ReconcileSettings:
    """What the reconciler is told; `dead_letter_queue_urls` by the name a person knows the queue by."""

    directus: DirectusSettings
    stripe: StripeSettings
    dead_letter_queue_urls: Mapping[str, str]

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read every variable of `ReconcileFunction`."""
        return cls(
            directus=DirectusSettings.from_environment(environment),
            stripe=StripeSettings.from_environment(environment),
            dead_letter_queue_urls={
                "invoice work": required(environment, "INVOICE_DLQ_URL"),
                "render": required(environment, "RENDER_DLQ_URL"),
                "messages": required(environment, "MESSAGE_DLQ_URL"),
            },
        )
