"""The doctor and the status from the command line: what is said, and the exit code."""

import json

import pytest

from stitchpipe.run import RunPlace
from stitchpipe.run.agenda import Agenda
from stitchpipe.run.ledger import Ledger, Outcome, Reason
from tests.cli.command import in_a_process, modules_loaded_by, refused, stitchpipe


def test_the_doctor_of_a_folder_without_a_run_says_so_and_ends_with_one(tmp_path):
    ended = stitchpipe("doctor", tmp_path / "none", columns=120)
    assert ended.returncode == 1
    assert "problem" in ended.stdout
    assert "no folder" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_the_doctor_for_programs(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)  # that of the tests of flows, in the same process
    ended = stitchpipe("doctor", "--sweep", "quickstart", "--format", "json")
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["well"]) == (0, True), told
    assert {check["subject"] for check in told["checks"]} == {"installation", "machine", "sweep"}


def test_a_server_that_is_configured_is_looked_at(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    ended = stitchpipe("doctor", "--format", "json")
    subjects = [check["subject"] for check in json.loads(ended.stdout)["checks"]]
    assert (ended.returncode, "server" in subjects) == (1, True)


def test_the_doctor_imports_no_heavy_library():
    heavy = modules_loaded_by(
        "import stitchpipe.cli.watch_commands, stitchpipe.steps.checkup.run_place, "
        "stitchpipe.steps.checkup.scheduler, stitchpipe.steps.checkup.declared",
        "torch", "prefect", "distributed", "pandas", "sklearn",
    )  # fmt: skip
    assert heavy == []


def test_the_doctor_in_a_process(tmp_path):
    ended = in_a_process("doctor", tmp_path)
    assert "installation: packages" in ended.stdout.replace("\n", "")


@pytest.fixture
def run(tmp_path):
    """A run of which one unit is done and one failed."""
    place = RunPlace.at(tmp_path / "run")
    Agenda("zoo", 1.0, {"train": ("train A", "train B"), "compare": ("compare",)}).keep(place.files)
    reason = Reason("model 'B'", "finite weights", "a NaN", "Take others.", "ValueError", passing=False)
    Ledger(place.files).note(Outcome("train A", "done", "k", 0.0, 8.0, "w"))
    Ledger(place.files).note(Outcome("train B", "failed", "k", 0.0, 8.0, "w", 1, reason))
    return place


def test_status_says_what_failed_and_why(run):
    told = stitchpipe("status", run.url, columns=120).stdout
    assert "train B" in told
    assert "model 'B': expected finite weights, found a NaN. Take others." in told
    assert "--retry-failed" in told
    assert "Of compare nothing is done yet" in told


def test_status_for_programs(run):
    told = json.loads(stitchpipe("status", run.url, "--format", "json").stdout)
    assert {unit["unit"]: unit["state"] for unit in told["units"]} == {
        "train A": "done",
        "train B": "failed",
        "compare": "missing",
    }
    assert stitchpipe("status", run.url, "--format", "prometheus").stdout.startswith(
        "# HELP stitchpipe_units "
    )


def test_status_is_watched_until_nothing_is_left(run):
    Ledger(run.files).note(Outcome("compare", "done", "k", 0.0, 2.0, "w"))
    ended = stitchpipe("status", run.url, "--watch", "--every", "0.1", columns=120)
    assert (ended.returncode, "train B" in ended.stdout) == (0, True)


def test_status_of_no_run_is_refused(tmp_path):
    assert "expected a run that has begun" in refused("status", tmp_path / "none")


def test_status_imports_no_heavy_library():
    heavy = modules_loaded_by(
        "import stitchpipe.cli.watch_commands, stitchpipe.cli.status_tables, stitchpipe.steps.prometheus",
        "torch", "prefect", "distributed", "pandas", "sklearn",
    )  # fmt: skip
    assert heavy == []
