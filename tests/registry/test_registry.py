"""One number has one name, and sweep files know exactly the registry's names."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stitchpipe import config, registry, stitching
from stitchpipe.measures import UnknownNameError
from stitchpipe.run.keys import PairKeys
from stitchpipe.run.run_keys import index_keys
from tests.cli.command import modules_loaded_by

SWEEP = """
name = "tiny"
data = {{ kind = "digits" }}
models = [{{ name = "A", architecture = "cifar_resnet", train = {{ epochs = 1 }} }}]
compare = [{{ view = "{view}", indices = {indices} }}]
"""


def parsed(indices, view="pooled"):
    return config.parse(SWEEP.format(view=view, indices=indices), where="x", folder=Path()).compare[0].indices


def test_sweep_files_know_the_precisions_that_there_are():
    assert get_args(config.TrainedStitch.model_fields["autocast"].annotation) == get_args(stitching.Autocast)


def test_limits_are_about_the_value_where_a_correction_of_its_bias_fails():
    """Sums of singular values are not smooth where these are near 0, nor is a best plan; both are simulated."""
    about_the_value = {name for name, index in registry.indices()[0].items() if index.interval == "sample"}
    assert about_the_value == {
        *("cca", "svcca", "pwcca", "ridge_cca"),
        *("procrustes", "procrustes_angle", "nbs"),
        "soft_matching",
    }
    without = {name for name, index in registry.indices()[0].items() if index.interval is None}
    assert without == {"cka_rbf", "cka_minibatch", "mutual_knn", "rsa", "agreement"}


def test_what_is_held_against_permuted_images():
    with_a_null = {name for name, index in registry.indices()[0].items() if index.null}
    assert with_a_null == {"cka", "cka_biased", "rv", "cca_sq", "cka_rbf", "mutual_knn", "rsa"}
    closed = {name for name, index in registry.indices()[0].items() if index.closed_null}
    assert closed == {"cka", "cka_biased", "rv", "cka_rbf"}


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("affine", "affine"),
        (" ridge(0.010) ", "ridge"),
        ("ridge(1e-1)", "ridge(0.1)"),
        ("low_rank(8.0)", "low_rank"),
        ("low_rank(4)", "low_rank(4)"),
    ],
)
def test_a_family_of_maps_has_one_spelling(name, spelling):
    assert registry.map_family(name) == spelling


@pytest.mark.parametrize("name", ["affin", "affine(1)", "ridge(0)", "low_rank(2.5)"])
def test_a_family_that_is_none_is_refused(name):
    with pytest.raises(UnknownNameError, match="affine|ridge|low_rank"):
        registry.map_family(name)


@given(
    base=st.sampled_from([*registry.index_names(), "ckaa", ""]),
    text=st.one_of(
        st.floats().map(repr),
        st.integers(-3, 5000).map(str),
        st.sampled_from(["", "x", " 0.10", "1e-3", "1_0", "0.99", "8.0", "٣", "0.1)(2"]),
    ),
)
@example("gulp", "0.010")
@example("dm_low_rank_r2", "8.0")
@example("svcca", "1")
def test_a_spelling_is_its_own_spelling(base, text):
    try:
        found = registry.index_measure(f"{base}({text})")
    except UnknownNameError:
        assert registry.find_measure(f"{base}({text})") is None
    else:
        assert found.base == base
        assert found.parameter.allows(found.parameter.value)
        assert registry.index_measure(found.name) == found


def test_one_number_has_one_name():
    named = [
        registry.index_measure(name).name for name in ("gulp", "gulp(0.01)", " gulp(1e-2) ", "gulp(0.10)")
    ]
    assert named == ["gulp", "gulp", "gulp", "gulp(0.1)"]
    index = registry.index_measure("dm_low_rank_r2(4)")
    assert (index.base, index.parameter.value, index.title) == (
        "dm_low_rank_r2",
        4.0,
        "Low-rank matching, R², rank 4",
    )
    assert registry.index_measure("svcca").title == "SVCCA, 0.99 of the variance"
    assert parsed('["gulp(0.10)", "cka", "svcca(0.990)"]') == ("gulp(0.1)", "cka", "svcca")


@pytest.mark.parametrize(
    ("name", "expected", "remedy"),
    [
        ("procrustes_angel", "one of", "Did you mean 'procrustes_angle'"),
        ("gulpp(0.1)", "one of", "Did you mean 'gulp'"),
        ("zzz", "one of", "stitchpipe indices"),
        ("cka(2)", "no parameter", "Write 'cka'."),
        ("gulp(0)", "λ > 0", "gulp(0.01)"),
        ("gulp()", "λ > 0", "gulp(0.01)"),
        ("svcca(1.5)", "0 < v ≤ 1", "svcca(0.99)"),
        ("dm_low_rank_r2(2.5)", "a whole number r > 0", "dm_low_rank_r2(8)"),
    ],
)
def test_a_name_that_is_none_is_refused_with_the_right_one(name, expected, remedy):
    with pytest.raises(UnknownNameError) as caught:
        registry.index_measure(name)
    assert expected in caught.value.expected
    assert remedy in caught.value.remedy
    assert registry.find_measure(name) is None


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


def test_numbers_of_an_added_index_depend_on_who_adds_it(monkeypatch):
    monkeypatch.setattr(registry, "_added", lambda: {"sharpness": "sharp-package 1.2"})
    assert registry.provider("sharpness(2)") == "sharp-package 1.2"
    keys = PairKeys((b"common",), np.zeros((2, 2), np.int64), (b"one", b"other"))
    ours, added = index_keys(keys, ["gulp(0.1)", "sharpness"]).values()
    monkeypatch.setattr(registry, "_added", lambda: {"sharpness": "sharp-package 1.3"})
    (newer,) = index_keys(keys, ["sharpness"]).values()
    assert (ours == keys.matrix).all()
    assert len({*ours.ravel(), *added.ravel(), *newer.ravel()}) == 12


def test_the_names_of_a_sweep_file_need_neither_torch_nor_dask():
    assert modules_loaded_by("import stitchpipe.config", "torch", "dask", "zarr", "pandas", "sklearn") == []


@pytest.mark.parametrize(
    "name", ["stitch_accuracy", "stitch_kl", "stitch_class_accuracy", "dm_r2", "gulp(0.1)"]
)
def test_a_measure_is_found_by_its_name_in_results(name):
    assert registry.find_measure(name).name == name


def test_objectives_are_named_in_sweeps_as_they_are_declared():
    assert registry.objective_name("fula") == "fula"
    assert "hard_labels: Cross-entropy" in registry.about_objectives()
    with pytest.raises(UnknownNameError, match="Did you mean 'fula'"):
        registry.objective_name("fulla")
