"""Rows of labelled arrays are paired by label: aligned where the labels are the same, refused where they are not."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from stitchpipe.algebra import RowsError
from stitchpipe.in_memory import compare_arrays

RNG = np.random.default_rng(0)
NAMES = [f"image-{number}" for number in range(40)]
X, Y, OTHER = (RNG.standard_normal((40, width)) for width in (5, 4, 3))
SHUFFLED = RNG.permutation(40)


def pandas(rows, labels=NAMES):
    return pd.DataFrame(rows, index=labels)


def by_sample(rows, labels=NAMES):
    return xr.DataArray(rows, dims=("sample", "channel"), coords={"sample": list(labels)})


def by_sample_id(rows, labels=NAMES):
    """As a workspace hands out activations: ids beside the dimension, not as its index."""
    return xr.DataArray(rows, dims=("sample", "channel"), coords={"sample_id": ("sample", list(labels))})


def by_first_dimension(rows, labels=NAMES):
    return xr.DataArray(rows, dims=("picture", "channel"), coords={"picture": list(labels)})


def sample_last(rows, labels=NAMES):
    return by_sample(rows, labels).transpose("channel", "sample")


LABELLED = [pandas, by_sample, by_sample_id, by_first_dimension, sample_last]


def compared(**arrays):
    frame = compare_arrays(arrays, indices=["cka_biased", "procrustes"])
    return frame.set_index(["source", "target", "index"])["value"].astype(float)


@pytest.mark.parametrize("second", LABELLED)
@pytest.mark.parametrize("first", LABELLED)
def test_the_same_samples_in_another_order_are_brought_into_one(first, second):
    expected = compared(x=X, y=Y)
    labels = [NAMES[number] for number in SHUFFLED]
    found = compared(x=first(X), y=second(Y[SHUFFLED], labels))
    pd.testing.assert_series_equal(found, expected, rtol=1e-12, atol=1e-12)
    by_position = compared(x=X, y=Y[SHUFFLED])
    assert abs(by_position - expected).max() > 1e-3, "the order has to matter for this test to say anything"


@pytest.mark.parametrize("labelled", LABELLED)
def test_to_numpy_drops_the_labels(labelled):
    labels = [NAMES[number] for number in SHUFFLED]
    found = compared(x=pandas(X).to_numpy(), y=by_sample(Y[SHUFFLED], labels).to_numpy())
    pd.testing.assert_series_equal(found, compared(x=X, y=Y[SHUFFLED]))
    alone = compared(x=labelled(X))
    pd.testing.assert_series_equal(alone, compared(x=X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("labelled", LABELLED)
def test_other_samples_are_refused_where_they_first_differ(labelled):
    labels = [*NAMES[:7], "another", *NAMES[8:]]
    with pytest.raises(RowsError, match=r"'image-7', row 7 of 'x', which 'y' does not have.*\.to_numpy\(\)"):
        compared(x=pandas(X), y=labelled(Y, labels))
    with pytest.raises(RowsError, match=r"'image-30', row 30 of 'x', which 'y'"):
        compared(x=pandas(X), y=labelled(Y[:30], NAMES[:30]))
    with pytest.raises(RowsError, match=r"'image-0', row 0 of 'y', which 'x'"):
        compared(x=pandas(X[10:], NAMES[10:]), y=labelled(Y))


@pytest.mark.parametrize("labelled", LABELLED)
def test_repeated_labels_are_refused(labelled):
    with pytest.raises(RowsError, match=r"'y'.*'image-3' in row 3 and again in row 9"):
        compared(x=pandas(X), y=labelled(Y, [*NAMES[:9], "image-3", *NAMES[10:]]))


def test_a_subset_that_kept_its_numbers_is_not_paired_with_the_first_rows():
    with pytest.raises(RowsError, match="label 0, row 0 of 'x', which 'y' does not have"):
        compared(x=pd.DataFrame(X[:20]), y=pd.DataFrame(Y).iloc[20:])
    found = compared(x=pd.DataFrame(X).iloc[20:], y=pd.DataFrame(Y).iloc[:19:-1])
    pd.testing.assert_series_equal(found, compared(x=X[20:], y=Y[20:]), rtol=1e-12, atol=1e-12)


def test_labels_of_another_kind_are_other_labels():
    numbers = list(range(40))
    with pytest.raises(RowsError, match="label 0, row 0 of 'x'"):
        compared(x=pandas(X, numbers), y=pandas(Y, list(map(str, numbers))))


def test_arrays_without_labels_go_by_position_beside_labelled_ones_of_one_order():
    expected = compared(x=X, y=Y, z=OTHER)
    found = compared(x=pandas(X), y=by_sample(Y), z=OTHER)
    pd.testing.assert_series_equal(found, expected, rtol=1e-12, atol=1e-12)
    unlabelled = xr.DataArray(OTHER, dims=("row", "channel"))
    pd.testing.assert_series_equal(compared(x=pandas(X), y=Y, z=unlabelled), expected, rtol=1e-12, atol=1e-12)
    labels = [NAMES[number] for number in SHUFFLED]
    with pytest.raises(RowsError, match="'y' in another order than 'x', beside 'z' without labels"):
        compared(x=pandas(X), y=pandas(Y[SHUFFLED], labels), z=OTHER)


def test_maps_are_fitted_on_rows_that_are_paired_by_label_too():
    def held_out(**fit):
        frame = compare_arrays({"x": X[:15], "y": Y[:15]}, indices=["dm_r2"], fit=fit)
        return frame["value"].astype(float)

    labels = NAMES[15:]
    backwards = pandas(Y[15:], labels).iloc[::-1]
    found, expected = held_out(x=pandas(X[15:], labels), y=backwards), held_out(x=X[15:], y=Y[15:])
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    with pytest.raises(RowsError, match="'image-15', row 0 of 'x'"):
        held_out(x=pandas(X[15:], labels), y=pandas(Y[15:], ["another", *labels[1:]]))


def test_images_of_a_data_set_keep_their_axes():
    images = RNG.standard_normal((40, 3, 4, 4))
    data = xr.Dataset(
        {
            "x": (("channel", "y", "x_axis", "sample"), np.moveaxis(images, 0, -1)),
            "z": (("sample", "feature"), OTHER),
        },
        coords={"sample": NAMES},
    )
    found = compare_arrays(data, indices=["cka_biased"], view="pooled")
    expected = compare_arrays({"x": images, "z": OTHER}, indices=["cka_biased"], view="pooled")
    np.testing.assert_allclose(found["value"].astype(float), expected["value"].astype(float), rtol=1e-12)
    assert found["p"].tolist() == expected["p"].tolist()


def test_comparing_arrays_imports_neither_torch_nor_scikit_learn():
    program = (
        "import sys, numpy as np, stitchpipe as sp\n"
        "assert not {'pandas', 'torch', 'sklearn', 'zarr'} & set(sys.modules)\n"
        "X = np.random.default_rng(0).normal(size=(50, 3))\n"
        "sp.compare({'a': X, 'b': X[:, :2]})\n"
        "print({'torch', 'sklearn', 'zarr', 'dask.distributed'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
