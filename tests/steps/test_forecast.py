"""What a run would do is what it does: the plans that are shown are those that are carried out."""

from __future__ import annotations

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
