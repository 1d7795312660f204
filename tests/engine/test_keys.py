"""Keys of what the engine keeps: all that it depends on, and nothing of how our classes are called."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from stitchpipe.engine import LayerShape, Pairs, SplitShape
from stitchpipe.engine.keys import images_key, images_work_key, leaf_key, pass_key, shift_key
from stitchpipe.engine.planning.chunk_grid import Chunks
from stitchpipe.engine.planning.plan import make_plan
from tests.engine.conftest import SPLIT, all_pairs, layers_of

LAYERS = tuple(layers_of([(3, 4, 4), (2, 2, 2), (5, 4, 4)]))


def planned(layers=LAYERS, split=SPLIT, pairs=None, views=("positions", "pooled"), **options):
    return make_plan(
        layers,
        dict.fromkeys(views, all_pairs(layers) if pairs is None else pairs),
        splits=[split],
        memory_limit_bytes=2**30,
        **options,
    )


def under_other_names(value):
    """Return a copy whose objects have the same attributes and are of no class of ours."""
    if isinstance(value, Chunks):
        value = tuple(value)
    if dataclasses.is_dataclass(value) or hasattr(value, "_fields"):
        names = getattr(value, "_fields", None) or [field.name for field in dataclasses.fields(value)]
        return SimpleNamespace(
            **{name: under_other_names(getattr(value, name)) for name in names},
            **({"layers": value.layers} if hasattr(value, "bands") else {}),
            **({"pairs": value.pairs} if hasattr(value, "packed") else {}),
        )
    return tuple(map(under_other_names, value)) if isinstance(value, tuple) else value


def test_what_our_classes_are_called_is_in_no_key():
    plan = planned()
    assert pass_key(under_other_names(plan), 0) == pass_key(plan, 0)
    layers, split = under_other_names((LAYERS, SPLIT))
    assert images_key(layers[0], "pooled", 7) == images_key(LAYERS[0], "pooled", 7)
    expected = images_work_key(LAYERS, SPLIT, "pooled", "batches", 2)
    assert images_work_key(layers, split, "pooled", "batches", 2) == expected


LAYER_CHANGES = [
    {"model": "other"},
    {"layer": "other"},
    {"fingerprints": ("other",)},
    {"shape": (4, 4, 4)},
    {"itemsize": 2},
    {"chunk_samples": 3},
]
SPLIT_CHANGES = [
    {"dataset": "other"},
    {"name": "other"},
    {"row_groups": ((0, 30), (30, 61))},
    {"groups": ((0, 30), (30, 61))},
]


@pytest.mark.parametrize("change", LAYER_CHANGES, ids=lambda change: next(iter(change)))
def test_every_field_of_a_layer_is_in_the_key_of_its_passes(change):
    changed = (dataclasses.replace(LAYERS[0], **change), *LAYERS[1:])
    assert {field for one in LAYER_CHANGES for field in one} | {"tokens"} == {
        field.name for field in dataclasses.fields(LayerShape)
    }
    assert pass_key(planned(changed), 0) != pass_key(planned(), 0)
    assert images_work_key(changed, SPLIT, "pooled", "images", 0) != images_work_key(
        LAYERS, SPLIT, "pooled", "images", 0
    )


def test_the_grid_of_tokens_is_in_the_key():
    square, wide = (
        [LayerShape("m", "tokens", ("f",), (9, 4), 4, tokens=tokens) for tokens in (grid, grid)]
        for grid in (None, (1, 2, 4))
    )
    assert pass_key(planned(square, views=("pooled",)), 0) != pass_key(planned(wide, views=("pooled",)), 0)


@pytest.mark.parametrize("change", SPLIT_CHANGES, ids=lambda change: next(iter(change)))
def test_every_field_of_a_split_is_in_the_key(change):
    changed = dataclasses.replace(SPLIT, **change)
    assert {field for one in SPLIT_CHANGES for field in one} == {
        field.name for field in dataclasses.fields(SplitShape)
    }
    assert pass_key(planned(split=changed), 0) != pass_key(planned(), 0)


def test_pairs_views_precision_and_library_are_in_the_key():
    plans = [
        planned(),
        planned(pairs=Pairs.of({(0, 1)})),
        planned(views=("positions",)),
        planned(precision="float32"),
        planned(backend="torch"),
    ]
    assert len({pass_key(plan, 0) for plan in plans}) == len(plans)


def test_what_is_left_has_names_of_its_own():
    names = [
        shift_key("k", 0),
        shift_key("k", 1),
        leaf_key("k", 0, 0),
        leaf_key("k", 1, 0),
        leaf_key("k", 0, 1),
    ]
    assert len(set(names)) == len(names)


def test_keys_of_kept_images_stand_in_stores_and_stay():
    layer = LayerShape("m", "l", ("train", "f"), (3,), 4)
    assert images_key(layer, "pooled", 7) == "e29b397c74b76407d5b3d02b12b6c7f0"
    others = {images_key(layer, "flatten", 7), images_key(layer, "pooled", 8)}
    assert len(others | {images_key(layer, "pooled", 7)}) == 3
