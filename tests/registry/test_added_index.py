"""Indices that an installed package adds: from its entry point through a sweep's workers to the report."""

from __future__ import annotations

import json

import numpy as np
import pytest

import stitchpipe as sp
from stitchpipe import config, registry
from stitchpipe.algebra import PairMoments
from stitchpipe.algebra.batches import evaluate
from stitchpipe.measures import UnknownNameError
from stitchpipe.plugins import PluginError
from tests.algebra.batches import stacked
from tests.cli.command import in_a_process, refused, stitchpipe

N = 60
LAYERS = {"one": ("early", 5), "other": ("late", 7)}
SWEEP = """
name = "added"
data = { kind = "store", name = "mine" }
models = [{ name = "one", ingested = true }, { name = "other", ingested = true }]
[[compare]]
view = "pooled"
indices = ["linear_regression", "linear_regression(0.9)", "cosine_alignment", "cka"]
[certainty]
permutations = 19
[run]
workers = 1
"""


def related():
    """Two layers that see the same latent variables, as single precision keeps them."""
    rng = np.random.default_rng(5)
    latent = rng.standard_normal((N, 3))
    layers = {}
    for model, (_, width) in LAYERS.items():
        rows = np.tanh(latent @ rng.standard_normal((3, width))) + 0.1 * rng.standard_normal((N, width))
        layers[model] = rows.astype("float32").astype("float64")
    return layers


def r2_of_regression(X, Y):
    """By NumPy's least squares."""
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    left = Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0]
    return 1 - (left**2).sum() / (Y**2).sum()


def cosine_alignment(X, Y):
    """As defined: the cosine of both centred matrices of cosines."""
    centring = np.eye(N) - 1 / N
    matrices = []
    for rows in (X, Y):
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        matrices.append(centring @ unit @ unit.T @ centring)
    return (matrices[0] * matrices[1]).sum() / np.prod([np.linalg.norm(matrix) for matrix in matrices])


def test_an_added_index_is_listed_like_ours(example):
    listed = json.loads(stitchpipe("indices", "--format", "json").stdout)
    names = [record["name"] for record in listed if record["kind"] == "index"]
    assert names[:2] == ["cka", "cka_biased"]
    assert names[-2:] == ["cosine_alignment", "linear_regression"]
    text = stitchpipe("indices", "linear_regression(0.9)").stdout
    for part in ("0.9 of the variance", "in-sample", "0 < v ≤ 1", "Kornblith et al. 2019"):
        assert part in text
    assert registry.find_measure("linear_regression").title == "Linear regression, R², 1 of the variance"


def test_a_name_that_is_none_is_answered_with_an_added_one(example):
    with pytest.raises(config.ConfigError, match=r"compare\[0\].*Did you mean 'linear_regression'"):
        config.parse(SWEEP.replace('"linear_regression"', '"linear_regresion"'), where="x", folder=None)
    with pytest.raises(UnknownNameError, match="0 < v ≤ 1"):
        registry.index_measure("linear_regression(2)")
    sweep = config.parse(SWEEP.replace("(0.9)", "(0.90)"), where="x", folder=None)
    assert sweep.compare[0].indices[1] == "linear_regression(0.9)"


def test_arrays_in_memory_are_compared_by_an_added_index(example):
    layers = related()
    frame = sp.compare(layers, indices=["linear_regression", "cka"])
    values = frame.set_index(["source", "target", "index"])["value"]
    for source in layers:
        for target in layers:
            expected = r2_of_regression(layers[source], layers[target])
            assert values[source, target, "linear_regression"] == pytest.approx(expected, rel=1e-10)
    constant = sp.compare({"a": layers["one"], "b": np.ones((N, 2))}, indices=["linear_regression"])
    row = constant[(constant["source"] == "a") & (constant["target"] == "b")].iloc[0]
    assert row["status"] == "constant"
    frame = sp.compare(layers, indices=["cosine_alignment"])
    values = frame.set_index(["source", "target"])["value"]
    for source in layers:
        for target in layers:
            expected = cosine_alignment(layers[source], layers[target])
            assert values[source, target] == pytest.approx(expected, rel=1e-9)


@pytest.fixture
def ingested(tmp_path):
    """The folder of a run whose store holds the two layers."""
    run, layers = tmp_path / "run", related()
    ids = np.array([f"s{i:02d}" for i in range(N)])
    for model, (layer, _) in LAYERS.items():
        np.savez(tmp_path / f"{model}.npz", ids=ids, **{layer: layers[model]})
        sp.ingest_files(
            run, [tmp_path / f"{model}.npz"], dataset="mine", split="test", model=model, row_groups=6
        )
    return run


def test_a_sweep_computes_added_indices_in_its_workers_and_reports_them(
    example, ingested, tmp_path, without_prefect, undrawn
):
    layers, run, path = related(), ingested, tmp_path / "added.toml"
    path.write_text(SWEEP)
    for command in ("compare", "report"):
        done = stitchpipe(command, path, "--out", run)
        assert done.returncode == 0, done.stderr
    rows = sp.open(run).results().set_index(["source_model", "target_model", "index"])
    for source in layers:
        for target in layers:
            X, Y = layers[source], layers[target]
            regression = rows.loc[source, target, "linear_regression"]
            assert regression["value"] == pytest.approx(r2_of_regression(X, Y), rel=1e-9)
            assert regression["low"] < regression["high"]
            cosines = rows.loc[source, target, "cosine_alignment"]
            assert cosines["value"] == pytest.approx(cosine_alignment(X, Y), rel=1e-9)
            assert cosines["p_value"] == pytest.approx(1 / 20)
            truncated = rows.loc[source, target, "linear_regression(0.9)"]
            assert truncated["value"] <= regression["value"] + 1e-12
            ours = rows.loc[source, target, "cka"]
            assert regression["key"] == cosines["key"] != ours["key"]
    page = (run / "report" / "index.html").read_text("utf-8")
    assert "Linear regression, R², 0.9 of the variance" in page
    assert "Alignment of the two matrices of cosines between images." in page
    assert stitchpipe("compare", path, "--out", run).returncode == 0
    assert len(sp.open(run).results()) == len(rows)  # they are there already, under the package's key


