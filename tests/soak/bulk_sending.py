"""Many invoices sent with one request: each gets its PDF, a broken one fails alone, and who sent them can watch.

What is watched is what people have: the invoices counted by `pdf_status`, asked of Directus with the sender's own rights
(docs/runbooks.md, *Sending many invoices at once*).
"""

from __future__ import annotations

import json
import math
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from local.demo import steps
from local.waiting import wait_for

if TYPE_CHECKING:
    from local.demo.people import Person
    from local.demo.steps import Firm

_ROWS_PER_REQUEST = 100
_WAITING = ("none", "pending")
#: Seconds for one invoice on a busy machine with two processors, and what every run needs beside.
_SECONDS_EACH, _SECONDS_BESIDE = 6, 120
#: Every queue that anything of this goes through.
_QUEUES = ("render", "stripe_events")


@dataclass(frozen=True)
class Bulk:
    """What was sent and what came of it.

    `progress`: seconds after the sending, and the counts per `pdf_status` that were first seen then. `seconds` until the
    last invoice said how it ended.
    """

    prefix: str
    good: list[str]
    broken: list[str]
    rows: dict[str, dict[str, Any]]
    documents: list[dict[str, Any]]
    seconds: float
    progress: list[tuple[float, dict[str, int]]] = field(default_factory=list)


def send_in_bulk(firm: Firm, number: int, *, broken: int) -> Bulk:
    """Have a lawyer write `number` drafts and send them all with one request; wait until each says how it ended.

    `broken` of them, spread over the others, have a total that is not that of their lines.
    """
    prefix = f"BULK-{uuid.uuid4().hex[:8]}-"
    every = math.ceil(number / broken)
    wrong = {index for index in range(number) if index % every == every // 2}
    keys = _drafts(firm, prefix, number, wrong)
    began = time.monotonic()
    sender = firm.staff[0]
    sender.ask("PATCH", "/items/invoices", {"keys": keys, "data": {"status": "sent"}}).data  # noqa: B018  # it asserts that this was accepted
    progress: list[tuple[float, dict[str, int]]] = []

    def all_ended() -> bool:
        counts = counted(sender, prefix)
        if not progress or progress[-1][1] != counts:
            progress.append((time.monotonic() - began, counts))
        return not any(counts.get(status) for status in _WAITING)

    wait_for("every PDF", all_ended, seconds=_patience_seconds(number), pause=1)
    seconds = time.monotonic() - began
    of_these = {"invoice_number": {"_starts_with": prefix}}
    rows = {row["id"]: row for row in firm.administrator.list("invoices", of_these)}
    documents = firm.administrator.list("documents", {"invoice": of_these})
    return Bulk(
        prefix=prefix,
        good=[key for index, key in enumerate(keys) if index not in wrong],
        broken=[key for index, key in enumerate(keys) if index in wrong],
        rows=rows,
        documents=documents,
        seconds=seconds,
        progress=progress,
    )


def assert_each_has_its_pdf_and_broken_ones_fail_alone(firm: Firm, bulk: Bulk) -> None:
    """One document, file and object for each good invoice; for each broken one both numbers and nothing else."""
    assert {key: bulk.rows[key]["pdf_status"] for key in bulk.good} == dict.fromkeys(bulk.good, "ready")
    for key in bulk.broken:
        assert bulk.rows[key]["pdf_status"] == "failed"
        assert "999.00" in bulk.rows[key]["pdf_error"]
        assert "250.00" in bulk.rows[key]["pdf_error"]
    assert sorted(document["invoice"] for document in bulk.documents) == sorted(bulk.good)
    assert {document["version"] for document in bulk.documents} == {1}
    files = {document["file"] for document in bulk.documents}
    objects = _objects(firm)
    assert len(files) == len(bulk.good)
    assert {f"{file}.pdf" for file in files} <= objects


def assert_nothing_was_given_up(firm: Firm, bulk: Bulk) -> None:
    """Every message of it is done; for a stack on which nothing else happens."""
    for queue in _QUEUES:
        wait_for(
            f"the queue {queue}",
            lambda name=queue: steps.is_empty(firm, name),  # type: ignore[misc]  # mypy infers no lambda with a default
            seconds=_patience_seconds(len(bulk.rows)),
            pause=1,
        )
        assert steps.is_empty(firm, f"{queue}_dlq")


def assert_one_could_watch(bulk: Bulk) -> None:
    """Whoever sent them saw them all at any time, and ever more of them ready."""
    number = len(bulk.good) + len(bulk.broken)
    assert {sum(counts.values()) for _, counts in bulk.progress} == {number}
    ready = [counts.get("ready", 0) for _, counts in bulk.progress]
    assert ready == sorted(ready)
    # Seen at least at every fifth of the way.
    assert len({math.floor(5 * count / (len(bulk.good) + 1)) for count in ready}) == 5


def report(bulk: Bulk, database: str) -> None:
    """Print the figures, and what the sender saw, about each tenth of the way."""
    number = len(bulk.good) + len(bulk.broken)
    sys.stdout.write(
        f"{database}: {number} invoices sent at once, {len(bulk.broken)} of them broken: "
        f"{bulk.seconds:.0f} s, {bulk.seconds / number:.2f} s each, {len(bulk.progress)} states seen on the way\n"
    )
    told = -1
    for seconds, counts in bulk.progress:
        ended = counts.get("ready", 0) + counts.get("failed", 0)
        if ended * 10 // number > told:
            told = ended * 10 // number
            seen = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
            sys.stdout.write(f"  {seconds:6.0f} s: {seen}\n")


def _drafts(firm: Firm, prefix: str, number: int, wrong: set[int]) -> list[str]:
    keys: list[str] = []
    for start in range(0, number, _ROWS_PER_REQUEST):
        rows = [
            {
                "id": str(uuid.uuid4()),
                "invoice_number": f"{prefix}{index:04}",
                "client": firm.client_of(0),
                "currency": "USD",
                "status": "draft",
                "tax_rate": "0",
                "line_items": [
                    {"kind": "fee", "description": f"Advice {index}", "amount": "200.00"},
                    {"kind": "expense", "description": "Filing fee", "amount": "50.00"},
                ],
                **({"total": "999.00"} if index in wrong else {}),
            }
            for index in range(start, min(start + _ROWS_PER_REQUEST, number))
        ]
        # Written past the lawyer: the guard checks each row, and it is the sending that is looked at here.
        created = firm.administrator.ask("POST", "/items/invoices", rows).data
        assert len(created) == len(rows)
        keys += [str(row["id"]) for row in rows]  # Directus answers in another order
    return keys


def counted(person: Person, prefix: str) -> dict[str, int]:
    """The invoices with such numbers by `pdf_status`, as this person sees them."""
    query = urlencode(
        {
            "aggregate[count]": "*",
            "groupBy[]": "pdf_status",
            "filter": json.dumps({"invoice_number": {"_starts_with": prefix}}),
        }
    )
    rows = person.ask("GET", f"/items/invoices?{query}").data
    return {row["pdf_status"]: int(row["count"]) for row in rows}


def _objects(firm: Firm) -> set[str]:
    pages = firm.aws("s3").get_paginator("list_objects_v2")
    bucket = firm.description["aws"]["documents_bucket"]
    return {entry["Key"] for page in pages.paginate(Bucket=bucket) for entry in page.get("Contents", [])}


def _patience_seconds(number: int) -> float:
    return _SECONDS_BESIDE + _SECONDS_EACH * number
