"""How much of each phase is there: as it is declared now, and not as something of the same name was done."""

from __future__ import annotations

import pytest

from stitchpipe.config import parse
from stitchpipe.run import Run
from stitchpipe.run.ledger import Ledger, Outcome
from stitchpipe.steps.phases import phases
from stitchpipe.steps.unit_keys import unit_key
from tests.tiny_sweep import TINY


def there(run):
    return {phase.step: (phase.there, phase.units) for phase in phases(run, run)}


@pytest.fixture
def finished(tiny, tmp_path):
    """A copy of the finished run, with the outcomes that a command notes."""
    run = tiny.copy(tmp_path / "run")
    units = {"train A": ("train", ["A"]), "train org/B": ("train", ["org/B"]), "compare": ("compare", [])}
    for unit, (step, subject) in units.items():
        key = unit_key(run, step, subject)
        Ledger(run.place.files).note(Outcome(unit, "done", key, begun_s=0.0, seconds=2.0, worker="w"))
    return run


def test_of_a_finished_run_everything_is_there(finished):
    found = there(finished)
    assert {step: found[step] for step in ("inspect", "train", "dump", "compare", "stitch")} == {
        "inspect": (2, 2),
        "train": (2, 2),
        "dump": (4, 4),
        "compare": (1, 1),
        "stitch": (3, 3),
    }


def test_what_is_declared_otherwise_now_is_not_there(finished, tmp_path):
    text = TINY.replace("train = { epochs = 2, seed = 1 }", "train = { epochs = 3, seed = 1 }")
    found = there(Run.open(parse(text, where="a test", folder=tmp_path), finished.place))
    assert found["train"] == (1, 2)
    assert found["dump"] == (2, 4)
    assert found["compare"] == (0, 1)
    assert found["stitch"][0] == 0


def test_a_stitch_that_is_declared_otherwise_is_to_be_made(finished, tmp_path):
    text = TINY.replace('targets = ["A/layer1.0"]\nsteps = 12', 'targets = ["A/layer1.0"]\nsteps = 13')
    found = there(Run.open(parse(text, where="a test", folder=tmp_path), finished.place))
    assert found["train"] == (2, 2)
    assert found["stitch"] == (2, 3)
