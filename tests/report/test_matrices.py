"""From tables of results to matrices: in any pieces and order, each number once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from stitchpipe.report.gathering import Gathering, comparison
from stitchpipe.report.matrices import COLUMNS
from stitchpipe.results import Catalogue
from stitchpipe.studies import Facts
from storage import CheckedFiles, open_place
from tests import synthetic_results as synthetic
from tests.results.made_up import zoo_table

ORDER = {"A": ("layer1.0", "layer3.2"), "B": ("layer1.0", "layer3.2"), "C": ("layer1.0",)}
ZOO = {f"net{model:03d}": tuple(f"features.{layer}" for layer in range(4)) for model in range(3)}


def tables_of(frame, size):
    typed = frame[[*COLUMNS]].astype(
        {"value": "float64", "reason": "str", "rank": "float64", "condition": "float64"}
    )
    typed[["low", "high", "p_value", "p_family"]] = typed[["low", "high", "p_value", "p_family"]].astype(
        "float64"
    )
    for start in range(0, len(typed), size):
        yield pa.Table.from_pandas(typed.iloc[start : start + size], preserve_index=False)


def same(one, other):
    assert one.axis == other.axis
    assert one.views == other.views
    assert [matrix.index for matrix in one.matrices] == [matrix.index for matrix in other.matrices]
    for left, right in zip(one.matrices, other.matrices, strict=True):
        np.testing.assert_array_equal(left.values, right.values)
        assert left.beside.keys() == right.beside.keys()
        for name in left.beside:
            np.testing.assert_array_equal(left.beside[name], right.beside[name])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_results_may_come_in_any_pieces(size):
    frame = synthetic.results(order=dict.fromkeys("AB", ORDER["A"]), views=("pooled",), stitches=False)
    order = dict.fromkeys("AB", ORDER["A"])
    gathering = Gathering(order)
    for table in tables_of(frame, size):
        gathering.add(table)
    same(gathering.comparison(), comparison(frame, order))


def test_of_two_numbers_for_a_pair_the_first_stays():
    table = zoo_table(3, 4, ("cka", "cca"))
    gathering = Gathering(ZOO)
    gathering.add(table)
    before = gathering.comparison()
    changed = table.set_column(1, "value", pa.array(table["value"].to_numpy() + 1))
    gathering.add(changed.slice(60, 30))
    same(gathering.comparison(), before)
    twice = Gathering(ZOO)
    twice.add(pa.concat_tables([table, changed]))
    same(twice.comparison(), before)


def test_the_catalogue_hands_on_what_is_asked_for_and_nothing_else(tmp_path):
    catalogue = Catalogue(CheckedFiles(open_place(str(tmp_path))))
    catalogue.write("compare-1", zoo_table(3, 4, ("cka", "cca"), sources=slice(0, 6)))
    catalogue.write("compare-2", zoo_table(3, 4, ("cka", "cca"), sources=slice(4, 12)))
    catalogue.write("compare-3", zoo_table(3, 4, ("cka",), view="tokens"))
    held = catalogue.held()
    wanted = {"cka": held.by_index["cka"][::2]}

    def gathered(tables):
        gathering = Gathering(ZOO)
        for table in tables:
            assert table.column_names == [*COLUMNS]
            gathering.add(table)
        return gathering.comparison()

    got = catalogue.through_compared(wanted, COLUMNS, gathered)
    frame = catalogue.compared(wanted)
    assert {matrix.index for matrix in got.matrices} == {"cka"}
    assert (
        sum(int(np.isfinite(matrix.values).sum()) for matrix in got.matrices)
        == len(frame)
        == len(wanted["cka"])
    )
    same(got, comparison(frame, ZOO))


def test_studies_get_the_pairs_that_they_speak_of():
    order = dict(ZOO) | {"net002": ("features.0", "features.1", "features.2", "features.3", "extra")}
    gathering = Gathering(order)
    gathering.add(zoo_table(3, 4, ("cka",)))
    frame = gathering.comparison().frame(Facts(layer_order=order))
    models = frame.groupby(["source_model", "target_model"], observed=True).size()
    # The third network has another layer: it is compared with itself alone.
    assert set(models.index) == {(a, b) for a in order for b in order if a == b or "net002" not in (a, b)}
    assert isinstance(frame["source_layer"].dtype, pd.CategoricalDtype)
    assert (models == 16).all()


def test_matrices_of_nothing():
    nothing = Gathering(ORDER).comparison()
    assert nothing.axis == nothing.matrices == ()
    assert len(nothing.frame(Facts(layer_order=ORDER))) == 0
