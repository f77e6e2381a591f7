"""Clients of AWS that fail when told to, and small stand-ins for what our own code reads from it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError


def refusal(operation: str, code: str = "InternalFailure", status: int = 500) -> ClientError:
    """What boto3 raises."""
    answer: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


@dataclass
class Watched:
    """A client of boto3's: `calls` are the operations that were asked for; those in `errors` fail before they act."""

    client: Any = None
    errors: dict[str, BaseException] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**given: Any) -> Any:
            self.calls.append((operation, given))
            if error := self.errors.get(operation):
                raise error
            return getattr(self.client, operation)(**given)

        return call


def failing(**errors: BaseException) -> Any:
    """A client whose operations end like this."""
    return Watched(errors=errors)


@dataclass
class Clock:
    """Seconds that pass only when told."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class AcceptedSecrets:
    """A `SecretReader` with fixed values."""

    values: tuple[str, ...] = ("flow-secret", "previous-flow-secret")

    def accepted(self) -> Any:
        return iter(self.values)
