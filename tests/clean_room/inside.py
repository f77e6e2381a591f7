"""Runs inside the clean room; the last line it prints is JSON. Nothing of the tests is here, only the layers.

inside.py import       imports WeasyPrint our way, draws, and tells what was started or opened meanwhile
inside.py stock        imports WeasyPrint as it comes
inside.py worker       imports the worker's module as Lambda's init does, then draws twice
"""

import base64
import ctypes.util
import json
import os
import ssl
import sys
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

SCRIPTS: Final = {
    "latin": "Zoë Müller-Østergård, façade, Łódź, 1 234,56 €",
    "greek": "Τιμολόγιο υπηρεσιών: Αθήνα",
    "cyrillic": "Счёт за услуги: Київ, Ђорђевић",
    "chinese": "发票 請求 法律服務有限公司",
    "japanese": "請求書 株式会社サクラ",
    "korean": "송장 법무법인",
    "arabic": "فاتورة الخدمات القانونية",
}
STARTS: Final = ("subprocess.", "os.exec", "os.posix_spawn", "os.fork", "os.spawn", "os.system", "pty.")
REACHES: Final = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.sendto",
    "urllib.Request",
    "http.client.connect",
)


class Observer:
    """Writes down programs started, connections tried, files written and TLS contexts made."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.written: list[str] = []
        self.tls_contexts = 0
        sys.addaudithook(self._hear)
        make = ssl.SSLContext.__new__

        def counted(cls: type[ssl.SSLContext], *arguments: Any, **named: Any) -> ssl.SSLContext:
            self.tls_contexts += 1
            return make(cls, *arguments, **named)

        ssl.SSLContext.__new__ = counted  # type: ignore[method-assign, assignment]  # the standard library's, in this process alone

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith((*STARTS, *REACHES)):
            self.events.append(f"{event} {arguments!r}"[:200])
        elif event == "open" and isinstance(arguments[0], str) and _writes(arguments[1], arguments[2]):
            self.written.append(arguments[0])

    def told(self) -> dict[str, Any]:
        """Return what was heard so far."""
        return {"events": [*self.events], "written": [*self.written], "tls_contexts": self.tls_contexts}


def _writes(mode: object, flags: object) -> bool:
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) and mode != "r"


def invoice(number: str = "2026-0147") -> Any:
    """Return an invoice whose lines are written in every script, in all weights the style has."""
    from billing.documents.invoice import (
        Addressee,
        InvoiceFacts,
        Letterhead,
        LineKind,
        PostalAddress,
        PrintedLine,
        print_invoice,
    )
    from billing.ledger.ledger import Invoice, InvoiceStatus
    from billing.money import Money

    sent_at = datetime(2026, 10, 1, 14, 30, tzinfo=UTC)
    ledger = Invoice(
        id="0192f0c2-7a51-7c11-9c3e-3d0f5a1b7e42",
        invoice_number=number,
        client="0192f0c2-0000-7c11-9c3e-3d0f5a1b7e42",
        currency="EUR",
        status=InvoiceStatus.SENT,
        tax_rate=Decimal("8.875"),
        due_date=date(2026, 10, 31),
        sent_at=sent_at,
    )
    line = PrintedLine(
        id="line", kind=LineKind.FEE, description="", amount=Money(48_000, "EUR"), date=date(2026, 9, 1),
        timekeeper="A. Harrow", hours=Decimal("1.5"), rate=Money(32_000, "EUR"),
    )  # fmt: skip
    return print_invoice(
        invoice=InvoiceFacts(
            ledger=ledger,
            issue_date=date(2026, 10, 1),
            matter_name=" / ".join(SCRIPTS.values()),
            client_message="\n".join(SCRIPTS.values()),
        ),
        sent_at=sent_at,
        firm=Letterhead(name="Harrow & Delacroix", currency="EUR", timezone="Europe/Berlin", language="en"),
        client=Addressee(
            name=SCRIPTS["korean"], address=PostalAddress((SCRIPTS["arabic"], SCRIPTS["greek"]), "JP")
        ),
        lines=[replace(line, id=name, description=text) for name, text in SCRIPTS.items()],
        payments=[],
    )


def stage_import() -> dict[str, Any]:
    """Import, warm up, draw; every step is timed."""
    observer = Observer()
    from billing.documents.pdf.renderer import WeasyPrintRenderer
    from billing.documents.pdf.start import import_weasyprint
    from billing.documents.template import DocumentTemplate

    imported = timed(import_weasyprint)
    renderer = WeasyPrintRenderer(DocumentTemplate())
    warmed = timed(renderer.warm_up)
    seconds, drawn = [], None
    for _ in range(3):
        began = time.perf_counter()
        drawn = renderer.render_invoice(invoice(), None)
        seconds.append(time.perf_counter() - began)
    assert drawn is not None
    told = observer.told()
    return {
        **told,
        "seconds": {"import": imported, "warm_up": warmed, "draw": seconds},
        "missing_glyphs": drawn.missing_glyphs,
        "pdf": base64.b64encode(drawn.content).decode(),
        "loaded": sorted(
            {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if ".so" in line}
        ),
        "path": sys.path,
        "writable": [
            folder
            for folder in ("/", "/opt", "/var/task", "/var/runtime", "/tmp")  # noqa: S108 - the room's
            if os.access(folder, os.W_OK)
        ],
        "user": os.getuid(),
        "found_by_name": ctypes.util.find_library("pango-1.0"),
    }


def stage_stock() -> dict[str, Any]:
    """Import WeasyPrint without our start, for the comparison."""
    observer = Observer()
    os.environ["FONTCONFIG_FILE"] = "/opt/etc/fonts/fonts.conf"
    return {"seconds": timed(lambda: __import__("weasyprint")), **observer.told()}


def stage_worker() -> dict[str, Any]:
    """What Lambda's init does, and what the first and the second message then find."""
    began = time.perf_counter()
    import worker  # type: ignore[import-not-found]  # the function's module, there in the room

    init = time.perf_counter() - began
    hits = worker.build.cache_info().currsize
    warm = "weasyprint" in sys.modules and Path("/tmp/fontconfig").is_dir()  # noqa: S108 - the room's
    renderer = worker.build()[0].invoices.renderer if hits else None
    seconds = []
    for number in ("first", "second", "third"):
        if renderer is not None:
            began = time.perf_counter()
            renderer.render_invoice(invoice(number), None)
            seconds.append(time.perf_counter() - began)
    return {"seconds": {"init": init, "draw": seconds}, "built_at_init": bool(hits), "warm_at_init": warm}


def timed(work: Any) -> float:
    """Return the seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    stages = {"import": stage_import, "stock": stage_stock, "worker": stage_worker}
    sys.stdout.write(json.dumps(stages[sys.argv[1]]()) + "\n")
