"""`import stitchpipe as sp`: what a user types first."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import stitchpipe as sp
from stitchpipe.asking import WorkspaceError
from stitchpipe.graph import LayerError
from stitchpipe.models import build


@pytest.fixture(scope="module")
def networks():
    options = {"in_channels": 1, "blocks": [1, 1, 1], "widths": [4, 6, 8]}
    return [build("cifar_resnet", options, seed=seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def batches():
    images = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return list(images.split(25))


def test_arrays_are_compared_without_a_store():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(200, 5)), rng.normal(size=(200, 7))
    frame = sp.compare({"a": X, "b": Y}, indices=["cka", "dm_r2"])
    assert len(frame) == 2 * 2 * 2
    row = frame[(frame["source"] == "a") & (frame["target"] == "b") & (frame["index"] == "cka")].iloc[0]
    assert row["value"] == pytest.approx(sp.algebra.cka(X, Y))


def test_networks_are_compared_without_a_store(networks, batches):
    frame = sp.compare(*networks, batches, layers=["layer?.0"], indices=["cka"])
    assert set(frame["source"]) == {f"{side}/layer{stage}.0" for side in "ab" for stage in (1, 2, 3)}
    assert (frame["view"] == "pooled").all()
    same = frame[frame["source"] == frame["target"]]["value"].to_numpy(dtype=float)
    np.testing.assert_allclose(same, 1.0, atol=1e-9)


def test_a_loader_is_walked_once_and_may_be_an_iterator(networks, batches):
    frame = sp.compare(*networks, iter(batches), layers=["layer1.0"], indices=["cka"])
    again = sp.compare(*networks, [(batch, None) for batch in batches], layers=["layer1.0"], indices=["cka"])
    pd.testing.assert_frame_equal(frame, again)
    assert set(frame["n_samples"]) == {60}


def test_mistakes_are_one_message(networks, batches):
    with pytest.raises(LayerError, match="layer1"):
        sp.compare(*networks, batches, layers=["layr1.0"])
    with pytest.raises(ValueError, match="empty"):
        sp.compare(*networks, [], layers=["layer1.0"])
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = sp.nothing_of_the_kind


def test_a_workspace_answers(tiny):
    run = sp.open(tiny.root)
    assert run.models() == ["A", "org/B"]
    assert [layer for layer in run.layers("A") if layer != "logits"] == ["layer1.0", "layer2.0", "layer3.0"]
    found = run.activations("org/B/layer2.0")
    assert isinstance(found, xr.DataArray)
    assert found.dims == ("sample", "channel", "y", "x")
    assert found.shape == (450, 6, 4, 4)
    assert found.isel(sample=slice(3, 5)).values.shape == (2, 6, 4, 4)
    assert run.query("SELECT count(*) AS n FROM results")["n"].item() == len(run.results())


def test_a_workspace_says_what_is_missing(tiny, tmp_path):
    run = sp.open(tiny.root)
    with pytest.raises(WorkspaceError, match="There is: A, org/B"):
        run.layers("C")
    with pytest.raises(WorkspaceError, match="Did you mean 'A/layer"):
        run.activations("A/layer7")
    with pytest.raises(WorkspaceError, match="no such folder"):
        sp.open(tmp_path / "absent")


def test_the_estimator_is_at_the_front_door():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    Y = X @ rng.normal(size=(3, 2)) + 1
    assert sp.DirectMatching().fit(X, Y).score(X, Y) == pytest.approx(1.0)
