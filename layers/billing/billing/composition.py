"""What each function works with, put together from its environment.

Imports are late: a function loads only what it uses, and the receiver of webhooks neither httpx nor pydantic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3

from billing.aws.deadline import TimeLimit
from billing.aws.queues import SqsInvoiceQueue, SqsMessageControl, SqsWorkQueue
from billing.aws.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from types_boto3_s3 import S3Client

    from billing.aws.bucket import S3DocumentStore
    from billing.aws.http_api import SecretReader
    from billing.aws.queue_worker import MessageControl
    from billing.aws.queues import InvoiceQueue, WorkQueue
    from billing.directus.assets import DirectusAssets
    from billing.directus.client import DirectusClient
    from billing.documents.deliver import DocumentDelivery
    from billing.documents.render_queue import RenderQueue
    from billing.documents.rendered import PdfRenderer
    from billing.documents.request import RenderableRows
    from billing.errors import BillingError
    from billing.payments.apply_event import ApplyStripeEvent
    from billing.payments.find_invoices import FindInvoices
    from billing.payments.start_checkout import StartCheckout
    from billing.payments.write_invoice import InvoiceWriter
    from billing.reconcile.reconcile import Reconcile
    from billing.reminders.plan import PlanReminders
    from billing.reminders.send import SendReminder
    from billing.settings import DirectusSettings, Environment, ReconcileSettings, RenderWorkerSettings
    from billing.stripe.gateway import ApiKey

#: Seconds to wait for a connection to Directus, and for its answer: of one invoice's rows, and of many invoices' rows.
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
LONG_ANSWER_SECONDS = 60.0
#: Checkout's are shorter, because several calls must fit into one invocation; and what is left for the answer.
CHECKOUT_CONNECT_SECONDS, CHECKOUT_ANSWER_SECONDS, CHECKOUT_RESERVE_SECONDS = 2.0, 8.0, 1.0
#: What reconcile's hand-over alone may need at its worst: notes and invocation, each at the end of its client's patience.
HAND_OVER_SECONDS = 25.0


# ---- parts ----------------------------------------------------------------------------------------------


def secret(arn: str) -> Secret:
    """A secret of Secrets Manager; it is read on first use."""
    return Secret(boto3.client("secretsmanager"), arn)


def directus(
    settings: DirectusSettings,
    *,
    connect_timeout: float = CONNECT_SECONDS,
    read_timeout: float = ANSWER_SECONDS,
    remaining_seconds: Callable[[], float] = lambda: math.inf,
    needed_seconds: float = 0.0,
) -> DirectusClient:
    """Directus as the functions' service user; timeouts in seconds, limited to the rest of the invocation.

    Nothing is sent with no more than `needed_seconds` left.
    """
    from billing.directus.client import DirectusClient, http_client

    http = http_client(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        remaining_seconds=remaining_seconds,
        needed_seconds=needed_seconds,
    )
    return DirectusClient(settings.url, secret(settings.token_secret), http)


def directus_files(
    settings: DirectusSettings,
    *,
    maximum_bytes: int,
    remaining_seconds: Callable[[], float] = lambda: math.inf,
) -> DirectusAssets:
    """The bytes of files in Directus, as the functions' service user may read them."""
    from billing.directus.assets import DirectusAssets
    from billing.directus.client import http_client

    http = http_client(remaining_seconds=remaining_seconds)
    return DirectusAssets(settings.url, secret(settings.token_secret), http, maximum_bytes=maximum_bytes)


def invoice_queue(url: str) -> SqsInvoiceQueue:
    """The FIFO queue of invoice work."""
    return SqsInvoiceQueue(boto3.client("sqs"), url)


def work_queue(url: str) -> SqsWorkQueue:
    """A standard queue."""
    return SqsWorkQueue(boto3.client("sqs"), url)


def message_control(queue_url: str, dead_letter_queue_url: str) -> SqsMessageControl:
    """Lets a worker postpone messages or give them up."""
    return SqsMessageControl(boto3.client("sqs"), queue_url, dead_letter_queue_url)


