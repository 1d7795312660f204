"""`stitchpipe open` and `stitchpipe serve`: the page of a run, wherever it lies, and no more than that."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import webbrowser

import pytest

from stitchpipe.cli import page_commands
from stitchpipe.cli.page_commands import PageError
from stitchpipe.run.place import RunPlace
from tests.cli.command import modules_loaded_by, refused

PAGE = b'<html><meta content="default-src &#39;none&#39;; x">a page</html>'


@pytest.fixture
def run(tmp_path):
    """A run that has a page and nothing else."""
    place = RunPlace.at(tmp_path / "a run")
    place.publish_report({"index.html": PAGE}, {})
    return place


@pytest.fixture
def seen(monkeypatch):
    """What a browser was asked to open, on a machine with a screen."""
    opened = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    return opened


def test_open_shows_the_page_in_a_browser(run, seen, capsys):
    page_commands.open_page(run.url)
    assert [url.endswith("a%20run/report/index.html") for url in seen] == [True]
    assert capsys.readouterr().out == ""


def test_without_a_browser_the_path_is_said(run, monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    page_commands.open_page(run.url)
    assert capsys.readouterr().out.replace("\n", "") == f"{run.url}/report/index.html"


def test_a_page_in_a_bucket_is_copied_for_the_browser(run, seen, monkeypatch):
    monkeypatch.setattr(RunPlace, "is_folder", property(lambda _: False))
    page_commands.open_page(run.url)
    (url,) = seen
    assert not url.startswith(f"file://{run.url}")
    with urllib.request.urlopen(url) as copied:
        assert copied.read() == PAGE


def test_a_run_without_a_page_is_refused(tmp_path, seen):
    for command in (page_commands.open_page, page_commands.serve):
        with pytest.raises(PageError, match="stitchpipe report"):
            command(str(tmp_path))
    assert seen == []


def test_a_server_needs_nothing_that_writes_pages():
    heavy = ("pandas", "pyarrow", "matplotlib", "scipy", "jinja2")
    assert modules_loaded_by("import stitchpipe.report.server", *heavy) == []


def test_serve_hands_out_the_page_until_ctrl_c(run):
    command = [sys.executable, "-m", "stitchpipe.cli", "serve", run.url, "--no-open"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        said = process.stdout.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+/", said)[0]
        with urllib.request.urlopen(url) as answer:
            assert b"a page" in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{url}sweep.toml")
        port = url.rstrip("/").rpartition(":")[2]
        assert "a port that is free" in refused("serve", run.url, "--no-open", "--port", port)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == ""
