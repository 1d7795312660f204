"""Comparisons of arrays: labelled, directed, with the view and what could not be computed said."""

import numpy as np
import pytest
import torch

from stitchpipe import algebra
from stitchpipe.in_memory import COLUMNS, compare_arrays
from stitchpipe.measures import UnknownNameError
from stitchpipe.rows import ViewError, to_rows
from tests import oracles
from tests.algebra.cases import ALL

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((80, 4, 6, 6))
SMALL = IMAGES[:, :3, ::2, ::2] + 0.3 * RNG.standard_normal((80, 3, 3, 3))


def cell(frame, source, target, index):
    (record,) = frame[
        (frame["source"] == source) & (frame["target"] == target) & (frame["index"] == index)
    ].to_dict("records")
    return record


def test_all_ordered_pairs_of_plain_matrices():
    X, Y = RNG.standard_normal((60, 5)), RNG.standard_normal((60, 4))
    names = [*ALL]
    frame = compare_arrays({"a": X, "b": Y}, indices=names)
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == 4 * len(names)
    pairs = frame[["source", "target"]].drop_duplicates().itertuples(index=False)
    assert [tuple(pair) for pair in pairs] == [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]
    assert (frame["status"] == "ok").all()
    assert set(frame["view"]) == {"as_given"}
    one = cell(frame, "a", "b", "pwcca")
    assert one["value"] == pytest.approx(oracles.pwcca(X, Y), rel=1e-10)
    assert (one["p"], one["q"], one["n_rows"], one["n_samples"], one["rank"]) == (5, 4, 60, 60, 4)
    assert cell(frame, "b", "a", "pwcca")["value"] == pytest.approx(oracles.pwcca(Y, X), rel=1e-10)
    assert cell(frame, "a", "b", "cka")["value"] == pytest.approx(oracles.cka(X, Y), rel=1e-10)
    assert cell(frame, "a", "a", "procrustes")["value"] == pytest.approx(0.0, abs=1e-14)
    assert cell(frame, "a", "b", "dm_r2")["fit"] == "in_sample"


def test_maps_are_scored_on_other_samples_where_there_are_any():
    X, Y = RNG.standard_normal((100, 5)), RNG.standard_normal((100, 4))
    fit = {"a": X[:50], "b": Y[:50]}
    frame = compare_arrays({"a": X[50:], "b": Y[50:]}, indices=["dm_r2", "dm_struct", "cka"], fit=fit)
    W, b = oracles.direct_matching(X[:50], Y[:50])
    record = cell(frame, "a", "b", "dm_r2")
    assert record["value"] == pytest.approx(oracles.dm_r2(W, b, X[50:], Y[50:]), rel=1e-10)
    assert (record["fit"], record["rank"]) == ("held_out", 5)
    struct = oracles.dm_struct(W, b, X[50:], Y[50:])
    assert cell(frame, "a", "b", "dm_struct")["value"] == pytest.approx(struct, rel=1e-10)
    assert frame.loc[frame["index"] == "cka", "fit"].isna().all()


def test_under_positions_the_source_is_resized_and_debiased_cka_is_refused():
    frame = compare_arrays({"a": IMAGES, "b": SMALL}, indices=["cka", "cka_biased"], view="positions")
    resized = to_rows(IMAGES, "positions", (3, 3)), to_rows(SMALL, "positions")
    forth, back = cell(frame, "a", "b", "cka_biased"), cell(frame, "b", "a", "cka_biased")
    assert forth["value"] == pytest.approx(oracles.cka(*resized, hsic=oracles.hsic_biased), rel=1e-10)
    assert (forth["grid"], back["grid"]) == ("3x3", "6x6")
    assert (forth["n_rows"], back["n_rows"]) == (80 * 9, 80 * 36)
    assert forth["value"] != pytest.approx(back["value"], rel=1e-3)
    refused = frame[frame["index"] == "cka"]
    assert set(refused["status"]) == {"dependent_rows"}
    assert refused["value"].isna().all()
    assert "36 come from one sample" in cell(frame, "b", "a", "cka")["reason"]