# ---- functions ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checkout:
    """`POST /checkout`; no call is begun that could outlast the invocation, which `time_limit` is told of."""

    flow_secret: SecretReader
    stripe_key: ApiKey
    start_checkout: StartCheckout
    time_limit: TimeLimit = field(default_factory=TimeLimit)


def checkout(environment: Environment) -> Checkout:
    """Checkout."""
    from billing.payments.checkout import CheckoutTerms
    from billing.payments.start_checkout import StartCheckout
    from billing.payments.store import BillingStore
    from billing.settings import CheckoutSettings
    from billing.stripe.gateway import StripeGateway

    settings = CheckoutSettings.from_environment(environment)
    limit, stripe_key = TimeLimit(), secret(settings.stripe.key_secret)
    client = directus(
        settings.directus,
        connect_timeout=CHECKOUT_CONNECT_SECONDS,
        read_timeout=CHECKOUT_ANSWER_SECONDS,
        remaining_seconds=limit.remaining,
        needed_seconds=CHECKOUT_CONNECT_SECONDS + CHECKOUT_ANSWER_SECONDS + CHECKOUT_RESERVE_SECONDS,
    )
    start_checkout = StartCheckout(
        store=BillingStore(client),
        stripe=StripeGateway(settings.stripe.api_base, stripe_key, remaining_seconds=limit.remaining),
        queue=invoice_queue(settings.invoice_queue_url),
        terms=CheckoutTerms(
            deployment=settings.stripe.deployment,
            return_url=settings.return_url,
            allowed_payment_method_types=settings.allowed_payment_method_types,
            portal_origins=settings.portal_origins,
        ),
    )
    return Checkout(secret(settings.flow_secret), stripe_key, start_checkout, limit)


def webhook(environment: Environment) -> tuple[Secret, InvoiceQueue]:
    """The signing secret, and where events are stored."""
    from billing.settings import WebhookSettings

    settings = WebhookSettings.from_environment(environment)
    return secret(settings.webhook_secret), invoice_queue(settings.invoice_queue_url)


@dataclass(frozen=True)
class InvoiceWorker:
    """The worker of the queue of invoice work."""

    invoice_writer: InvoiceWriter
    apply_event: ApplyStripeEvent
    control: MessageControl


def invoice_worker(
    environment: Environment,
    flagged: Callable[[str, Mapping[str, str]], None],
    parked: Callable[[BillingError], None],
) -> InvoiceWorker:
    """`flagged` is told what a person should look at, with the ids; `parked` of every event that was parked."""
    from billing.payments.apply_event import ApplyStripeEvent
    from billing.payments.store import BillingStore
    from billing.payments.write_invoice import InvoiceWriter
    from billing.settings import InvoiceWorkerSettings
    from billing.stripe.gateway import StripeGateway

    settings = InvoiceWorkerSettings.from_environment(environment)
    store, deployment = BillingStore(directus(settings.directus)), settings.stripe.deployment
    stripe = StripeGateway(settings.stripe.api_base, secret(settings.stripe.key_secret))
    writer = InvoiceWriter(store, stripe, work_queue(settings.render_queue_url), deployment, flagged)
    queue = invoice_queue(settings.invoice_queue_url)
    return InvoiceWorker(
        invoice_writer=writer,
        apply_event=ApplyStripeEvent(store, stripe, writer, queue, deployment, parked),
        control=message_control(settings.invoice_queue_url, settings.invoice_dlq_url),
    )


@dataclass(frozen=True)
class BillingChanged:
    """`POST /invoices/changed`."""

    flow_secret: SecretReader
    find_invoices: FindInvoices
    queue: InvoiceQueue
    render_queue: WorkQueue


