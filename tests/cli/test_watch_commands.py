"""The doctor and the status from the command line: what is said, and the exit code."""

import json

from tests.cli.command import in_a_process, modules_loaded_by, stitchpipe


def test_the_doctor_of_a_folder_without_a_run_says_so_and_ends_with_one(tmp_path):
    ended = stitchpipe("doctor", tmp_path / "none", columns=120)
    assert ended.returncode == 1
    assert "problem" in ended.stdout
    assert "no folder" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_the_doctor_for_programs(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = stitchpipe("doctor", "--sweep", "quickstart", "--json")
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["well"]) == (0, True), told
    assert {check["subject"] for check in told["checks"]} == {"installation", "machine", "sweep"}


def test_a_server_that_is_configured_is_looked_at(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    ended = stitchpipe("doctor", "--json")
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
