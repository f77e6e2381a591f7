"""One engine in a process of its own: gets ready, renders invoices, prints what each took as a line of JSON.

    python -m bench.documents.engines <engine> <invoice> ...

An invoice is a path without its ending (`bench.documents.invoices` says which files it has); the PDF of the last one is
left beside them as `<engine>.pdf`. Nothing but the standard library is imported before the engine is: its import counts.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_TICKS = os.sysconf("SC_CLK_TCK")


def _own_processor_seconds() -> float:
    """Of this process and of children that have ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _own_memory() -> int:
    """The kernel's high-water mark of resident memory, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@dataclass(frozen=True)
class Engine:
    """`read` brings an invoice into the form that `render` takes, untimed; `finish` clears away what it left."""

    read: Callable[[Path], Any]
    render: Callable[[Any], bytes]
    finish: Callable[[], None] = lambda: None
    processor_seconds: Callable[[], float] = _own_processor_seconds
    memory: Callable[[], int] = _own_memory


def ours() -> Engine:
    """The renderer as the worker makes it, from the printed invoice to the bytes."""
    renderer = import_module("billing.documents.pdf.renderer").WeasyPrintRenderer(
        import_module("billing.documents.template").DocumentTemplate()
    )
    renderer.warm_up()
    return Engine(
        read=lambda invoice: pickle.loads(invoice.with_suffix(".pickle").read_bytes()),  # noqa: S301  # we wrote it
        render=lambda printed: renderer.render_invoice(printed, None).content,
    )


def stock() -> Engine:
    """WeasyPrint as it comes, on our HTML and style, with the options that ours renders with."""
    weasyprint = import_module("weasyprint")
    assert "billing" not in sys.modules

    def render(html_and_style: tuple[str, str]) -> bytes:
        html, style = html_and_style
        sheet = weasyprint.CSS(string=style)
        content: bytes = weasyprint.HTML(string=html).write_pdf(
            stylesheets=[sheet], pdf_variant="pdf/a-3b", pdf_tags=True
        )
        return content

    return Engine(read=_html_and_style, render=render)


def chromium() -> Engine:
    """Our HTML and style in a new page of one browser that Playwright keeps open.

    Playwright's own processes are left out of processor time and memory.
    """
    playwright = import_module("playwright.sync_api").sync_playwright().start()
    # Nothing of the browser's own may go out; its own sandbox refuses to run as root.
    arguments = [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-gpu",
        "--disable-sync",
    ]
    browser = playwright.chromium.launch(
        executable_path=shutil.which("chromium") or shutil.which("chromium-browser"),
        args=[*arguments, *(["--no-sandbox"] if os.geteuid() == 0 else [])],
    )
    pages: list[Any] = []
    used: dict[int, float] = {}

    def render(html_and_style: tuple[str, str]) -> bytes:
        html, style = html_and_style
        pages.append(browser.new_page())
        pages[-1].set_default_timeout(600_000)
        pages[-1].set_content(html.replace("</head>", f"<style>{style}</style></head>", 1))
        content: bytes = pages[-1].pdf(prefer_css_page_size=True, print_background=True, tagged=True)
        return content

    def processor_seconds() -> float:
        # A page's process ends with its page: what it had used is kept.
        used.update((process, _processor_seconds(process)) for process in _browser_processes())
        return sum(used.values())

    return Engine(
        read=_html_and_style,
        render=render,
        finish=lambda: pages.pop().close(),
        processor_seconds=processor_seconds,
        memory=lambda: sum(map(_share_of_memory, _browser_processes())),
    )


def typst() -> Engine:
    """A template of its own, `invoice.typ`, with texts that are formatted already; PDF/A-3a and PDF/UA-1."""
    compiler = import_module("typst").Compiler(str(Path(__file__).with_name("invoice.typ")))
    return Engine(
        read=lambda invoice: invoice.with_suffix(".json").read_text(),
        render=lambda texts: compiler.compile(sys_inputs={"invoice": texts}, pdf_standards=["a-3a", "ua-1"]),
    )


def _html_and_style(invoice: Path) -> tuple[str, str]:
    return invoice.with_suffix(".html").read_text(), invoice.with_name("invoice.css").read_text()


def _browser_processes() -> list[int]:
    """All processes below this one whose program is a Chromium."""
    parents = {
        int(folder.name): int(fields[1])
        for folder in Path("/proc").iterdir()
        if folder.name.isdecimal() and (fields := _statistics(int(folder.name)))
    }
    below = {os.getpid()}
    while found := {process for process, parent in parents.items() if parent in below} - below:
        below |= found
    return [process for process in below if "chrom" in Path(f"/proc/{process}/exe").resolve().name]


def _statistics(process: int) -> list[str]:
    """The fields of /proc/<process>/stat after the name; none where it has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _processor_seconds(process: int) -> float:
    fields = _statistics(process)
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def _share_of_memory(process: int) -> int:
    """Its proportional share (PSS), in bytes."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


ENGINES = {"ours": ours, "stock WeasyPrint": stock, "warm Chromium": chromium, "Typst": typst}


def main(name: str, invoices: list[Path]) -> None:
    """Get ready and render; each line: seconds by the clock and of the processor, bytes of memory."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not be taken for an answer
    began = time.perf_counter()
    engine = ENGINES[name]()
    answers.write(
        json.dumps([time.perf_counter() - began, engine.processor_seconds(), engine.memory()]) + "\n"
    )
    for invoice in invoices:
        document = engine.read(invoice)
        processor, began = engine.processor_seconds(), time.perf_counter()
        content = engine.render(document)
        seconds = time.perf_counter() - began
        spent = [seconds, engine.processor_seconds() - processor, engine.memory()]
        engine.finish()
        invoice.with_name(f"{name}.pdf").write_bytes(content)
        answers.write(json.dumps(spent) + "\n")
    answers.close()
    os._exit(0)  # a browser needs no farewell


if __name__ == "__main__":
    main(sys.argv[1], [Path(argument) for argument in sys.argv[2:]])
