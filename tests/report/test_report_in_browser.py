"""The page in a real browser: its figures appear, its policy holds, and hostile names stay text."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
from PIL import Image

from stitchpipe.report import rendered
from stitchpipe.studies import findings
from tests import synthetic_results as synthetic

HOSTILE = "<img src=x onerror=alert(1)>"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--enable-logging=stderr", "--virtual-time-budget=20000",
)  # fmt: skip
PLOTS = ("dm", "tlm", "late", "mahalanobis", "frechet", "matrix")

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium():
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        if os.environ.get("STITCHPIPE_REQUIRE_BROWSER"):
            pytest.fail("STITCHPIPE_REQUIRE_BROWSER is set and there is no Chromium on the path")
        pytest.skip("no Chromium on the path: the report was not opened in a browser")
    return found


@pytest.fixture(scope="module")
def pages(tmp_path_factory, undrawn):
    """Write a page with the quickstart's names, and one with a hostile layer, each alone in its folder."""
    folder = tmp_path_factory.mktemp("pages")
    layers = (HOSTILE, *synthetic.LAYERS[1:])
    results = synthetic.results()
    hostile = results.replace({"source_layer": {"layer1.0": HOSTILE}, "target_layer": {"layer1.0": HOSTILE}})
    for name, frame, order in (
        ("plain", results, synthetic.ORDER),
        ("hostile", hostile, dict.fromkeys(synthetic.ORDER, layers)),
    ):
        few = frame[~frame["index"].isin(("cca_sq", "svcca", "pwcca", "procrustes", "procrustes_angle"))]
        files = rendered(
            few, findings(few, order), layer_order=order, provenance=synthetic.PROVENANCE, title=name
        )
        (folder / name).mkdir()
        (folder / name / "index.html").write_bytes(files["index.html"])
    return folder


def opened(chromium, page, profile, *flags):
    """Return the page's elements after its scripts ran, and what the browser had to say."""
    command = [chromium, *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.parametrize("name", ["plain", "hostile"])
def test_every_figure_is_drawn_and_nothing_is_refused(chromium, pages, tmp_path, name):
    dom, complaints = opened(chromium, pages / name / "index.html", tmp_path, "--dump-dom")
    assert complaints == []
    assert 'data-drawn="true"' in dom
    assert re.search(r'id="failure"[^>]* hidden', dom)
    for plot in PLOTS:
        inside = dom.split(f'id="plot-{plot}"', 1)[1].split("</figure>", 1)[0]
        assert "main-svg" in inside, plot
        assert re.search(r'class="(hm|trace scatter)', inside), plot
    assert dom.count("<canvas") >= 4
    assert "Cloud" not in dom.split("<script", maxsplit=1)[0]
    body = re.sub(r"<script.*?</script>", "", dom, flags=re.DOTALL)
    assert "<img" not in body
    assert ("&lt;img src=x onerror=alert(1)&gt;" in body) == (name == "hostile")


def test_a_policy_that_forbids_the_script_would_be_noticed(chromium, pages, tmp_path):
    broken = tmp_path / "broken.html"
    text = (pages / "plain" / "index.html").read_text("utf-8")
    broken.write_text(text.replace('"use strict";\n(() => {', '"use strict";\n (() => {'), "utf-8")
    dom, complaints = opened(chromium, broken, tmp_path / "profile", "--dump-dom")
    assert "data-drawn" not in dom.split("<script", maxsplit=1)[0]
    assert any("Content Security Policy" in line for line in complaints)


@pytest.mark.parametrize("width", [1400, 500])
def test_the_figures_have_their_colours_on_wide_and_narrow_screens(chromium, pages, tmp_path, width):
    shot = tmp_path / "page.png"
    opened(
        chromium, pages / "plain" / "index.html", tmp_path / "profile",
        f"--window-size={width},7000", f"--screenshot={shot}",
    )  # fmt: skip
    with Image.open(shot) as image:
        assert image.size == (width, 7000)
        colours = image.convert("RGB").getcolors(maxcolors=10**7)
    yellow = sum(count for count, (red, green, blue) in colours if red > 230 and green > 200 and blue < 60)
    violet = sum(
        count for count, (red, green, blue) in colours if 50 < red < 80 and green < 40 and 60 < blue < 120
    )
    assert yellow > 2000
    assert violet > 500
