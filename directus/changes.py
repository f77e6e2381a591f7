"""The installer's changes: each is one sentence for a person and one request to Directus."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

#: The paths that take an array of rows in one POST.
BATCHED = frozenset(
    {"/collections", "/roles", "/policies", "/access", "/permissions", "/users", "/flows", "/operations"}
)


@dataclass(frozen=True)
class Change:
    """One difference on the target, and the request that fixes it.

    `summary` is for a person; `method`, `path` and `body` are sent to Directus.
    """

    summary: str
    method: Literal["POST", "PATCH"]
    path: str
    body: Any


def requests_for(changes: Iterable[Change]) -> Iterator[tuple[str, str, Any]]:
    """The requests for these changes, in order; neighbouring rows for one path travel in one POST."""
    gathered: list[Any] = []
    gathered_path = ""
    for change in changes:
        batched = change.method == "POST" and change.path in BATCHED
        if gathered and (not batched or change.path != gathered_path):
            yield "POST", gathered_path, gathered
            gathered = []
        if batched:
            gathered.append(change.body)
            gathered_path = change.path
        else:
            yield change.method, change.path, change.body
    if gathered:
        yield "POST", gathered_path, gathered
