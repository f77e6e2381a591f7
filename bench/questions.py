"""What the guard's closing of questions costs: the same requests to two Directus on one database, one without the guard.

20,000 invoices of two clients with two lines each; half of them are the staff member's. Both servers are asked in turn.
"""

from __future__ import annotations

import json
import statistics
import time
import uuid
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from bench.tables import heading, row
from directus.flows import flow_ids
from tests.integration.directus.server import another, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from directus.rest import Directus
    from tests.integration.directus.server import RunningDirectus

INVOICES: Final = 20_000
REPETITIONS: Final = 7
_BATCH: Final = 200

#: Who asks, what it is, where, and with what.
QUESTIONS: Final[tuple[tuple[str, str, str, dict[str, Any]], ...]] = (
    ("sofia", "list, no relation asked", "/items/invoices", {"filter": {"status": {"_eq": "draft"}}}),
    ("sofia", "search", "/items/invoices", {"search": "bench"}),
    ("sofia", "sort by client name", "/items/invoices", {"sort": "client.name"}),
    ("sofia", "filter by client name", "/items/invoices", {"filter": {"client": {"name": {"_contains": "a"}}}}),
    ("sofia", "filter by a line's text", "/items/invoices", {"filter": {"line_items": {"description": {"_contains": "7"}}}}),
    ("sofia", "number of lines", "/items/invoices", {"filter": {"count(line_items)": {"_gt": 1}}}),
    ("sofia", "payments by invoice number", "/items/payments", {"sort": "invoice.invoice_number"}),
    ("sofia", "payments by the invoice's status", "/items/payments", {"filter": {"invoice": {"status": {"_eq": "draft"}}}}),
    ("sofia", "people of a client", "/users", {"filter": {"client": {"name": {"_contains": "a"}}}}),
    ("ingrid", "filter by a line's text", "/items/invoices", {"filter": {"line_items": {"description": {"_contains": "7"}}}}),
    ("maria", "own list with its number", "/items/invoices", {"meta": "filter_count", "sort": "-issue_date"}),
    ("maria", "by a document's title", "/items/invoices", {"filter": {"documents": {"title": {"_contains": "a"}}}}),
    ("maria", "by a sibling's number", "/items/invoices",
     {"filter": {"client": {"$FOLLOW(invoices,client)": {"invoice_number": {"_contains": "7"}}}}}),
)  # fmt: skip


def main(database: str = "sqlite") -> None:
    """Fill a Directus, ask, and print milliseconds without and with the guard, and their ratio."""
    server = running(database)
    _fill(server)
    with another(server, {"EXTENSIONS_PATH": str(server.directory / "no-extensions")}) as unguarded:
        heading(f"Questions at {INVOICES} invoices, {database}", "without", "with", "ratio")
        for person, name, path, query in QUESTIONS:
            address = f"{path}?{urlencode({key: _text(value) for key, value in {'fields': 'id', 'limit': 25, **query}.items()})}"
            without, having = _paired(unguarded.as_(person), server.as_(person), address)
            row(f"{person}: {name}", f"{without:.1f} ms", f"{having:.1f} ms", f"{having / without:.2f}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _paired(without: Directus, having: Directus, address: str) -> tuple[float, float]:
    """Medians in milliseconds, asked in turn so that a busy machine slows both."""
    times: dict[Directus, list[float]] = {without: [], having: []}
    for _ in range(REPETITIONS + 1):
        for person in (without, having):
            began = time.perf_counter()
            person.call("GET", address)
            times[person].append((time.perf_counter() - began) * 1000)
    return statistics.median(times[without][1:]), statistics.median(times[having][1:])


def _fill(server: RunningDirectus) -> None:
    # A flow for each row would take longer than all questions.
    server.admin.call(
        "PATCH",
        "/flows",
        {"keys": [flow for flow in flow_ids().values() if flow], "data": {"status": "inactive"}},
    )
    clients = _clients(server)
    for number in range(0, INVOICES, _BATCH):
        server.admin.call("POST", "/items/invoices?fields=id", list(_invoices(number, clients)))


def _clients(server: RunningDirectus) -> list[str]:
    rows = server.admin.rows("/items/clients", fields="id,name", sort="name")
    return [str(one["id"]) for one in rows if one["name"].startswith(("Vel", "Mül"))]


def _invoices(first: int, clients: list[str]) -> Iterator[dict[str, Any]]:
    for number in range(first, first + _BATCH):
        yield {
            "invoice_number": f"B-{number}-{uuid.uuid4().hex[:8]}",
            "client": clients[number % len(clients)],
            "currency": "USD",
            "matter_name": f"bench {number}",
            "line_items": [{"description": f"Line {number}-{line}", "amount": "1.00"} for line in range(2)],
        }