def billing_changed(environment: Environment) -> BillingChanged:
    """Billing changed."""
    from billing.payments.find_invoices import FindInvoices
    from billing.settings import BillingChangedSettings

    settings = BillingChangedSettings.from_environment(environment)
    return BillingChanged(
        flow_secret=secret(settings.flow_secret),
        find_invoices=FindInvoices(directus(settings.directus)),
        queue=invoice_queue(settings.invoice_queue_url),
        render_queue=work_queue(settings.render_queue_url),
    )


@dataclass(frozen=True)
class RenderAcceptor:
    """`POST /invoices/pdf`."""

    flow_secret: SecretReader
    rows: RenderableRows
    queue: WorkQueue


def render_acceptor(environment: Environment) -> RenderAcceptor:
    """The acceptor of render requests."""
    from billing.settings import RenderAcceptorSettings

    settings = RenderAcceptorSettings.from_environment(environment)
    return RenderAcceptor(
        flow_secret=secret(settings.flow_secret),
        rows=directus(settings.directus),
        queue=work_queue(settings.render_queue_url),
    )


def render_worker(environment: Environment) -> tuple[RenderQueue, MessageControl]:
    """The render queue's worker; it imports WeasyPrint, reads the fonts and renders a document to warm up."""
    from billing.aws.bucket import S3DocumentStore
    from billing.documents.firm_renderer import FirmRenderer
    from billing.documents.invoice import MAX_LOGO_BYTES
    from billing.documents.pdf.renderer import WeasyPrintRenderer
    from billing.documents.pdf.warm_start import render_once
    from billing.documents.render import RenderDocument
    from billing.documents.render_queue import RenderQueue
    from billing.documents.render_receipt import RenderReceipt
    from billing.documents.template import DocumentTemplate
    from billing.documents.template_source import template_reader
    from billing.settings import RenderWorkerSettings

    settings = RenderWorkerSettings.from_environment(environment)
    own = WeasyPrintRenderer(DocumentTemplate())
    render_once(own)
    s3 = boto3.client("s3")
    renderer: PdfRenderer = own
    if settings.template_prefix:
        reader = template_reader(s3, settings.documents_bucket, settings.template_prefix)
        renderer = FirmRenderer(own, reader)
    client = directus(settings.directus)
    delivery = _delivery(settings, client, S3DocumentStore(s3, settings.documents_bucket))
    logos = directus_files(settings.directus, maximum_bytes=MAX_LOGO_BYTES)
    queue = invoice_queue(settings.invoice_queue_url)
    invoices = RenderDocument(delivery.records, delivery, renderer, logos, queue, settings.portal_url)
    receipts = RenderReceipt(delivery.records, delivery, renderer, logos)
    return RenderQueue(invoices, receipts), message_control(
        settings.render_queue_url, settings.render_dlq_url
    )


def reminders(environment: Environment) -> PlanReminders:
    """The planner of reminders."""
    from billing.reminders.plan import PlanReminders
    from billing.reminders.store import DirectusReminderCases, read_policy
    from billing.settings import RemindersSettings

    settings = RemindersSettings.from_environment(environment)
    return PlanReminders(
        cases=DirectusReminderCases(directus(settings.directus, read_timeout=LONG_ANSWER_SECONDS)),
        invoices=invoice_queue(settings.invoice_queue_url),
        messages=work_queue(settings.message_queue_url),
        policy=read_policy(),
        clock=now,
    )


def reminders_sender(environment: Environment) -> tuple[SendReminder, MessageControl]:
    """The sender of reminders."""
    from billing.reminders.mail import SesNotifier, ses_config
    from billing.reminders.send import SendReminder
    from billing.reminders.store import DirectusNotices, DirectusReminderCases, read_policy
    from billing.reminders.texts import ReminderTexts
    from billing.settings import SenderSettings

    settings = SenderSettings.from_environment(environment)
    client = directus(settings.directus)
    sender = SendReminder(
        cases=DirectusReminderCases(client),
        notices=DirectusNotices(client),
        notifier=SesNotifier(boto3.client("sesv2", config=ses_config()), settings.sender_email),
        texts=ReminderTexts(settings.portal_url),
        policy=read_policy(),
        clock=now,
    )
    return sender, message_control(settings.message_queue_url, settings.message_dlq_url)


