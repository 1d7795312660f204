"""A run that is stopped or killed, at several places, goes on where it was and ends with the same numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

import stitchpipe as sp
from stitchpipe import steps
from stitchpipe.run import Run
from tests.tiny_sweep import TINY

PATIENCE_S = 300
STOPS = (
    ("train A: 2 epochs done", signal.SIGKILL),
    ("train org/B: 2 epochs done", signal.SIGTERM),
    ("dump org/B test: 5 row groups done", signal.SIGKILL),
    ("compare: done", signal.SIGKILL),
    ("stitch A layer1.0: done", signal.SIGINT),
    ("stitch A layer2.0: done", signal.SIGKILL),
)
"""In the order of the course: what is there already is not done, and said, again."""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}


FEW_PROCESSES = "[run]\nprocesses = 1\nworkers = 1\n"
"""Each of them takes seconds to import what it needs."""


def start(path, out, log):
    command = [sys.executable, "-m", "stitchpipe.cli", "run", str(path), "--out", str(out)]
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def wait_for(process, log, text):
    deadline = time.monotonic() + PATIENCE_S
    while text not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def numbers(root):
    """Return all results of a run, in one order."""
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
    return sp.open(root).results().sort_values(order, ignore_index=True)


def test_a_run_that_is_interrupted_at_every_target_ends_with_the_same_numbers(tiny, tmp_path):
    """In one process, without what schedules: `flows/test_runner.py` sends a real Ctrl-C, the slow test below kills."""
    run = tiny.copy(tmp_path / "run")
    for folder in ("curves", "results"):
        for file in run.place.files.listing(folder):
            if not file.name.startswith("results/compare"):
                run.place.files.remove(file.name)
    assert len(numbers(tmp_path / "run")) < len(numbers(tiny.root))

    def interrupt(done, total):
        if done == total // 2:
            raise KeyboardInterrupt

    for target in steps.units(run).targets:
        with pytest.raises(KeyboardInterrupt):
            steps.stitch(run, *target, report=interrupt)
    again = Run.open(tiny.sweep, tmp_path / "run")
    for target in steps.units(again).targets:
        steps.stitch(again, *target)
    assert numbers(tmp_path / "run").equals(numbers(tiny.root))


@pytest.mark.slow
@pytest.mark.timeout(2000)
def test_a_run_that_is_stopped_or_killed_ends_with_the_same_numbers(tiny, tmp_path):
    path, out, log = tmp_path / "tiny.toml", tmp_path / "run", tmp_path / "log"
    path.write_text(TINY + FEW_PROCESSES, "utf-8")
    for said, number in STOPS:
        with log.open("w") as stream:
            process = start(path, out, stream)
            wait_for(process, log, said)
            os.killpg(process.pid, number)
            assert process.wait(PATIENCE_S) == CODES[number], log.read_text()
        if number != signal.SIGKILL:
            assert "the same command continues" in log.read_text()
            assert "Traceback" not in log.read_text()
    with log.open("w") as stream:
        assert start(path, out, stream).wait(PATIENCE_S) == 0, log.read_text()
    assert numbers(out).equals(numbers(tiny.root))
    assert sp.open(out).store.verify() == []
    assert not list(out.rglob("*.tmp"))
