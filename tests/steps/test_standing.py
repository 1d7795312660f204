"""How far a run is, said from its records: every state, who works, how long the rest takes, metrics that parse."""

import os
import time
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stitchpipe.config import load
from stitchpipe.run import PlaceError, RunPlace
from stitchpipe.run.agenda import Agenda, agenda_declared
from stitchpipe.run.claims import Claims
from stitchpipe.run.file_names import dump_record, model_record
from stitchpipe.run.ledger import Ledger, Outcome, Reason
from stitchpipe.run.names import unit_record
from stitchpipe.steps import keep_agenda
from stitchpipe.steps.prometheus import bytes_of, exposition
from stitchpipe.steps.standing import standing
from tests.run.test_claims import age

UNITS = {
    "train": ("train A", "train B", "train org/C"),
    "dump": ("dump A test", "dump A train", "dump B test", "dump B train", "dump org/C test"),
    "compare": ("compare",),
}


def done(unit, seconds=10.0):
    return Outcome(unit, "done", "k", 100.0, seconds, "w")


def failed(unit, *, passing=False):
    reason = Reason(f"unit {unit}", "weights", 'a "NaN"\nhere', "Look.", "ValueError", passing)
    return Outcome(unit, "failed", "k", 200.0, 1.0, "w", 2, reason)


@pytest.fixture
def place(tmp_path):
    place = RunPlace.at(tmp_path / "run")
    Agenda("zoo", 1.0, UNITS).keep(place.files)
    return place


def states(found):
    return {unit.unit: unit.state for unit in found.units}


def test_every_state(place):
    Agenda("zoo", 2.0, UNITS, left_out=("org/C",)).keep(place.files)
    ledger = Ledger(place.files)
    for outcome in (
        done("train A"),
        done("dump A test", 30.0),
        failed("train B"),
        failed("dump A train part 2/4"),
    ):
        ledger.note(outcome)
    place.files.put_record(model_record("org/C"), {})
    with Claims(place.files) as claims:
        claims.take("dump B test part 1/2")
        found = standing(place)
        assert found.workers == 1
    assert states(found) == {
        "train A": "done",
        "train B": "failed",
        "train org/C": "done",
        "dump A test": "done",
        "dump A train": "failed",
        "dump B test": "under way",
        "dump B train": "left out",
        "dump org/C test": "left out",
        "compare": "missing",
    }
    assert found.is_complete
    (working,) = (unit for unit in found.units if unit.holder)
    assert working.holder.worker.pid == os.getpid()
    assert standing(place).count("under way") == 0


def test_what_was_done_before_outcomes_were_noted_counts(place):
    place.files.put_record(dump_record("A", "test"), {})
    place.files.put_record(dump_record("org/C", "test"), {})
    found = states(standing(place))
    assert (found["dump A test"], found["dump org/C test"], found["dump B test"]) == (
        "done",
        "done",
        "missing",
    )


def test_how_long_the_rest_takes(place):
    ledger = Ledger(place.files)
    ledger.note(done("dump A test", 30.0))
    ledger.note(done("dump A train", 50.0))
    train, dump, compare = standing(place).steps
    assert (dump.mean_s, dump.left_s) == (40.0, 120.0)
    assert (train.mean_s, train.left_s, compare.left_s) == (None, None, None)
    assert standing(place).left_s is None
    for unit in (*UNITS["train"], "compare"):
        ledger.note(done(unit))
    assert standing(place).left_s == 120.0
    ledger.note(done("dump B train", 40.0))
    with Claims(place.files) as here, Claims(place.files) as there:
        here.take("dump B test")
        there.worker = replace(there.worker, name="far-1-0", host="far", birth="")
        there.take("dump org/C test")
        found = standing(place)
    # Two workers have begun the last two units of 40 s a moment ago.
    assert found.workers == 2
    assert found.left_s == pytest.approx(40.0, abs=20.0)
    assert found.left_s < 40.0


def test_a_unit_that_says_how_far_it_is_goes_on_at_its_pace(place):
    with Claims(place.files) as claims:
        claims.take("compare")
        assert standing(place).steps[2].left_s is None
        claims.note("compare", 1, 4)
        place.files.give_sign(claims.worker.name, {"progress": {"compare": [1, 4]}})
        record = dict(place.files.record(unit_record("claims", "compare")))
        place.files.put_record(unit_record("claims", "compare"), {**record, "since_s": time.time() - 1000.0})
        found = standing(place)
    (unit,) = found.steps[2].units
    assert unit.holder.progress == (1, 4)
    # 1,000 s for a quarter, and a machine that is slow to look.
    assert 3000.0 <= found.steps[2].left_s < 4000.0


