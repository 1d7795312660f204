"""What a run would do is what it does: the plans that are shown are those that are carried out."""

from __future__ import annotations

import sys
from contextlib import nullcontext

import pytest
from rich.console import Console

from stitchpipe import steps
from stitchpipe.algebra.deletions import deletion_ranks
from stitchpipe.cli.plan_tables import describe
from stitchpipe.config import parse
from stitchpipe.engine import Comparison, LayerQuestions, LayerShape, SplitShape, layer_seconds
from stitchpipe.engine.rehearsal import layering
from stitchpipe.run import Run
from stitchpipe.steps import forecast_seconds
from stitchpipe.steps.forecast import forecast
from stitchpipe.steps.forecast_seconds import EngineSeconds, single_layer_seconds
from tests.tiny_sweep import TINY

HEAD, STITCHES = TINY[: TINY.index("[[compare]]")], TINY[TINY.index("[[stitch]]") :]
MAPS_ALONE = HEAD + STITCHES
POOLED_AND_MAPS = HEAD + '[[compare]]\nview = "pooled"\nindices = ["procrustes", "cka_rbf"]\n' + STITCHES
IMAGES_ALONE = HEAD + '[[compare]]\nview = "pooled"\nindices = ["rsa", "cka_minibatch"]\n'


@pytest.fixture
def plans(monkeypatch):
    """The plans that are made."""
    made, plan = [], Comparison.plan

    def noted(*arguments, **options):
        made.append(plan(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(Comparison, "plan", noted)
    return made


@pytest.fixture
def dumped(tiny, tmp_path):
    """Return the place of a run of which everything is dumped, and nothing compared or fitted."""
    run = tiny.copy(tmp_path / "run")
    for folder in ("results", "maps"):
        for file in run.place.files.listing(folder):
            run.place.files.remove(file.name)
    return tmp_path / "run"


@pytest.mark.parametrize("text", [TINY, POOLED_AND_MAPS, MAPS_ALONE], ids=["joined", "apart", "maps"])
def test_the_plans_that_are_shown_are_those_that_run(text, dumped, plans, tmp_path, cluster):
    sweep = parse(text, where="planned", folder=tmp_path)
    forecast(Run.open(sweep, dumped))
    shown = [(plan.passes, plan.blocks, plan.cost) for plan in plans]
    plans.clear()
    run = Run.open(sweep, dumped)
    if sweep.compare:
        steps.compare(run, cluster=cluster)
    assert steps.fit_maps(run, cluster=cluster)["maps"] == (0 if text == TINY else 18)
    assert [(plan.passes, plan.blocks, plan.cost) for plan in plans] == shown


def shown(text, tmp_path):
    console = Console(width=200, record=True)
    console.print(describe(Run.open(parse(text, where="planned", folder=tmp_path), tmp_path / "run")))
    return console.export_text()


def test_a_sweep_of_stitches_alone_shows_the_maps_that_it_fits(tmp_path, untimed):
    text = shown(MAPS_ALONE, tmp_path)
    assert "18 directed pairs, under positions, 18 maps of stitches among them, in 1 pass over" in text
    assert "fit maps" in text
    ahead = forecast(Run.open(parse(MAPS_ALONE, where="planned", folder=tmp_path), tmp_path / "run"))
    assert ahead.comparison is None
    assert ahead.fitting.cost.flops > 0


def test_pairs_of_images_alone_are_counted(tmp_path, untimed):
    assert "36 directed pairs, under pooled, from the first images of each layer alone" in shown(
        IMAGES_ALONE, tmp_path
    )


LAYERS_TOO = POOLED_AND_MAPS.replace(
    "[[stitch]]", 'layer_measures = ["participation_ratio", "two_nn"]\n\n[[stitch]]', 1
)


def test_numbers_of_single_layers_are_counted_and_computed_on_the_cluster_of_the_pairs(
    dumped, tmp_path, cluster, monkeypatch
):
    started = []
    of_step = sys.modules[steps.compare.__module__]
    monkeypatch.setattr(of_step, "cluster_of", lambda run: started.append(run) or nullcontext(cluster))
    monkeypatch.setattr("stitchpipe.steps.comparing.engine_run.cluster_of", None)
    run = Run.open(parse(LAYERS_TOO, where="planned", folder=tmp_path), dumped)
    ahead = forecast(run)
    done = steps.compare(run)
    assert done["numbers"] > 0
    assert done["layer_numbers"] == ahead.layer_numbers == 6 * 2
    assert started == [run]


def test_the_plan_says_how_many_numbers_of_single_layers_there_are(tmp_path, untimed):
    told = shown(LAYERS_TOO, tmp_path)
    assert "12 numbers, 6 layers under pooled" in told
    assert "about 90 s on this machine when idle" in told
    assert "single layers" not in shown(POOLED_AND_MAPS, tmp_path)


DELETIONS = LAYERS_TOO.replace("layer_measures = ", "deletions = true\nlayer_measures = ")


def test_deletions_are_counted_and_told(tmp_path, untimed):
    told = shown(DELETIONS, tmp_path)
    assert (
        "2 indices at up to 12 ranks and as many probes, 6 layers under pooled; each is read once more"
        in told
    )
    alone = shown(DELETIONS.replace('layer_measures = ["participation_ratio", "two_nn"]', ""), tmp_path)
    assert "numbers, 6 layers" not in alone
    assert "2 indices at up to 12 ranks" in alone


@pytest.fixture
def clocked(monkeypatch):
    """Let every trial of a layer take a second, and count the trials."""
    tried = []
    monkeypatch.setattr(layering, "_cpu_seconds", lambda work: tried.append(work()) or 1.0)
    return tried


def seconds(measures=(), deletions=(), *, p=(8,), n=(400, 400), view="pooled"):
    layers = [LayerShape("m", str(place), ("", ""), (width,), 4) for place, width in enumerate(p)]
    splits = [SplitShape("d", name, ((0, count),)) for name, count in zip(("train", "test"), n, strict=True)]
    asked = [LayerQuestions(view, tuple(measures), tuple(deletions))]
    return layer_seconds(asked, layers, splits, rate=float("inf"), classes=3)


def test_seconds_of_single_layers_grow_as_their_work_does(clocked):
    """A second for each trial: of more layers, more images and wider ones what they take follows."""
    one = seconds(["participation_ratio"])
    assert one == pytest.approx(1.0)
    assert seconds(["participation_ratio"], p=(8, 8, 8)) == pytest.approx(3.0)
    assert seconds(["participation_ratio"], n=(400, 4000)) == pytest.approx(1.0)  # moments are there
    assert seconds(["two_nn"], n=(400, 4000)) == pytest.approx(100.0)  # all pairs of images
    assert seconds(["linear_probe"], n=(4000, 4000)) == pytest.approx(10.0)
    assert seconds(["effective_rank"], p=(512,), n=(400, 9000)) == pytest.approx(8.0)  # p³
    assert seconds(["linear_probe"], p=(512,)) == pytest.approx(2.0)
    assert seconds(["two_nn", "linear_probe"]) == pytest.approx(2.0)
    assert all(number.value is not None or number.status == "too_few_directions" for number in clocked)


def test_each_rank_of_deletions_is_counted(monkeypatch):
    """Of the whole one second, of one rank three: two for each of the ranks of seven components."""
    monkeypatch.setattr(layering, "_cpu_seconds", lambda work: 1.0 + 2.0 * len(work().deletions))
    assert seconds(deletions=["cka", "rsa"]) == pytest.approx(1.0 + 2.0 * len(deletion_ranks(8)))
    assert seconds(deletions=["cka"], n=(1200, 400)) == pytest.approx(
        (1.0 + 2.0 * len(deletion_ranks(8))) * 2.0
    )


def test_what_moments_are_formed_of_is_counted_at_the_rate_of_products():
    layers = [LayerShape("m", "l", ("", ""), (16, 4, 4), 4)]
    splits = [SplitShape("d", "test", ((0, 100),))]
    asked = [LayerQuestions("positions", (), ())]
    assert layer_seconds(asked, layers, splits, rate=1e3, classes=3) == pytest.approx(
        2 * 100 * 16 * 16**2 / 1e3
    )


def test_reading_for_single_layers_is_told_as_for_pairs(monkeypatch, tmp_path):
    run = Run.open(parse(LAYERS_TOO, where="planned", folder=tmp_path), tmp_path / "run")
    ahead = forecast(run)
    monkeypatch.setattr(forecast_seconds, "layer_seconds", lambda *_, **__: 8.0)
    pairs = EngineSeconds({"reading": 3.0}, 0.0)
    (asked,) = ahead.layer_questions
    layers, splits = ahead.shapes
    read = sum(layer.sample_bytes for layer in layers) * splits[-1].n_samples
    assert asked.bytes_read(layers, splits) == read
    expected = 8.0 / run.sweep.run.workers + 3.0 * read / ahead.comparison.cost.bytes_read
    assert single_layer_seconds(run, ahead, pairs) == pytest.approx(expected)
    plain = Run.open(parse(POOLED_AND_MAPS, where="planned", folder=tmp_path), tmp_path / "run")
    assert single_layer_seconds(plain, forecast(plain), pairs) == 0.0
