"""What people hand over that is no list of batches of images, and networks in other wrappings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

import stitchpipe as sp
from stitchpipe.errors import ExplainedError
from stitchpipe.graph import layers
from stitchpipe.models import hold_module

IMAGES = torch.rand(24, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))


def compared(one, batches):
    return sp.compare(one, network(), batches, indices=["cka"])


@dataclass
class Output:
    logits: torch.Tensor
    aux: int = 0


class Wrapped(nn.Module):
    """Answers as Hugging Face's networks do."""

    def __init__(self, wrap):
        super().__init__()
        self.net, self.wrap = network(), wrap

    def forward(self, images):
        return self.wrap(self.net(images))


@pytest.mark.parametrize("wrap", [lambda logits: {"loss": None, "logits": logits}, Output])
def test_networks_that_answer_with_a_record_are_read(wrap):
    plain = compared(network(), IMAGES.split(12))
    wrapped = compared(Wrapped(wrap), IMAGES.split(12))
    assert wrapped["value"].tolist() == plain["value"].tolist()


class Compiled(nn.Module):
    """What `torch.compile` makes looks like this; importing the real one takes ten seconds."""

    def __init__(self, inside):
        super().__init__()
        self._orig_mod = inside


@pytest.mark.parametrize("make", [Compiled, pytest.param(torch.compile, marks=pytest.mark.slow)])
def test_inside_a_compiled_network_are_the_layers_of_the_network(make):
    compiled = make(network())
    assert [info.name for info in layers(compiled, IMAGES[:1])] == [
        info.name for info in layers(network(), IMAGES[:1])
    ]
    assert compared(compiled, IMAGES.split(12)).equals(compared(network(), IMAGES.split(12)))
    assert hold_module(compiled) == hold_module(network())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_network_in_half_precision_is_not_blamed_on_the_size_of_images(dtype):
    with pytest.raises(ExplainedError, match=rf"weights of {dtype} and images of torch\.float32") as refused:
        compared(network().to(dtype), IMAGES.split(12))
    assert "size" not in refused.value.remedy


@pytest.mark.parametrize(
    ("batches", "found"),
    [
        ([IMAGES, torch.rand(4, 3, 9, 9)], r"batch 2 .*found \(3, 9, 9\)"),
        ([IMAGES, (IMAGES * 255).to(torch.uint8)], r"batch 2 .*torch\.uint8"),
        (IMAGES, "one Tensor, which is no loader"),
        (IMAGES.numpy(), "one ndarray, which is no loader"),
        (None, "found None"),
        (3, "one int"),
        ([], "an empty loader"),
        ([IMAGES.to_sparse()], r"layout torch\.sparse_coo"),
        ([IMAGES.to("meta")], "meta tensor"),
        ([torch.tensor(1.0)], "a single number"),
        ([np.ones(3)], "found a ndarray"),
        ([{}], "a mapping with nothing"),
        ([{"pixel_values": "text"}], "a mapping with pixel_values"),
        ([[]], "a list of nothing"),
        (["text"], "found a str"),
        ([IMAGES.long()], r"images of torch\.int64"),
        ([IMAGES.to(torch.complex64)], "complex64"),
        ([IMAGES * float("nan")], "NaN"),
    ],
)
def test_what_is_no_batch_of_images_is_refused_in_one_line(batches, found):
    with pytest.raises(ExplainedError, match=found) as refused:
        compared(network(), batches)
    assert "\n" not in str(refused.value)


def test_batches_of_named_fields_and_empty_ones_are_read():
    plain = compared(network(), IMAGES.split(12))
    named = [{"pixel_values": batch, "labels": torch.zeros(12)} for batch in IMAGES.split(12)]
    assert compared(network(), named).equals(plain)
    assert compared(network(), [*IMAGES.split(12), IMAGES[:0]]).equals(plain)
