"""What is asked of SES, and what its answers mean. The client is boto3's own, its answers are stubbed."""

from __future__ import annotations

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

from billing.adapters.notifier import Mail, SesNotifier, ses_config
from billing.errors import MailOutcomeUnknown, MailPostponed, MailRejected

if TYPE_CHECKING:
    from botocore.config import Config

MAIL = Mail(
    "Ávila & Partners",
    "client@client.example",
    "billing@firm.example",
    "Invoice\nINV-1",
    "text",
    "<p>html</p>",
)


def client(config: Config | None = None) -> Any:
    return boto3.client(
        "sesv2",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config or ses_config(),
    )


def test_one_multipart_mail_goes_to_one_recipient_from_the_firm() -> None:
    ses = client()
    with Stubber(ses) as stub:
        stub.add_response(
            "send_email",
            {"MessageId": "message-1"},
            {
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
            },
        )
        assert SesNotifier(ses, "billing@sender.example").send(MAIL) == "message-1"


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("TooManyRequestsException", 429, MailPostponed),
        ("LimitExceededException", 400, MailPostponed),
        ("ThrottlingException", 400, MailPostponed),
        ("SendingPausedException", 400, MailPostponed),
        ("AccountSuspendedException", 400, MailPostponed),
        ("ServiceUnavailable", 503, MailPostponed),
        ("MessageRejected", 400, MailRejected),
        ("MailFromDomainNotVerifiedException", 400, MailRejected),
        ("BadRequestException", 400, MailRejected),
        ("AccessDeniedException", 403, MailRejected),
        ("InternalServiceErrorException", 500, MailOutcomeUnknown),
        ("", 502, MailOutcomeUnknown),
    ],
)
def test_what_ses_says_decides_whether_the_mail_may_be_tried_again(
    code: str, status: int, expected: type[Exception]
) -> None:
    ses = client()
    stub = Stubber(ses)
    stub.add_client_error("send_email", code, "client@client.example is not verified", status)
    with stub, pytest.raises(expected) as failure:
        SesNotifier(ses, "billing@sender.example").send(MAIL)
    assert "client.example" not in str(failure.value)


class Unreachable:
    """A client whose connection fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def send_email(self, **_: object) -> dict[str, str]:
        raise self._error


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
    fake: Any = Unreachable(error)
    with pytest.raises(expected):
        SesNotifier(fake, "billing@sender.example").send(MAIL)


def test_the_client_never_asks_twice_by_itself() -> None:
    assert client().meta.config.retries["total_max_attempts"] == 1
