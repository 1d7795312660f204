"""Chromium, started once for all tests of a process, and a page of it that minds what the console says."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

REQUIRED = "STITCHPIPE_REQUIRE_BROWSER"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--no-first-run",
)


def missing(what):
    """Skip, or fail where the browser is required."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set and there is no {what}")
    pytest.skip(f"no {what}: the page was not opened in a browser")


@contextmanager
def chromium():
    """Start the Chromium of the system."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        missing("Chromium on the path")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page in the browser, and what its console had to say."""

    page: object
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, context):
        opened = cls(context.new_page())
        opened.page.set_default_timeout(20_000)
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("console", lambda said: opened.complaints.append(f"{said.type}: {said.text}"))
        return opened

    def at(self, url, fragment=""):
        """Open an address and wait until it is drawn; return the page."""
        self.page.goto("about:blank")
        self.page.goto(f"{url}{fragment}")
        self.drawn(0)
        return self.page

    def drawn(self, before=None):
        """Wait until the page was drawn again since it had been `before` times."""
        self.page.wait_for_function(
            "before => Number(document.body.dataset.drawn || 0) > before", arg=before or 0
        )

    def count(self):
        return int(self.page.evaluate("Number(document.body.dataset.drawn || 0)"))

    @contextmanager
    def drawing(self):
        """Wait after an act until what it asks for is drawn."""
        before = self.count()
        yield
        self.drawn(before)

    def said(self, selector):
        return " ".join(self.page.locator(selector).inner_text().split())
