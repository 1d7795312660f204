"""A unit under a claim, in this process: what goes on record of it."""

import time
from types import SimpleNamespace

from flows.unit import Unit
from stitchpipe.run import RunPlace
from stitchpipe.run.ledger import Ledger
from stitchpipe.steps.claimed import Claimant


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
