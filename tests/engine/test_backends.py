"""Array libraries: the same moments from each of them, and none is imported that was not chosen."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch

from stitchpipe.algebra.backends import numpy_backend, open_backend
from stitchpipe.algebra.errors import BackendError
from stitchpipe.engine import LayerShape, Pairs, PlanError, SplitShape
from stitchpipe.engine.keys import pass_key
from stitchpipe.engine.moments.accumulate import PassSums
from stitchpipe.engine.moments.shift import Shift
from stitchpipe.engine.planning.memory import BACKEND_BYTES
from stitchpipe.engine.planning.plan import make_plan
from stitchpipe.rows import VIEWS
from tests.engine.test_execute import compared

SHAPES = [(6, 4, 4), (9, 2, 2), (40, 3, 5), (5, 4, 4)]
SAMPLES = 70
SPLIT = SplitShape("data", "test", ((0, SAMPLES),))
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")],
    ),
]


def plan_of(view, precision, backend="numpy", dtype=np.float32):
    layers = [
        LayerShape("m", str(k), ("f",), shape, np.dtype(dtype).itemsize) for k, shape in enumerate(SHAPES)
    ]
    pairs = Pairs.every(len(layers))
    return make_plan(
        layers,
        dict.fromkeys([view] if isinstance(view, str) else view, pairs),
        splits=[SPLIT],
        memory_limit_bytes=2**30,
        precision=precision,
        backend=backend,
    )


def blocks_of(dtype=np.float32):
    rng = np.random.default_rng(3)
    return [(rng.normal(size=(SAMPLES, *shape)) + 2).astype(dtype) for shape in SHAPES]


def moments(plan, blocks, backend):
    shifts = {index: Shift.of(block[:32], flattened=True) for index, block in enumerate(blocks)}
    sums = PassSums(plan, 0, shifts, backend)
    for start, stop in ((0, 32), (32, 40), (40, SAMPLES)):
        sums.add(stop - start, ((index, block[start:stop]) for index, block in enumerate(blocks)))
    return sums.state()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("view", VIEWS)
def test_both_libraries_give_the_same_moments(view, precision, dtype, device):
    """Layers of three grids, so that some are resized up, some down, some by an adjoint."""
    plan, blocks = plan_of(view, precision), blocks_of(dtype)
    expected = moments(plan, blocks, numpy_backend)
    found = moments(plan, blocks, open_backend("torch", device))
    assert found.n_samples == expected.n_samples == SAMPLES
    assert found.arrays.keys() == expected.arrays.keys()
    for name, values in expected.arrays.items():
        assert type(found.arrays[name]) is np.ndarray
        assert found.arrays[name].dtype == (precision if name.startswith("rows") else np.float64)
        scale = np.abs(values).max()
        if name.startswith("rows"):
            # The last row of a layer is a difference of squared norms: right to the digits of what is subtracted.
            norms = [Shift.of(block[:32], flattened=True).norms[view] for block in blocks]
            scale = max(scale, *norms)
        np.testing.assert_allclose(found.arrays[name], values, rtol=0, atol=TOLERANCE[precision] * scale)


@pytest.mark.parametrize("device", DEVICES)
def test_single_precision_is_close_to_double(device):
    blocks, backend = blocks_of(), open_backend("torch", device)
    double, single = (
        moments(plan_of("positions", precision), blocks, backend) for precision in ("float64", "float32")
    )
    for name, values in double.arrays.items():
        np.testing.assert_allclose(single.arrays[name], values, rtol=0, atol=1e-5 * np.abs(values).max())
        if name.startswith("cross"):
            assert not np.array_equal(single.arrays[name], values)


@pytest.mark.parametrize("width", [1, 127, 128, 129, 1025])
def test_a_symmetric_product_in_blocks_is_the_whole_product(width):
    backend = open_backend("torch", "cpu")
    rows = torch.from_numpy(np.random.default_rng(width).normal(size=(width, 9)))
    total = backend.zeros((width, width))
    backend.add_symmetric(total, rows[:, :5])
    backend.add_symmetric(total, rows[:, 5:])
    backend.mirror(total)
    np.testing.assert_allclose(backend.fetch(total), (rows @ rows.T).numpy(), rtol=1e-13, atol=1e-13)
    assert torch.equal(total, total.T)


def test_settings_of_the_process_come_back():
    before = torch.get_float32_matmul_precision(), torch.get_num_threads()
    torch.set_float32_matmul_precision("high")
    torch.set_num_threads(2)
    try:
        backend = open_backend("torch", "cpu")
        with backend.one_thread():
            assert torch.get_num_threads() == 1
            moments(plan_of("positions", "float32"), blocks_of(), backend)
        assert (torch.get_float32_matmul_precision(), torch.get_num_threads()) == ("high", 2)
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.set_num_threads(before[1])


def test_float32_products_are_never_rounded_to_tf32(monkeypatch):
    seen = []
    matmul = torch.Tensor.__matmul__

    def noted(self, other):
        seen.append(torch.get_float32_matmul_precision())
        return matmul(self, other)

    monkeypatch.setattr(torch.Tensor, "__matmul__", noted)
    torch.set_float32_matmul_precision("medium")
    try:
        moments(plan_of("positions", "float32"), blocks_of(), open_backend("torch", "cpu"))
    finally:
        torch.set_float32_matmul_precision("highest")
    assert set(seen) == {"highest"}


def test_a_gpu_that_is_not_there_is_one_message(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert open_backend("torch", "auto").device.type == "cpu"
    with pytest.raises(BackendError, match="run.device"):
        open_backend("torch", "cuda")


def test_library_and_precision_are_part_of_a_leaf_s_key():
    plans = [plan_of("pooled", *of) for of in itertools.product(("float64", "float32"), ("numpy", "torch"))]
    assert len({pass_key(plan, 0) for plan in plans}) == 4
    assert pass_key(plans[0], 0) == pass_key(plan_of("pooled", "float64"), 0)


def test_a_plan_counts_the_library():
    plain, heavy = (plan_of("pooled", "float64", backend) for backend in ("numpy", "torch"))
    assert heavy.cost.peak_bytes - plain.cost.peak_bytes == BACKEND_BYTES["torch"] > 2**28
    layer = LayerShape("m", "wide", ("f",), (4096,), 4)
    with pytest.raises(PlanError, match="at least") as refused:
        make_plan(
            [layer],
            {"pooled": Pairs.of({(0, 0)})},
            splits=[SPLIT],
            memory_limit_bytes=2**29,
            backend="torch",
        )
    needed = int(refused.value.found.split()[0])
    options = {"splits": [SPLIT], "backend": "torch"}
    assert make_plan([layer], {"pooled": Pairs.of({(0, 0)})}, memory_limit_bytes=needed, **options)


def test_a_whole_comparison_on_torch(client, synthetic):
    indices = ("cka_biased", "cca", "dm_r2")
    expected = compared(client, synthetic, synthetic.plan(), indices=indices)
    found = compared(client, synthetic, synthetic.plan(backend="torch"), indices=indices)
    assert found.keys() == expected.keys()
    for key, record in found.items():
        assert record.number.status == expected[key].number.status
        if record.number.value is not None:
            assert record.number.value == pytest.approx(expected[key].number.value, rel=1e-9, abs=1e-10)


LEAVES = """
import sys
from pathlib import Path
from stitchpipe.engine.keys import pass_key
from stitchpipe.engine.moments.kept_leaves import KeptLeaves
from stitchpipe.engine.moments.pass_tasks import finish, read_leaf, read_shifts
from tests.engine.conftest import build

synthetic = build(Path(sys.argv[1]) / "store.zarr", row_groups=1, samples=(30, 30))
for backend in ("numpy", "torch"):
    plan = synthetic.plan(backend=backend)
    comparison = synthetic.comparison(plan)
    for split in (0, 1):
        leaves = KeptLeaves.of(comparison.resources, plan, 0, split)
        read_shifts(leaves)
        read_leaf(leaves, 0)
    assert finish(comparison, 0, 0, pass_key(plan, 0))
    print(backend, "torch" in sys.modules)
"""


def test_a_worker_imports_torch_only_where_it_was_chosen(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LEAVES, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["numpy False", "torch True"], done.stderr
