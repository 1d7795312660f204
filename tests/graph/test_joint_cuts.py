"""Several layers that are a cut together: which are listed, and that what lies behind them gives the whole's answer."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from stitchpipe.graph import PENULTIMATE, LayerError, extractor, inspect, joint_name, members_of, tail
from stitchpipe.graph.flow import Flow
from stitchpipe.graph.inspection import Inspection
from stitchpipe.graph.joint_cuts import MOST, Candidate, boundaries, joint_cuts
from tests.graph.branched_networks import (
    ChannelsLast,
    Concatenated,
    SharedMemory,
    ThreeBranches,
    Tokens,
    TwoBranches,
    Untraceable,
    made,
)
from tests.graph.small_networks import FAMILIES, images

BRANCHED = {
    "two": lambda: made(TwoBranches),
    "three": lambda: made(ThreeBranches),
    "channels last": lambda: made(ChannelsLast),
    "by hooks": lambda: Untraceable(made(TwoBranches)).eval(),
    "tokens": lambda: made(Tokens),
}


def listed(network):
    return [joint_name(members) for members in inspect(network, images(8, 1)).joint_cuts]


@pytest.mark.parametrize("name", BRANCHED)
@torch.inference_mode()
def test_what_lies_behind_a_joint_cut_gives_the_answer_bit_for_bit(name):
    network, batch = BRANCHED[name](), images(8, 4)
    found = inspect(network, batch[:1])
    assert found.joint_cuts
    values = extractor(network, sorted({layer for members in found.joint_cuts for layer in members}))(batch)
    for members in found.joint_cuts:
        given = {layer: values[layer] for layer in members}
        before = {layer: value.clone() for layer, value in given.items()}
        behind = tail(network, joint_name(members), example=images(8, 1, seed=5))
        assert torch.equal(behind(given), values["logits"]), members
        assert all(torch.equal(given[layer], before[layer]) for layer in members)
        assert (
            behind({layer: value[:1] for layer, value in given.items()}).shape == values["logits"][:1].shape
        )
        # Each value matters: with one of them exchanged between images the answers are others.
        for layer in members:
            other = behind(given | {layer: given[layer].flip(0)})
            assert not torch.allclose(other, values["logits"]), (members, layer)


def test_joint_cuts_are_listed_where_branches_and_stages_end():
    assert listed(made(TwoBranches)) == ["stem+left.0", "stem+left", "left+right.0", "left+right"]
    three = listed(made(ThreeBranches))
    for stage in range(2):
        assert "+".join(f"stages.{stage}.branches.{branch}" for branch in range(3)) in three
        assert f"stages.{stage}.act+stages.{stage}.act:1+stages.{stage}.act:2" in three
    assert max(len(members_of(name)) for name in three) == 3


def test_networks_by_hooks_have_those_of_their_graphs():
    plain = listed(made(TwoBranches))
    assert listed(Untraceable(made(TwoBranches)).eval()) == [
        joint_name([f"inner.{layer}" for layer in members_of(name)]) for name in plain
    ]


def test_of_a_last_exchange_only_the_first_tokens_are_needed():
    assert listed(made(Tokens))[-1] == "swap.1.0+swap.1.1"


@pytest.mark.parametrize("family", ["cifar", "vit"])
def test_a_network_of_residual_blocks_has_no_joint_cuts(family):
    make, size = FAMILIES[family]
    assert inspect(make(), images(size, 1)).joint_cuts == ()


@pytest.mark.parametrize("by_hooks", [False, True])
def test_a_layer_left_out_is_noticed_and_so_is_one_too_many(by_hooks):
    network, prefix = made(TwoBranches), ""
    if by_hooks:
        network, prefix = Untraceable(network).eval(), "inner."
    example = images(8, 1)
    wrong = {
        "left.0+left": "depend on the image" if by_hooks else "stem beside them",
        "stem+left+right": "stem, which nothing needs",
        "left+left.1+right": "which nothing needs" if not by_hooks else "left.1, which nothing needs",
    }
    for name, why in wrong.items():
        members = [prefix + layer for layer in members_of(name)]
        with pytest.raises(LayerError, match=why.replace("stem,", f"{prefix}stem,")) as refused:
            tail(network, joint_name(members), example=example)
        assert refused.value.where == f"joint cut '{joint_name(members)}'"


def test_the_error_of_a_layer_names_the_joint_cut_that_would_do():
    network, example = made(ThreeBranches), images(8, 1)
    together = "stages.1.branches.0+stages.1.branches.1+stages.1.branches.2"
    with pytest.raises(LayerError, match="3 values that cross") as refused:
        tail(network, "stages.1.branches.1", example=example)
    assert refused.value.remedy.endswith(f"Together a cut: {together}.")
    why = {info.name: info.why_no_cut for info in inspect(network, example).layers}
    assert why["stages.1.branches.2"].endswith(f"cross beside it; together a cut: {together}")
    hooked = Untraceable(made(TwoBranches)).eval()
    with pytest.raises(LayerError, match="depend on the image") as refused:
        tail(hooked, "inner.right.0", example=example)
    assert refused.value.remedy.endswith("Together a cut: inner.left+inner.right.0.")


@pytest.mark.parametrize(
    ("name", "example", "why"),
    [
        ("left+left", images(8, 1), "2, 1 of them different"),
        ("+".join(f"l{number}" for number in range(MOST + 1)), images(8, 1), "9, 9 of them different"),
        ("left+right", None, "an image as `example`"),
        ("left+rihgt", images(8, 1), "Did you mean 'right'"),
    ],
)
def test_a_joint_cut_that_cannot_be_is_one_message(name, example, why):
    with pytest.raises(LayerError, match=why):
        tail(made(TwoBranches), name, example=example)


def test_a_tail_takes_all_of_its_layers_of_equally_many_images():
    behind, value = tail(made(TwoBranches), "left+right", example=images(8, 1)), torch.zeros(3, 4, 6, 6)
    for given in ({}, {"left": value}, {"left": value, "right": value, "stem": value}):
        with pytest.raises(LayerError, match="activations of left, right, of equally many images"):
            behind(given)
    with pytest.raises(LayerError, match="found 3 of left, 2 of right"):
        behind({"left": value, "right": value[:2]})


@torch.inference_mode()
def test_pieces_of_a_concatenation_are_cut_out_of_it_again():
    network, batch = made(Concatenated), images(8, 3)
    values = extractor(network, ["right", "cat", "left"])(batch)
    behind = tail(network, "right+cat", example=batch[:1])
    assert torch.equal(behind({name: values[name] for name in ("right", "cat")}), values["logits"])
    with pytest.raises(LayerError, match="found left, which nothing needs"):
        tail(network, "left+right+cat", example=batch[:1])


def test_values_that_share_memory_which_is_worked_on_are_no_joint_cut():
    network = made(SharedMemory)
    with pytest.raises(LayerError, match="other answers behind it"):
        tail(network, "stem+flatten", example=images(8, 1))


def test_gradients_flow_to_every_branch_and_the_tail_is_frozen():
    network, batch = made(ThreeBranches), images(8, 2)
    members = members_of("stages.0.act+stages.0.act:1+stages.0.act:2")
    values = extractor(network, members)(batch)
    given = {name: values[name].clone().requires_grad_() for name in members}
    behind = tail(network, joint_name(members), example=batch)
    behind(given).square().sum().backward()
    assert all(float(value.grad.abs().sum()) > 0 for value in given.values())
    assert not any(parameter.requires_grad for parameter in behind.parameters())
    assert not any(name.startswith("tail.stages.0") for name, _ in behind.named_parameters())


@pytest.mark.parametrize("name", ["three", "by hooks"])
@torch.inference_mode()
def test_a_joint_tail_gives_the_layers_that_it_runs_through(name):
    network, batch = BRANCHED[name](), images(8, 2)
    members, later = {
        "three": (members_of("stages.0.act+stages.0.act:1+stages.0.act:2"), "stages.1.act"),
        "by hooks": (members_of("inner.stem+inner.left"), "inner.right"),
    }[name]
    values = extractor(network, [*members, later])(batch)
    behind = tail(network, joint_name(members), example=batch, through=[later, PENULTIMATE])
    kept, features, logits = behind({layer: values[layer] for layer in members})
    assert torch.equal(kept, values[later])
    assert torch.equal(logits, values["logits"])
    assert len(features) == len(batch)


def test_a_network_made_for_inference_alone_has_its_joint_cuts_too():
    with torch.inference_mode():
        network = Untraceable(made(TwoBranches)).eval()
    assert len(inspect(network, images(8, 1)).joint_cuts) == 4


def test_the_record_has_the_joint_cuts():
    found = inspect(made(ThreeBranches), images(8, 1))
    assert Inspection.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert len(found.joint_cuts) >= 4


class AsksImages(nn.Module):
    """Looks at its images again behind both of its layers."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        x = x.mean((2, 3))
        return self.second(self.first(x)) * x


