"""Messages of a queue as Lambda hands them over, and what a worker did with them."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Control:
    postponed: list[tuple[str, int]] = field(default_factory=list)
    dead: list[tuple[str, str]] = field(default_factory=list)
    error: Exception | None = None

    def postpone(self, receipt_handle: str, seconds: int) -> None:
        self.postponed.append((receipt_handle, seconds))

    def send_to_dead_letters(self, record: Any, reason: str) -> None:
        if self.error:
            raise self.error
        self.dead.append((record["messageId"], reason))


def record(name: str, body: str | None = None, receives: int = 1) -> dict[str, Any]:
    return {
        "messageId": name, "receiptHandle": f"receipt {name}", "body": json.dumps({"name": name}) if body is None else body,
        "attributes": {"ApproximateReceiveCount": str(receives), "MessageGroupId": "i1"},
    }  # fmt: skip
