"""A page of a real Chromium, for what only a person's browser shows."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, expect, sync_playwright

#: Nothing of the browser's own may go out: this machine answers for itself only.
ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


@contextmanager
def chromium_page() -> Iterator[Page]:
    """A page without cookies, in a browser of its own."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "the set-up for tests installs Chromium"
    # Chromium's own sandbox refuses to run as root.
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=30_000)
        yield page
        browser.close()
