"""What counts as a network's answer, tuples on the way, and what a tail makes for itself."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from stitchpipe.graph import LayerError, extractor, inspect, layers, tail, tails
from stitchpipe.graph.answers import answer_of, gives_logits
from tests.graph.small_networks import images

X, Y, MAPS = torch.zeros(2, 3), torch.ones(2, 3), torch.zeros(2, 3, 4, 4)


@dataclass
class Features:
    image_embeds: Tensor
    hidden: tuple[Tensor, ...] = ()


@pytest.mark.parametrize(
    ("output", "answer", "logits"),
    [
        (X, X, True),
        (MAPS, MAPS, False),
        ({"aux": Y, "logits": X}, X, True),
        ({"out": MAPS, "aux": Y}, MAPS, False),
        ({"first": X, "second": Y}, Y, False),
        (Features(X, (Y,)), X, False),
        (namedtuple("Outputs", ["logits", "aux_logits"])(X, None), X, True),  # noqa: PYI024 - as torchvision has it
        ({"feature_maps": (X, MAPS)}, MAPS, False),
        ([X, MAPS], MAPS, False),
        ((X, MAPS), X, True),
    ],
)
def test_one_tensor_of_an_output_is_the_answer(output, answer, logits):
    assert answer_of(output) is answer
    assert gives_logits(nn.Identity(), output) == logits


def test_a_module_of_no_classes_gives_features():
    network = nn.Identity()
    network.num_classes = 0
    assert not gives_logits(network, X)


class Pair(nn.Module):
    """A block that hands its value on with the size of its grid, as attention over pooled tokens does."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6)

    def forward(self, x, size):
        return x + torch.tanh(self.inner(x)), list(size)


class Pairs(nn.Module):
    """Returns a record of features, and has blocks that return pairs."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 2, 2)
        self.blocks = nn.ModuleList([Pair(), Pair(), Pair()])

    def forward(self, x):
        x = self.stem(x)
        size = [int(n) for n in x.shape[2:]]
        if len(size) != 2:
            raise ValueError("no image")
        x = x.flatten(2).transpose(1, 2)
        for block in self.blocks:
            x, size = block(x, size)
        return {"last_hidden_state": x, "size": size}


@torch.inference_mode()
def test_a_tuple_of_one_tensor_and_sizes_is_a_layer():
    torch.manual_seed(0)
    network, batch = Pairs().eval(), images(8)
    known = inspect(network, batch[:1])
    assert not known.has_logits
    assert set(known.cuts) == {"stem", "blocks.0", "blocks.1", "blocks.2"}
    values = extractor(network, known.cuts)(batch)
    assert values.keys() == set(known.cuts)
    assert torch.equal(values["blocks.2"], network(batch)["last_hidden_state"])
    for name, behind in tails(network, known.cuts, example=batch[:1]):
        assert torch.equal(behind(values[name]), values["blocks.2"]), name


class Sizes(nn.Module):
    """Uses the batch's size, a table made from the grid, and a size that something is written into."""

    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 4, 2, 2), nn.Linear(4, 5)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        n, _, h, w = x.shape
        places = torch.arange(h // 2 * (w // 2), dtype=x.dtype, device=x.device) * self.scale
        x = self.stem(x)
        x = torch.relu(x.flatten(2) + places)
        return self.head(x.reshape(n, 4, h * w // 4).sum(2))


class Written(Sizes):
    """A tensor of zeros is no constant any more when values are written into it."""

    def forward(self, x):
        x = self.stem(x)
        kept = torch.zeros(4)
        kept.add_(x.mean((0, 2, 3)))
        x = torch.relu(x)
        return self.head(x.mean((2, 3)) + kept)


class Dense(nn.Module):
    """Every layer takes all that was made before it."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(3, 4), nn.Linear(7, 4), nn.Linear(11, 5)

    def forward(self, x):
        x = x.mean((2, 3))
        first = torch.relu_(self.first(x))
        second = self.second(torch.cat([x, first], 1))
        return self.third(torch.cat([x, first, second], 1))


def test_sizes_and_what_follows_from_them_do_not_count_at_a_cut():
    torch.manual_seed(0)
    network, batch = Sizes().eval(), images(8, count=5)
    assert layers(network, batch[:1])[0].is_cut
    value = extractor(network, ["stem"])(batch)["stem"]
    behind = tail(network, "stem", example=batch[:1])
    assert torch.equal(behind(value), network(batch))
    assert torch.equal(behind(value[:2]), network(batch[:2]))
    with pytest.raises(LayerError, match=r"expected those of images of one size, of shape \(4, 4, 4\)"):
        behind(torch.zeros(1, 4, 6, 6))
    with pytest.raises(LayerError, match="the tail behind 'stem': expected an image as `example`"):
        tail(network, "stem")


def test_what_is_written_into_counts():
    network = Written().eval()
    known = {info.name: info for info in layers(network, images(8, 1), functions=True)}
    assert known["stem"].is_cut
    assert not known["relu"].is_cut


@torch.inference_mode()
def test_pieces_of_a_concatenation_do_not_count_at_a_cut():
    torch.manual_seed(0)
    network, batch = Dense().eval(), images(8)
    known = {info.name: info for info in layers(network, batch[:1], functions=True)}
    assert known["cat"].is_cut
    assert not known["second"].is_cut
    value = extractor(network, ["cat"])(batch)["cat"]
    before = value.clone()
    behind = tail(network, "cat", example=batch[:1])
    torch.testing.assert_close(behind(value), network(batch), rtol=1e-6, atol=1e-6)
    assert torch.equal(value, before)
