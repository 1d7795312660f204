"""A browser for all tests of a process, a context of it for each file, a page for each test."""

from __future__ import annotations

import pytest

from tests.report.browser import Opened, chromium


@pytest.fixture(scope="session")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def context(browser):
    made = browser.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    yield made
    made.close()


@pytest.fixture
def opened(context):
    one = Opened.of(context)
    yield one
    one.page.close()
    # Nothing is refused, nothing fails, nothing is written to the console.
    assert one.complaints == []
