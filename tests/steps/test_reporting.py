"""What the page is told of failures: once, by the subject of each unit, whatever names hold."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from stitchpipe.run.ledger import Ledger, Outcome, Reason
from stitchpipe.run.place import RunPlace
from stitchpipe.steps.reporting import _failed, _left_out

REASON = Reason("net", "a file", "none", "Look.", kind="DataError", passing=False)


@pytest.fixture
def run(tmp_path):
    """A run of three models, of which two had to be left out."""
    models = [SimpleNamespace(name=name) for name in ("my model", "B")]
    sweep = SimpleNamespace(left_out=frozenset({"a net", "codes of a net"}), models=models)
    return SimpleNamespace(place=RunPlace.at(tmp_path), sweep=sweep)


def note(run, unit, *subject, state="failed"):
    reason = REASON if state == "failed" else None
    Ledger(run.place.files).note(Outcome(unit, state, "k", 0.0, 1.0, "w", 2, reason, subject))


def test_a_unit_is_told_by_its_subject(run):
    note(run, "dump my model test", "my model", "test")
    note(run, "train a net", "a net")
    note(run, "stitch B layer 1", "B", "layer 1", state="done")
    note(
        run, "train model", "model"
    )  # of another sweep in the same place, though its name is a word of one here
    note(run, "compare")
    failed = _failed(run)
    assert [(row["unit"], row["model"]) for row in failed] == [
        ("compare", ""),
        ("dump my model test", "my model"),
        ("train a net", "a net"),
        ("codes of a net", "codes of a net"),
    ]
    assert failed[0]["why"] == "net: expected a file, found none. Look."
    assert failed[0]["tried"] == "2 ×"


def test_what_is_left_out_follows_from_what_failed(run):
    note(run, "train a net", "a net")
    assert _left_out(run, _failed(run)) == {
        "a net": "train a net: net: expected a file, found none. Look.",
        "codes of a net": "left out, because of what failed before",
    }


def test_a_page_does_not_tell_that_a_report_failed_before_it(run):
    note(run, "report")
    assert "report" not in [row["unit"] for row in _failed(run)]


def test_records_of_before_have_no_subject(run):
    note(run, "train B")
    assert [row["model"] for row in _failed(run) if row["unit"] == "train B"] == ["B"]
