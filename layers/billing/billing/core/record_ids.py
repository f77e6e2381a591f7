"""Ids of Directus's rows where others may have written them: in Stripe's metadata, which anybody with the key can edit."""

import uuid


def record_id(value: object) -> str | None:
    """The canonical form of a uuid; None for anything else, which can be no row's id and would break a query."""
    if not isinstance(value, str):
        return None
    try:
        return str(uuid.UUID(value))
    except ValueError:
        return None
