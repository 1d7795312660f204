"""The tiny sweep: every step for real on digits, with networks that are small enough to train in seconds.

The fixture `tiny` of ``tests/conftest.py`` runs it once for all tests that only read it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stitchpipe import sweep as steps

if TYPE_CHECKING:
    from pathlib import Path

    from stitchpipe.config import Sweep

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
class Run:
    """A finished run of the tiny sweep."""

    sweep: Sweep
    folder: steps.Folder
    path: Path

    @classmethod
    def at(cls, root: Path) -> Run:
        """Return the run that lies in a folder; make it where there is none."""
        path, finished = root / "tiny.toml", root / "finished"
        if not finished.exists():
            root.mkdir(exist_ok=True)
            path.write_text(TINY, "utf-8")
            run_steps(steps.load(path), steps.Folder(root / "run"))
            finished.touch()
        return cls(steps.load(path), steps.Folder(root / "run"), path)

    def copy(self, to: Path) -> steps.Folder:
        """Return a copy of the run's folder, for tests that damage it."""
        shutil.copytree(self.folder.root, to)
        return steps.Folder(to)


def run_steps(sweep: Sweep, folder: steps.Folder) -> None:
    units = steps.units(sweep, folder)
    for model in units.models:
        steps.train(sweep, folder, model)
    for model, split in units.dumps:
        steps.dump(sweep, folder, model, split)
    steps.compare(sweep, folder)
    steps.fit_maps(sweep, folder)
    for model, layer in units.targets:
        steps.stitch(sweep, folder, model, layer)
    steps.report(sweep, folder)
