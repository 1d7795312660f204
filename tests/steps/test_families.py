"""Claims about the best of many pairs in whole runs, on worker processes: as defined, made at once or grown."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

import stitchpipe as sp
from stitchpipe import algebra, steps
from stitchpipe.algebra.certainty import NullScale, NullSums, closed_null, draw_permutations
from stitchpipe.algebra.samples import SampleGram
from stitchpipe.config import ConfigError, parse
from stitchpipe.engine.samples.families import Families
from stitchpipe.results import texts_of
from stitchpipe.run import Run
from stitchpipe.run.run_keys import pair_keys
from tests import oracles, oracles_samples

N, K = 28, 19
LAYERS = {"one": ("a", "b", "c"), "two": ("a", "b"), "three": ("a", "constant", "b")}
SWEEP = """
name = "zoo"
data = { kind = "store", name = "mine" }
MODELS
[[compare]]
view = "pooled"
indices = ["cka", "rsa", "procrustes"]
[certainty]
intervals = false
permutations = 19
family = "FAMILY"
[run]
workers = 1
"""
PAIR = ["index", "source_model", "source_layer", "target_model", "target_layer"]
OF_FAMILY = ["family", "p_family", "p_by", "calibrated_family"]

SLOW = [pytest.param(family, marks=pytest.mark.slow) for family in ("targets", "run")]

pytestmark = pytest.mark.usefixtures("undrawn")


def rows(model):
    """Models `one` and `two` share something in one layer each; all layers of a model share a little."""
    rng, base = np.random.default_rng([2, *model.encode()]), np.random.default_rng(0).standard_normal((N, 4))
    own = rng.standard_normal((N, 3))
    layers = {name: own @ rng.standard_normal((3, 5)) + rng.standard_normal((N, 5)) for name in LAYERS[model]}
    if model in ("one", "two"):
        layers["b"] += 6 * base @ rng.standard_normal((4, 5))
    if "constant" in layers:
        layers["constant"] = np.ones((N, 5))
    return {name: values.astype("float32") for name, values in layers.items()}


def ingest(folder):
    ids = np.array([f"{i:02d}" for i in range(N)])
    for model in LAYERS:
        path = folder / f"{model}.npz"
        np.savez(path, ids=ids, **rows(model))
        sp.ingest_files(folder / "run", [path], dataset="mine", split="test", model=model, row_groups=4)


def compared(folder, cluster, *, models=tuple(LAYERS), family="models"):
    """Compare some models in a folder's run; return its rows."""
    tables = "".join(f'[[models]]\nname = "{model}"\ningested = true\n' for model in models)
    text = SWEEP.replace("MODELS", tables).replace("FAMILY", family)
    run = Run.open(parse(text, where="zoo", folder=folder), folder / "run")
    counts = steps.compare(run, "pooled", cluster=cluster)
    found = run.results.read()
    # What was said of a smaller run stays among the results, under the keys that it had.
    keys = pair_keys(run, run.activations.ends(run.layers.names()), run.sweep.compare[0])
    found = found[found["key"].isin(texts_of(keys.matrix.ravel()).to_pylist())]
    return counts, found.sort_values(PAIR, ignore_index=True)


def stored(model, layer, order):
    return rows(model)[layer].astype(float)[order]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cluster):
    """Return the folder and the rows of all models compared at once, for a family; each is made once."""

    @cache
    def made(family):
        folder = tmp_path_factory.mktemp(family)
        ingest(folder)
        return folder, compared(folder, cluster, family=family)[1]

    return made


def order_of(folder):
    """Return the order in which the run's images lie."""
    return sp.open(folder / "run").store.split("mine", "test").original_index


def direct(folder, source, target, layers_of):
    """Return p of every pair of a family of debiased CKA: rows shuffled for good, and the definition."""
    stored_order = order_of(folder)
    orders = draw_permutations(N, K)
    observed, null = [], []
    for x_name, y_name in layers_of:
        x, y = stored(source, x_name, stored_order), stored(target, y_name, stored_order)
        observed.append(oracles.cka(x, y))
        null.append([oracles.cka(x, y[order]) for order in orders])
    return oracles_samples.family_wise(np.array(observed), np.array(null))


