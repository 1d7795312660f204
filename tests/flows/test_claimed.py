"""A unit under a claim, in this process: what goes on record of it."""

import time
from types import SimpleNamespace

import pytest

from flows.unit import Unit
from stitchpipe.run import RunPlace
from stitchpipe.run.ledger import Ledger
from stitchpipe.steps.claimed import Claimant
from storage import CorruptError, LayoutError, NotFoundError


def test_the_time_of_the_work_stays_on_record_when_there_is_nothing_left_to_do(tmp_path):
    asked, waits = "one", iter((0.2, 0.0, 0.0))

    def perform(unit, report):
        time.sleep(next(waits))
        return {}

    work = SimpleNamespace(kept=lambda unit: None, key=lambda unit: asked, perform=perform)
    unit, ledger = Unit("compare", "quickstart", str(tmp_path)), Ledger(RunPlace.at(tmp_path).files)
    with Claimant(work) as claimant:
        for _ in range(2):
            assert claimant.carry_out(unit, lambda done, total: None, lambda key: None) == ("done", {})
            assert ledger.of("compare").seconds >= 0.2
        asked = "another"
        claimant.carry_out(unit, lambda done, total: None, lambda key: None)
    assert (ledger.of("compare").key, ledger.of("compare").seconds < 0.2) == ("another", True)


SAID = {"expected": "a store", "found": "nothing", "remedy": "Dump activations into it first."}


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (NotFoundError(where="store.zarr", **SAID), 2),
        (CorruptError(representation="A", row_group=0, file="c.0", **SAID), 2),
        (LayoutError(where="store.zarr", **SAID), 1),
    ],
)
def test_what_is_missing_or_damaged_is_tried_again_by_the_next_run(tmp_path, error, tries):
    raised = [error]

    def perform(unit, report):
        performed.append(unit)
        if raised:
            raise raised.pop()
        return {}

    performed = []
    work = SimpleNamespace(kept=lambda unit: None, key=lambda unit: "the same", perform=perform)
    unit, ledger = Unit("compare", "quickstart", str(tmp_path)), Ledger(RunPlace.at(tmp_path).files)
    with Claimant(work) as claimant:
        ended = [claimant.carry_out(unit, lambda done, total: None, lambda key: None)[0] for _ in range(2)]
    assert (len(performed), ended) == (tries, ["failed", "done" if tries == 2 else "failed"])
    assert ledger.of("compare").attempts == tries
    assert ledger.of("compare").is_final is (tries == 1)
