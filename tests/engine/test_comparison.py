"""One comparison: which indices need images and which moments, which pairs are formed for what."""

from __future__ import annotations

import pytest

from stitchpipe.engine import Comparison, Pairs, fits
from stitchpipe.engine.planning.chunk_memory import Evaluation
from stitchpipe.engine.planning.plan import make_plan
from tests.engine.conftest import SPLIT, layers_of

TRAIN = SPLIT.__class__("data", "train", SPLIT.row_groups)
LAYERS = tuple(layers_of([(3, 4, 4), (5, 2, 2), (4, 4, 4)], splits=2))
FIRST, SECOND, THIRD = (0, 1), (1, 0), (2, 0)
LIMIT = {"memory_limit_bytes": 2**30}


def comparison(**options):
    return Comparison(LAYERS, (TRAIN, SPLIT), **options)


def test_indices_are_told_apart_by_what_they_are_computed_from():
    asked = comparison(
        pairs={"pooled": Pairs.of({FIRST}), "positions": Pairs.of({FIRST})},
        indices={"pooled": ("cka", "rsa", "cka_minibatch", "cca"), "positions": ("cka_biased",)},
        permutations=9,
    )
    assert asked.of_images == {"pooled": ("rsa", "cka_minibatch"), "positions": ()}
    assert asked.of_moments == {"pooled": ("cka", "cca"), "positions": ("cka_biased",)}
    # Linear CKA has a null of permuted images, but not where a row is a position.
    assert asked.over_images == {"pooled": ("cka", "rsa", "cka_minibatch"), "positions": ()}


def test_without_permutations_only_indices_of_images_need_images():
    asked = comparison(pairs={"pooled": Pairs.of({FIRST})}, indices={"pooled": ("cka", "rsa")})
    assert asked.over_images == {"pooled": ("rsa",)}


def test_wide_flattened_layers_are_compared_by_their_grams():
    wide = tuple(layers_of([(90, 4, 4), (5, 2, 2)]))
    asked = Comparison(wide, (SPLIT,), {"flatten": Pairs.of({FIRST})}, {"flatten": ("cka", "procrustes")})
    assert asked.of_images == {"flatten": ("cka",)}
    assert asked.of_moments == {"flatten": ("procrustes",)}


def test_what_logits_are_compared_by_is_not_the_engines():
    asked = comparison(pairs={"pooled": Pairs.of({FIRST})}, indices={"pooled": ("agreement",)})
    assert asked.of_moments == {"pooled": ()}
    assert asked.moment_pairs == {}


def test_pairs_of_indices_and_of_maps_are_formed_together():
    asked = comparison(
        pairs={"positions": Pairs.of({FIRST}), "pooled": Pairs.of({THIRD})},
        indices={"positions": ("cka_biased",), "pooled": ("rsa",)},
        maps={("positions", FIRST): ("affine",), ("positions", SECOND): ("affine", "ridge(0.1)")},
    )
    assert asked.moment_pairs == {"positions": Pairs.of({FIRST, SECOND})}
    plan = asked.plan(**LIMIT)
    assert {
        pair for formed in plan.passes for chunk in formed.chunks for pair in map(tuple, chunk.pairs.tolist())
    } == {
        FIRST,
        SECOND,
    }


def test_a_plan_counts_indices_maps_and_intervals():
    options = {"pairs": {"positions": Pairs.of({FIRST})}, "indices": {"positions": ("cca", "dm_r2")}}
    plain = comparison(**options)
    expected = make_plan(
        LAYERS,
        plain.pairs,
        splits=(TRAIN, SPLIT),
        evaluation=Evaluation(intervals=True, indices=2),
        **LIMIT,
    )
    whole = comparison(**options, maps={("positions", FIRST): ("ridge(0.1)",)}, intervals=True)
    assert whole.plan(**LIMIT).cost == expected.cost != plain.plan(**LIMIT).cost


def test_more_pairs_can_be_planned_than_are_wanted():
    asked = comparison(pairs={"positions": Pairs.of({FIRST})}, indices={"positions": ("cka_biased",)})
    before = {"positions": Pairs.of({FIRST, THIRD})}
    assert asked.plan(before, **LIMIT) == make_plan(LAYERS, before, splits=(TRAIN, SPLIT), **LIMIT)


@pytest.mark.parametrize(
    ("indices", "maps", "expected"),
    [(("cka",), (), False), (("cka", "dm_r2"), (), True), ((), ("affine",), True), ((), (), False)],
)
def test_the_training_split_is_read_where_a_map_is_fitted(indices, maps, expected):
    assert fits(indices, maps) is expected
