"""Which layers globs choose, of several models and for stitches, and what is refused or left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from stitchpipe.config import ConfigError, parse, restricted
from stitchpipe.graph import LayerError
from stitchpipe.run import LayerName, Run

HEAD = """
name = "choice"
{dump}
[data]
kind = "digits"
limit = 40
"""
MODEL = """
[[models]]
name = "{name}"
architecture = "cifar_resnet"
options = {{ in_channels = 1, blocks = {blocks}, widths = [4, 6, 8], num_classes = 10 }}
untrained = true
{more}
"""


def opened(tmp_path, dump="", *, more="", stitch=""):
    """A run of a shallow network A and of B, whose first stage has one more block."""
    text = HEAD.format(dump=f"dump = {{ layers = {dump} }}" if dump else "")
    text += MODEL.format(name="A", blocks="[1, 1, 1]", more=more)
    text += MODEL.format(name="B", blocks="[2, 1, 1]", more="")
    return Run.open(parse(text + stitch, where="a test", folder=Path()), tmp_path / "run")


def names(run, model):
    return [info.name for info in run.layers.of(model)]


def test_without_a_choice_the_blocks_of_each_network_are_dumped(tmp_path):
    run = opened(tmp_path)
    assert names(run, "A") == ["layer1.0", "layer2.0", "layer3.0"]
    assert names(run, "B") == ["layer1.0", "layer1.1", "layer2.0", "layer3.0"]


def test_a_shared_glob_must_fit_in_one_model_and_not_in_each(tmp_path):
    run = opened(tmp_path, '["layer1.1", "layer2.0"]')
    run.layers.demand_globs()
    assert names(run, "A") == ["layer2.0"]
    assert names(run, "B") == ["layer1.1", "layer2.0"]


def test_a_model_that_nothing_fits_is_named_with_the_key(tmp_path):
    with pytest.raises(LayerError, match=r"dump\.layers, for model 'A'.*'layer1\.1'.*`layers` of its own"):
        names(opened(tmp_path, '["layer1.1"]'), "A")


def test_a_glob_that_fits_nowhere_is_refused_with_the_nearest(tmp_path):
    run = opened(tmp_path, '["layer1.0", "laier2.0"]')
    with pytest.raises(LayerError, match=r"dump\.layers.*'laier2\.0', which fits none.*layer2\.0"):
        run.layers.demand_globs()
    part = Run(restricted(run.sweep, only=["A"]), run.place)
    part.layers.demand_globs()  # it may fit in the rest


def test_what_a_model_says_for_itself_must_fit(tmp_path):
    run = opened(tmp_path, more='layers = ["layer1.0", "layer1.1"]')
    with pytest.raises(LayerError, match=r"for model 'A'.*'layer1\.1'"):
        names(run, "A")


def stitch(sources, targets):
    return f'\n[[stitch]]\nmethod = "dm"\nsources = {sources}\ntargets = {targets}\n'


WITH_OTHERS = '["layer?.0", "layer1.0.conv1", "linear"]'
"""A layer that a residual crosses, and a vector, beside the blocks."""


def test_globs_leave_out_layers_that_cannot_be_stitched_and_say_why(tmp_path):
    run = opened(tmp_path, WITH_OTHERS, stitch=stitch('["B/*"]', '["A/*"]'))
    vectors = {info.name for info in run.layers.of("A") if not info.grid}
    assert vectors
    made = {(planned.source.layer, planned.target.layer) for planned in run.stitches}
    assert ("layer1.0.conv1", "layer2.0") in made  # a source need not be a cut
    left = run.planned_stitches.left_out
    assert "a single value crosses" in left[LayerName("B", "layer1.0"), LayerName("A", "layer1.0.conv1")]
    for vector in vectors:
        assert "both have positions" in left[LayerName("B", vector), LayerName("A", "layer1.0")]
    assert not made & {(source.layer, target.layer) for source, target in left}
    n_pairs = len(run.layers.of("A")) * len(run.layers.of("B"))
    assert len(made) + len(left) == n_pairs


@pytest.mark.parametrize(
    ("sources", "targets", "words"),
    [
        ('["B/*"]', '["A/layer1.0.conv1"]', "a residual crosses"),
        ('["B/layer1.0"]', '["A/linear"]', "both have positions"),
        ('["B/*"]', '["A/*.conv?"]', "a residual crosses"),  # nothing would be left
    ],
)
def test_what_is_named_or_all_that_is_meant_is_refused(tmp_path, sources, targets, words):
    run = opened(tmp_path, WITH_OTHERS, stitch=stitch(sources, targets))
    with pytest.raises(ConfigError, match=words):
        _ = run.stitches


def test_a_word_names_nothing(tmp_path):
    run = opened(tmp_path, WITH_OTHERS, stitch=stitch('["B/all"]', '["A/all"]'))
    assert run.planned_stitches.left_out
    assert run.stitches
