"""What a pass sums is what the rows of each pair have by definition, formed at the target's grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.algebra import evaluate
from stitchpipe.algebra.analysis import Analysis
from stitchpipe.algebra.errors import MomentsError, UndefinedIndexError
from stitchpipe.engine import Pairs
from stitchpipe.rows import VIEWS
from tests import oracles
from tests.engine.conftest import all_pairs
from tests.engine.in_memory import Case

TIGHT = 1e-12


def noise(n, *shapes, seed=0, mean=0.0, scale=1.0, edge=0.0, dtype=np.float32):
    """Layers that share a part, so that no index is near its end; the first position of each line lies `edge` above."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, 5))
    blocks = []
    for shape in shapes:
        mixed = hidden @ rng.standard_normal((5, int(np.prod(shape))))
        values = scale * (mixed + 2.0 * rng.standard_normal(mixed.shape)) + mean
        blocks.append(values.reshape(n, *shape).astype(dtype))
        blocks[-1][..., 0] += np.dtype(dtype).type(edge)
    return blocks


def worst(case, plan, **options):
    return max(case.errors(plan, **options).values(), default=0.0)


GRIDS = [
    ((4, 4), (8, 8)),
    ((2, 2), (7, 7)),
    ((3, 5), (7, 11)),
    ((5, 3), (4, 7)),
    ((2, 9), (6, 4)),
    ((9, 2), (2, 9)),
    ((6, 1), (1, 5)),
    ((1, 1), (3, 4)),
    ((5, 5), (5, 5)),
    ((4, 7), (4, 3)),
]


@pytest.mark.parametrize(("one", "other"), GRIDS, ids=str)
def test_resizing_is_linear(one, other):
    blocks = noise(40, (3, *one), (4, *other), (2, *one), mean=2.0)
    case = Case(blocks, {"positions": all_pairs(blocks)})
    assert worst(case, case.plan()) <= TIGHT


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    "shapes",
    [
        [(9, 6), (9, 4), (5, 6)],
        [(7,), (3,)],
        [(1, 4, 4), (1, 2, 2), (2, 4, 4)],
        [(3, 4, 4), (9, 6), (5, 6), (7,), (1,), (9, 1)],
    ],
    ids=["tokens", "vectors", "one channel", "all kinds"],
)
def test_every_kind_of_layer_under_every_view(view, shapes):
    blocks = noise(60, *shapes, mean=2.0)
    case = Case(blocks, {view: all_pairs(blocks)})
    assert worst(case, case.plan()) <= TIGHT


sides = st.integers(1, 9)
images = st.tuples(st.integers(1, 5), sides, sides)
layers = st.lists(
    st.one_of(images, st.tuples(st.sampled_from([4, 6]), st.integers(1, 5)), st.tuples(st.integers(1, 5))),
    min_size=1,
    max_size=4,
)


@given(shapes=layers, views=st.sets(st.sampled_from(VIEWS), min_size=1), data=st.data())
def test_all_views_are_formed_from_one_reading(shapes, views, data):
    blocks = noise(data.draw(st.integers(4, 40)), *shapes, mean=data.draw(st.floats(-3, 3)))
    index = st.integers(0, len(blocks) - 1)
    some = st.frozensets(st.tuples(index, index), min_size=1).map(Pairs.of)
    case = Case(blocks, {view: data.draw(some) for view in views})
    assert worst(case, case.plan()) <= TIGHT


def test_a_wide_sweep_is_right_in_many_passes():
    blocks = noise(50, *[(3, 4, 4), (2, 8, 8), (4, 2, 2), (3, 8, 8), (5, 4, 4), (2, 2, 2)] * 2)
    case = Case(blocks, {"positions": all_pairs(blocks), "pooled": all_pairs(blocks)})
    passes = []
    for room in (2**31, 40_000, 20_000):
        plan = case.plan(room=room)
        passes.append(len(plan.passes))
        assert worst(case, plan) <= TIGHT
    assert passes[0] == 1 < passes[1] < passes[2]


