"""E-mail through SES v2, at most once: what SES says decides whether a mail may ever be tried again.

- SES surely did not take it and may later (throttled, paused, no connection): `MailPostponed`.
- SES surely did not take it and never will (rejected, sender not verified, bad address): `MailRejected`.
- Nobody knows (the answer was lost, an error inside SES): `MailOutcomeUnknown`; such a mail is never sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formataddr
from typing import TYPE_CHECKING, Protocol

from billing.errors import MailOutcomeUnknown, MailPostponed, MailRejected

if TYPE_CHECKING:
    from botocore.config import Config
    from botocore.exceptions import ClientError
    from types_boto3_sesv2 import SESV2Client

_NOT_NOW = frozenset(
    {
        "AccountSuspendedException",
        "ExpiredTokenException",
        "LimitExceededException",
        "RequestLimitExceeded",
        "SendingPausedException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_TOO_MANY_REQUESTS, _SERVICE_UNAVAILABLE, _SERVER_ERROR = 429, 503, 500


@dataclass(frozen=True)
class Mail:
    """One message to one recipient, as text and as HTML. `reply_to` may be empty."""

    sender_name: str
    recipient: str
    reply_to: str
    subject: str
    text: str
    html: str


class Notifier(Protocol):
    """Sends one e-mail."""

    def send(self, mail: Mail) -> str:
        """Return the message id; raise `MailPostponed`, `MailRejected` or `MailOutcomeUnknown`."""
        ...


class SesNotifier:
    """`Notifier` on SES v2."""

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


def _refusal(error: ClientError) -> MailPostponed | MailRejected | MailOutcomeUnknown:
    """By SES's code and status; its message is left out, for it may repeat the recipient's address."""
    code = error.response.get("Error", {}).get("Code", "") or "without a code"
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _NOT_NOW or status in {_TOO_MANY_REQUESTS, _SERVICE_UNAVAILABLE}:
        return MailPostponed(f"SES does not take mail now ({code}); nothing was sent.")
    if status >= _SERVER_ERROR:
        return MailOutcomeUnknown(f"SES failed ({code}); the mail may have been sent.")
    return MailRejected(f"SES refused the mail ({code}). Check the sender identity and the client's address.")


def _one_line(text: str) -> str:
    """A header holds no line breaks."""
    return " ".join(text.split())