def test_what_the_plan_says_counts_where_nothing_is_done(place):
    Ledger(place.files).note(done("dump A test", 30.0))
    planned = {"train": 60.0, "dump": 1.0, "compare": 7.0}
    train, dump, compare = standing(place, planned=planned).steps
    assert (train.left_s, train.is_planned) == (60.0, True)
    assert (dump.left_s, dump.is_planned) == (120.0, False)
    assert (compare.left_s, compare.is_planned) == (7.0, True)


def test_claims_of_the_lost_are_not_under_way(place):
    with Claims(place.files) as lost:
        lost.worker = replace(lost.worker, name="far-1-0", host="far", birth="")
        lost.take("compare")
        age(place.files, lost.worker, by_s=600.0)
        found = standing(place)
    assert (states(found)["compare"], list(found.lost), found.workers) == ("missing", ["compare"], 0)


def test_of_two_sweeps_the_one_begun_last_unless_it_is_named(place):
    Agenda("other", 5.0, {"report": ("report",)}).keep(place.files)
    found = standing(place)
    assert (found.sweep, found.others) == ("other", ("zoo",))
    assert standing(place, sweep="zoo").sweep == "zoo"
    with pytest.raises(PlaceError, match="zoo"):
        standing(place, sweep="none")


def test_a_run_is_known_by_its_declaration_until_its_agenda_is_on_record(tiny, tmp_path):
    run = tiny.copy(tmp_path / "run")
    found = standing(run.place)
    assert not found.is_complete
    assert states(found)["dump org/B test"] == "done"
    assert states(found)["compare"] == "missing"  # nothing on record says that it was done
    keep_agenda(run.without(("org/B",)))
    found = standing(run.place)
    assert found.is_complete
    assert states(found)["stitch A layer1.0"] == "missing"
    assert "stitch org/B layer1.0" not in states(found)
    assert [unit.unit for unit in found.units][:2] == ["inspect A", "inspect org/B"]


def test_units_that_follow_from_a_sweep_alone():
    agenda = agenda_declared(load("quickstart"))
    assert agenda.units["dump"][:2] == ("dump A train", "dump A test")
    assert agenda.units["compare"] == ("compare",)
    assert (agenda.units["stitch"], agenda.is_complete) == ((), False)


def test_no_run(tmp_path):
    with pytest.raises(PlaceError, match="no agenda"):
        standing(RunPlace.at(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_metrics_are_read_by_prometheus_own_parser(place):
    ledger = Ledger(place.files)
    for outcome in (done("train A"), done("train B", 14.0), failed("dump A test")):
        ledger.note(outcome)
    found = replace(standing(place), url='s3://b/a "quoted" \\ name\nhere')
    text = exposition(found, bytes_of(place))
    families = {family.name: family for family in text_string_to_metric_families(text)}
    units = {
        (sample.labels["step"], sample.labels["state"]): sample.value
        for sample in families["stitchpipe_units"].samples
    }
    assert units["train", "done"] == 2
    assert units["dump", "failed"] == 1
    assert units["dump", "under_way"] == 0
    seconds = {
        (sample.name, sample.labels["step"]): sample.value
        for sample in families["stitchpipe_unit_seconds"].samples
    }
    assert families["stitchpipe_unit_seconds"].type == "summary"
    assert seconds["stitchpipe_unit_seconds_sum", "train"] == 24.0
    assert seconds["stitchpipe_unit_seconds_count", "train"] == 2
    assert all(family.documentation and family.type != "unknown" for family in families.values())
    assert {sample.labels["run"] for sample in families["stitchpipe_units"].samples} == {found.url}
    assert families["stitchpipe_run_bytes"].samples[0].value > 100
    (last,) = families["stitchpipe_last_outcome_timestamp_seconds"].samples
    assert last.value == 201.0
    assert abs(families["stitchpipe_scrape_timestamp_seconds"].samples[0].value - time.time()) < 3600
    for family in families.values():  # only counters end so by the conventions
        assert not family.name.endswith("_total")