def test_a_name_of_ours_cannot_be_taken(write_package):
    write_package("cka", "INDEX = None")
    with pytest.raises(PluginError, match="'cka' of the group stitchpipe.indices .other-indices 1.0."):
        registry.index_measure("cka")
    assert "other-indices" in refused("indices")


def test_a_package_that_cannot_be_imported_is_one_line_that_names_it(write_package, tmp_path):
    write_package("sharpness", "import no_such_module\nINDEX = None")
    line = refused("indices", "sharpness")
    assert "package other-indices" in line
    assert "ModuleNotFoundError" in line
    listed = stitchpipe("indices")
    assert listed.returncode == 0
    assert "other-indices" in " ".join(listed.stdout.split())
    assert registry.index_measure("cka").name == "cka"
    assert registry.find_measure("sharpness") is None
    indices = '"linear_regression", "linear_regression(0.9)", "cosine_alignment"'
    (tmp_path / "sweep.toml").write_text(SWEEP.replace(indices, '"sharpness"'))
    assert "other-indices" in refused("plan", tmp_path / "sweep.toml")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("def INDEX(X, Y): return 0.0", "expected a stitchpipe.algebra.index.Index, found a function"),
        (
            "from stitchpipe.algebra import INDICES\nINDEX = INDICES['nbs']",
            "expected the name of the entry point, found 'nbs'",
        ),
        (
            (
                "from dataclasses import replace\nfrom stitchpipe.algebra import INDICES, Index\n"
                "INDEX = Index(replace(INDICES['nbs'].measure, name='sharpness'))"
            ),
            "expected a formula of moments",
        ),
    ],
)
def test_what_is_no_index_is_refused(write_package, source, text):
    write_package("sharpness", source)
    with pytest.raises(PluginError) as caught:
        registry.index_measure("sharpness")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("1 / 0", "the index 'sharpness' of other-indices 1.0: .*found ZeroDivisionError: division by zero"),
        ("float('nan')", "the value of sharpness: expected a finite number or None, found nan"),
        ("None", "sharpness: expected a number from its formula.*found a NoneType"),
    ],
)
def test_a_formula_that_fails_names_its_package(write_package, formula, text):
    write_package(
        "sharpness",
        "from dataclasses import replace\nfrom stitchpipe.algebra import INDICES, Index\n"
        "MEASURE = replace(INDICES['nbs'].measure, name='sharpness')\n"
        f"INDEX = Index(MEASURE, of_moments=lambda analysis, measure: {formula})",
    )
    with pytest.raises(ValueError, match=text):
        sp.compare(related(), indices=["sharpness"])


def test_a_formula_for_batches_that_fails_names_its_package(write_package):
    write_package(
        "sharpness",
        "from dataclasses import replace\nfrom stitchpipe.algebra import INDICES\n"
        "INDEX = replace(\n"
        "    INDICES['nbs'],\n"
        "    measure=replace(INDICES['nbs'].measure, name='sharpness'),\n"
        "    of_batch=lambda batch, measure: 1 / 0,\n"
        ")",
    )
    batch = stacked([PairMoments.from_rows(*related().values())])
    with pytest.raises(ValueError, match="the index 'sharpness' of other-indices 1.0: .*ZeroDivisionError"):
        evaluate(batch, [registry.index_named("sharpness")])


def test_what_the_algebra_refuses_in_a_worker_is_one_line_of_the_command(
    write_package, ingested, tmp_path, without_prefect
):
    write_package(
        "sharpness",
        "from dataclasses import replace\nfrom stitchpipe.algebra import INDICES, Index\n"
        "MEASURE = replace(INDICES['nbs'].measure, name='sharpness')\n"
        "def formula(analysis, measure): return 1 / 0\n"
        "INDEX = Index(MEASURE, of_moments=formula)",
    )
    asked = '"linear_regression", "linear_regression(0.9)", "cosine_alignment"'
    (tmp_path / "sweep.toml").write_text(SWEEP.replace(asked, '"sharpness"'))
    line = refused("compare", tmp_path / "sweep.toml", "--out", ingested)
    assert "the index 'sharpness' of other-indices 1.0" in line
    assert "ZeroDivisionError" in line


@pytest.mark.slow
def test_an_added_index_is_known_to_the_workers_of_a_whole_command(example, ingested, tmp_path):
    """As above, but by the command as a user runs it: Prefect, its workers, and those of Dask."""
    path = tmp_path / "added.toml"
    path.write_text(SWEEP)
    done = in_a_process("compare", path, "--out", ingested)
    assert done.returncode == 0, done.stderr
    assert {"linear_regression", "cosine_alignment"} <= set(sp.open(ingested).results()["index"])
