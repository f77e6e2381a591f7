"""What is asked of SES, and what its answers mean. The client is boto3's own; its refusals are stubbed."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.stub import Stubber

from billing.errors import MailNotConfigured, MailOutcomeUnknown, MailPostponed, MailRejected
from billing.reminders.mail import Mail, SesNotifier, ses_config
from tests.fakes.aws import Watched, failing

if TYPE_CHECKING:
    from tests.fakes.aws_account import Account

MAIL = Mail(
    "Ávila & Partners",
    "client@client.example",
    "billing@firm.example",
    "Invoice\nINV-1",
    "text",
    "<p>html</p>",
)


@functools.cache
def client() -> Any:
    """One for all tests, because making it takes longer than they do."""
    return boto3.client(
        "sesv2", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b", config=ses_config()
    )  # fmt: skip


def test_one_multipart_mail_goes_to_one_recipient_from_the_firm(aws: Account) -> None:
    ses = Watched(aws.client("sesv2"))
    ses.client.create_email_identity(EmailIdentity="billing@sender.example")
    sent: str = SesNotifier(ses, "billing@sender.example").send(MAIL)  # type: ignore[arg-type]  # a client and who watches it
    assert sent, "SES took it"
    ((_, asked),) = ses.calls
    assert asked == {
        "FromEmailAddress": "=?utf-8?q?=C3=81vila_=26_Partners?= <billing@sender.example>",
        "Destination": {"ToAddresses": ["client@client.example"]},
        "ReplyToAddresses": ["billing@firm.example"],
        "Content": {
            "Simple": {
                "Subject": {"Data": "Invoice INV-1", "Charset": "UTF-8"},
                "Body": {
                    "Text": {"Data": "text", "Charset": "UTF-8"},
                    "Html": {"Data": "<p>html</p>", "Charset": "UTF-8"},
                },
            }
        },
    }


def test_a_sender_that_was_not_verified_is_for_the_administrator(aws: Account) -> None:
    with pytest.raises(MailNotConfigured):
        SesNotifier(aws.client("sesv2"), "billing@sender.example").send(MAIL)


UNVERIFIED = (
    "Email address is not verified. The following identities failed the check in region US-EAST-1: "
    "client@client.example"
)
PAUSED = (
    "Sending paused for this account. For more information, please check the inbox of the email address associated with "
    "your AWS account."
)

REFUSALS: list[tuple[str, int, str, type[Exception]]] = [
    # Soon gone: the message waits, five seconds or some more.
    ("TooManyRequestsException", 429, "Daily message quota exceeded.", MailPostponed),
    ("LimitExceededException", 400, "", MailPostponed),
    ("Throttling", 400, "Maximum sending rate exceeded.", MailPostponed),
    ("ThrottlingException", 400, "", MailPostponed),
    ("RequestLimitExceeded", 400, "", MailPostponed),
    ("ServiceUnavailable", 503, "", MailPostponed),
    ("ServiceUnavailableException", 503, "", MailPostponed),
    ("SomethingNew", 429, "", MailPostponed),
    ("SomethingNew", 503, "", MailPostponed),
    ("ExpiredToken", 403, "", MailPostponed),
    ("ExpiredTokenException", 403, "", MailPostponed),
    ("RequestExpired", 400, "", MailPostponed),
    ("RequestTimeTooSkewed", 403, "", MailPostponed),
    # The account, the sender, a permission: somebody must mend it, and then every reminder may go out.
    ("AccessDenied", 403, "", MailNotConfigured),
    (
        "AccessDeniedException",
        403,
        "not authorized to perform ses:SendEmail on configuration-set/x",
        MailNotConfigured,
    ),
    ("NotAuthorized", 400, "", MailNotConfigured),
    ("OptInRequired", 403, "", MailNotConfigured),
    ("InvalidClientTokenId", 403, "", MailNotConfigured),
    ("UnrecognizedClientException", 403, "", MailNotConfigured),
    ("MissingAuthenticationToken", 403, "", MailNotConfigured),
    ("SignatureDoesNotMatch", 403, "", MailNotConfigured),
    ("InvalidSignatureException", 403, "", MailNotConfigured),
    ("IncompleteSignature", 400, "", MailNotConfigured),
    ("MessageRejected", 400, UNVERIFIED, MailNotConfigured),
    ("MessageRejected", 400, PAUSED, MailNotConfigured),
    ("MessageRejected", 400, PAUSED.replace("paused", "suspended"), MailNotConfigured),
    ("MessageRejected", 400, "Production access has not been granted.", MailNotConfigured),
    ("MessageRejected", 400, "Email sending is disabled for the account.", MailNotConfigured),
    ("MailFromDomainNotVerified", 400, "", MailNotConfigured),
    ("MailFromDomainNotVerifiedException", 400, "", MailNotConfigured),
    ("AccountSuspendedException", 400, "", MailNotConfigured),
    ("AccountSendingPausedException", 400, "", MailNotConfigured),
    ("SendingPausedException", 400, "", MailNotConfigured),
    ("ConfigurationSetSendingPausedException", 400, "", MailNotConfigured),
    ("ConfigurationSetDoesNotExist", 400, "", MailNotConfigured),
    ("NotFoundException", 404, "Configuration set <x> does not exist.", MailNotConfigured),
    ("NotFound", 404, "", MailNotConfigured),
    ("BadRequestException", 400, "Configuration set <x> does not exist.", MailNotConfigured),
    ("BadRequestException", 400, "The ConfigurationSet is not valid.", MailNotConfigured),
    ("InvalidParameterValue", 400, "Configuration set name is invalid.", MailNotConfigured),
    ("InvalidAction", 400, "", MailNotConfigured),
    ("SomethingNew", 400, "", MailNotConfigured),
    ("", 413, "", MailNotConfigured),
    # This mail or this address, and no other: it is never tried again.
    ("MessageRejected", 400, "Address is on the suppression list.", MailRejected),
    ("MessageRejected", 400, "", MailRejected),
    ("BadRequestException", 400, "Local address contains control or whitespace", MailRejected),
    ("BadRequestException", 400, "Missing final '@domain'", MailRejected),
    ("InvalidParameterValue", 400, "Illegal address", MailRejected),
    ("ValidationException", 400, "", MailRejected),
    # Nobody knows whether it went out.
    ("InternalServiceErrorException", 500, "", MailOutcomeUnknown),
    ("InternalFailure", 500, UNVERIFIED, MailOutcomeUnknown),
    ("", 502, "", MailOutcomeUnknown),
    ("", 504, "", MailOutcomeUnknown),
]


@pytest.mark.parametrize(("code", "status", "said", "expected"), REFUSALS)
def test_what_ses_says_decides_whether_the_mail_may_be_tried_again(
    code: str, status: int, said: str, expected: type[Exception]
) -> None:
    ses = client()
    stub = Stubber(ses)
    stub.add_client_error("send_email", code, f"{said} (client@client.example)", status)
    with stub, pytest.raises(expected) as failure:
        SesNotifier(ses, "billing@sender.example").send(MAIL)
    assert type(failure.value) is expected
    assert "client.example" not in str(failure.value)


def test_every_refusal_that_ses_declares_for_a_mail_is_in_the_table() -> None:
    declared = {shape.name for shape in client().meta.service_model.operation_model("SendEmail").error_shapes}
    assert declared <= {code for code, *_ in REFUSALS}


URL = "https://email.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EndpointConnectionError(endpoint_url=URL), MailPostponed),
        (ConnectTimeoutError(endpoint_url=URL), MailPostponed),
        (NoCredentialsError(), MailPostponed),
        (ReadTimeoutError(endpoint_url=URL), MailOutcomeUnknown),
        (ConnectionClosedError(endpoint_url=URL), MailOutcomeUnknown),
    ],
)
def test_a_lost_answer_is_not_the_same_as_no_connection(error: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected):
        SesNotifier(failing(send_email=error), "billing@sender.example").send(MAIL)


def test_the_client_never_asks_twice_by_itself() -> None:
    assert client().meta.config.retries["total_max_attempts"] == 1
