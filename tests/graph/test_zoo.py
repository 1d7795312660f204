"""Every architecture is cut in two: what the tail makes of the head's output is what the whole network gives."""

from __future__ import annotations

import gc

import pytest
import torch

from stitchpipe.graph import extractor, folded, layers, tail
from stitchpipe.models import architectures
from tests.graph.zoo import REPRESENTATIVES, made, random_images

TOLERANCE = 1e-5
"""Relative to the largest logit: kernels may differ with the layout of what they are given in memory."""


SLOW = frozenset({"googlenet", "maxvit_t", "resnext50_32x4d", "swin_v2_t"})
"""Of the representatives: one takes images of 224 pixels only, the others are the second of their kind."""


@pytest.fixture(autouse=True)
def _memory_is_given_back():
    """Collect what graphs hold in cycles, before the next network comes."""
    yield
    gc.collect()


@pytest.mark.parametrize(
    "name",
    [
        name
        if name in REPRESENTATIVES and name not in SLOW
        else pytest.param(name, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])
        for name in architectures()
    ],
)
@torch.inference_mode()
def test_head_then_tail_is_the_whole(name):
    network, images = made(name), random_images(name, 2, seed=1)
    known = layers(network, images[:1])
    assert not known[0].by_hooks
    cuts = [info for info in known if info.is_cut]
    assert len(cuts) >= 4
    chosen = {info.name: info for info in (cuts[0], cuts[len(cuts) // 2], cuts[-2])}
    run, tails = extractor(network, list(chosen)), {cut: tail(network, cut) for cut in chosen}
    for batch in (images, images.flip(0)):
        whole, values = network(batch), run(batch)
        scale = float(whole.abs().max())
        assert torch.isfinite(whole).all()
        assert float((whole[0] - whole[1]).abs().max()) > 1e-3 * scale, (
            "the logits must tell the images apart"
        )
        torch.testing.assert_close(values["logits"], whole, rtol=0, atol=TOLERANCE * scale)
        for cut, info in chosen.items():
            assert values[cut].shape[1:] == info.shape
            found = tails[cut](values[cut])
            torch.testing.assert_close(found, whole, rtol=0, atol=TOLERANCE * scale, msg=cut)
    first = cuts[0].name  # in float64: random networks blow up what rounding does
    exact, given = tails[first].double(), run(images)[first].double()
    whole = exact(given)
    torch.testing.assert_close(folded(exact)(given), whole, rtol=0, atol=1e-9 * float(whole.abs().max()))


def test_every_family_has_a_representative():
    families = {name.rstrip("0123456789").split("_")[0].rstrip("0123456789") for name in architectures()}
    assert families == {name.split("_")[0].rstrip("0123456789") for name in REPRESENTATIVES} | {"wide"}
