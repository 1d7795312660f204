"""Networks without a classifier: dumped, compared, stitched from, and stitched into by what needs no logits."""

from __future__ import annotations

from pathlib import Path

import pytest

from stitchpipe.config import ConfigError, parse
from stitchpipe.graph import LOGITS
from stitchpipe.run import Run
from stitchpipe.run.names import LayerName
from stitchpipe.steps.comparing.predictions import prediction_keys
from storage import NotFoundError
from tests.tiny_sweep import run_steps

pytest.importorskip("timm")

TEXT = """
name = "headless"
[data]
kind = "digits"
[dump]
layers = ["blocks.0", "blocks.1", "blocks.2"]
row_groups = 4
[[models]]
name = "tower"
architecture = "timm/vit_tiny_patch16_224"
untrained = true
options = { num_classes = 0, img_size = 8, patch_size = 2, embed_dim = 12, depth = 3, num_heads = 2, in_chans = 1 }
[[models]]
name = "classifier"
architecture = "timm/vit_tiny_patch16_224"
untrained = true
options = { num_classes = 10, img_size = 8, patch_size = 2, embed_dim = 12, depth = 3, num_heads = 2, in_chans = 1 }
[[compare]]
view = "pooled"
indices = ["cka", "agreement"]
[[stitch]]
method = "dm"
sources = ["tower/blocks.1", "classifier/blocks.1"]
targets = ["tower/blocks.1"]
[[stitch]]
method = "tlm"
objectives = ["direct_matching", "fula"]
sources = ["tower/blocks.1", "classifier/blocks.1"]
targets = ["tower/blocks.1"]
init = ["identity"]
steps = 3
[[stitch]]
method = "tlm"
sources = ["tower/blocks.1"]
targets = ["classifier/blocks.1"]
steps = 3
"""


def _parsed(text):
    return parse(text, where="headless", folder=Path.cwd())


@pytest.fixture(scope="module")
def headless(tmp_path_factory, cluster, undrawn):
    run = Run.open(_parsed(TEXT), tmp_path_factory.mktemp("headless") / "run")
    run_steps(run, cluster)
    return run


def test_a_network_without_a_head_is_dumped_without_logits(headless):
    shapes = headless.extent.stored_shapes
    assert LOGITS in shapes["classifier"]
    assert sorted(shapes["tower"]) == ["blocks.0", "blocks.1", "blocks.2"]
    with pytest.raises((ConfigError, NotFoundError)):
        headless.stored_activations().layer(LayerName("tower", LOGITS), "test")
    assert list(prediction_keys(headless, headless.sweep.compare[0])) == [("classifier", "classifier")]


def test_stitches_into_it_are_judged_by_its_features(headless):
    results = headless.results.read()
    into = results[(results["target_model"] == "tower") & results["method"].isin(["dm", "tlm"])]
    distances = into[into["index"] == "stitch_feature_distance"].set_index(
        ["source_model", "objective", "method"]
    )
    own = distances.xs("tower")["value"]
    assert len(own) == 3
    assert float(own.min()) < 1e-3  # the least-squares map of a layer onto itself
    assert float(own.max()) < 0.1  # few steps away from the identity
    assert (distances.xs("classifier")["value"] > 0.01).all()
    missing = into[into["index"] == "stitch_accuracy"]
    assert set(missing["status"]) == {"not_applicable"}
    assert missing["reason"].str.contains("no logits").all()
    from_tower = results[(results["source_model"] == "tower") & (results["target_model"] == "classifier")]
    assert from_tower[from_tower["index"] == "stitch_accuracy"]["value"].notna().all()


@pytest.mark.parametrize("objective", ["hard_labels", "soft_labels"])
def test_an_objective_that_needs_logits_is_refused_and_names_the_model(tmp_path, objective):
    text = TEXT.replace('["direct_matching", "fula"]', f'["{objective}"]')
    run = Run.open(_parsed(text), tmp_path / "run")
    with pytest.raises(ConfigError) as refused:
        _ = run.stitches
    assert refused.value.where == "stitch[1].objectives"
    assert "model 'tower' gives features" in refused.value.expected
    assert f"'{objective}' into tower/blocks.1" in refused.value.found
    assert "direct_matching or fula or penultimate, or method 'dm'" in refused.value.remedy


def test_a_network_without_a_head_is_not_trained(tmp_path):
    text = TEXT.replace("untrained = true", "train = { epochs = 1, seed = 0 }", 1)
    run = Run.open(_parsed(text), tmp_path / "run")
    with pytest.raises(ConfigError, match="model 'tower': expected a network that classifies"):
        run_steps(run)
