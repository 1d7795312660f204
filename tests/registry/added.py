"""A small sweep for what packages add to stitches."""

from __future__ import annotations

from pathlib import Path

from stitchpipe import steps
from stitchpipe.config import parse
from stitchpipe.run import Run

SWEEP = """
name = "added"
[data]
kind = "digits"
limit = 160
[dump]
layers = ["layer?.0"]
row_groups = 5
[[models]]
name = "A"
architecture = "cifar_resnet"
options = { in_channels = 1, blocks = [1, 1], widths = [4, 6] }
untrained = true
[[stitch]]
method = "tlm"
sources = ["A/layer2.0"]
targets = ["A/layer1.0"]
steps = 3
"""


def read(text, folder):
    return parse(text, where="test", folder=folder)


def dumped(text, folder):
    """Return the run of a sweep whose activations are there."""
    run = Run.open(read(text, folder), folder / "run")
    for split in ("train", "test"):
        steps.dump(run, "A", split)
    return run


def stitched(run):
    """Make the stitch; return the record of the step, and the results by index."""
    record = steps.stitch(run, "A", "layer1.0")
    return record, run.results.read().set_index("index")


def page_of(run):
    steps.report(run)
    return (Path(run.place.url) / "report" / "index.html").read_text("utf-8")
