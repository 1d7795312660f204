"""Networks that hold channels last: told apart from images, and handed on with channels first."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import SwinTransformer
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

from stitchpipe.census.cheap_weights import fill
from stitchpipe.graph import LayerError, extractor, layers, tail
from tests.graph.small_networks import images, lively, vit


def filled(network):
    fill(network)
    return network


def swin(size=4):
    return filled(
        SwinTransformer([2, 2], 8, [2, 2], [2, 4], [size, size], stochastic_depth_prob=0.0, num_classes=5)
    ).eval()


def convnext():
    return filled(ConvNeXt([CNBlockConfig(6, 10, 1), CNBlockConfig(10, None, 1)], num_classes=5)).eval()


class Square(nn.Module):
    """As many channels as rows and columns, last between two permutations, and no other size is taken."""

    def __init__(self, size=6, declared=None):
        super().__init__()
        self.stem, self.norm, self.drop, self.mix = (
            nn.Conv2d(3, size, 1),
            nn.LayerNorm(size),
            nn.Dropout(),
            Mix(),
        )
        self.back, self.head = nn.Conv2d(size, size, 1), nn.Linear(size**3, 4)
        if declared:
            self.output_fmt = declared

    def forward(self, x):
        x = self.mix(self.drop(self.norm(self.stem(x).permute(0, 2, 3, 1))))
        return self.head(self.back(x.permute(0, 3, 1, 2)).flatten(1))


class Mix(nn.Module):
    def forward(self, x):
        return x + x.roll(1, 1)


@torch.inference_mode()
def test_swin_blocks_hold_channels_last_and_are_listed_and_extracted_channels_first():
    network, batch = swin(), images(32)
    known = {info.name: info for info in layers(network, batch[:1])}
    assert known["features.0.0"].shape == (8, 16, 16)
    assert not known["features.0.0"].channels_last
    assert known["features.1.0"].shape == (8, 16, 16)
    assert known["features.1.0"].channels_last
    assert known["features.3"].shape == (16, 8, 8)
    assert known["features.3"].channels_last
    assert not known["permute"].channels_last
    assert known["permute"].grid == known["features.3"].grid == (8, 8)
    seen = {}
    network.features[1].register_forward_hook(lambda *given: seen.update(block=given[2].clone()))
    values = extractor(network, ["features.1", "features.3.1.mlp.1"])(batch)
    logits = network(batch)
    assert float(logits.std(0).max()) > 0.01
    assert torch.equal(values["features.1"], seen["block"].permute(0, 3, 1, 2))
    assert values["features.3.1.mlp.1"].shape == (3, 64, 8, 8)


@torch.inference_mode()
@pytest.mark.parametrize("example", [images(32)[:1], None])
@pytest.mark.parametrize("make", [swin, convnext])
def test_a_tail_takes_what_an_extractor_gives(make, example):
    network, batch = make(), images(32)
    whole = network(batch)
    cuts = [info for info in layers(network, batch[:1]) if info.is_cut]
    assert sum(info.channels_last for info in cuts) >= (4 if make is swin else 0)
    values = extractor(network, [info.name for info in cuts])(batch)
    for info in cuts:
        found = tail(network, info.name, example=example)(values[info.name])
        torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-6, msg=info.name)


def test_images_normalised_over_their_channels_stay_channels_first():
    known = {info.name: info for info in layers(convnext(), images(32))}
    assert known["features.1"].shape == (6, 8, 8)
    assert not known["features.1"].channels_last
    assert known["features.1.0.block.2"].channels_last, "inside a block they are last"
    assert known["features.1.0.block.3"].shape == (24, 8, 8)


@pytest.mark.parametrize("functional", [False, True])
def test_normalising_over_whole_images_does_not_make_their_last_axis_channels(functional):
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.norm, self.head = nn.Conv2d(3, 4, 1), nn.LayerNorm((4, 6, 6)), nn.Linear(144, 4)

        def forward(self, x):
            x = self.stem(x)
            x = F.layer_norm(x, (4, 6, 6)) if functional else self.norm(x)
            return self.head(x.flatten(1))

    known = {info.name: info for info in layers(Whole(), images(6), functions=True)}
    assert known["layer_norm" if functional else "norm"].shape == (4, 6, 6)
    assert not any(info.channels_last for info in known.values())


def test_tokens_and_images_without_such_operations_are_left_alone():
    for network, size in (
        (vit(), 16),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2)), 8),
    ):
        assert not any(info.channels_last for info in layers(network, images(size)))


@pytest.mark.parametrize(("declared", "mixed"), [(None, False), ("NHWC", True)])
def test_where_other_sizes_are_refused_operations_beside_a_value_tell_or_the_network_declares(
    declared, mixed
):
    network = lively(Square(declared=declared))
    known = {info.name: info for info in layers(network, images(6))}
    last = {name: info.channels_last for name, info in known.items()}
    # All have one shape, and operations tell both ways: nothing but a declaration decides for the others.
    assert last == {"stem": False, "norm": True, "drop": mixed, "mix": mixed, "back": False, "head": False}


def test_where_other_sizes_are_refused_values_of_the_same_shape_are_alike():
    class Oblong(Square):
        def forward(self, x):
            x = self.mix(self.drop(self.norm(self.stem(x).permute(0, 2, 3, 1))))
            return self.head(x.flatten(1).repeat(1, 1)[:, : self.head.in_features])

    network = lively(Oblong(5))
    network.head = nn.Linear(5 * 36, 4)
    known = {info.name: info for info in layers(network, images(6))}
    assert {name for name, info in known.items() if info.channels_last} == {"norm", "drop", "mix"}
    assert known["mix"].shape == (5, 6, 6)


def test_a_tail_of_which_nobody_knows_the_layout_refuses_images_and_takes_vectors():
    class Odd(nn.Module):
        """Takes images of 7 × 7 alone, which no usual size is."""

        def __init__(self):
            super().__init__()
            self.stem, self.norm, self.head = nn.Conv2d(3, 5, 1), nn.LayerNorm(5), nn.Linear(5 * 49, 4)

        def forward(self, x):
            return self.head(self.norm(self.stem(x).permute(0, 2, 3, 1)).flatten(1))

    network, batch = lively(Odd()), images(7)
    values = extractor(network, ["norm", "head"])(batch)
    with pytest.raises(LayerError, match="Hand an image to `tail`"):
        tail(network, "norm")(values["norm"])
    assert torch.equal(tail(network, "head", example=batch)(values["head"]), values["logits"])
    found = tail(network, "norm", example=batch)(values["norm"])
    np.testing.assert_allclose(found, values["logits"], rtol=1e-5, atol=1e-6)
