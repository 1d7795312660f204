"""What words for layers mean, from names, shapes and cuts alone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from stitchpipe.graph import LayerInfo
from stitchpipe.run.layer_words import keyed, meant


def layer(name, *shape, cut=True, function=False):
    return LayerInfo(name, shape, cut, is_function=function)


def residual_block(path, *shape):
    return [
        layer(f"{path}.conv1", *shape, cut=False),
        layer(f"{path}.conv2", *shape, cut=False),
        layer(f"{path}.add", *shape, function=True),
        layer(f"{path}.relu", *shape),
        layer(path, *shape),
    ]


RESNET = [
    layer("conv1", 4, 8, 8),
    *residual_block("layer1.0", 4, 8, 8),
    *residual_block("layer1.1", 4, 8, 8),
    layer("layer1", 4, 8, 8),
    *residual_block("layer2.0", 8, 4, 4),
    *residual_block("layer2.1", 8, 4, 4),
    layer("layer2", 8, 4, 4),
    layer("avgpool", 8, 1, 1),
    layer("fc", 10),
]
TRANSFORMER = [
    layer("patch_embed.proj", 6, 2, 2),
    layer("patch_embed", 4, 6),
    *(
        info
        for number in range(4)
        for info in (layer(f"blocks.{number}.mlp.fc1", 5, 24, cut=False), layer(f"blocks.{number}", 5, 6))
    ),
    layer("blocks", 5, 6),
    layer("head", 10),
]
PLAIN = [
    layer("features.0", 4, 8, 8),
    layer("features.1", 4, 8, 8),
    layer("features.2", 4, 4, 4),
    layer("features", 4, 4, 4),
    layer("classifier", 10),
]
BRANCHED = [
    info
    for name in ("3a", "3b", "4a")
    for info in (
        layer(f"inception{name}.branch1.0", 4, 8, 8, cut=False),
        layer(f"inception{name}", 16, 8, 8) if name != "4a" else layer("inception4a", 16, 4, 4),
    )
]
INVERTED = [  # only the first block has no residual, and shows cuts inside
    layer("blocks.0.conv.0.act", 4, 8, 8),
    layer("blocks.0.conv.0", 4, 8, 8),
    layer("blocks.0", 2, 8, 8),
    *(
        info
        for number in (1, 2)
        for info in (
            layer(f"blocks.{number}.conv.0.act", 4, 8, 8, cut=False),
            layer(f"blocks.{number}.conv.0", 4, 8, 8, cut=False),
            layer(f"blocks.{number}.add", 2, 8, 8, function=True),
            layer(f"blocks.{number}", 2, 8, 8),
        )
    ),
]
UNCUT = [layer("a", 4, 8, 8, cut=False), layer("b", 4, 4, 4, cut=False)]


@pytest.mark.parametrize(
    ("network", "word", "names"),
    [
        (RESNET, "blocks", ["layer1.0", "layer1.1", "layer2.0", "layer2.1"]),
        (RESNET, "stages", ["layer1.1", "layer2.1"]),
        (RESNET, "cuts", ["conv1", "layer1.0", "layer1.1", "layer2.0", "layer2.1", "avgpool", "fc"]),
        (RESNET, "cuts:3", ["conv1", "layer2.0", "fc"]),
        (RESNET, "blocks:1", ["layer2.1"]),
        (RESNET, "blocks:9", ["layer1.0", "layer1.1", "layer2.0", "layer2.1"]),
        (TRANSFORMER, "blocks", [f"blocks.{number}" for number in range(4)]),
        (TRANSFORMER, "blocks:2", ["blocks.0", "blocks.3"]),
        (TRANSFORMER, "stages", ["blocks.3"]),
        (TRANSFORMER, "cuts:2", ["patch_embed.proj", "head"]),
        (PLAIN, "blocks", ["features.1", "features"]),
        (PLAIN, "stages", ["features.1", "features"]),
        (BRANCHED, "blocks", ["inception3a", "inception3b", "inception4a"]),
        (BRANCHED, "stages", ["inception3b", "inception4a"]),
        (INVERTED, "blocks", ["blocks.0", "blocks.1", "blocks.2"]),
        (UNCUT, "blocks", ["a", "b"]),
        (UNCUT, "cuts", []),
        (UNCUT, "all:1", ["b"]),
    ],
)
def test_words_follow_from_names_shapes_and_cuts(network, word, names):
    assert [info.name for info in meant(word, network)] == names


def test_all_are_those_that_globs_can_choose():
    assert [info.name for info in meant("all", RESNET)] == [i.name for i in RESNET if not i.is_function]


@pytest.mark.parametrize("count", range(1, 8))
def test_so_many_layers_are_spread_over_the_depth(count):
    known = [layer(f"layer{number}", 4) for number in range(7)]
    places = [known.index(info) for info in meant(f"all:{count}", known)]
    gaps = [after - before for before, after in pairwise(places)]
    assert len(places) == count
    assert places[-1] == 6
    assert count == 1 or (places[0] == 0 and max(gaps) - min(gaps) <= 1)


def test_among_dumped_layers_a_word_means_those_that_are_dumped():
    blocks = ["layer1.0", "layer2.0", "layer2.1"]
    assert [info.name for info in meant("blocks:2", RESNET, among=blocks)] == ["layer1.0", "layer2.1"]
    assert [info.name for info in meant("cuts", RESNET, among=["layer1", "layer1.0.conv1"])] == ["layer1"]
    assert meant("stages", RESNET, among=["conv1"]) == []


def test_keys_say_which_meaning_of_a_word_was_meant():
    assert keyed(["layer?.?", "cuts:3"]) == ["layer?.?", "cuts:3~1"]
