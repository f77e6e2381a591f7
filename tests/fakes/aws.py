"""AWS clients in memory: what was sent is kept, what is asked for is what a test put there."""

from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError


def refusal(operation: str, code: str = "InternalFailure") -> ClientError:
    """What boto3 raises."""
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


@dataclass
class FakeSqs:
    """A queue's client."""

    batches: list[list[dict[str, Any]]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    visibility: list[dict[str, Any]] = field(default_factory=list)
    error: Exception | None = None
    failed: list[dict[str, Any]] = field(default_factory=list)

    def send_message_batch(self, **given: Any) -> dict[str, Any]:
        assert given["QueueUrl"]
        if self.error:
            raise self.error
        self.batches.append(given["Entries"])
        return {"Failed": self.failed} if self.failed else {"Successful": []}

    def send_message(self, **entry: Any) -> None:
        if self.error:
            raise self.error
        self.sent.append(entry)

    def change_message_visibility(self, **change: Any) -> None:
        self.visibility.append(change)


@dataclass
class FakeSecretsManager:
    """Versions of one secret by stage, none of them where it was created empty; `reads` lists what was asked for."""

    versions: dict[str, str]
    reads: list[str] = field(default_factory=list)
    broken: bool = False

    def get_secret_value(self, **given: Any) -> dict[str, Any]:
        stage = given.get("VersionStage", "AWSCURRENT")
        assert given["SecretId"]
        self.reads.append(stage)
        if self.broken:
            raise refusal("GetSecretValue", "AccessDeniedException")
        if stage not in self.versions:
            raise refusal("GetSecretValue", "ResourceNotFoundException")
        return {"SecretString": self.versions[stage]}


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
