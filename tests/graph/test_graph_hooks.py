"""Networks that torch.fx cannot trace: the same layers, cuts and tails, through hooks."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from stitchpipe.graph import PENULTIMATE, LayerError, TraceError, extractor, layers, tail
from stitchpipe.graph.by_hooks import HookedNetwork
from stitchpipe.graph.replay import Replay
from stitchpipe.models import weights_digest
from tests.graph.small_networks import FAMILIES, InPlaceUnused, Reused, SharedScale, cifar, images, lively
from tests.graph.test_graph_layout import swin


class Untraceable(nn.Module):
    """A residual network whose forward pass looks at its input's values before it starts."""

    def __init__(self, inner=None):
        super().__init__()
        self.inner = cifar() if inner is None else inner

    def forward(self, x):
        if not bool(torch.isfinite(x).all()):
            raise ValueError("images must be finite")
        return self.inner(x)


class Traceable(Untraceable):
    """The same network without that look."""

    def forward(self, x):
        return self.inner(x)


def by_hooks(monkeypatch):
    """Make every network be run with hooks."""
    for module in ("inspection", "extraction", "tails"):
        name = f"stitchpipe.graph.{module}"
        monkeypatch.setattr(sys.modules[name], "opened", hooked)


def hooked(network):
    """Return a network by hooks, or itself where it is opened."""
    return HookedNetwork(network, "it was asked for") if isinstance(network, nn.Module) else network


MAKES = {
    **FAMILIES,
    "swin": (swin, 32),
    "in place": (lambda: lively(InPlaceUnused()), 8),
    "reused": (lambda: lively(Reused()), 4),
    "idle": (lambda: lively(SharedScale()), 4),
}


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=[pytest.mark.slow] * (name == "resnet18")) for name in MAKES]
)
@torch.inference_mode()
def test_a_traceable_network_is_the_same_both_ways(family, monkeypatch):
    make, size = MAKES[family]
    torch.manual_seed(0)
    network, batch = make(), images(size)
    traced = layers(network, batch[:1])
    names = [info.name for info in traced]
    cuts = [info.name for info in traced if info.is_cut]
    values = extractor(network, names)(batch)
    by_hooks(monkeypatch)
    hooked = layers(network, batch[:1])
    assert all(info.by_hooks == "it was asked for" for info in hooked)
    # torch.fx takes attention for one step; hooks see what is in it.
    inside = {info.name for info in hooked} - set(names)
    assert all("self_attention" in name for name in inside)
    alike = [info for info in hooked if info.name not in inside]
    fields = ("name", "shape", "tokens", "channels_last", "grid")
    assert [[getattr(info, field) for field in fields] for info in alike] == [
        [getattr(info, field) for field in fields] for info in traced
    ]
    # A graph also counts numbers that cross, such as the size of the batch; hooks see what they change: nothing.
    numbers_cross = {"conv_proj"} if family == "vit" else set()
    assert {info.name for info in alike if info.is_cut} == set(cuts) | numbers_cross
    again = extractor(network, names)(batch)
    for name, value in values.items():
        assert torch.equal(again[name], value), name
    for name in cuts:
        found = tail(network, name, example=batch)(values[name])
        torch.testing.assert_close(found, values["logits"], rtol=1e-5, atol=1e-6)


def test_a_network_that_does_not_trace_works_from_end_to_end_and_says_so():
    network, batch = Untraceable(), images(12)
    digest = weights_digest(network)
    known = {info.name: info for info in layers(network, batch[:1])}
    assert known["inner.layer1.0"].by_hooks.startswith("torch.fx cannot trace it: ")
    plain = {info.name: info for info in layers(network.inner, batch[:1])}
    assert {name: info.is_cut for name, info in plain.items()} == {
        name.removeprefix("inner."): info.is_cut for name, info in known.items() if name != "inner"
    }
    run = extractor(network, list(known))
    values = run(batch)
    assert run.by_hooks == known["inner.layer1.0"].by_hooks
    assert torch.equal(values["logits"], network(batch))
    for name, info in known.items():
        assert values[name].shape[1:] == info.shape
        if info.is_cut:
            behind = tail(network, name, example=batch[:1])
            before = values[name].clone()
            torch.testing.assert_close(behind(values[name].flip(0)), values["logits"].flip(0))
            assert behind(values[name][:1]).shape == (1, 5)
            assert torch.equal(values[name], before)
        else:
            assert info.why_no_cut == "the logits depend on the image beside it"
    assert weights_digest(network) == digest


