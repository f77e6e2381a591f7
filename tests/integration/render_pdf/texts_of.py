"""Every text field of a printed record, whatever fields it will have."""

import dataclasses
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

#: Texts that are not people's: ids, codes and choices that the edge has parsed. The portal's address is the deployer's.
NOT_PEOPLES = frozenset({
    "id", "invoice", "paper", "currency", "timezone", "language", "method", "logo_sha256", "tax_category",
    "country_code", "portal_url",
})  # fmt: skip
#: Texts that a document without an electronic invoice does not print: the envelope's lines say the same.
UNPRINTED = frozenset({"parts"})


def texts_of(record: Any, path: str = "") -> Iterator[str]:
    """The paths of all texts, such as `groups.0.lines.1.description`."""
    if isinstance(record, str) and not isinstance(record, Enum):
        yield path
    elif isinstance(record, tuple):
        for place, value in enumerate(record):
            yield from texts_of(value, f"{path}.{place}")
    elif dataclasses.is_dataclass(record):
        for field in dataclasses.fields(record):
            if field.name not in NOT_PEOPLES | UNPRINTED:
                yield from texts_of(getattr(record, field.name), f"{path}.{field.name}".lstrip("."))


def with_texts[Record](record: Record, text: Callable[[str], str]) -> Record:
    """The record, with every text replaced by `text` of its path."""
    changed: Record = _with_texts(record, text, "")
    return changed


def _with_texts(record: Any, text: Callable[[str], str], path: str) -> Any:
    if isinstance(record, str) and not isinstance(record, Enum):
        return text(path)
    if isinstance(record, tuple):
        return tuple(_with_texts(value, text, f"{path}.{place}") for place, value in enumerate(record))
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        changes = {
            field.name: _with_texts(getattr(record, field.name), text, f"{path}.{field.name}".lstrip("."))
            for field in dataclasses.fields(record)
            if field.name not in NOT_PEOPLES | UNPRINTED
        }
        return dataclasses.replace(record, **changes)
    return record
