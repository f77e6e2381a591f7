"""Many keys, some at a time."""

from collections.abc import Iterable
from itertools import batched

#: A filter of this many ids stays well below Directus's limits; the line items of as many invoices fit into memory,
#: and 20,000 invoices need few enough requests.
CHUNK = 200


def chunks[Value](values: Iterable[Value]) -> Iterable[tuple[Value, ...]]:
    """The values in order, `CHUNK` at a time; the last chunk may be shorter."""
    return batched(values, CHUNK, strict=False)