def test_the_best_layers_of_two_models_as_the_definition_has_it(whole):
    folder, found = whole("models")
    pairs = [(x, y) for x in LAYERS["one"] for y in LAYERS["two"]]
    expected = direct(folder, "one", "two", pairs)
    chosen = found[found["index"] == "cka"].set_index(PAIR[1:])
    of_pairs = [chosen.loc[("one", x, "two", y)] for x, y in pairs]
    assert [row.p_family for row in of_pairs] == pytest.approx(expected)
    assert [row.p_by for row in of_pairs] == pytest.approx(
        oracles_samples.benjamini_yekutieli([row.p_value for row in of_pairs])
    )
    # The layers that share something are found, and they alone.
    assert {pair for pair, row in zip(pairs, of_pairs, strict=True) if row.p_family <= 0.05} == {("b", "b")}
    assert [row.calibrated_family > 0 for row in of_pairs] == [row.p_family <= 0.05 for row in of_pairs]


def test_every_number_of_cka_has_an_effect_size_that_knows_no_permutation(whole):
    """Of the run's 28 images, with three exact moments because they are all permuted; both nulls agree."""
    folder, found = whole("models")
    order = order_of(folder)
    cka = algebra.INDICES["cka"]
    chosen = found[(found["index"] == "cka") & found["value"].notna()]
    assert (chosen[["null_moments", "null_samples"]] == [3, N]).all().all()
    assert (chosen["null_gap"] < 6).all()
    deviation = np.sqrt(2 / (N * (N - 3)))
    assert chosen["effect_size"].to_numpy() == pytest.approx(chosen["value"].to_numpy() / deviation, rel=1e-9)
    row = chosen.set_index(PAIR[1:]).loc[("one", "b", "two", "b")]
    x, y = (SampleGram.from_block(stored(model, "b", order)) for model in ("one", "two"))
    null = closed_null(*(NullSums.of_matrix(cka.of_gram(gram).whole) for gram in (x, y)))
    assert row.p_closed == pytest.approx(float(null.p_value(np.asarray(row.value))), rel=1e-6)
    others = found[(found["index"] != "cka")]
    assert others[["effect_size", "p_closed", "null_gap"]].isna().all().all()


@pytest.mark.slow
def test_the_best_source_of_a_target_as_the_definition_has_it(whole):
    folder, found = whole("targets")
    chosen = found[found["index"] == "cka"].set_index(PAIR[1:])
    for y in LAYERS["two"]:
        pairs = [(x, y) for x in LAYERS["one"]]
        of_pairs = [chosen.loc[("one", x, "two", y)] for x, _ in pairs]
        assert [row.p_family for row in of_pairs] == pytest.approx(direct(folder, "one", "two", pairs))
    # The other way round `one` has the target, and `two` the sources.
    back = [chosen.loc[("two", y, "one", "c")] for y in LAYERS["two"]]
    expected = direct(folder, "one", "two", [("c", y) for y in LAYERS["two"]])
    assert [row.p_family for row in back] == pytest.approx(expected)


@pytest.mark.slow
def test_the_best_of_a_run_is_held_against_one_relabelling_of_all_models(whole):
    """Every model's rows shuffled for good in its own order, then all pairs compared as they lie."""
    folder, found = whole("run")
    stored_order = order_of(folder)
    families = Families("run", ("one", "two", "three"))
    quotients = {
        (sources[0], targets[0]): orders
        for sources, targets, orders in families.parts(([0, 1, 2], [0, 1, 2]), N, K)
    }
    # Orders of the models that have these quotients: the first model stays.
    of_model = {"one": np.tile(np.arange(N), (K, 1)), "two": quotients[0, 1], "three": quotients[0, 2]}
    names = [(m, layer) for m in LAYERS for layer in LAYERS[m] if layer != "constant"]
    data = {name: stored(*name, stored_order) for name in names}
    pairs = [(x, y) for at, x in enumerate(names) for y in names[at:] if x[0] != y[0]]
    observed = np.array([oracles.cka(data[x], data[y]) for x, y in pairs])
    null = np.array(
        [
            [oracles.cka(data[x][a], data[y][b]) for a, b in zip(of_model[x[0]], of_model[y[0]], strict=True)]
            for x, y in pairs
        ]
    )
    chosen = found[found["index"] == "cka"].set_index(PAIR[1:])
    expected = oracles_samples.family_wise(observed, null)
    assert [chosen.loc[(*x, *y)].p_family for x, y in pairs] == pytest.approx(expected)
    assert [chosen.loc[(*y, *x)].p_family for x, y in pairs] == pytest.approx(expected)


