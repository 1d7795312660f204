"""Mixed precision and compilation: the same stitch but for rounding."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from stitchpipe.stitching import StitchingLayer, StitchingTarget, StitchTraining, TrainingBudget, train
from tests.stitching.small_stitches import TARGET, Tail, images, labels, stored

BUDGET = {"steps": 6, "batch_size": 16, "learning_rate": 1e-2, "seed": 4}


def curve_of(path, **options):
    """Return the losses of a small training, of a store made at `path`."""
    source = stored(path, images(), labels=labels())
    layer = StitchingLayer.random((3, 6, 6), TARGET, seed=0)
    (curve,) = train(
        [StitchTraining(layer, [source], TrainingBudget(**BUDGET, **options))],
        StitchingTarget(Tail(), labels()),
    )
    return curve.losses


def test_mixed_precision_learns_the_same_but_for_rounding(tmp_path):
    # In a process of its own: some virtual machines announce instructions for bfloat16 that they then refuse.
    code = (
        "from tests.stitching.test_stitching_precision import curve_of; from pathlib import Path; import sys;"
        "print(*curve_of(Path(sys.argv[1]), autocast='bfloat16'))"
    )
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "mixed.zarr")],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    mixed = list(map(float, run.stdout.split()))
    plain = curve_of(tmp_path / "plain.zarr")
    assert mixed != list(plain)
    np.testing.assert_allclose(mixed, plain, rtol=0.03)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.slow
def test_a_compiled_tail_learns_the_same_but_for_rounding(tmp_path):
    compiled = curve_of(tmp_path / "compiled.zarr", compiled=True)
    np.testing.assert_allclose(compiled, curve_of(tmp_path / "plain.zarr"), rtol=1e-4)
