"""The documentation is built as `make docs` builds it: no warning, no broken link, nothing fetched to be looked at."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.docs.blocks import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", "-b", "html"]
    built = subprocess.run(
        [*command, "-d", str(site / "doctrees"), str(ROOT / "docs"), str(site / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return site / "html"


def test_every_measure_and_column_has_its_place(site):
    from stitchpipe.algebra import INDICES
    from stitchpipe.results import COLUMNS

    measures, results = (site / "measures.html").read_text(), (site / "results.html").read_text()
    assert [name for name in INDICES if f">{name}<" not in measures] == []
    assert [column.name for column in COLUMNS if f">{column.name}<" not in results] == []


def test_pages_load_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|iframe)[^>]*\bsrc=\"([^\"]+)\"|<link[^>]*\bhref=\"([^\"]+)\"", page.read_text()
        )
        assert [address for pair in loaded for address in pair if re.match(r"(https?:)?//", address)] == [], (
            page
        )
