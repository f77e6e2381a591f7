"""What a person reads of a reconciliation: the report as a page of HTML, and which document it is.

The page reads well without its style, because Directus serves files under `default-src 'none'`, which blocks even
a style in the page. Nothing is fetched, nothing runs.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import quote

from billing.documents.invoice import DocumentIdentity
from billing.ids import record_id
from billing.reconcile.guidance import guidance_for, rank_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime


#: Entries of one list on a page; whoever has more needs a query, not a longer page.
MOST_ENTRIES = 10_000
_NAMESPACE = uuid.UUID("5a1c0de0-0000-4000-8000-000000000901")
_NOT_IDS = frozenset({"kind", "detail", "repair"})
#: The collection of the Data Studio in which a record is found, by the name of its id. Stripe's own ids are no keys
#: there, except those of events. A row that cannot be read is named by its collection.
_COLLECTIONS = {
    "invoice": "invoices",
    "claimed": "invoices",
    "made_for": "invoices",
    "payment": "payments",
    "stored_on": "payments",
    "refund_row": "refunds",
    "dispute_row": "payment_disputes",
    "document": "documents",
    "notice": "notices",
    "client": "clients",
    "event": "stripe_events",
} | {
    name: name
    for name in (
        "clients", "disputes", "documents", "invoices", "line_items", "notices", "payment_disputes", "payments",
        "refunds", "stripe_events",
    )
}  # fmt: skip
_REPAIRS = {
    "sync_session": "looked up at Stripe again",
    "recompute": "recomputed from its rows",
    "stripe_event": "applied",
    "render": "rendered again",
    "redrive": "queued again",
}
_STYLE = (
    "body{font-family:sans-serif;line-height:1.4;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top}"
    "td{overflow-wrap:anywhere}tr{break-inside:avoid}h2,h3{break-after:avoid}"
)


@dataclass(frozen=True)
class PrintableReport:
    """A report as it is printed.

    `moment` is when the run began, `since` how far back it read Stripe, `checked` how many of each it compared.
    Entries of `repaired` and `differences` have `kind`, `detail` and the ids of the records (no person's name);
    those of `repaired` have `repair`, too. The totals say how many there were if not all entries are given.
    `continued`: another invocation compares the rest.
    """

    moment: datetime
    since: datetime
    checked: Mapping[str, int]
    repaired: Sequence[Mapping[str, str]]
    differences: Sequence[Mapping[str, str]]
    repaired_total: int = 0
    differences_total: int = 0
    continued: bool = False

    @property
    def title(self) -> str:
        """`Reconciliation 2026-03-03 12:35 UTC`."""
        return f"Reconciliation {_instant(self.moment)}"


def hash_of(report: PrintableReport) -> str:
    """What two reports of the same differences have in common, in whatever order these were found."""
    differences = sorted(json.dumps(dict(one), sort_keys=True) for one in report.differences)
    return hashlib.sha256(json.dumps(differences).encode()).hexdigest()


def identity_of(report: PrintableReport, deployment: str, previous: str | None = None) -> DocumentIdentity:
    """The ids that follow from the deployment, the differences and the report before it (the id of its document).

    So a report that comes again after another one is the newest document again; after a crash it is the same one.
    """
    content_hash = hash_of(report)
    names = [deployment, "report", content_hash, *([previous] if previous is not None else [])]
    file_id = uuid.uuid5(_NAMESPACE, json.dumps(names))
    return DocumentIdentity(content_hash, str(file_id), str(uuid.uuid5(file_id, "documents")))


def page_of(report: PrintableReport, data_studio: str = "") -> str:
    """The report as one page of HTML. `data_studio` is the address of Directus; without it ids are no links."""
    return "\n".join(_page(report, data_studio.rstrip("/"))) + "\n"


def _page(report: PrintableReport, data_studio: str) -> Iterator[str]:
    title = escape(report.title)
    yield "<!DOCTYPE html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">"""
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>{title}</h1>"
    yield from (f"<p>{escape(sentence)}</p>" for sentence in _scope(report))
    yield from _compared(report.checked)
    yield from _for_people(report, data_studio)
    yield from _repaired(report, data_studio)
    yield "</body></html>"


def _scope(report: PrintableReport) -> Iterator[str]:
    """What this run has looked at, and what it has not."""
    since = _instant(report.since)
    yield (
        f"Compared on {_instant(report.moment)}. With Stripe: its sessions, refunds, disputes and balance transactions"
        f" since {since}; rows of Stripe's payments, refunds and disputes made or changed since then; and, however old,"
        " unfinished checkouts and bank debits, and refunds and disputes that can still change."
    )
    yield (
        "In Directus: every sent invoice with its rows and documents, payments without an invoice, events that were not"
        " applied, messages that were not sent. Also: events that Stripe could not deliver, and dead letters."
    )
    yield (
        f"Not compared with Stripe: finished records older than {since} that were not changed since. The nightly run"
        " compares everything."
    )
    if report.continued:
        yield "Time ran out: the rest is compared in another part, with its own report."


def _compared(checked: Mapping[str, int]) -> Iterator[str]:
    yield "<h2>What was compared</h2>"
    rows = ([escape(_words(name)), f"{count:,}"] for name, count in checked.items())
    yield from _table(("What", "How many"), rows)


def _for_people(report: PrintableReport, data_studio: str) -> Iterator[str]:
    differences = report.differences
    total = max(report.differences_total, len(differences))
    yield f"<h2>What needs a person: {total:,}</h2>"
    if not differences:
        yield "<p>Nothing.</p>"
    ordered = sorted(differences, key=lambda one: rank_of(_kind(one)))
    of_kind = Counter(map(_kind, differences))
    for kind, entries in groupby(ordered[:MOST_ENTRIES], key=_kind):
        guidance = guidance_for(kind)
        yield f"<h3>{escape(guidance.heading)}: {of_kind[kind]:,}</h3>"
        yield f"<p><strong>What to do:</strong> {escape(guidance.what_to_do)}</p>"
        rows = ([escape(one.get("detail", "")), _records(one, data_studio)] for one in entries)
        yield from _table(("What differs", "Records"), rows)
    yield from _more(total, len(differences))


def _repaired(report: PrintableReport, data_studio: str) -> Iterator[str]:
    repaired = report.repaired
    total = max(report.repaired_total, len(repaired))
    yield f"<h2>What was repaired: {total:,}</h2>"
    if not repaired:
        yield "<p>Nothing.</p>"
        return
    rows = (
        [escape(one.get("detail", "")), escape(_repair(one)), _records(one, data_studio)]
        for one in repaired[:MOST_ENTRIES]
    )
    yield from _table(("What differed", "Repair", "Records"), rows)
    yield from _more(total, len(repaired))


def _more(total: int, given: int) -> Iterator[str]:
    hidden = total - min(given, MOST_ENTRIES)
    if hidden:
        yield f"<p><strong>{hidden:,} more are not shown here.</strong></p>"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """`rows` are HTML. The old attributes draw lines where no style is allowed."""
    yield '<table border="1" cellpadding="4">'
    yield (
        "<thead><tr>"
        + "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
        + "</tr></thead><tbody>"
    )
    for row in rows:
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
    yield "</tbody></table>"


def _records(entry: Mapping[str, str], data_studio: str) -> str:
    named = (
        f"{escape(_words(name))}: {_linked(name, value, data_studio)}"
        for name, value in entry.items()
        if name not in _NOT_IDS
    )
    return "<br>".join(named)


def _linked(name: str, value: str, data_studio: str) -> str:
    collection = _COLLECTIONS.get(name)
    is_key = collection == "stripe_events" or record_id(value) is not None
    if not data_studio or collection is None or not is_key:
        return escape(value)
    address = f"{data_studio}/admin/content/{collection}/{quote(value, safe='', errors='replace')}"
    return f'<a href="{escape(address)}" rel="noreferrer">{escape(value)}</a>'


def _kind(entry: Mapping[str, str]) -> str:
    return entry.get("kind", "")


def _repair(entry: Mapping[str, str]) -> str:
    repair = entry.get("repair", "")
    return _REPAIRS.get(repair, repair.replace("_", " "))


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _instant(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
