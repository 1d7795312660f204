"""One number has one name, and sweep files know exactly the registry's names."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stitchpipe import algebra, config, stitching
from stitchpipe.algebra.map_families import FAMILIES
from stitchpipe.config.index_names import INDEX_NAMES, MAP_NAMES, ONE_ROW_PER_IMAGE, canonical
from stitchpipe.config.refusal import RefusalError

SWEEP = """
name = "tiny"
data = {{ kind = "digits" }}
models = [{{ name = "A", architecture = "cifar_resnet", train = {{ epochs = 1 }} }}]
compare = [{{ view = "{view}", indices = {indices} }}]
"""


def parsed(indices, view="pooled"):
    return config.parse(SWEEP.format(view=view, indices=indices), where="x", folder=Path()).compare[0].indices


def test_sweep_files_know_the_maps_and_the_objectives_that_there_are():
    assert set(MAP_NAMES) == set(FAMILIES)
    assert get_args(config.stitches.Objective) == get_args(stitching.Objective)
    assert get_args(config.TrainedStitch.model_fields["autocast"].annotation) == get_args(stitching.Autocast)


def test_sweep_files_know_the_registry():
    assert list(INDEX_NAMES) == list(algebra.INDICES)
    for name, index in algebra.INDICES.items():
        number = INDEX_NAMES[name]
        assert (number is None) == (index.parameter is None), name
        if number is not None:
            ours = index.parameter
            assert (number.default, number.largest, number.whole) == (ours.value, ours.largest, ours.whole)
    needing = {name for name, index in algebra.INDICES.items() if index.independent_rows}
    assert needing == ONE_ROW_PER_IMAGE


@given(
    base=st.sampled_from([*INDEX_NAMES, "ckaa", ""]),
    text=st.one_of(
        st.floats().map(repr),
        st.integers(-3, 5000).map(str),
        st.sampled_from(["", "x", " 0.10", "1e-3", "1_0", "0.99", "8.0", "٣", "0.1)(2"]),
    ),
)
@example("gulp", "0.010")
@example("dm_low_rank_r2", "8.0")
@example("svcca", "1")
def test_both_spell_alike_and_refuse_alike(base, text):
    name = f"{base}({text})"
    try:
        found = algebra.index_named(name).name
    except algebra.UnknownIndexError:
        with pytest.raises(RefusalError):
            canonical(name)
    else:
        assert canonical(name) == found
        assert algebra.index_named(found).name == canonical(found) == found


def test_one_number_has_one_name():
    named = [algebra.index_named(name).name for name in ("gulp", "gulp(0.01)", " gulp(1e-2) ", "gulp(0.10)")]
    assert named == ["gulp", "gulp", "gulp", "gulp(0.1)"]
    index = algebra.index_named("dm_low_rank_r2(4)")
    assert (index.base, index.parameter.value, index.title) == (
        "dm_low_rank_r2",
        4.0,
        "Low-rank matching, R², rank 4",
    )
    assert algebra.index_named("svcca").title == "SVCCA, 0.99 of the variance"
    assert parsed('["gulp(0.10)", "cka", "svcca(0.990)"]') == ("gulp(0.1)", "cka", "svcca")


@pytest.mark.parametrize(
    ("name", "expected", "remedy"),
    [
        ("procrustes_angel", "one of", "Did you mean procrustes_angle"),
        ("gulpp(0.1)", "one of", "Did you mean gulp"),
        ("zzz", "one of", "Choose one"),
        ("cka(2)", "no parameter", "Write cka."),
        ("gulp(0)", "λ > 0", "gulp(0.01)"),
        ("gulp()", "λ > 0", "gulp(0.01)"),
        ("svcca(1.5)", "0 < v ≤ 1", "svcca(0.99)"),
        ("dm_low_rank_r2(2.5)", "a whole number r > 0", "dm_low_rank_r2(8)"),
    ],
)
def test_a_name_that_is_none_is_refused_with_the_right_one(name, expected, remedy):
    with pytest.raises(algebra.UnknownIndexError) as caught:
        algebra.index_named(name)
    assert expected in caught.value.expected
    assert remedy in caught.value.remedy
    assert algebra.find_index(name) is None


@pytest.mark.parametrize(
    ("indices", "view", "place", "hint"),
    [
        ('["gulpp"]', "pooled", "compare[0].indices[0]", "Did you mean 'gulp'"),
        ('["zzz"]', "pooled", "compare[0].indices[0]", "stitchpipe indices"),
        ('["cka(2)"]', "pooled", "compare[0].indices[0]", "Write 'cka'"),
        ('["svcca(1.5)"]', "pooled", "compare[0].indices[0]", "svcca(0.99)"),
        ('["gulp", "gulp(0.01)"]', "pooled", "compare[0]", "gulp more than once"),
        ('["mutual_knn"]', "positions", "compare[0]", "under 'pooled'"),
    ],
)
def test_a_sweep_refuses_a_wrong_name_where_it_stands(indices, view, place, hint):
    with pytest.raises(config.ConfigError) as caught:
        parsed(indices, view)
    assert place in caught.value.where
    assert hint in str(caught.value)