def test_a_tail_by_hooks_is_frozen_owns_its_weights_and_passes_gradients_on():
    network, batch = Untraceable(), images(12)
    digest = weights_digest(network)
    activations = extractor(network, ["inner.layer2"])(batch)["inner.layer2"].clone().requires_grad_()
    behind = tail(network, "inner.layer2", example=batch)
    assert not any(parameter.requires_grad for parameter in behind.parameters())
    behind(activations).sum().backward()
    assert float(activations.grad.abs().sum()) > 0
    with torch.no_grad():
        for parameter in behind.parameters():
            parameter.zero_()
    assert weights_digest(network) == digest


def test_what_a_tail_by_hooks_cannot_bring_back_is_refused():
    network, batch = Untraceable(), images(12)
    with pytest.raises(LayerError, match="the logits depend on the image beside it") as refused:
        tail(network, "inner.layer1.0.conv1", example=batch)
    assert refused.value.remedy == "Cuts near it: inner.bn1, inner.conv1, inner.layer1.0."
    with pytest.raises(LayerError, match="as `example`, because torch.fx cannot trace it"):
        tail(network, "inner.layer1.0")
    with pytest.raises(LayerError, match=r"Did you mean .*inner\.layer1\.0"):
        tail(network, "inner.layer1.O", example=batch)
    with pytest.raises(LayerError, match="activations of images of one size"):
        tail(network, "inner.layer1.0", example=batch)(torch.zeros(2, 4, 9, 9))
    with pytest.raises(LayerError, match="whose output is one tensor"):
        extractor(network, ["inner.layer1.0:7"])(batch)


def test_a_branch_behind_a_layer_that_the_image_decides_is_no_cut():
    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.one, self.other = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, x):
            h = self.stem(x.mean((2, 3)))
            return self.one(h) if x.mean() > 0.2 else self.other(h)

    network, batch = lively(Gate()), images(4)
    known = {info.name: info for info in layers(network, batch)}
    assert set(known) == {"stem", "one"}
    assert not known["stem"].is_cut
    with pytest.raises(LayerError, match="depend on the image"):
        tail(network, "stem", example=batch)


def test_a_branch_that_the_layer_itself_decides_is_followed():
    class Early(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.one, self.other = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, x):
            h = self.stem(x.mean((2, 3)))
            return self.one(h) if h.sum() > 0 else self.other(h)

    network, batch = lively(Early()), images(4)
    behind = tail(network, "stem", example=batch)
    for values in (torch.ones(2, 4), -torch.ones(2, 4)):
        expected = network.one(values) if values.sum() > 0 else network.other(values)
        assert torch.equal(behind(values), expected)


def test_logits_that_no_image_changes_have_no_cut():
    class Deaf(Untraceable):
        def forward(self, x):
            return super().forward(x) * 0.0

    assert {info.why_no_cut for info in layers(Deaf(), images(12))} == {
        "the logits are the same for every image"
    }


def test_a_graph_that_is_not_the_network_is_not_used():
    class Masked(nn.Module):
        """Takes another branch where its input is no tensor, as it is while torch.fx traces."""

        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(3, 4)

        def forward(self, x):
            x = x.mean((2, 3))
            return self.inner(x) if isinstance(x, torch.Tensor) else self.inner(-x)

    network, batch = lively(Masked()), images(4)
    info = layers(network, batch)[0]
    assert info.by_hooks == "its graph gives other answers than the network itself"
    run = extractor(network, ["inner"])
    assert torch.equal(run(batch)["inner"], network(batch))
    assert run.by_hooks == info.by_hooks
    found = tail(network, "inner", example=batch)(run(batch)["inner"])
    assert torch.equal(found, network(batch))


