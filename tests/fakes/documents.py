"""Stand-ins for Directus, S3, SQS and WeasyPrint that keep what they were told, and fail where a test says so."""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from billing.aws.bucket import StoredObject
from billing.directus.assets import DirectusAssets
from billing.directus.client import http_client
from billing.directus.rows import Row
from billing.documents.invoice import Logo, PrintedInvoice
from billing.documents.receipt import PrintedReceipt
from billing.documents.rendered import RenderedPdf
from billing.documents.versions import VersionWords
from billing.errors import DirectusRejected, RecordNotUnique
from billing.messages import InvoiceWork, to_json


class Crash(BaseException):
    """The process dies here."""


@dataclass
class Effects:
    """Every change to the outside, in order; `die_after` names the one the process does not survive.

    `before` is told of each change before it happens, and may die or let another worker in.
    """

    done: list[str] = field(default_factory=list)
    die_after: str | None = None
    before: Callable[[str], object] = str  # told the effect's name; nothing happens by default

    def begin(self, effect: str) -> None:
        """Say that the effect is about to happen."""
        self.before(effect)

    def record(self, effect: str) -> None:
        """Note the effect, which has happened, and perhaps die."""
        self.done.append(effect)
        if effect == self.die_after:
            raise Crash(effect)


@dataclass
class FakeDirectus:
    """Collections of rows by id, with Directus's manners: what is taken, what is missing, how filters match."""

    collections: dict[str, dict[str, Row]]
    firm: Row
    effects: Effects
    before_create: Callable[[str], object] = str  # told the collection's name; nothing happens by default

    def read_one(self, collection: str, key: str, fields: Sequence[str]) -> Row | None:
        row = self.collections.get(collection, {}).get(key)
        return {name: copy.deepcopy(row.get(name)) for name in fields} if row is not None else None

    def read_many(
        self,
        collection: str,
        *,
        filter: Mapping[str, object],  # noqa: A002  # Directus's own word
        fields: Sequence[str],
        sort: Sequence[str] = (),
    ) -> list[Row]:
        rows = [row for row in self.collections.get(collection, {}).values() if _matches(row, filter)]
        for name in reversed(sort):
            rows.sort(key=lambda row: row[name])
        return [{name: copy.deepcopy(row.get(name)) for name in fields} for row in rows]

    def read_singleton(self, collection: str, fields: Sequence[str]) -> Row:
        assert collection == "firm"
        return {name: self.firm.get(name) for name in fields}

    def create(self, collection: str, payload: Mapping[str, object]) -> Row:
        self.before_create(collection)
        self.effects.begin(f"create {collection}")
        rows = self.collections.setdefault(collection, {})
        key = str(payload["id"])
        if key in rows:
            if collection == "directus_files":
                message = "Directus answered 403 FORBIDDEN to POST /files."
                raise DirectusRejected(message, directus_code="FORBIDDEN")
            message = f"{collection}.id already holds this value."
            raise RecordNotUnique(message, collection=collection, field="id")
        self._has_no_other(collection, key, payload)
        rows[key] = dict(payload)
        if collection == "documents":
            rows[key]["date_created"] = f"2026-10-01T15:00:{len(rows):02}Z"  # in the order of registration
        self.effects.record(f"create {collection}")
        return dict(payload)

    def update(self, collection: str, key: str, payload: Mapping[str, object]) -> Row:
        self.effects.begin(f"update {collection}")
        self._has_no_other(collection, key, payload)
        self.collections[collection][key].update(payload)
        self.effects.record(f"update {collection}")
        return self.collections[collection][key]

    def _has_no_other(self, collection: str, key: str, payload: Mapping[str, object]) -> None:
        """Of the unique columns the only one that rendering writes."""
        version_key = payload.get("version_key")
        others = (row for other, row in self.collections[collection].items() if other != key)
        if version_key is not None and any(row.get("version_key") == version_key for row in others):
            message = f"{collection}.version_key already holds this value."
            raise RecordNotUnique(message, collection=collection, field="version_key")

    def update_many(self, collection: str, keys: Sequence[str], payload: Mapping[str, object]) -> None:
        for key in keys:
            self.collections[collection][key].update(payload)
        self.effects.record(f"update {collection}")


def _matches(row: Row, condition: Mapping[str, Any]) -> bool:
    return all(_fits(row, name, rule) for name, rule in condition.items())


def _fits(row: Row, name: str, rule: Any) -> bool:
    if name == "_and":
        return all(_matches(row, part) for part in rule)
    if name == "_or":
        return any(_matches(row, part) for part in rule)
    if "_nnull" in rule:
        return row.get(name) is not None
    return row.get(name) in ([rule["_eq"]] if "_eq" in rule else rule["_in"])


@dataclass
class FakeStore:
    """The bucket."""

    effects: Effects
    objects: dict[str, bytes] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)

    def find(self, key: str) -> StoredObject | None:
        if key not in self.objects:
            return None
        return StoredObject(key, len(self.objects[key]), self.sha256.get(key, ""))

    def put(self, key: str, content: bytes, sha256: str) -> StoredObject:
        self.effects.begin("put object")
        self.objects[key], self.sha256[key] = content, sha256
        self.effects.record("put object")
        return StoredObject(key, len(content), sha256)


