"""Where a declared network's weights come from: how each origin is built, loaded and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from stitchpipe.config import PretrainedModel, TrainedModel, TrainingRecipe, UntrainedModel, WeightsModel
from stitchpipe.models import build, checkpoint, declared_network, told_origin, weights_digest

SMALL = {"blocks": [1, 1, 1], "widths": [4, 4, 4]}
NAMED = {"name": "A", "architecture": "cifar_resnet", "options": SMALL}


@pytest.mark.parametrize(
    ("declared", "seed"),
    [
        (UntrainedModel(**NAMED, untrained=True, seed=5), 5),
        (TrainedModel(**NAMED, train=TrainingRecipe(seed=7)), 7),
        (WeightsModel(**NAMED, weights=Path("a.pt")), 0),
    ],
)
def test_first_weights_follow_from_the_seed_and_classes_from_the_data(declared, seed):
    network = declared_network(declared, lambda: 4)
    assert weights_digest(network) == weights_digest(
        build("cifar_resnet", {**SMALL, "num_classes": 4}, seed=seed)
    )


def test_classes_are_not_counted_where_the_model_says():
    declared = UntrainedModel(**{**NAMED, "options": {**SMALL, "num_classes": 3}}, untrained=True)
    assert declared_network(declared, lambda: pytest.fail("counted")).linear.out_features == 3


@pytest.mark.parametrize(
    ("declared", "path", "told"),
    [
        (WeightsModel(**NAMED, weights=Path("a.pt")), Path("a.pt"), "a.pt"),
        (PretrainedModel(**NAMED, pretrained=True), None, "published"),
        (PretrainedModel(**NAMED, pretrained="tag"), None, "tag"),
        (UntrainedModel(**NAMED, untrained=True, seed=5), None, "untrained, seed 5"),
    ],
)
def test_an_origin_is_told_for_the_record(declared, path, told):
    assert checkpoint(declared) == path
    assert told_origin(declared) == told


def test_a_training_has_a_record_of_its_own():
    with pytest.raises(ValueError, match="come out of a training"):
        told_origin(TrainedModel(**NAMED, train=TrainingRecipe()))
