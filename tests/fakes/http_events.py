"""API Gateway's events."""

from collections.abc import Mapping
from typing import Any


def event(
    body: str | None = None, headers: Mapping[str, str] | None = None, *, encoded: bool = False
) -> dict[str, Any]:
    """An event of API Gateway's payload format 2.0."""
    return {
        "version": "2.0", "headers": dict(headers or {}), "body": body, "isBase64Encoded": encoded,
        "requestContext": {"requestId": "r-1"},
    }  # fmt: skip
