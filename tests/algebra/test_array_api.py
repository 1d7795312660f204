"""The same code on torch tensors gives the same numbers, without this package importing torch."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from stitchpipe import algebra
from stitchpipe.algebra import CrossMoments, Moments, augment, pair_from_augmented
from tests.algebra.cases import ALL, related

X, Y = related(n=90, p=7, q=5)


def summarised(x, y):
    """A pair through every summary: augmented, in two blocks, merged."""
    shift_x, shift_y = x[0], y[0]
    parts = []
    for rows in (slice(0, 50), slice(50, None)):
        ax, ay = augment(x[rows], shift_x), augment(y[rows], shift_y)
        parts.append((Moments.from_block(ax), Moments.from_block(ay), CrossMoments.from_block(ax, ay)))
    merged = [one.merge(other) for one, other in zip(*parts, strict=True)]
    return pair_from_augmented(*merged, shift_x=shift_x, shift_y=shift_y)


@pytest.mark.parametrize("name", ALL)
def test_torch_agrees_with_numpy(name):
    tensors = torch.tensor(X), torch.tensor(Y)
    ours, theirs = summarised(X, Y), summarised(*tensors)
    assert isinstance(theirs.xy, torch.Tensor)
    found = algebra.evaluate(name, theirs, train=theirs)
    expected = algebra.evaluate(name, ours, train=ours)
    assert isinstance(found.value, float)
    assert found.value == pytest.approx(expected.value, rel=1e-10)
    assert found.rank == expected.rank


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_tensors_of_less_precision_are_computed_in_float64(dtype):
    x, y = torch.tensor(X).to(dtype), torch.tensor(Y).to(dtype)
    exact = algebra.cka(x.double().numpy(), y.double().numpy())
    assert algebra.cka(x, y) == pytest.approx(exact, rel=1e-12)
    assert algebra.stored_spacing(x) == torch.finfo(dtype).eps
    assert algebra.direct_matching(x, y).W.dtype == torch.float64


def test_wide_tensors_and_tracked_gradients():
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((12, 40))
    tensor = torch.tensor(wide, requires_grad=True)
    y = wide[:, :3] @ rng.standard_normal((3, 2))
    assert algebra.cka(tensor, torch.tensor(y)) == pytest.approx(algebra.cka(wide, y), rel=1e-10)
    fitted = algebra.direct_matching(tensor, torch.tensor(y))
    np.testing.assert_allclose(fitted.W.numpy(), algebra.direct_matching(wide, y).W, rtol=0, atol=1e-12)
    assert not fitted.W.requires_grad


def test_mixed_libraries_are_refused():
    with pytest.raises(algebra.RowsError, match="numpy, torch"):
        algebra.cka(X, torch.tensor(Y))


def test_importing_the_algebra_imports_no_torch():
    code = "import sys, stitchpipe.algebra; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
