"""Values of a request's JSON body, read strictly: a clear 4xx instead of a surprise further in."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from billing.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A firm sends at most this many at once (a flow's event names every row of a batch).
MAXIMUM_IDS = 1000


def optional(body: Mapping[str, Any], name: str) -> object | None:
    """A member as it came, None if absent (`json_object` has removed `null` and "undefined")."""
    return body.get(name)


def as_uuid(value: object, name: str) -> str:
    """One id in canonical form, `BadRequest` (`invalid_id`) for anything else."""
    try:
        if isinstance(value, str):
            return str(uuid.UUID(value))
    except ValueError:
        pass
    message = f"{name} must be the id (a UUID) of a row in Directus."
    raise BadRequest(message, code="invalid_id")


def required_uuid(body: Mapping[str, Any], name: str) -> str:
    """An id that must be there."""
    return as_uuid(body.get(name), name)


def uuids(body: Mapping[str, Any], name: str) -> list[str]:
    """One id or a list of up to 1,000, without repetitions, in order; what is absent is left out.

    Directus renders an absent template as `null` or as the string "undefined", in a list too.
    """
    value = body.get(name)
    given = value if isinstance(value, list) else [value]
    values = [found for found in given if found not in (None, "undefined")]
    if len(values) > MAXIMUM_IDS:
        message = f"{name} holds {len(values)} ids; {MAXIMUM_IDS} are accepted at once."
        raise BadRequest(message, code="too_many_ids")
    return list(dict.fromkeys(as_uuid(found, name) for found in values))