def reconcile(
    environment: Environment, function_name: str, limit: TimeLimit, failed: Callable[[str, Exception], None]
) -> Reconcile:
    """Reconcile, which starts `function_name` again where it has no time left; `limit` knows the invocation's end.

    `failed` is told of every failure without a name of ours.
    """
    from botocore.config import Config

    from billing.reconcile.dead_letters import SqsDeadLetters
    from billing.reconcile.publish import DirectusReports
    from billing.reconcile.reconcile import CLOSING_SECONDS, Reconcile
    from billing.reconcile.run_notes import S3RunNotes
    from billing.reconcile.self_invocation import SelfInvocation
    from billing.reconcile.store import ReconcileRows
    from billing.settings import ReconcileSettings
    from billing.stripe.account import StripeAccount
    from billing.stripe.gateway import StripeGateway

    settings = ReconcileSettings.from_environment(environment)
    deployment, comparing = settings.stripe.deployment, limit.before(CLOSING_SECONDS)
    # AWS's own services answer at once or are away; boto3's own limit is five minutes.
    short = Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 2})
    sqs, s3 = boto3.client("sqs", config=short), boto3.client("s3", config=short)
    stripe_key = secret(settings.stripe.key_secret)
    gateway = StripeGateway(settings.stripe.api_base, stripe_key, remaining_seconds=comparing)
    compared = directus(settings.directus, read_timeout=LONG_ANSWER_SECONDS, remaining_seconds=comparing)
    reported = directus(settings.directus, remaining_seconds=limit.before(HAND_OVER_SECONDS))
    delivery = _report_delivery(settings, reported, s3, limit)
    return Reconcile(
        rows=ReconcileRows(compared),
        stripe=StripeAccount(gateway, now),
        dead_letters=SqsDeadLetters(sqs, settings.dead_letter_queues),
        invoice_queue=SqsInvoiceQueue(sqs, settings.invoice_queue_url),
        render_queue=SqsWorkQueue(sqs, settings.render_queue_url),
        reports=DirectusReports(reported, delivery, deployment=deployment, data_studio=settings.directus.url),
        continuation=SelfInvocation(boto3.client("lambda", config=short), function_name),
        notes=S3RunNotes(s3, settings.documents_bucket),
        deployment=deployment,
        failed=failed,
        clock=now,
    )


def _report_delivery(
    settings: ReconcileSettings, client: DirectusClient, s3: S3Client, limit: TimeLimit
) -> DocumentDelivery:
    from billing.aws.bucket import S3DocumentStore
    from billing.reconcile.publish import CONTENT_TYPE

    store = S3DocumentStore(s3, settings.documents_bucket, content_type=CONTENT_TYPE)
    return _delivery(settings, client, store, limit.before(HAND_OVER_SECONDS), ending="html")


def _delivery(
    settings: ReconcileSettings | RenderWorkerSettings,
    client: DirectusClient,
    store: S3DocumentStore,
    remaining_seconds: Callable[[], float] = lambda: math.inf,
    *,
    ending: str = "pdf",
) -> DocumentDelivery:
    """Where documents go, as the deployment says: uploaded to Directus, or registered in the bucket that is its own too."""
    from billing.documents.deliver import DocumentDelivery
    from billing.documents.files import RegisteredFiles, UploadedFiles
    from billing.documents.rendered import MAX_DOCUMENT_BYTES
    from billing.documents.store import DocumentRecords

    records = DocumentRecords(client)
    if settings.document_delivery == "upload":
        assets = directus_files(
            settings.directus, maximum_bytes=MAX_DOCUMENT_BYTES, remaining_seconds=remaining_seconds
        )
        return DocumentDelivery(records, UploadedFiles(records, client, assets))
    files = RegisteredFiles(records, store, settings.directus_storage, ending=ending)
    return DocumentDelivery(records, files)


def now() -> datetime:
    """The current moment, aware."""
    return datetime.now(UTC)
