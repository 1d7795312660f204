"""A small run in the shape of the quickstart's, made for real, for pages that ask for maps, networks, activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.config import parse
from stitchpipe.run import Run
from tests.tiny_sweep import run_steps

if TYPE_CHECKING:
    from pathlib import Path

    from stitchpipe.engine.cluster import Cluster

ASKED = """
name = "quickstart"
[data]
name = "digits"
kind = "digits"
limit = 60
[dump]
layers = ["layer?.0"]
row_groups = 5
[[models]]
name = "A"
architecture = "cifar_resnet"
options = { in_channels = 1, blocks = [1, 1, 1], widths = [4, 6, 8], num_classes = 10 }
untrained = true
seed = 0
[[models]]
name = "B"
architecture = "cifar_resnet"
options = { in_channels = 1, blocks = [1, 1, 1], widths = [4, 6, 8], num_classes = 10 }
untrained = true
seed = 1
[[compare]]
view = "pooled"
indices = ["cka", "procrustes_angle", "dm_r2"]
layer_measures = ["participation_ratio", "linear_probe"]
[certainty]
permutations = 99
[[stitch]]
method = "dm"
sources = ["B/layer2.0"]
targets = ["A/layer2.0"]
[[stitch]]
method = "tlm"
sources = ["B/layer2.0"]
targets = ["A/layer2.0"]
steps = 3
"""


def make_asked_run(folder: Path, cluster: Cluster) -> None:
    """Run the small sweep into ``runs/quickstart`` below a folder."""
    run_steps(Run.open(parse(ASKED, where="tests", folder=folder), folder / "runs" / "quickstart"), cluster)
