"""The plan: every pair exactly once, within memory, whatever the shapes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.engine.plan import LayerShape, PlanError, SplitShape, make_plan
from stitchpipe.rows import result_grid

SPLIT = SplitShape("digits", "test", ((0, 23), (23, 46), (46, 50)))


def layer(number: int, shape: tuple[int, ...]) -> LayerShape:
    return LayerShape("A", f"layer{number}", ("f",), shape, 4)


shapes = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([2, 4, 8]), st.sampled_from([2, 4, 8])),
    min_size=1,
    max_size=9,
)


@given(shapes=shapes, view=st.sampled_from(["positions", "pooled"]), memory=st.integers(600_000, 40_000_000))
def test_every_pair_is_formed_once_on_its_targets_grid_and_within_memory(shapes, view, memory):
    layers = [layer(number, shape) for number, shape in enumerate(shapes)]
    everything = range(len(layers))
    plan = make_plan(
        layers,
        dict.fromkeys(everything, tuple(everything)),
        view=view,
        splits=[SPLIT],
        memory_limit_bytes=memory,
    )
    formed: Counter[tuple[int, int]] = Counter()
    for work in plan.passes:
        for tile in work.tiles:
            for target in tile.targets:
                assert tile.grid == result_grid(view, layers[target].shape)
                formed.update((source, target) for source in tile.sources)
    assert formed == {(source, target): 1 for source in everything for target in everything}
    assert plan.cost.pairs == len(layers) ** 2
    assert plan.block_samples >= 1


def test_with_memory_every_layer_is_read_once():
    layers = [layer(number, (16, 8 >> number, 8 >> number)) for number in range(3)]
    plan = make_plan(
        layers, dict.fromkeys(range(3), (0, 1, 2)), view="positions", splits=[SPLIT], memory_limit_bytes=2**30
    )
    assert len(plan.passes) == 1
    assert plan.cost.bytes_read == SPLIT.n_samples * sum(one.sample_bytes for one in layers)


def test_the_flops_are_those_of_the_products():
    plan = make_plan(
        [layer(0, (4, 2, 2))], {0: (0,)}, view="positions", splits=[SPLIT], memory_limit_bytes=2**30
    )
    rows, width = SPLIT.n_samples * 4, 5
    assert plan.cost.flops == 2 * rows * (width * width + width * width)


def test_a_pair_that_cannot_fit_is_refused_with_the_memory_it_needs():
    with pytest.raises(PlanError, match="memory_limit_bytes to at least"):
        make_plan(
            [layer(0, (4096, 2, 2))], {0: (0,)}, view="positions", splits=[SPLIT], memory_limit_bytes=2**26
        )


@given(count=st.integers(1, 60))
def test_leaves_cover_the_row_groups_in_order(count):
    split = SplitShape("d", "s", tuple((i, i + 1) for i in range(count)))
    assert [group for leaf in split.leaves() for group in leaf] == list(range(count))
    assert all(split.leaves())