class FixedToken:
    """A token that is never rotated."""

    def current(self) -> str:
        return "token"

    refresh = current


@dataclass
class FakeDisk:
    """Directus's `/files` and `/assets`; its own storage is `store`. `takes` is `FILES_MAX_UPLOAD_SIZE` in bytes.

    It writes the row first. Of a new file that is longer it keeps the row and what it has read by then, because the
    functions may delete neither; `removes` is a Directus where they may.
    """

    directus: FakeDirectus
    store: FakeStore
    takes: int = 100
    removes: bool = False
    sent: list[tuple[str, int]] = field(default_factory=list)

    def assets(self, most: int = 100) -> DirectusAssets:
        """What reads files of at most so many bytes."""
        http = http_client(transport=httpx.MockTransport(self._answer))
        return DirectusAssets("https://d.example", FixedToken(), http, maximum_bytes=most)

    def upload(
        self, method: str, path: str, *, fields: Mapping[str, str], content: bytes, content_type: str
    ) -> None:
        self.sent.append((method, len(content)))
        key = fields["id"] if method == "POST" else path.removeprefix("/files/")
        row = {**fields, "id": key, "type": content_type, "filesize": len(content)}
        is_taken = len(content) <= self.takes
        if is_taken or (method == "POST" and not self.removes):
            if method == "POST":
                self.directus.create("directus_files", row)
            else:
                self.directus.update("directus_files", key, row)
            self.store.put(f"{key}.pdf", content[: self.takes], "")
        if not is_taken:
            message = f"Directus answered 413 CONTENT_TOO_LARGE to {method} {path}."
            raise DirectusRejected(message, directus_code="CONTENT_TOO_LARGE")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        assert (request.method, request.headers["Authorization"]) == ("GET", "Bearer token")
        content = self.store.objects.get(f"{request.url.path.rpartition('/')[2]}.pdf")
        if content is None:
            return httpx.Response(403, json={"errors": [{"extensions": {"code": "FORBIDDEN"}}]})
        return httpx.Response(200, content=content)


@dataclass
class FakeRenderer:
    """Draws a line of text; `error` is raised instead, once set. `boxes` are the characters that it has no font for."""

    drawn: list[PrintedInvoice] = field(default_factory=list)
    receipts: list[PrintedReceipt] = field(default_factory=list)
    logos: list[Logo | None] = field(default_factory=list)
    error: BaseException | None = None
    template_version: str = "template 1"
    layer_version: str = "layer 1"
    ink: str = "black"
    boxes: tuple[str, ...] = ()

    def title(self, printed: PrintedInvoice) -> str:
        return f"Invoice {printed.number}"

    def version_words(self, printed: PrintedInvoice) -> VersionWords:  # noqa: ARG002  # the renderer's signature
        return VersionWords("version", "replaced")

    def render_invoice(self, printed: PrintedInvoice, logo: Logo | None) -> RenderedPdf:
        if self.error:
            raise self.error
        self.drawn.append(printed)
        self.logos.append(logo)
        said = f"%PDF {printed.number} {printed.total} in {self.ink}"
        return RenderedPdf(said.encode(), self.boxes)

    @property
    def receipt_version(self) -> str:
        return f"receipt {self.template_version}"

    def receipt_title(self, printed: PrintedReceipt) -> str:
        return f"Receipt {printed.number}"

    def render_receipt(self, printed: PrintedReceipt, logo: Logo | None) -> RenderedPdf:
        if self.error:
            raise self.error
        self.receipts.append(printed)
        self.logos.append(logo)
        return RenderedPdf(f"%PDF {printed.number} {printed.payment.amount} in {self.ink}".encode())


@dataclass
class FakeInvoiceQueue:
    """The FIFO queue of the invoice writer."""

    recomputed: list[str] = field(default_factory=list)

    def send(self, message: InvoiceWork, *, deduplication_id: str | None = None) -> None:
        raise NotImplementedError

    def recompute(self, invoices: Any, *, as_of: datetime | None = None, payments: Any = ()) -> None:
        assert (as_of, payments) == (None, ()), (
            "rendering knows no other moment than now, and changes no payment"
        )
        self.recomputed.extend(invoices)


@dataclass
class FakeQueue:
    """A standard queue."""

    effects: Effects
    messages: list[Mapping[str, object]] = field(default_factory=list)

    def send_many(self, messages: Any) -> None:
        self.messages.extend(json.loads(to_json(message)) for message in messages)
        self.effects.record("queue")


@dataclass
class FakeFiles:
    """Files that staff uploaded, and the documents of the bucket `store`; `refusal` is raised instead, once set."""

    store: FakeStore
    contents: dict[str, bytes] = field(default_factory=dict)
    refusal: Exception | None = None

    def read(self, file: str) -> bytes:
        if self.refusal:
            raise self.refusal
        return self.contents[file] if file in self.contents else self.store.objects[f"{file}.pdf"]