def test_pooled_and_flattened_views_allow_debiased_cka():
    pooled = compare_arrays({"a": IMAGES, "b": SMALL}, indices=["cka"], view="pooled")
    expected = oracles.cka(IMAGES.mean(axis=(2, 3)), SMALL.mean(axis=(2, 3)))
    assert cell(pooled, "a", "b", "cka")["value"] == pytest.approx(expected, rel=1e-10)
    assert set(pooled["grid"]) == {"1x1"}
    flat = compare_arrays({"a": IMAGES, "b": SMALL}, indices=["cka"], view="flatten")
    forth, back = cell(flat, "a", "b", "cka"), cell(flat, "b", "a", "cka")
    assert forth["value"] == pytest.approx(
        oracles.cka(IMAGES.reshape(80, -1), SMALL.reshape(80, -1)), rel=1e-10
    )
    assert (forth["p"], forth["q"], forth["grid"]) == (144, 27, "1x1")
    assert back["value"] == pytest.approx(forth["value"], rel=1e-12)
    assert (back["p"], back["q"]) == (27, 144)


def test_an_undefined_index_leaves_its_reason_and_the_others_stand():
    X = RNG.standard_normal((60, 5))
    frame = compare_arrays({"a": X, "dead": np.zeros((60, 3))}, indices=["cka", "cca", "dm_r2"])
    for index in ("cka", "cca", "dm_r2"):
        record = cell(frame, "a", "dead", index)
        assert record["status"] == "constant"
        assert "60 equal rows" in record["reason"]
    assert frame["value"].isna().sum() == 8
    assert cell(frame, "dead", "a", "dm_r2")["value"] == pytest.approx(0.0, abs=1e-14)
    assert cell(frame, "a", "a", "cca")["value"] == pytest.approx(1.0, rel=1e-13)


def test_tensors_of_any_precision_are_taken_and_judged_at_it():
    X = RNG.standard_normal((60, 4))
    double = np.column_stack([X, X[:, 0] + X[:, 1]])
    named = {"half": torch.tensor(double, requires_grad=True).half(), "brain": torch.tensor(X).bfloat16()}
    frame = compare_arrays(named, indices=["cca", "dm_r2"])
    assert cell(frame, "half", "half", "cca")["rank"] == 4
    assert cell(frame, "half", "brain", "dm_r2")["rank"] == 4
    exact = compare_arrays({"half": double.astype(np.float16).astype(np.float64)}, indices=["cca"])
    assert cell(exact, "half", "half", "cca")["rank"] == 5


@pytest.mark.parametrize("view", ["positions", "pooled", "flatten"])
def test_either_direction_is_what_it_is_alone(view):
    """Both directions share one product where they share a grid; the numbers are those of each on its own."""
    small = IMAGES[:, :3, ::2, ::2] if view == "positions" else SMALL
    arrays = {"a": IMAGES[:, :2], "b": small, "c": IMAGES[:, 1:]}
    names = ["cka_biased", "pwcca", "dm_r2", "dm_orthogonal_r2", "procrustes"]
    together = compare_arrays(arrays, indices=names, view=view).set_index(["source", "target", "index"])
    for source, target in (("b", "a"), ("c", "a"), ("c", "b")):
        alone = compare_arrays(
            {name: arrays[name] for name in (source, target)}, indices=names, view=view
        ).set_index(["source", "target", "index"])
        for index in names:
            one, other = together.loc[(source, target, index)], alone.loc[(source, target, index)]
            assert one["status"] == other["status"]
            if one["status"] == "ok":
                assert one["value"] == pytest.approx(other["value"], rel=1e-9)
            assert (one["grid"], one["p"], one["q"]) == (other["grid"], other["p"], other["q"])


def test_what_cannot_be_compared_is_refused_before_any_work():
    with pytest.raises(UnknownNameError, match="Did you mean 'cka'"):
        compare_arrays({"a": IMAGES}, indices=["ckaa"], view="pooled")
    with pytest.raises(ViewError, match="Pass view='pooled'"):
        compare_arrays({"a": IMAGES})
    with pytest.raises(algebra.RowsError, match="sample counts"):
        compare_arrays({"a": IMAGES, "b": SMALL[:-1]}, view="pooled")
    with pytest.raises(algebra.RowsError, match=r"sample counts \{\}"):
        compare_arrays({})
    broken = IMAGES.copy()
    broken[3, 2, 1, 0] = np.inf
    with pytest.raises(algebra.RowsError, match=r"'late'.*infinite"):
        compare_arrays({"early": IMAGES, "late": broken}, view="pooled")
    with pytest.raises(algebra.RowsError, match=r"shape \(80,\)"):
        compare_arrays({"a": np.zeros(80)})
    with pytest.raises(algebra.RowsError, match="names and sample shapes"):
        compare_arrays({"a": IMAGES}, view="pooled", fit={"b": IMAGES})
    with pytest.raises(ViewError, match="'pooled'"):
        compare_arrays(
            {"image": IMAGES, "vector": RNG.standard_normal((80, 4))}, view="positions", indices=["cca"]
        )