@pytest.mark.parametrize(
    ("shapes", "view"),
    [
        ([(4, 2, 2), (3, 5, 4)], "positions"),
        ([(3, 4, 4), (5, 4, 4)], "positions"),
        ([(3, 6), (3, 4)], "positions"),
        ([(4, 2, 2), (3, 5, 4)], "pooled"),
        ([(6,), (4,)], "pooled"),
        ([(3, 2, 2), (4, 2, 1)], "flatten"),
    ],
)
def test_every_index_is_that_of_its_textbook_definition(shapes, view):
    blocks = noise(40, *shapes, mean=1.0)
    case = Case(blocks, {view: all_pairs(blocks)})
    train = Case(noise(40, *shapes, mean=1.0, seed=1), case.wanted)
    fitted = train.pairs(train.plan())
    for (of_view, pair), moments in case.pairs(case.plan()).items():
        x, y = case.rows(of_view, pair)
        analysis = Analysis(moments, fitted[of_view, pair])
        W, b = oracles.direct_matching(*train.rows(of_view, pair))
        expected = {
            "cka_biased": oracles.cka(x, y, oracles.hsic_biased),
            "cca": oracles.cca(x, y),
            "cca_sq": oracles.cca_sq(x, y),
            "svcca": oracles.svcca(x, y),
            "pwcca": oracles.pwcca(x, y),
            "procrustes": oracles.procrustes(x, y),
            "dm_r2": oracles.dm_r2(W, b, x, y),
            "dm_struct": oracles.dm_struct(W, b, x, y),
        }
        if view != "positions":
            expected["cka"] = oracles.cka(x, y)
        for index, value in expected.items():
            assert evaluate(index, analysis).value == pytest.approx(value, rel=1e-10, abs=1e-11), (
                pair,
                index,
            )


def test_norms_of_several_rows_of_an_image_are_not_kept():
    blocks = noise(20, (3, 4, 4))
    case = Case(blocks, {"positions": all_pairs(blocks)})
    with pytest.raises(MomentsError, match="squared row norms"):
        evaluate("cka", Analysis(case.pairs(case.plan())["positions", (0, 0)]))


EPS = 2.0**-52


