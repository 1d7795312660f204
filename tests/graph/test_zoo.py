"""Every architecture is cut in two: what the tail makes of the head's output is what the whole network gives."""

from __future__ import annotations

import gc

import pytest
import torch

from stitchpipe.graph import extractor, layers, tail
from stitchpipe.models import architectures
from tests.graph.zoo import REPRESENTATIVES, made, random_images

TOLERANCE = 1e-5
"""Relative to the largest logit: kernels may differ with the layout of what they are given in memory."""


@pytest.fixture(autouse=True)
def _memory_is_given_back():
    yield
    gc.collect()


@pytest.mark.parametrize(
    "name",
    [
        name if name in REPRESENTATIVES else pytest.param(name, marks=pytest.mark.slow)
        for name in architectures()
    ],
)
@torch.inference_mode()
def test_head_then_tail_is_the_whole(name):
    network, images = made(name), random_images(name, 2, seed=1)
    whole = network(images)
    turned, scale = network(images.flip(0)), float(whole.abs().max())
    assert torch.isfinite(whole).all()
    assert float((whole[0] - whole[1]).abs().max()) > 1e-3 * scale, name
    known = layers(network, images[:1])
    assert not known[0].by_hooks
    cuts = [info for info in known if info.is_cut]
    assert len(cuts) >= 4
    chosen = {info.name: info for info in (cuts[0], cuts[len(cuts) // 2], cuts[-2])}
    values = extractor(network, list(chosen))(images)
    torch.testing.assert_close(values["logits"], whole, rtol=0, atol=TOLERANCE * scale)
    for cut, info in chosen.items():
        assert values[cut].shape[1:] == info.shape
        behind = tail(network, cut)
        for given, expected in ((values[cut], whole), (values[cut].flip(0), turned)):
            torch.testing.assert_close(behind(given), expected, rtol=0, atol=TOLERANCE * scale, msg=cut)
        del behind


def test_every_family_has_a_representative():
    families = {name.rstrip("0123456789").split("_")[0].rstrip("0123456789") for name in architectures()}
    assert families == {name.split("_")[0].rstrip("0123456789") for name in REPRESENTATIVES} | {"wide"}
