"""How units ended, as records of a run."""

import pytest

from stitchpipe.run.ledger import Ledger, Outcome, Reason
from storage import CheckedFiles, NotFoundError, open_place

DONE = Outcome("dump A test", "done", "k1", begun_s=10.0, seconds=2.5, worker="w")


@pytest.fixture
def ledger(tmp_path):
    return Ledger(CheckedFiles(open_place(tmp_path)))


def test_the_last_outcome_counts(ledger):
    reason = Reason.of(
        NotFoundError(where="store", expected="a shard", found="none", remedy="Dump again."), passing=True
    )
    failed = Outcome("dump A test", "failed", "k1", 1.0, 2.0, "w", attempts=2, reason=reason)
    ledger.note(failed)
    assert ledger.of("dump A test") == failed
    ledger.note(DONE)
    assert ledger.outcomes() == {"dump A test": DONE}


def test_names_with_slashes_stay_apart(ledger):
    names = ["stitch A/layer1.0", "stitch A", "stitch A∕layer1"]
    for name in names:
        ledger.note(Outcome(name, "done", "k", 0.0, 0.0, "w"))
    assert set(ledger.outcomes()) == set(names)


def test_what_is_forgotten_was_never_there(ledger):
    ledger.note(DONE)
    ledger.forget("dump A test")
    assert ledger.of("dump A test") is None


def test_reasons_say_what_the_error_said():
    error = NotFoundError(where="model 'A'", expected="weights", found="none", remedy="Train it.")
    assert str(Reason.of(error, passing=False)) == str(error)
    assert Reason.of(ZeroDivisionError("division by zero"), passing=False).found.startswith(
        "ZeroDivisionError"
    )


def test_a_passing_reason_is_not_final():
    for passing in (True, False):
        reason = Reason.of(MemoryError(), passing=passing)
        assert Outcome("dump A", "failed", "k", 0.0, 0.0, "w", reason=reason).is_final is not passing


def test_a_reason_of_an_earlier_version_is_read(ledger):
    reason = Reason.of(KeyError("a"), passing=False)
    ledger.note(Outcome("dump A", "failed", "k", 0.0, 0.0, "w", reason=reason))
    name = ledger.files.record_names("units")[0]
    record = dict(ledger.files.record(name))
    del record["reason"]["of_the_place"]
    ledger.files.put_record(name, record)
    assert ledger.of("dump A").reason == reason


def test_the_step_is_what_stands_before_the_subject():
    assert [Outcome(unit, "done", "k", 0.0, 0.0, "w").step for unit in ("fit maps", "dump A test")] == [
        "fit maps",
        "dump",
    ]