@pytest.mark.parametrize("kind", [Untraceable, Traceable])
def test_a_record_with_logits_among_its_values_is_taken_for_the_logits(kind):
    @dataclass
    class Output:
        logits: torch.Tensor
        loss: None = None

    class Recording(kind):
        def forward(self, x):
            return Output(super().forward(x))

    network, batch = Recording(), images(12)
    values = extractor(network, ["inner.layer2"])(batch)
    assert torch.equal(values["logits"], network(batch).logits)
    found = tail(network, "inner.layer2", example=batch)(values["inner.layer2"])
    torch.testing.assert_close(found, values["logits"])


def test_images_that_an_untraceable_network_does_not_take_are_one_clear_message():
    with pytest.raises(TraceError, match=r"takes images of shape \(3, 12, 12\).*finite"):
        layers(Untraceable(), torch.full((1, 3, 12, 12), torch.nan))


def test_what_other_threads_do_with_the_network_is_not_taken_for_its_own():
    batch, other = images(12, seed=0), images(12, seed=1)
    network = Untraceable()
    expected = {name: extractor(network, ["inner.layer2"])(one)["inner.layer2"] for name, one in
                (("one", batch), ("other", other))}  # fmt: skip
    wrong = []

    def work(name, given):
        run = extractor(network, ["inner.layer2"])
        wrong.extend(name for _ in range(20) if not torch.equal(run(given)["inner.layer2"], expected[name]))

    threads = [threading.Thread(target=work, args=args) for args in (("one", batch), ("other", other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not any(module._forward_hooks for module in network.modules())


@torch.no_grad()
def test_a_tail_by_hooks_gives_the_layers_that_it_runs_through():
    network, batch = Untraceable(), images(12)
    inner, names = "inner.layer1", ["inner.layer2.0", "inner.layer3"]
    values = extractor(network, [inner, *names])(batch)
    found = tail(network, inner, example=batch, through=[*names, PENULTIMATE])(values[inner])
    assert torch.equal(found[-1], values["logits"])
    for name, value in zip(names, found, strict=False):
        assert torch.equal(value, values[name])
    assert torch.equal(found[2], values["inner.layer3"].mean((2, 3)))
    with pytest.raises(LayerError, match="behind 'inner.layer2.0'"):
        tail(network, "inner.layer2.0", example=batch, through=[inner])


def leaves_before(network, layer):
    """The weights of what is done before a layer is, or in it, by the order of the modules."""
    names = [name for name, _ in network.named_parameters()]
    last = max(place for place, name in enumerate(names) if name.startswith(f"{layer}."))
    return dict(list(network.named_parameters())[: last + 1])


@pytest.mark.parametrize("layer", ["inner.conv1", "inner.layer1", "inner.layer3"])
def test_what_is_done_before_the_layer_does_not_run_in_its_tail(layer):
    """With weights that are no numbers the head would spoil whatever it touches."""
    network, batch = Untraceable(), images(12)
    values = extractor(network, [layer])(batch)
    behind = tail(network, layer, example=batch[:1])
    with torch.no_grad():
        for weights in leaves_before(behind.network, layer).values():
            weights.fill_(torch.nan)
    for count in (1, 3):
        given = values[layer][:count].clone().requires_grad_()
        logits = behind(given)
        torch.testing.assert_close(logits, values["logits"][:count])
        logits.square().sum().backward()
        assert float(given.grad.abs().sum()) > 0
    assert behind.network.inner.layer1[0].conv1.weight.shape == (4, 4, 3, 3)


class Demanding(Untraceable):
    """Looks at what its head returns."""

    def forward(self, x):
        y = torch.relu(self.inner.bn1(self.inner.conv1(x)))
        if not bool(y.any()):
            raise ValueError("a head that returns nothing but zeros")
        y = self.inner.layer3(self.inner.layer2(self.inner.layer1(y)))
        return self.inner.linear(y.mean((2, 3)))


def test_a_network_that_looks_at_its_head_keeps_it():
    network, batch = Demanding(), images(12)
    with torch.no_grad():
        network.inner.bn1.bias.fill_(5)
    values = extractor(network, ["inner.layer2"])(batch)
    behind = tail(network, "inner.layer2", example=batch)
    torch.testing.assert_close(behind(values["inner.layer2"]), values["logits"])
    with torch.no_grad():
        behind.network.inner.bn1.bias.fill_(-5)
        with pytest.raises(ValueError, match="nothing but zeros"):
            behind(values["inner.layer2"])


class Counting(nn.Conv2d):
    """Counts its calls."""

    count = 0

    def forward(self, x):
        type(self).count += 1
        return super().forward(x)


def test_finding_cuts_does_not_repeat_the_head_for_every_layer():
    network = Untraceable(cifar(blocks=(6, 6, 6)))
    first = network.inner.conv1
    network.inner.conv1 = Counting(3, first.out_channels, 3, padding=1, bias=False).eval()
    Counting.count = 0
    known = layers(network, images(12)[:1])
    assert len(known) > 90
    assert Counting.count < 15
    assert not any("forward" in vars(module) for module in network.modules())


def test_a_network_is_as_it_was_when_finding_cuts_is_interrupted(monkeypatch):
    network = Untraceable()
    own = network.inner.bn1.forward
    network.inner.bn1.forward = own

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Replay, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        layers(network, images(12)[:1])
    assert [path for path, module in network.named_modules() if "forward" in vars(module)] == ["inner.bn1"]
    assert network.inner.bn1.forward == own
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_what_is_replayed_is_not_what_other_threads_see():
    network, batch = Untraceable(), images(12)
    whole = network(batch)
    with Replay(network, [batch[:1], batch[1:2]]) as replay, ThreadPoolExecutor(1) as other:
        assert torch.equal(other.submit(network, batch).result(), whole)
        seen = []
        replay.work_behind("inner.layer3.0")
        replay.run(1, lambda name, *_: seen.append(name))
        assert "inner.layer1" in seen
        assert "inner.layer1.0" not in seen
        assert "inner.layer3" in seen


class Shapes(nn.Module):
    """A head whose modules return tuples, lists, nothing, rows of all images, and are called twice."""

    class Pair(nn.Module):
        def forward(self, x):
            return x, [x.flatten(0, 1), None]

    class Text(nn.Module):
        def forward(self, x):
            return x, "not a tensor"

    def __init__(self):
        super().__init__()
        self.pair, self.text, self.twice = self.Pair(), self.Text(), nn.ReLU()
        self.first, self.second, self.linear = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 5)

    def forward(self, x):
        if not bool(torch.isfinite(x).all()):
            raise ValueError("images must be finite")
        values, (rows, _) = self.pair(x.mean(2))
        values, word = self.text(values + rows.unflatten(0, values.shape[:2]))
        value = self.twice(self.first(values)) if word else values
        return self.linear(self.twice(self.second(value)).mean(1))


def test_outputs_of_every_kind_are_left_out_or_kept_and_the_tail_is_the_same():
    torch.manual_seed(0)
    network, batch = Shapes().eval(), torch.rand(5, 3, 4, 4)
    values = extractor(network, ["first"])(batch)
    behind = tail(network, "first", example=batch[:1])
    left_out = {path for path, module in behind.network.named_modules() if "forward" in vars(module)}
    assert left_out == {"pair", "text", "first"}
    for count in (1, 2, 5):
        torch.testing.assert_close(behind(values["first"][:count]), values["logits"][:count])
