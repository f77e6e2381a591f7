"""Ids of Directus's rows: canonical form, and chunks for requests."""

from __future__ import annotations

import uuid
from itertools import batched
from typing import TYPE_CHECKING

from billing.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable


def as_uuid(value: object, name: str) -> str:
    """One id in canonical form. Raises `BadRequest` (`invalid_id`) for anything else."""
    try:
        if isinstance(value, str):
            return str(uuid.UUID(value))
    except ValueError:
        pass
    message = f"{name} must be the id (a UUID) of a row in Directus."
    raise BadRequest(message, code="invalid_id")


def record_id(value: object) -> str | None:
    """The canonical form of a uuid; None for anything else, which cannot be a row's id and would break a query."""
    if not isinstance(value, str):
        return None
    try:
        return str(uuid.UUID(value))
    except ValueError:
        return None


#: A filter of this many ids is well below Directus's limits, the line items of as many invoices fit into memory, and
#: 20,000 invoices need only 100 requests.
CHUNK = 200


def chunks[Value](values: Iterable[Value]) -> Iterable[tuple[Value, ...]]:
    """The values in order, `CHUNK` at a time; the last chunk may be shorter."""
    return batched(values, CHUNK, strict=False)
