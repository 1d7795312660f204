"""Nulls of indices over images: what each index says of how it is formed is what the engine forms."""

from __future__ import annotations

import pytest

from stitchpipe import algebra
from stitchpipe.engine import ImageComparison
from stitchpipe.engine.samples.compare_images import compare_images
from stitchpipe.engine.samples.kept_images import keep_images
from stitchpipe.engine.samples.kept_null_sums import keep_null_sums
from stitchpipe.rows import to_rows

WITH_A_NULL = ("cka", "cka_biased", "rv", "cca_sq", "cka_rbf", "mutual_knn", "rsa")


@pytest.mark.parametrize("view", ["pooled", "flatten"])
def test_every_index_with_a_null_has_one_under_every_view_of_whole_images(synthetic, tmp_path, view):
    comparison = ImageComparison(
        synthetic.resources(tmp_path / "kept"),
        synthetic.layers,
        synthetic.splits[-1],
        {view: WITH_A_NULL},
        19,
    )
    for layer in (0, 1):
        keep_images(comparison, layer, view)
        keep_null_sums(comparison, layer, view)
    compared = compare_images(comparison, view, [0], [0, 1]).numbers
    numbers = {(found.pair, found.index): found.number for found in compared.records()}
    assert {index for _, index in numbers} == set(WITH_A_NULL)
    rows = [
        to_rows(synthetic.blocks["test", synthetic.layers[layer].layer], view)[: comparison.n_images]
        for layer in (0, 1)
    ]
    pair = algebra.PairMoments.from_rows(*rows)
    for index in WITH_A_NULL:
        number = numbers[(0, 1), index]
        if number.value is None:
            assert (index, number.status) == ("cca_sq", "too_few_rows")  # wider than there are images
            continue
        assert 1 / 20 <= number.extras["p_value"] <= 1
        assert number.extras["null_samples"] == comparison.n_images
        has_closed_form = algebra.INDICES[index].measure.closed_null
        assert ("effect_size" in number.extras) == ("null_gap" in number.extras) == has_closed_form
        if has_closed_form:
            assert number.extras["null_gap"] < 6
            assert number.extras["null_moments"] == 3
        if algebra.INDICES[index].measure.computed_from == "moments":
            assert number.value == pytest.approx(algebra.evaluate(index, pair).value, rel=1e-8)
    assert numbers[(0, 1), "rv"] == numbers[(0, 1), "cka_biased"]
