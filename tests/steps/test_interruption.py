"""A run that is killed, at several places, goes on where it was and ends with the same numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

import stitchpipe as sp

ONCE = ("stitch A layer1.0",)
OFTEN = (
    "train A",
    "train org/B",
    "dump org/B test",
    "compare",
    "stitch A layer2.0",
)


def start(path, out, log):
    command = [sys.executable, "-m", "stitchpipe.cli", "run", str(path), "--out", str(out)]
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def wait_for(process, log, text, timeout_s=240.0):
    deadline = time.monotonic() + timeout_s
    while text not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


@pytest.mark.timeout(800)
@pytest.mark.parametrize("places", [ONCE, pytest.param(OFTEN, marks=pytest.mark.slow)], ids=["once", "often"])
def test_a_run_that_is_killed_ends_with_the_same_numbers(tiny, tmp_path, places):
    out, log = tmp_path / "run", tmp_path / "log"
    for unit in places:
        with log.open("w") as stream:
            process = start(tiny.path, out, stream)
            wait_for(process, log, f"{unit}: done")
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    with log.open("w") as stream:
        assert start(tiny.path, out, stream).wait() == 0, log.read_text()
    order = [
        "index",
        "view",
        "source_model",
        "source_layer",
        "target_model",
        "target_layer",
        "method",
        "init",
    ]
    expected, found = (
        sp.open(root).results().sort_values(order, ignore_index=True) for root in (tiny.root, out)
    )
    assert found.equals(expected)
    assert sp.open(out).store.verify() == []
    assert not list(out.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_stopped_run_says_how_to_go_on(tiny, tmp_path, number, code):
    out, log = tmp_path / "run", tmp_path / "log"
    with log.open("w") as stream:
        process = start(tiny.path, out, stream)
        wait_for(process, log, "train A: done")
        process.send_signal(number)
        assert process.wait(timeout=60) == code
    assert "the same command continues" in log.read_text()
    assert "Traceback" not in log.read_text()
