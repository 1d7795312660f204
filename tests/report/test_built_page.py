"""The page's script and style are what their sources say, and its modules do what they promise."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import stitchpipe.report

FRONT = Path(stitchpipe.report.__file__).parent / "page"
BUILT = ("page.js", "page.css")


@pytest.fixture(scope="module")
def node():
    path = shutil.which("node")
    if path is None:
        pytest.skip("no node: the page's sources were not looked at")
    return path


def test_the_built_files_are_what_the_sources_say(node, tmp_path):
    if not (FRONT / "node_modules").is_dir():
        pytest.skip("`make page` was never run here: no esbuild to build with")
    subprocess.run([node, "build.js", str(tmp_path)], cwd=FRONT, check=True, timeout=120)
    for name in BUILT:
        assert (tmp_path / name).read_bytes() == (FRONT / "built" / name).read_bytes(), (
            f"`make page` renews {name}"
        )


def test_the_modules_of_the_page(node):
    done = subprocess.run(
        [node, "--test", "tests/"], cwd=FRONT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"^# pass [1-9]", done.stdout, re.MULTILINE)


def test_what_is_bundled_brings_its_licence():
    script = (FRONT / "built" / "page.js").read_text("utf-8")
    assert script.startswith("/*!")
    for name in ("d3-scale", "d3-array", "d3-interpolate", "internmap"):
        assert re.search(rf"^{name} \d", script, re.MULTILINE), name
    assert script.count("Permission to use, copy, modify, and/or distribute") >= 6


def test_no_committed_file_names_a_registry():
    for path in (FRONT / "package.json", FRONT / "package-lock.json", FRONT / ".npmrc"):
        text = path.read_text("utf-8")
        assert "resolved" not in text.replace("omit-lockfile-registry-resolved", "")
        assert "registry=" not in text


def test_nothing_is_ever_parsed_as_markup():
    sources = "".join(path.read_text("utf-8") for path in (FRONT / "src").glob("*.js"))
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "DOMParser",
        "eval(",
        "new Function",
    ):
        assert way not in sources
