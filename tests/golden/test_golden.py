"""The net below every change of structure: all keys, and every row of a small sweep of each kind, as once recorded.

`python -m tests.golden.rows NAME` and `python -m tests.golden.keys` record anew; a commit that does says which numbers
changed and why. With ``STITCHPIPE_GOLDEN_EXACT=1`` the rows must agree bit for bit, which holds on the machine that
recorded them; elsewhere another processor may round in another way.
"""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from tests.golden import keys, rows

EXACT = bool(os.environ.get("STITCHPIPE_GOLDEN_EXACT"))

pytestmark = pytest.mark.usefixtures("undrawn")


def test_keys_are_those_recorded(tmp_path):
    assert keys.keys(tmp_path) == keys.recorded()


@pytest.mark.parametrize("name", rows.SWEEPS)
def test_rows_are_those_recorded(name, tmp_path, cluster):
    if name == "tokens":
        pytest.importorskip("timm")
    expected, made = rows.recorded(name), rows.run_sweep(name, tmp_path, cluster)
    made = made[[column for column in expected.columns if column in made.columns]]
    assert list(made.columns) == list(expected.columns)
    if name != "ingested" and not EXACT:
        expected, made = (frame.drop(columns=list(rows.MADE_HERE)) for frame in (expected, made))
    assert len(made) == len(expected)
    for column in expected.columns:
        _same(column, made, expected)


def _same(column: str, made: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Hold a column against the recorded one; numbers as closely as another processor's rounding allows."""
    found, wanted = made[column], expected[column]
    if pd.api.types.is_float_dtype(wanted) and not EXACT:
        after_training = expected["index"].str.startswith(rows.TRAINED).to_numpy()
        for chosen, tolerance in ((~after_training, 1e-4), (after_training, 5e-2)):
            np.testing.assert_allclose(
                found[chosen].astype(float), wanted[chosen], rtol=tolerance, atol=tolerance, err_msg=column
            )
        return
    both_absent = found.isna() & wanted.isna()
    differing = made[~both_absent & (found != wanted)]
    assert differing.empty, (
        f"{column}: {differing.head().to_string()}\nrecorded: {wanted[differing.index].head()}"
    )
