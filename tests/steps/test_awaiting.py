"""Results that must be there and are not listed yet are waited for in a bucket, and nowhere else."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from stitchpipe.run.ledger import Ledger, Outcome
from stitchpipe.steps import awaiting
from stitchpipe.steps.awaiting import WAITS_S, until_listed
from stitchpipe.steps.claimed import may_pass
from storage import CheckedFiles, EvictedError, NotFoundError, open_place

UNITS = {"compare": "key", "stitch A layer1": "other key"}


@dataclass(frozen=True)
class Seen:
    number: int
    is_whole: bool


@pytest.fixture
def waited(monkeypatch):
    seconds = []
    monkeypatch.setattr(awaiting, "time", SimpleNamespace(sleep=seconds.append))
    return seconds


@pytest.fixture
def bucket(tmp_path):
    return SimpleNamespace(url="s3://b/run", is_folder=False, files=CheckedFiles(open_place(tmp_path)))


def looks(*wholes):
    seen = [Seen(number, is_whole) for number, is_whole in enumerate(wholes)]
    return lambda: seen.pop(0)


def note(place, units, state="done"):
    for unit, key in units.items():
        Ledger(place.files).note(Outcome(unit, state, key, 0.0, 1.0, "worker"))


def test_what_the_ledger_calls_done_is_waited_for(bucket, waited):
    note(bucket, UNITS)
    assert until_listed(bucket, looks(False, False, True), lambda: UNITS).number == 2
    assert waited == [*WAITS_S[:2]]


def test_what_never_comes_is_said(bucket, waited, caplog):
    note(bucket, UNITS)
    assert not until_listed(bucket, looks(*[False] * (1 + len(WAITS_S))), lambda: UNITS).is_whole
    assert waited == [*WAITS_S]
    assert "s3://b/run" in caplog.text


@pytest.mark.parametrize(
    "known",
    [{}, {"compare": "key"}, {**UNITS, "compare": "asked otherwise"}],
    ids=["nothing", "one", "another key"],
)
def test_what_was_not_done_is_not_waited_for(bucket, waited, known):
    note(bucket, known)
    assert until_listed(bucket, looks(False), lambda: UNITS).number == 0
    assert waited == []


def test_what_failed_and_what_lies_in_a_folder_is_not_waited_for(bucket, waited):
    note(bucket, UNITS)
    folder = SimpleNamespace(**{**vars(bucket), "is_folder": True})
    assert until_listed(folder, looks(False), lambda: UNITS).number == 0
    note(bucket, {"compare": "key"}, "failed")
    assert until_listed(bucket, looks(False), lambda: UNITS).number == 0
    assert waited == []


@pytest.mark.parametrize(
    ("kind", "where", "passes"),
    [
        (NotFoundError, "s3://b/run/store.zarr", True),
        (EvictedError, "s3://b/run/store.zarr", False),
        (NotFoundError, "/runs/a/store.zarr", False),
    ],
)
def test_what_a_bucket_does_not_show_may_be_there_later(kind, where, passes):
    error = kind(where=where, expected="a representation", found="none", remedy="Dump it.")
    assert may_pass(error) is passes