@pytest.mark.parametrize("ratio", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("view", VIEWS)
def test_a_large_mean_costs_no_digits(view, ratio):
    """A mean common to a channel is taken off before anything is summed: the error does not grow with mean/σ.

    What products are taken about differs from the mean by at most 2⁻²⁴·mean + σ, so that sums lose
    (1 + 2⁻²⁴·mean/σ)² at most; means are right to their own last digits.
    """
    blocks = noise(200, (3, 4, 4), (4, 2, 3), mean=ratio, scale=0.25)  # σ is about 1
    case = Case(blocks, {view: all_pairs(blocks)}, offset=ratio)
    assert worst(case, case.plan()) <= 16 * EPS * (1 + 2.0**-24 * ratio) ** 2


@pytest.mark.parametrize("ratio", [1e3, 1e6])
def test_means_that_differ_by_position_cost_flattened_rows_no_digits(ratio):
    blocks = noise(200, (3, 2, 2), (2, 3, 2), (4, 3), edge=ratio, scale=0.25)
    case = Case(blocks, {"flatten": all_pairs(blocks)})
    assert worst(case, case.plan()) <= 32 * EPS * (1 + 2.0**-24 * ratio) ** 2


@pytest.mark.parametrize("ratio", [1e2, 1e3])
def test_means_that_differ_by_position_are_variance_of_positions_and_cancel_in_pooled_rows(ratio):
    """Averages over positions d apart are right to eps·d/σ."""
    blocks = noise(200, (3, 2, 2), (2, 3, 2), edge=ratio)
    case = Case(blocks, {"positions": all_pairs(blocks), "pooled": all_pairs(blocks)})
    assert worst(case, case.plan()) <= 16 * EPS * ratio


def test_a_constant_column_has_no_variance_at_all():
    rng = np.random.default_rng(3)
    blocks = noise(70, (4, 4, 4), (3, 8, 8), (3, 2, 2), (9, 4), (5,), mean=3.0)
    values = [0.1, 1e4 / 3, -7.3e-5, 65_504.0, 0.0]
    for block, value in zip(blocks, values, strict=True):
        channel = (slice(None), 1) if block.ndim == 4 else (..., 1)
        block[channel] = np.float32(value)
    rng.shuffle(blocks[0])
    case = Case(blocks, dict.fromkeys(("positions", "pooled"), all_pairs(blocks)))
    for precision in ("float64", "float32"):
        for moments in case.pairs(case.plan(precision=precision)).values():
            for own in (moments.xx, moments.yy):
                assert own[1, 1] == 0.0
                assert not own[1].any()
            assert not moments.xy[1].any()
            assert not moments.xy[:, 1].any()


def test_a_feature_that_is_constant_at_a_position_has_no_variance_there():
    """Padding, and what an attention sink writes into a token: constant over images, not over positions."""
    blocks = noise(70, (3, 2, 2), (4, 3))
    blocks[0][:, 1, 0, 1] = np.float32(1 / 3)
    blocks[1][:, 2, 0] = np.float32(-2000.1)
    case = Case(blocks, {"flatten": all_pairs(blocks)})
    for precision in ("float64", "float32"):
        moments = case.pairs(case.plan(precision=precision))["flatten", (0, 1)]
        for own, column in ((moments.xx, 5), (moments.yy, 0 * 4 + 2)):
            assert not own[column].any()
        assert not moments.xy[5].any()
        assert not moments.xy[:, 2].any()


def test_a_constant_layer_is_told_from_one_that_varies():
    blocks = noise(70, (4, 4, 4), (3, 2, 2))
    blocks[1][:] = np.float32(1 / 3)
    case = Case(blocks, {view: all_pairs(blocks) for view in VIEWS})
    for (_, pair), moments in case.pairs(case.plan()).items():
        if 1 in pair:
            with pytest.raises(UndefinedIndexError) as undefined:
                evaluate("cka_biased", Analysis(moments))
            assert undefined.value.status == "constant"
        else:
            evaluate("cka_biased", Analysis(moments))


def test_a_constant_image_is_told_from_one_that_varies():
    """Constant from image to image, but not from position to position."""
    blocks = noise(70, (4, 4, 4), (3, 2, 2))
    blocks[1][:] = np.random.default_rng(0).standard_normal((3, 2, 2)) * 100
    case = Case(blocks, {view: all_pairs(blocks) for view in VIEWS})
    for (view, pair), moments in case.pairs(case.plan()).items():
        analysis = Analysis(moments, storage_eps=2.0**-23)
        if 1 in pair and view != "positions":
            with pytest.raises(UndefinedIndexError) as undefined:
                evaluate("cka_biased", analysis)
            assert undefined.value.status == "constant"
        else:
            evaluate("cka_biased", analysis)


@pytest.mark.parametrize("ratio", [0.0, 1e3])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_products_in_float32_are_right_to_five_digits(ratio, dtype):
    blocks = noise(150, (3, 8, 8), (4, 4, 4), (5, 2, 3), (6, 4, 4), mean=ratio, dtype=dtype)
    case = Case(blocks, {view: all_pairs(blocks) for view in VIEWS})
    error = worst(case, case.plan(precision="float32"))
    assert error <= 1e-5
    assert error > 1e-10  # or nothing was multiplied in float32


def test_half_precision_layers_are_summed_as_they_are():
    blocks = noise(60, (3, 4, 4), (5, 2, 2), (7,), (4, 3), dtype=np.float16)
    blocks[0][0, 0, 0, 0] = np.float16(6e-8)  # subnormal
    case = Case(blocks, {view: all_pairs(blocks) for view in VIEWS})
    assert worst(case, case.plan()) <= TIGHT


def test_sums_that_overflow_are_refused():
    blocks = noise(20, (3, 2, 2))
    blocks[0] *= np.float32(1e37)
    case = Case(blocks, {"positions": all_pairs(blocks)})
    case.pairs(case.plan())  # squares of float32 fit into float64
    with pytest.raises(MomentsError, match="fit into float64"), np.errstate(over="ignore", invalid="ignore"):
        case.pairs(case.plan(precision="float32"))
