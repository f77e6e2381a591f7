"""Reads rows of Directus: pydantic models that refuse what does not fit, timestamps and numbers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from billing.errors import DirectusRejected

type Row = dict[str, Any]
"""One row of a collection as Directus sends it; numbers with a point are `Decimal`."""


def json_value(value: Any) -> Any:
    """A json field is parsed; some drivers return it as text. Other text is a value."""
    return json.loads(value) if isinstance(value, str) and value.lstrip()[:1] in {"{", "["} else value


def key_of(link: Any) -> Any:
    """A link is its key, or an object when a field below it was requested."""
    return link.get("id") if isinstance(link, dict) else link


def instant(value: object) -> datetime | None:
    """Timestamps are UTC; SQLite may omit the zone. None if not text."""
    if not isinstance(value, str):
        return None
    parsed = datetime.fromisoformat(value)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


type Key = Annotated[str, BeforeValidator(key_of)]
type Json = Annotated[Any, BeforeValidator(json_value)]
type Timestamp = Annotated[
    datetime, BeforeValidator(lambda value: instant(value) if isinstance(value, str) else value)
]


class RowModel(BaseModel):
    """The columns of a row that are used, with their types; others are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def parse[Model: RowModel](model: type[Model], row: Row, collection: str) -> Model:
    """Raises `DirectusRejected` (`row_unreadable`) with the columns, never their values."""
    try:
        return model.model_validate(row)
    except ValidationError as error:
        names = sorted({str(problem["loc"][0]) for problem in error.errors() if problem["loc"]})
        raise unreadable(collection, ", ".join(names), row.get("id")) from None


def unreadable(collection: str, columns: str, record: object = None) -> DirectusRejected:
    """The error for a row with columns that cannot be read."""
    message = f"A row of {collection} cannot be read: check {columns}."
    return DirectusRejected(message, code="row_unreadable", record=str(record) if record else None)
