"""Networks by networks: the best source is chosen on one half of the images and scored on the other."""

from __future__ import annotations

import numpy as np
import pytest

from stitchpipe.asking import WorkspaceError, open_workspace
from stitchpipe.asking.whole_networks import _both_halves, cross_fitted
from stitchpipe.rows import to_rows
from stitchpipe.run.names import TEST, LayerName
from storage import LayerSpec, open_store
from tests import oracles, oracles_optimised

LAYERS = [f"layer{stage}.0" for stage in (1, 2, 3)]
MODELS = ("A", "org/B")


def halves_of(run, model):
    """The pooled rows of every layer of a network, on the even and on the odd row groups."""
    halves = ([], [])
    for name in LAYERS:
        stored = run.activations.layer(LayerName(model, name), TEST)
        rows = to_rows(stored.read_rows(np.arange(stored.shape[0])), "pooled")
        parts = [rows[start:stop] for start, stop in stored.row_groups]
        for parity, half in enumerate(halves):
            half.append(np.concatenate(parts[parity::2]))
    return halves


def expected_score(measure, sources, targets, larger):
    """By the definition, one target after the other."""
    choose = max if larger else min
    scores = []
    for j in range(len(LAYERS)):
        for chosen_on, scored_on in ((0, 1), (1, 0)):
            best = choose(
                range(len(LAYERS)), key=lambda i: measure(sources[chosen_on][i], targets[chosen_on][j])
            )
            scores.append(measure(sources[scored_on][best], targets[scored_on][j]))
    return np.mean(scores)


@pytest.mark.parametrize(
    ("name", "oracle", "larger"),
    [
        ("cka_biased", lambda X, Y: oracles.cka(X, Y, hsic=oracles.hsic_biased), True),
        ("procrustes", oracles.procrustes, False),
        ("pwcca", oracles.pwcca, True),
        ("soft_matching", oracles_optimised.soft_matching, True),
    ],
)
def test_scores_are_those_of_the_definition(tiny, name, oracle, larger):
    frame = open_workspace(tiny.root).model_scores(name).set_index(["source_model", "target_model"])
    of_models = {model: halves_of(tiny.run, model) for model in MODELS}
    assert list(frame.index) == [MODELS, MODELS[::-1]]
    for source, target in frame.index:
        row = frame.loc[(source, target)]
        expected = expected_score(oracle, of_models[source], of_models[target], larger)
        assert row["score"] == pytest.approx(expected, rel=1e-8), (source, target)
        assert (row["n_targets"], row["n_left_out"]) == (3, 0)
        assert row["n_samples"] == sum(len(rows) for half in of_models[source] for rows in half[:1])


def test_the_search_alone_lifts_no_score():
    """Of chance numbers the best is far above 0 on the half it was searched on, and 0 on the other."""
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 50, 400))
    score, targets, left_out = cross_fitted(first, second, larger=True)
    assert (targets, left_out) == (400, 0)
    assert abs(score) < 4 / np.sqrt(2 * 400)
    assert first.max(axis=0).mean() > 2.0
    assert cross_fitted(-first, -second, larger=False)[0] == pytest.approx(-score)


def test_what_has_no_number_on_both_halves_is_left_out_and_counted():
    first = np.array([[0.9, np.nan, np.nan], [0.1, 0.5, 0.7]])
    second = np.array([[np.nan, np.nan, 0.3], [0.2, 0.6, np.nan]])
    score, targets, left_out = cross_fitted(first, second, larger=True)
    assert (targets, left_out) == (2, 1)
    assert score == pytest.approx(np.mean([0.2, 0.6, 0.1, 0.5]))
    assert cross_fitted(first * np.nan, second, larger=True) == (None, 0, 3)


def test_some_layers_and_what_cannot_be_asked(tiny):
    workspace = open_workspace(tiny.root)
    assert workspace.model_scores("cka", ["A/layer3.0", "org/B/layer3.0"])["n_targets"].tolist() == [1, 1]
    for measure in ("dm_r2", "rsa", "agreement"):
        with pytest.raises(WorkspaceError, match="an index of moments that fits no map"):
            workspace.model_scores(measure)
    with pytest.raises(WorkspaceError, match="layers of at least two models"):
        workspace.model_scores("cka", "A/*")


def test_images_that_belong_together_are_in_one_half(tmp_path):
    store, scenes = open_store(tmp_path / "store.zarr", mode="a"), np.arange(60) % 15
    ids, groups = [f"image {number}" for number in range(60)], [f"scene {scene}" for scene in scenes]
    split = store.add_split("scenes", "test", ids, groups=groups, row_groups=20)  # of three; groups have four
    dump = store.begin_dump(
        dataset="scenes",
        split="test",
        model="net",
        layers={"a": LayerSpec((1,), "float32")},
        identity={"weights": ""},
        provenance={},
    )
    for number, (start, stop) in enumerate(split.row_groups):
        dump.write(number, {"a": scenes[split.original_index[start:stop], None].astype(np.float32)})
    dump.seal()
    halves = _both_halves(store.representation(store.representations()[0].address), "pooled")
    first, second = (set(half[:, 0].tolist()) for half in halves)
    assert not first & second
    assert len(first | second) == 15
    assert sum(map(len, halves)) == 60
