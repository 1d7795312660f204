"""One tiny sweep, run once: every step for real on digits, networks small enough to train in seconds."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

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


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Run:
    root = tmp_path_factory.mktemp("tiny")
    path = root / "tiny.toml"
    path.write_text(TINY)
    sweep = steps.load(path)
    folder = steps.Folder(root / "run")
    run_steps(sweep, folder)
    return Run(sweep, folder, path)
