"""The environment of the functions, read once into frozen values.

A field is read from the variable of its name in capitals (`return_url` from `RETURN_URL`) unless it names another.
A field without a default must be there: a missing or empty variable is a deployment mistake and named as such when
the function starts. Tuples are comma-separated lists and may be empty. Addresses are https; http is for this machine
only, as in the local stack: everywhere else a token or a client's way back would travel readably.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import urlsplit

type Environment = Mapping[str, str]


class SettingMissing(RuntimeError):
    """A variable that the template sets is missing: the deployment is broken, not the request."""


class SettingRefused(RuntimeError):
    """A variable has a value that must not be deployed."""


@dataclass(frozen=True)
class _Settings:
    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read every field. Raises `SettingMissing` or `SettingRefused` with the first wrong variable."""
        return cls(**{found.name: _read(found, environment) for found in fields(cls)})


def _read(found: Field[Any], environment: Environment) -> Any:
    if isinstance(found.type, type) and issubclass(found.type, _Settings):
        return found.type.from_environment(environment)
    variable = found.metadata.get("variable", found.name.upper())
    value = environment.get(variable, "").strip()
    if found.type == tuple[str, ...]:
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if not value and found.default is MISSING:
        message = f"The environment variable {variable} is missing; template.yaml sets it for this function."
        raise SettingMissing(message)
    if value and found.metadata.get("address") and not _is_safe(value):
        message = f"{variable} must begin with https://; http:// is accepted for this machine only."
        raise SettingRefused(message)
    return value


def _is_safe(address: str) -> bool:
    """Whether requests to this address cannot be read on the way."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        if parts.scheme == "https":
            return bool(host)
        return parts.scheme == "http" and (host == "localhost" or ip_address(host).is_loopback)
    except ValueError:  # not an address, or a name that is not a number
        return False


def _from(variable: str) -> Any:
    return field(metadata={"variable": variable})


def _address(variable: str) -> Any:
    return field(metadata={"variable": variable, "address": True})


def _optional_address(variable: str) -> Any:
    return field(default="", metadata={"variable": variable, "address": True})


@dataclass(frozen=True)
class DirectusSettings(_Settings):
    """Where Directus is and which secret holds the service user's token (an ARN)."""

    url: str = _address("DIRECTUS_URL")
    token_secret: str = _from("DIRECTUS_TOKEN_SECRET")


@dataclass(frozen=True)
class StripeSettings(_Settings):
    """Stripe's API base, the ARN of the key's secret, and this deployment's name in Stripe's metadata."""

    api_base: str = _address("STRIPE_API_BASE")
    key_secret: str = _from("STRIPE_SECRET")
    deployment: str = _from("DEPLOYMENT")


@dataclass(frozen=True)
class CheckoutSettings(_Settings):
    """`CheckoutFunction`."""

    directus: DirectusSettings
    stripe: StripeSettings
    flow_secret: str
    invoice_queue_url: str
    portal_origins: tuple[str, ...]
    allowed_payment_method_types: tuple[str, ...]
    return_url: str = _address("RETURN_URL")


@dataclass(frozen=True)
class WebhookSettings(_Settings):
    """`StripeWebhookFunction`, the receiver: no Directus, no Stripe key."""

    webhook_secret: str
    invoice_queue_url: str


@dataclass(frozen=True)
class InvoiceWorkerSettings(_Settings):
    """`StripeWebhookWorkerFunction`, the writer of invoices."""

    directus: DirectusSettings
    stripe: StripeSettings
    invoice_queue_url: str
    invoice_dlq_url: str
    render_queue_url: str


@dataclass(frozen=True)
class BillingChangedSettings(_Settings):
    """`BillingChangedFunction`, behind the Billing changed flow."""

    directus: DirectusSettings
    flow_secret: str
    invoice_queue_url: str
    render_queue_url: str


@dataclass(frozen=True)
class RenderAcceptorSettings(_Settings):
    """`RenderPdfFunction`, which accepts render requests."""

    directus: DirectusSettings
    flow_secret: str
    render_queue_url: str


@dataclass(frozen=True)
class RenderWorkerSettings(_Settings):
    """`RenderPdfWorkerFunction`. `portal_url` is empty while there is no portal.

    `document_delivery` is `register` or `upload` (where the bucket is not Directus's). `template_prefix` is empty while
    the firm has no template of its own.
    """

    directus: DirectusSettings
    documents_bucket: str
    directus_storage: str
    invoice_queue_url: str
    render_queue_url: str
    render_dlq_url: str
    document_delivery: str = "register"
    portal_url: str = _optional_address("PORTAL_URL")
    template_prefix: str = ""


@dataclass(frozen=True)
class RemindersSettings(_Settings):
    """`RemindersFunction`, the planner."""

    directus: DirectusSettings
    invoice_queue_url: str
    message_queue_url: str


@dataclass(frozen=True)
class SenderSettings(_Settings):
    """`RemindersSenderFunction`. `portal_url` is empty while there is no portal."""

    directus: DirectusSettings
    message_queue_url: str
    message_dlq_url: str
    sender_email: str
    portal_url: str = _optional_address("PORTAL_URL")


@dataclass(frozen=True)
class ReconcileSettings(_Settings):
    """`ReconcileFunction`. `document_delivery` as in `RenderWorkerSettings`: where its reports go."""

    directus: DirectusSettings
    stripe: StripeSettings
    documents_bucket: str
    directus_storage: str
    invoice_queue_url: str
    invoice_dlq_url: str
    render_queue_url: str
    render_dlq_url: str
    message_queue_url: str
    message_dlq_url: str
    document_delivery: str = "register"

    @property
    def dead_letter_queues(self) -> Mapping[str, tuple[str, str]]:
        """The dead-letter queues with their queues, by their names in reports."""
        return {
            "invoice work": (self.invoice_dlq_url, self.invoice_queue_url),
            "render": (self.render_dlq_url, self.render_queue_url),
            "messages": (self.message_dlq_url, self.message_queue_url),
        }
