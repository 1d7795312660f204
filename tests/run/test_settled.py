"""A finished command is known by a listing; whatever changes since makes the next one look for itself."""

import pytest

from stitchpipe.config import parse
from stitchpipe.run import RunPlace
from stitchpipe.run.settled import Settled

SWEEP = """
name = "settled"
data = { kind = "digits", seed = 0 }
[[models]]
name = "A"
architecture = "cifar_resnet"
weights = "a.safetensors"
"""
STEPS = ("dump", "compare")


@pytest.fixture
def settled(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"weights")
    place = RunPlace.at(tmp_path / "run")
    place.files.write("results/compare-1", ".parquet", b"numbers")
    settled = Settled(parse(SWEEP, where="sweep", folder=tmp_path), place)
    settled.note(STEPS, settled.stamp(), {})
    return settled


def test_nothing_is_on_record_before_a_command_has_ended(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"weights")
    settled = Settled(parse(SWEEP, where="sweep", folder=tmp_path), RunPlace.at(tmp_path / "run"))
    assert settled.found(STEPS) is None


def test_steps_that_were_taken_are_found_and_no_others(settled):
    assert settled.found(STEPS)["failed"] == {}
    assert settled.found(("dump",)) is not None
    assert settled.found((*STEPS, "report")) is None


def test_what_failed_by_itself_is_told_again(settled):
    settled.note(STEPS, settled.stamp(), {"units": {"dump A test": "no"}})
    assert settled.found(STEPS)["failed"] == {"units": {"dump A test": "no"}}


@pytest.mark.parametrize(
    "change",
    [
        lambda home, place: place.files.write("results/compare-2", ".parquet", b"more"),
        lambda home, place: next((home / "run" / "results").glob("*.parquet")).unlink(),
        lambda home, place: next((home / "run" / "results").glob("*.parquet")).write_bytes(b"longer numbers"),
        lambda home, place: (home / "a.safetensors").write_bytes(b"other weights"),
        lambda home, place: (home / "a.safetensors").unlink(),
    ],
    ids=["a new part", "a part that is gone", "a part of another size", "other weights", "no weights"],
)
def test_a_change_is_looked_into(settled, tmp_path, change):
    change(tmp_path, settled.place)
    assert settled.found(STEPS) is None


def test_another_declaration_is_another_command(settled, tmp_path):
    other = parse(SWEEP.replace("seed = 0", "seed = 1"), where="sweep", folder=tmp_path)
    assert Settled(other, settled.place).found(STEPS) is None


def test_who_works_and_how_long_it_took_changes_no_result(settled):
    settled.place.files.put_record("times/run", {"all": 1.0})
    assert settled.found(STEPS) is not None


def test_what_changes_while_a_command_works_is_not_settled(settled, tmp_path):
    stamp = settled.stamp()
    (tmp_path / "a.safetensors").write_bytes(b"weights that came meanwhile")
    settled.note(STEPS, stamp, {})
    assert settled.found(STEPS) is None


def test_the_page_belongs_to_the_report_alone(settled, tmp_path):
    settled.note(("report",), settled.stamp(), {})
    page = tmp_path / "run" / "report" / "index.html"
    page.parent.mkdir()
    page.write_text("somebody's own")
    assert settled.found(("report",)) is None
    assert settled.found(STEPS) is not None
