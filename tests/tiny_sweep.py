"""The tiny sweep: every step for real on digits, with networks that are small enough to train in seconds.

The fixture `tiny` of ``tests/conftest.py`` runs it once for all tests that only read it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stitchpipe import steps
from stitchpipe.config import load
from stitchpipe.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    from stitchpipe.config import Sweep
    from stitchpipe.engine.cluster import Cluster

TINY = """
name = "tiny"
[data]
name = "small digits"
kind = "digits"
[dump]
layers = ["layer?.0"]
row_groups = 5
[[models]]
name = "A"
architecture = "cifar_resnet"
options = { in_channels = 1, blocks = [1, 1, 1], widths = [4, 6, 8] }
train = { epochs = 2, seed = 0 }
[[models]]
name = "org/B"
architecture = "cifar_resnet"
options = { in_channels = 1, blocks = [1, 1, 1], widths = [4, 6, 8] }
train = { epochs = 2, seed = 1 }
[[compare]]
view = "positions"
indices = ["cka_biased", "cca", "cca_sq", "svcca", "pwcca", "procrustes", "procrustes_angle", "dm_r2", "dm_struct"]
[[compare]]
view = "pooled"
indices = ["cka", "procrustes", "cka_rbf", "mutual_knn", "rsa", "cka_minibatch", "agreement"]
[certainty]
permutations = 19
[[stitch]]
method = "dm"
sources = ["A/*", "org/B/*"]
targets = ["A/*"]
[[stitch]]
method = "tlm"
sources = ["A/*"]
targets = ["A/*"]
pairs = "self"
init = ["random", "identity", "dm"]
steps = 12
[[stitch]]
method = "tlm"
sources = ["A/layer3.0", "org/B/layer3.0"]
targets = ["A/layer1.0"]
steps = 12
"""


@dataclass(frozen=True)
class Tiny:
    """A finished run of the tiny sweep."""

    sweep: Sweep
    root: Path
    path: Path

    @classmethod
    def at(cls, home: Path, cluster: Cluster) -> Tiny:
        """Return the run that lies in a folder; make it where there is none."""
        path, finished = home / "tiny.toml", home / "finished"
        if not finished.exists():
            home.mkdir(exist_ok=True)
            path.write_text(TINY, "utf-8")
            run_steps(Run.open(path, home / "run"), cluster)
            finished.touch()
        return cls(load(path), home / "run", path)

    @property
    def run(self) -> Run:
        """The run, opened anew."""
        return Run.open(self.sweep, self.root)

    def copy(self, to: Path) -> Run:
        """Return a copy of the run, for tests that damage it."""
        shutil.copytree(self.root, to)
        return Run.open(self.sweep, to)


def run_steps(run: Run, cluster: Cluster | None = None) -> None:
    """Run all steps of a sweep, one unit after the other."""
    units = steps.units(run)
    for model in units.models:
        steps.inspect(run, model)
        steps.train(run, model)
    for model, split in units.dumps:
        steps.dump(run, model, split)
    steps.compare(run, cluster=cluster)
    steps.fit_maps(run, cluster=cluster)
    for model, layer in units.targets:
        steps.stitch(run, model, layer)
    steps.report(run)