@pytest.mark.parametrize("family", ["models", *SLOW])
def test_what_is_in_a_family_has_what_the_family_says(whole, family):
    _, found = whole(family)
    across = found.source_model != found.target_model
    has_null = (found["index"] != "procrustes") & found.value.notna()
    assert (found[across & has_null].family == family).all()
    assert found[across & has_null][OF_FAMILY[1:]].notna().all().all()
    assert (found[across & has_null].p_family >= found[across & has_null].p_value - 1e-12).all()
    assert found[~(across & has_null)][OF_FAMILY].isna().all().all()
    assert found[~across & has_null].p_value.notna().all()
    assert (found[(found.source_layer == "constant")].value.isna()).any()


@pytest.mark.slow
def test_a_wider_family_asks_for_more(whole):
    """Of shared orders a target's family is part of its models'; each p is that of the pair under any of them."""
    models, targets, none = (whole(family)[1] for family in ("models", "targets", "none"))
    known = models.p_family.notna()
    assert (models[known].p_family >= targets[known].p_family).all()
    assert (models[known].p_family > targets[known].p_family).any()
    for column in ("value", "p_value", "calibrated"):
        pd.testing.assert_series_equal(models[column], targets[column])
        pd.testing.assert_series_equal(models[column], none[column])
    assert none[OF_FAMILY].isna().all().all()


@pytest.mark.parametrize("family", ["models", *SLOW])
def test_a_run_that_grew_is_one_that_was_made_at_once(whole, tmp_path, cluster, family):
    ingest(tmp_path)
    first, _ = compared(tmp_path, cluster, models=("one", "two"), family=family)
    second, grown = compared(tmp_path, cluster, family=family)
    assert first["computed"] == 25
    # A family that holds the whole run is another one now; of two models it is what it was.
    assert (first["nulls"] > 0, first["nulls_apart"]) == (True, 0)
    assert second["computed"] == (64 - 13 if family == "run" else 64 - 25)
    columns = [*PAIR, "value", "p_value", "calibrated", *OF_FAMILY]
    pd.testing.assert_frame_equal(grown[columns], whole(family)[1][columns], rtol=1e-12)
    assert compared(tmp_path, cluster, family=family)[0]["computed"] == 0


def test_a_pair_that_lacks_is_compared_with_its_whole_family(whole, tmp_path, cluster, monkeypatch):
    """As after a kill: some pairs of a family are among the results, and the others get what they would have got."""
    step = importlib.import_module("stitchpipe.steps.comparing.compare")
    ingest(tmp_path)
    original, everything = step._wanted, whole("models")[1]

    def some(run, tables, ends, held):
        wanted = original(run, tables, ends, held)
        is_b, is_c = (np.array([name.layer == layer for name in ends]) for layer in ("b", "c"))
        chosen = np.outer(is_b, is_c) | np.outer(is_c, is_b)
        return replace(wanted, pairs={view: pairs & chosen for view, pairs in wanted.pairs.items()})

    monkeypatch.setattr(step, "_wanted", some)
    _, found = compared(tmp_path, cluster)
    columns = [*PAIR, "p_value", *OF_FAMILY]
    expected = everything.merge(found[PAIR], on=PAIR)
    assert 0 < len(found) < len(everything)
    pd.testing.assert_frame_equal(found[columns], expected[columns], rtol=1e-12)


def test_a_family_without_permutations_is_refused(tmp_path):
    text = SWEEP.replace("MODELS", '[[models]]\nname = "one"\ningested = true').replace("FAMILY", "models")
    with pytest.raises(ConfigError, match="permutations for `family`"):
        parse(text.replace("permutations = 19", "permutations = 0"), where="zoo", folder=tmp_path)


def test_the_scale_of_a_null_is_that_of_its_draws():
    null = np.random.default_rng(0).standard_normal((50, 3))
    scale = NullScale.of(null)
    np.testing.assert_allclose(scale.mean, null.mean(axis=0))
    np.testing.assert_allclose(scale.value_of(np.zeros(3)), null.mean(axis=0))
