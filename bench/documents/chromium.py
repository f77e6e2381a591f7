"""A headless Chromium that stays open, printing our HTML: every document is a new page of the one browser."""

from __future__ import annotations

import os
import shutil
import threading
from importlib import import_module
from pathlib import Path
from typing import Any, Final

ARGUMENTS: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)
"""Nothing of the browser's own may go out."""
SECONDS_BETWEEN_LOOKS: Final = 0.05
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Chromium:
    """Playwright's own processes (its driver, and this one) are left out of processor time and memory."""

    def __init__(self) -> None:
        self._playwright: Any = None
        self._browser: Any = None
        self._page: Any = None
        self._used: dict[int, float] = {}
        self._memory = _Memory()

    def load(self) -> None:
        """Import Playwright and start the browser."""
        self._playwright = import_module("playwright.sync_api").sync_playwright().start()
        # Chromium's own sandbox refuses to run as root.
        arguments = [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        self._browser = self._playwright.chromium.launch(executable_path=program(), args=arguments)

    def prepare(self) -> None:
        """Nothing."""

    def read(self, document: Path) -> str:
        """The HTML that our template made, with our style sheet in its head."""
        html, style = document.with_suffix(".html").read_text(), document.parent / "invoice.css"
        return html.replace("</head>", f"<style>{style.read_text()}</style></head>", 1)

    def watch(self, *, wanted: bool) -> None:
        """Look at the memory again and again: the kernel keeps no peak of what processes share."""
        self._memory.begin(wanted=wanted)

    def draw(self, document: str) -> bytes:
        """A new page, the HTML, and print."""
        self._page = self._browser.new_page()
        self._page.set_default_timeout(600_000)
        self._page.set_content(document)
        content: bytes = self._page.pdf(prefer_css_page_size=True, print_background=True, tagged=True)
        return content

    def finish(self) -> None:
        """Close the page, which ends the process that drew it."""
        self._page.close()

    def processor_seconds(self) -> float:
        """Of the browser's processes, those included that were there at an earlier look."""
        self._used |= {process: _processor_seconds(process) for process in _browser_processes()}
        return sum(self._used.values())

    def peak_bytes(self) -> int:
        """The largest sum of the browser's proportional shares (PSS) that was seen."""
        return self._memory.end()

    def close(self) -> None:
        """End the browser."""
        if self._browser is not None:
            self._browser.close()
            self._playwright.stop()


class _Memory:
    """Sums up what the browser's processes hold, every few milliseconds while one document is drawn."""

    def __init__(self) -> None:
        self._peak = 0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, *, wanted: bool) -> None:
        self._over.clear()
        self._thread = threading.Thread(target=self._look, daemon=True) if wanted else None
        if self._thread:
            self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(SECONDS_BETWEEN_LOOKS):
            self._peak = max(self._peak, _browser_memory())

    def end(self) -> int:
        self._over.set()
        if self._thread:
            self._thread.join()
            self._peak = max(self._peak, _browser_memory())
        return self._peak


def program() -> str | None:
    """The path of this machine's Chromium; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def _browser_memory() -> int:
    return sum(_share(process) for process in _browser_processes())


def _browser_processes() -> list[int]:
    """All processes below this one whose program is a Chromium."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and (fields := _statistics(int(folder.name))):
            parents[int(folder.name)] = int(fields[1])
    ours = {os.getpid()}
    while found := {process for process, parent in parents.items() if parent in ours} - ours:
        ours |= found
    return [process for process in ours if _is_chromium(process)]


def _is_chromium(process: int) -> bool:
    try:
        return "chrom" in Path(f"/proc/{process}/exe").readlink().name
    except OSError:  # it has ended
        return False


def _statistics(process: int) -> list[str]:
    """The fields of /proc/<process>/stat after the name; none where it has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _processor_seconds(process: int) -> float:
    fields = _statistics(process)
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def _share(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def engine() -> Chromium:
    """For `bench.documents.worker`."""
    return Chromium()
