"""What a run would do is what it does: the plans that are shown are those that are carried out."""

from __future__ import annotations

import sys
from contextlib import nullcontext

import pytest
from rich.console import Console

from stitchpipe import steps
from stitchpipe.cli.plan_tables import describe
from stitchpipe.config import parse
from stitchpipe.engine import Comparison
from stitchpipe.run import Run
from stitchpipe.steps.forecast import forecast
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
    assert "12 numbers, 6 layers under pooled" in shown(LAYERS_TOO, tmp_path)
    assert "single layers" not in shown(POOLED_AND_MAPS, tmp_path)
