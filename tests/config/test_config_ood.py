"""The tables [ood] and [ood.detector]: defaults, foreign images of either kind, and what is refused where."""

from __future__ import annotations

from pathlib import Path

import pytest

from stitchpipe import config
from stitchpipe.config import declared_toml

MINIMAL = """
name = "tiny"
[data]
kind = "digits"
[[models]]
name = "A"
architecture = "cifar_resnet"
train = { epochs = 1 }
[[stitch]]
method = "dm"
sources = ["A/*"]
targets = ["A/*"]
"""


def parsed(detector=None, folder=Path("/sweeps")):
    text = MINIMAL if detector is None else f"{MINIMAL}[ood.detector]\n{detector}\n"
    return config.parse(text, where="sweep.toml", folder=folder)


def test_there_is_no_detector_unless_asked_for():
    assert parsed().ood.detector is None
    assert parsed("").ood.detector == config.Detector()


@pytest.mark.parametrize(
    "detector",
    ["", 'auxiliary = "textures"\nsanity = "noise"\nseed = 4',
     'sanity = { kind = "image_folder", root = "other", size = 8 }',
     'auxiliary = { kind = "arrays", files = { train = "a.npz", test = "b.npz" } }\nlearning_rate = 0.05'],
)  # fmt: skip
def test_defaults_written_out_parse_back_to_the_same_sweep(detector):
    sweep = parsed(detector)
    assert config.parse(declared_toml(sweep), where="again", folder=Path("/elsewhere")) == sweep


def test_relative_paths_of_foreign_images_start_at_the_sweep_file():
    declared = 'auxiliary = { kind = "image_folder", root = "other" }'
    assert parsed(declared).ood.detector.auxiliary.root == Path("/sweeps/other")


@pytest.mark.parametrize(
    ("detector", "place", "hint"),
    [
        ('auxiliary = "noize"', "ood.detector.auxiliary", "Did you mean 'noise'?"),
        ("auxiliary = 3", "ood.detector.auxiliary", "'noise' or 'textures'"),
        ('auxiliary = { kind = "digit" }', "ood.detector.auxiliary.kind", "Did you mean 'digits'?"),
        (
            'auxiliary = { kind = "image_folder", rot = "r" }',
            "ood.detector.auxiliary.rot",
            "Did you mean 'root'?",
        ),
        ('sanity = { kind = "image_folder" }', "ood.detector.sanity.root", "Add root ="),
        (
            'sanity = { root = "x" }',
            "ood.detector.sanity.kind",
            "Add kind = 'image_folder' or 'flat_folder' or 'torchvision'",
        ),
        ('auxiliary = "textures"', "ood.detector", "sanity check on other images"),
        ('sanity = { kind = "store", name = "D" }', "ood.detector", "images for `sanity`"),
        ("epoch = 3", "ood.detector.epoch", "Did you mean 'epochs'?"),
        ("epochs = 0", "ood.detector.epochs", "greater than or equal to 1"),
        ("learning_rate = 0.0", "ood.detector.learning_rate", "greater than 0"),
    ],
)
def test_a_refusal_says_where_and_what_to_do(detector, place, hint):
    with pytest.raises(config.ConfigError) as caught:
        parsed(detector)
    assert caught.value.where == f"sweep.toml, {place}"
    assert hint in str(caught.value)
