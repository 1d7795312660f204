"""Blocks of several networks at once: to the last bit what their dumps would store, and refused where they would be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from stitchpipe.capture import (
    CaptureError,
    NetworkCapture,
    Settings,
    StoredView,
    dump,
    stored_blocks,
)
from stitchpipe.capture.settings import Precision
from stitchpipe.data import ImageSplit
from stitchpipe.models import build
from storage import Address, NonFiniteError, RangeError, open_store

LAYERS = ("layer1.0", "layer2.0")
OPTIONS = {"blocks": (1, 1), "widths": (4, 6), "in_channels": 1}
COUNT = 31
IMAGES = torch.rand(COUNT, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def split_of(images=IMAGES, ids=None):
    return ImageSplit(
        dataset="part",
        name="test",
        fetch=lambda positions: images[torch.as_tensor(positions, dtype=torch.long)],
        labels=None,
        sample_ids=tuple(ids or (f"id-{number}" for number in range(len(images)))),
        class_names=(),
        digest="0" * 64,
        preprocessing={},
    )


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "store.zarr", mode="a")
    store.add_split("part", "test", split_of().sample_ids, row_groups=3, provenance={})
    return store


def sources_of(networks, store, images=None, layers=LAYERS, **settings):
    return {
        name: NetworkCapture.open(
            network,
            images or split_of(),
            store.split("part", "test"),
            layers=layers,
            settings=Settings(**settings),
            device=torch.device("cpu"),
        )
        for name, network in networks.items()
    }


def networks():
    return {name: build("cifar_resnet", OPTIONS, seed=seed) for seed, name in enumerate("AB")}


SETTINGS = {
    "float32": {"batch_size": 4},
    "float16": {"batch_size": 100, "dtype": "float16"},
    "positions": {"batch_size": 5, "view": StoredView("positions", 3)},
    "bfloat16": {"batch_size": 4, "precision": Precision("bfloat16")},
}


def usual_and_all():
    """Every number of samples of the usual settings, and two of the others; the slow tests have all of all."""
    for samples in (1, 3, 4, 7, 100):
        for name, settings in SETTINGS.items():
            marks = [] if name == "float32" or samples in (3, 100) else pytest.mark.slow
            yield pytest.param(samples, settings, marks=marks, id=f"{name}-{samples}")


@pytest.mark.parametrize(("samples", "settings"), list(usual_and_all()))
def test_blocks_hold_what_dumps_store(store, samples, settings):
    nets = networks()
    for name, network in nets.items():
        dump(
            network,
            split_of(),
            store,
            model=name,
            architecture="cifar",
            layers=LAYERS,
            settings=Settings(**settings),
        )
    groups = store.split("part", "test").row_groups
    blocks = [
        block
        for row_group in range(len(groups))
        for block in stored_blocks(sources_of(nets, store, **settings), row_group, samples=samples)
    ]
    bounds = [(at, min(at + samples, stop)) for start, stop in groups for at in range(start, stop, samples)]
    assert [(block.start, block.start + block.size) for block in blocks] == bounds
    for name in nets:
        for layer in (*LAYERS, "logits"):
            stored = store.representation(Address("part", "test", name, layer)).read_rows(slice(None))
            found = np.concatenate([block.values[name, layer] for block in blocks])
            assert found.dtype == stored.dtype
            assert np.array_equal(found, stored)
            assert all(block.values[name, layer].flags.c_contiguous for block in blocks)


def test_some_rows_of_a_row_group_come_from_the_batches_of_all_and_no_others(store, monkeypatch):
    sources = sources_of(networks(), store, batch_size=4)
    [first] = {capture.split.row_groups[1] for capture in sources.values()}
    start, stop = first
    [whole] = stored_blocks(sources, 1, samples=stop - start)
    batches = sources["A"].batch_bounds(1)
    assert [batches[0][0], batches[-1][1]] == [start, stop]
    ran = []
    values = NetworkCapture.values
    monkeypatch.setattr(NetworkCapture, "values", lambda self, images: ran.append(1) or values(self, images))
    for rows in ((start, start + 1), (start + 3, stop - 1), (stop - 2, stop)):
        ran.clear()
        blocks = list(stored_blocks(sources, 1, samples=3, rows=rows))
        assert (blocks[0].start, blocks[-1].start + blocks[-1].size) == rows
        inside = slice(rows[0] - start, rows[1] - start)
        for name, expected in whole.values.items():
            found = np.concatenate([block.values[name] for block in blocks])
            assert np.array_equal(found, expected[inside])
        touched = [(a, b) for a, b in batches if a < rows[1] and b > rows[0]]
        assert len(ran) == len(sources) * len(touched)


def test_the_precision_of_forward_passes_ends_with_them(store):
    sources = sources_of(networks(), store, batch_size=4, precision=Precision("bfloat16"))
    for _ in stored_blocks(sources, 0, samples=3):
        assert not torch.is_autocast_enabled("cpu")


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.scaled = Times(factor)
        self.last = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))

    def forward(self, x):
        return self.last(self.scaled(x))


class Times(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


@pytest.mark.parametrize(
    ("factor", "dtype", "error"),
    [
        (1e6, "float16", RangeError),
        (float("inf"), "float32", NonFiniteError),
        (float("nan"), "float16", NonFiniteError),
    ],
)
def test_what_a_dump_would_refuse_is_refused_with_model_layer_and_sample(store, factor, dtype, error):
    images = IMAGES.clone()
    images[:] = 0.5
    sources = sources_of({"A": Scaled(factor)}, store, split_of(images), layers=("scaled",), dtype=dtype)
    with pytest.raises(error, match=r"A/scaled.*id-\d+"):
        next(stored_blocks(sources, 1, samples=2))


def test_other_images_than_the_store_s_are_refused(store):
    other = split_of(ids=[f"other-{number}" for number in range(COUNT)])
    with pytest.raises(CaptureError, match="'id-0'.*found 'other-0'"):
        sources_of(networks(), store, other)


def test_a_network_that_is_not_repeatable_is_refused_in_the_declared_precision(store):
    class Random(nn.Module):
        def forward(self, x):
            return torch.rand_like(x)

    net = nn.Sequential(Random(), nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(CaptureError, match="draws random numbers"):
        sources_of({"A": net}, store, layers=("0",))["A"].probe()
