"""Each usual question as one command: what it costs in a process of its own, beside what it should.

Processor seconds of the machine as it is: nothing is passed or failed by them. The run is a small one in the shape of
the quickstart's, so that a figure is what the question costs, and not what its run is large.
"""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.benchmarks.tables import Table
from tests.docs.asked_run import ASKED, make_asked_run

pytestmark = pytest.mark.benchmark

STITCHPIPE = (sys.executable, "-m", "stitchpipe.cli")
RUN = "runs/quickstart"
PYTHON = "import stitchpipe as sp; run = sp.open('runs/quickstart'); "
QUESTIONS = {
    "what is there to ask": ("--help", 0.5),
    "one query": (("query", RUN, "SELECT index, count(*) FROM results GROUP BY ALL"), 1.5),
    "bytes by model": (("ls", RUN), None),
    "nearest layers": (("nearest", RUN, "A/layer2.0", "--among", "B/*"), None),
    "a matrix in network order": (("matrix", RUN, "cka", "A", "B"), None),
    "the CKA matrix as SVG": (("matrix", RUN, "cka", "A", "B", "--svg", "cka.svg"), None),
    "pairs with family-wise p < .05": (("significant", RUN, "cka"), None),
    "what changed between two runs": (("diff", RUN, "runs/after"), None),
    "everything in one file": (("export", RUN, "run.zip"), None),
    "all matrices in one file": (("export", RUN, "run.nc"), None),
    "top images of a channel": (PYTHON + "run.top_samples('A/layer2.0', channel=5)", None),
    "class means": (PYTHON + "run.class_means('A/layer2.0')", None),
    "the DM map": (PYTHON + "run.map('B/layer2.0', 'A/layer2.0', method='dm')", None),
    "the stitched module on images": (
        PYTHON + "run.stitched('B/layer2.0', 'A/layer2.0', method='dm')(run.images())",
        None,
    ),
}
"""Question → the arguments of the command, or Python; and the processor seconds that it should take at most."""


@dataclass(frozen=True)
class Took:
    """What a process took, in seconds."""

    processor_s: float
    wall_s: float


def took(command: list[str], folder: Path) -> Took:
    """Run a command; return what it took itself, with its children."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Took(usage.ru_utime + usage.ru_stime, time.perf_counter() - start)


def first_sign(command: list[str], folder: Path) -> Took:
    """Run a command on a terminal until it has said anything; return what that took."""
    ours, theirs = pty.openpty()
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.read(ours, 1)
        wall_s = time.perf_counter() - start
        # Fields 14 and 15 behind the name, which may hold blanks: ticks as a user and in the system.
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        process.kill()
    for end in (ours, theirs):
        os.close(end)
    return Took(sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), wall_s)


def test_each_question_is_one_command(tmp_path, cluster, repeats):
    """Each question of the documentation, as a command in a process of its own"""
    make_asked_run(tmp_path, cluster)
    shutil.copytree(tmp_path / RUN, tmp_path / "runs" / "after")
    (tmp_path / "small.toml").write_text(ASKED)
    table = Table(test_each_question_is_one_command.__doc__, "processor seconds, best of the rounds")
    sign = [*STITCHPIPE, "run", "small.toml", "--out", "runs/new"]
    add(table, "first sign of life of `run`", [first_sign(sign, tmp_path) for _ in range(repeats)], 1.0)
    for question, (asked, target) in QUESTIONS.items():
        command = (
            [sys.executable, "-c", asked]
            if str(asked).startswith("import")
            else [*STITCHPIPE, *arguments(asked)]
        )
        rounds = []
        for _ in range(repeats):
            for name in ("run.zip", "run.nc"):  # what is there is not overwritten
                (tmp_path / name).unlink(missing_ok=True)
            rounds.append(took(command, tmp_path))
        add(table, question, rounds, target)
    table.show()


def arguments(asked):
    return (asked,) if isinstance(asked, str) else asked


def add(table, question, rounds, target):
    table.add(
        question=question,
        processor_s=f"{min(each.processor_s for each in rounds):.2f}",
        wall_s=f"{min(each.wall_s for each in rounds):.1f}",
        should_be="" if target is None else f"≤ {target:g}",
    )
