"""Folding batch normalisation: the same function and gradient, and nothing is folded that must not be."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from stitchpipe.graph import PENULTIMATE, folded, tail
from tests.graph.small_networks import FAMILIES, images, lively

CUTS = [("cifar", "layer1.0", (4, 12, 12)), ("resnet18", "maxpool", (64, 8, 8))]


def norms(module):
    return [one for one in module.modules() if isinstance(one, nn.BatchNorm2d)]


def ends(network, given, through=None):
    """Logits of a network's tail and of its folded one, with the gradients of their sums of squares."""
    found = []
    for one in (network, folded(network)):
        values = given.clone().requires_grad_()
        logits = one(values) if through is None else torch.cat([part.flatten(1) for part in one(values)], 1)
        logits.square().sum().backward()
        found.append((logits.detach(), values.grad))
    return found


@pytest.mark.parametrize(("family", "cut", "shape"), CUTS)
@pytest.mark.parametrize("through", [None, [PENULTIMATE]])
def test_function_and_gradient_are_the_same(family, cut, shape, through):
    whole = tail(FAMILIES[family][0](), cut, through=through)
    given = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    (logits, gradient), (other_logits, other_gradient) = ends(whole, given, through)
    torch.testing.assert_close(other_logits, logits, rtol=1e-5, atol=1e-5 * float(logits.abs().max()))
    torch.testing.assert_close(other_gradient, gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max()))
    assert len(norms(whole)) > 0
    assert norms(folded(whole)) == []


def test_the_tail_itself_is_left_as_it_was():
    whole = tail(FAMILIES["cifar"][0](), "layer1.0")
    before = copy.deepcopy(whole.state_dict())
    shorter = folded(whole)
    assert not any(one.requires_grad for one in shorter.parameters())
    assert not shorter.training
    assert all(torch.equal(before[name], tensor) for name, tensor in whole.state_dict().items())
    assert len(norms(whole)) == 6


class Other(nn.BatchNorm2d):
    """A normalisation with an activation of its own."""

    def forward(self, x):
        return super().forward(x).relu()


class Trap(nn.Module):
    """A convolution and its normalisation behind a first layer, with something that forbids folding."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.first = nn.Conv2d(3, 4, 1)
        self.conv = nn.Conv2d(4, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        if kind == "hooks":
            self.conv.register_forward_hook(lambda *found: 2 * found[2])
        self.linear = nn.Linear(4, 5)

    def forward(self, x):
        y = self.conv(self.first(x))
        z = self.norm(y)
        if self.kind == "taken twice":
            z = z + y
        elif self.kind == "called twice":
            z = self.norm(self.conv(z))
        elif self.kind == "weights taken":
            z = z + self.conv.weight.sum()
        return self.linear(z.mean((2, 3)))


@pytest.mark.parametrize("kind", ["no statistics", "hooks", "taken twice", "called twice", "weights taken"])
def test_what_must_not_be_folded_is_not(kind):
    network = lively(Trap(kind))
    if kind == "no statistics":
        network.norm = nn.BatchNorm2d(4, track_running_stats=False).eval()
    whole = tail(network, "first")
    given = torch.randn(3, 4, 9, 9, generator=torch.Generator().manual_seed(1))
    shorter = folded(whole)
    assert len(norms(shorter)) == len(norms(whole)) == 1
    assert torch.equal(shorter(given), whole(given))


class Leaves(torch.fx.Tracer):
    """Takes every module but the outermost as it is."""

    def is_leaf_module(self, m, module_qualified_name):
        return True


def test_a_type_of_its_own_is_not_folded():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), Other(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    whole = torch.fx.GraphModule(lively(network), Leaves().trace(network)).eval()
    shorter, given = folded(whole), images(9)
    assert [type(one) for one in norms(shorter)] == [Other]
    torch.testing.assert_close(shorter(given), whole(given), rtol=1e-5, atol=1e-6)


def test_without_a_trap_it_is_folded():
    whole = tail(lively(Trap("none")), "first")
    given = torch.randn(3, 4, 9, 9, generator=torch.Generator().manual_seed(1))
    assert norms(folded(whole)) == []
    torch.testing.assert_close(folded(whole)(given), whole(given), rtol=1e-5, atol=1e-6)


def test_a_tail_without_a_graph_is_returned_itself():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    assert folded(module) is module