def test_where_the_images_themselves_are_needed_no_layers_are_enough():
    torch.manual_seed(0)
    flow = Flow.of(AsksImages(), images(4, 1))
    assert [name for name, _ in flow.made] == ["first", "second"]
    assert flow.needed(2) == ()
    assert Flow.of(made(TwoBranches), images(8, 1)).needed(3) == ("stem", "left.0.1")


class Said:
    """A network that says what its candidates are."""

    def __init__(self, *candidates):
        self.candidates = [Candidate(*candidate) for candidate in candidates]

    def joint_candidates(self, names, images):
        return self.candidates

    def joint_trial(self, names, images):
        return lambda members: () if "bad" in members else members


LAYERS = {
    **{f"c{number}": True for number in range(6)},
    **dict.fromkeys(["a", "b", "c", "d", "bad", "e", "f", "g", "h", "i", "j", "k"], False),
    **{f"t{number}": True for number in range(6)},
}
"""Twenty-four layers: two in each part; the twelve in the middle are no cuts."""


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([(("a", "b"), 0)], [("a", "b")]),
        ([(("c0", "c1"), 0)], []),  # where single cuts are
        ([(("a", "b"), 1), (("c0", "a", "b"), 0)], [("a", "b")]),  # fewest layers
        ([(("c0", "a"), 1), (("c0", "b"), 0)], [("c0", "b")]),  # least deep
        ([(("c0", "a"), 1), (("c0", "b"), 1)], [("c0", "b")]),  # last
        ([(("d", "bad"), 0), (("c0", "d", "e"), 0)], [("c0", "d", "e")]),  # does not hold
        (
            [(("a", "b"), 0), (("a", "b", "c"), 0), (("a", "e"), 0)],
            [("a", "b"), ("a", "e")],
        ),  # inside a block
    ],
)
def test_of_each_part_of_the_depth_the_best_candidate_is_taken(candidates, chosen):
    assert list(joint_cuts(Said(*candidates), LAYERS, images(8, 1))) == chosen


def test_without_a_long_stretch_nothing_is_looked_for():
    short = {str(number): number % 5 == 0 for number in range(30)}
    assert joint_cuts(None, short, images(8, 1)) == ()


def test_boundaries_are_stages_blocks_and_branches():
    found = boundaries(made(ThreeBranches))
    assert {"stages", "stages.0", "stages.1", "stages.1.branches.1", "begin"} <= found
    assert not {"stem", "head", "stages.0.act", "stages.0.branches.0.0"} & found
    inside = boundaries(Untraceable(made(TwoBranches)))
    assert {"inner.left", "inner.right", "inner.left.0"} <= inside
