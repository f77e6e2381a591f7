"""E-mail through SES v2, at most once: what SES says decides whether a mail may ever be tried again.

- SES surely did not take it and may in a moment (throttled, no connection): `MailPostponed`.
- SES surely did not take it because the account, the sender or our permissions are not ready: `MailNotConfigured`.
- SES surely did not take it and never will (this mail, this address): `MailRejected`.
- Nobody knows (the answer was lost, an error inside SES): `MailOutcomeUnknown`; such a mail is never sent again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formataddr
from typing import TYPE_CHECKING

from billing.errors import MailNotConfigured, MailOutcomeUnknown, MailPostponed, MailRejected

if TYPE_CHECKING:
    from botocore.config import Config
    from botocore.exceptions import ClientError
    from types_boto3_sesv2 import SESV2Client


#: Throttling, quotas, and credentials that Lambda renews by itself: soon gone.
_NOT_NOW = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "LimitExceededException",
        "RequestExpired",
        "RequestLimitExceeded",
        "RequestTimeTooSkewed",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
#: What SES says of a mail or an address, unless its message speaks of the account (`_OF_THE_ACCOUNT`).
_THIS_MAIL = frozenset(
    {
        "BadRequestException",
        "InvalidParameterValue",
        "InvalidParameterValueException",
        "MessageRejected",
        "MessageRejectedException",
        "ValidationError",
        "ValidationException",
    }
)
#: The sandbox and unverified senders ("Email address is not verified. The following identities failed ..."), a
#: default configuration set that was deleted, an account whose sending was stopped ("Sending paused for this account").
_OF_THE_ACCOUNT = re.compile(
    r"not verified|configuration[ -]?set|production access|sending (?:is )?(?:paused|suspended|disabled)",
    re.IGNORECASE,
)
_TOO_MANY_REQUESTS, _SERVICE_UNAVAILABLE = 429, 503
_REFUSALS = range(400, 500)


@dataclass(frozen=True)
class Mail:
    """One message to one recipient, as text and as HTML. `reply_to` may be empty."""

    sender_name: str
    recipient: str
    reply_to: str
    subject: str
    text: str
    html: str


class SesNotifier:
    """`send.Notifier` on SES v2."""

    def __init__(self, client: SESV2Client, sender_email: str) -> None:
        """`client` must have been made with `ses_config()`: the SDK's own retries could send a mail twice."""
        self._client = client
        self._sender_email = sender_email

    def send(self, mail: Mail) -> str:
        """Send one e-mail."""
        from botocore.exceptions import (  # noqa: PLC0415  # only here, and it is large
            BotoCoreError,
            ClientError,
            ConnectTimeoutError,
            EndpointConnectionError,
            NoCredentialsError,
        )

        try:
            answer = self._client.send_email(
                FromEmailAddress=formataddr((_one_line(mail.sender_name), self._sender_email)),
                Destination={"ToAddresses": [mail.recipient]},
                ReplyToAddresses=[mail.reply_to] if mail.reply_to else [],
                Content={
                    "Simple": {
                        "Subject": {"Data": _one_line(mail.subject), "Charset": "UTF-8"},
                        "Body": {
                            "Text": {"Data": mail.text, "Charset": "UTF-8"},
                            "Html": {"Data": mail.html, "Charset": "UTF-8"},
                        },
                    }
                },
            )
        except ClientError as error:
            raise _refusal(error) from error
        except (ConnectTimeoutError, EndpointConnectionError, NoCredentialsError) as error:
            message = "SES cannot be reached; nothing was sent."
            raise MailPostponed(message) from error
        except BotoCoreError as error:
            message = "The answer of SES was lost; the mail may have been sent."
            raise MailOutcomeUnknown(message) from error
        return answer["MessageId"]


def ses_config() -> Config:
    """The configuration of a client that asks once, and waits long enough for the answer."""
    from botocore.config import Config  # noqa: PLC0415  # only here, and it is large

    return Config(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=25)


def _refusal(error: ClientError) -> MailPostponed | MailNotConfigured | MailRejected | MailOutcomeUnknown:
    """By SES's code, status and message; the message is not passed on, for it may repeat the recipient's address.

    A refusal that is not known here counts against the deployment: nothing is lost by that, and a person hears of it.
    """
    code = error.response.get("Error", {}).get("Code", "") or "without a code"
    said = error.response.get("Error", {}).get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _NOT_NOW or status in {_TOO_MANY_REQUESTS, _SERVICE_UNAVAILABLE}:
        return MailPostponed(f"SES does not accept mail at the moment ({code}); nothing was sent.")
    if status not in _REFUSALS:
        return MailOutcomeUnknown(f"SES failed ({code}); the mail may have been sent.")
    if code in _THIS_MAIL and not _OF_THE_ACCOUNT.search(said):
        return MailRejected(f"SES refused the mail ({code}). Check the client's address.")
    return MailNotConfigured(
        f"SES accepts no mail from this deployment ({code}); nothing was sent. Fix the AWS account: see "
        "docs/runbooks.md, MailNotConfiguredAlarm."
    )


def _one_line(text: str) -> str:
    """A header holds no line breaks."""
    return " ".join(text.split())
