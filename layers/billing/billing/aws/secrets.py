"""Secrets Manager through Powertools parameters: cached for at most 60 s, read again when that may help."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError

from billing.errors import SecretUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from types_boto3_secretsmanager import SecretsManagerClient


MAXIMUM_AGE_SECONDS = 60
#: A flood of wrong secrets must not become a flood of calls to Secrets Manager; nobody rotates this often.
FRESH_LOOKS_A_MINUTE = 30
_MINUTE = 60.0
_EMPTY = "A secret of this function has no value yet; put it into Secrets Manager."


class Secret:
    """One plain string in Secrets Manager, in its current and its previous version.

    Incoming calls accept both (`http_api.SecretReader`); outgoing calls send the current one and read it again
    after a 401 (`directus.Token`).
    """

    def __init__(
        self, client: SecretsManagerClient, arn: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`arn`: the secret's ARN. `clock` in seconds. Nothing is read yet."""
        # One provider a version: Powertools' cache key does not know the version stage.
        self._current = SecretsProvider(boto3_client=client)
        self._previous = SecretsProvider(boto3_client=client)
        self._arn = arn
        self._clock = clock
        self._previous_missing_until = float("-inf")
        self._fresh_looks: deque[float] = deque(maxlen=FRESH_LOOKS_A_MINUTE)

    def current(self) -> str:
        """The current value, at most 60 s old."""
        return self._read_current(fresh=False)

    def refresh(self) -> str:
        """The current value, past the cache."""
        return self._read_current(fresh=True)

    def accepted(self) -> Iterator[str]:
        """Current, previous, then both as a fresh look finds them; each is read only when asked for."""
        yield self.current()
        yield from self._read_previous(fresh=False)
        if self._may_look_afresh():
            self._previous_missing_until = float("-inf")
            yield self.refresh()
            yield from self._read_previous(fresh=True)

    def _may_look_afresh(self) -> bool:
        now, looks = self._clock(), self._fresh_looks
        if len(looks) == FRESH_LOOKS_A_MINUTE and now - looks[0] < _MINUTE:
            return False
        looks.append(now)  # forgets the oldest of more than these
        return True

    def _read_current(self, *, fresh: bool) -> str:
        try:
            value = self._current.get(
                self._arn, max_age=MAXIMUM_AGE_SECONDS, force_fetch=fresh, VersionStage="AWSCURRENT"
            )
        except GetParameterError as error:
            message = _EMPTY if _has_no_value(error) else "A secret of this function cannot be read."
            raise SecretUnavailable(message, secret=self._arn) from error
        if not (text := str(value or "").strip()):  # a line end pasted along would make every signature wrong
            raise SecretUnavailable(_EMPTY, secret=self._arn)
        return text

    def _read_previous(self, *, fresh: bool) -> Iterator[str]:
        if self._clock() < self._previous_missing_until:
            return
        try:
            value = self._previous.get(
                self._arn, max_age=MAXIMUM_AGE_SECONDS, force_fetch=fresh, VersionStage="AWSPREVIOUS"
            )
        except GetParameterError:  # until the first rotation there is none
            self._previous_missing_until = self._clock() + MAXIMUM_AGE_SECONDS
            return
        if text := str(value or "").strip():
            yield text


def _has_no_value(error: GetParameterError) -> bool:
    """Whether it is a secret that was created empty; Powertools raises its own error while it handles AWS's."""
    cause = error.__context__
    return (
        isinstance(cause, ClientError)
        and cause.response.get("Error", {}).get("Code") == "ResourceNotFoundException"
    )
