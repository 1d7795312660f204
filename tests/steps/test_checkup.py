"""What the doctor finds: each thing that can be amiss is made amiss, and said with what to do; nothing is raised."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import numpy as np
import pytest

from stitchpipe.errors import ExplainedError
from stitchpipe.run import RunPlace
from stitchpipe.run.claims import Claims
from stitchpipe.run.ledger import Ledger, Outcome, Reason
from stitchpipe.steps.checkup import Look, checks_of, installation, machine, ok
from stitchpipe.steps.checkup.declared import looks_at_sweep
from stitchpipe.steps.checkup.installation import looks_at_installation
from stitchpipe.steps.checkup.machine import looks_at_machine
from stitchpipe.steps.checkup.run_place import checks_of_run
from storage import LayerSpec, open_store
from tests.storage.object_server import BUCKET, aws, object_server

__all__ = ["aws", "object_server"]


def named(checks, name):
    """Return the one check of a name."""
    (check,) = [check for check in checks if check.name == name]
    return check


def contents(file):
    return file.read_bytes() if file.is_file() else b""


@pytest.fixture
def run(tmp_path):
    """A run that has begun: a declaration, and a store with a dump that nobody finished."""
    place = RunPlace.at(tmp_path / "run")
    place.declare('name = "x"\n')
    store = open_store(place.store_url, mode="a")
    store.add_split("digits", "test", [str(number) for number in range(8)], row_groups=2)
    job = store.begin_dump(
        dataset="digits", split="test", model="A", layers={"a": LayerSpec((3,), "float32")},
        identity={"weights": "w"}, provenance={},
    )  # fmt: skip
    job.write(0, {"a": np.ones((4, 3), "float32")})
    return place


def failed(unit, *, passing, found="a NaN"):
    reason = Reason("model 'A'", "finite values", found, "Look at it.", "ValueError", passing)
    return Outcome(unit, "failed", "k", 0.0, 1.0, "w", 1, reason)


def test_a_look_that_raises_or_takes_too_long_is_a_problem_and_the_others_are_heard():
    def refuses():
        raise ExplainedError(where="there", expected="this", found="that", remedy="Do so.")

    never = threading.Event()
    looks = [
        Look("x", "breaks", lambda: 1 / 0),
        Look("x", "hangs", lambda: never.wait() and [], within_s=0.1),
        Look("x", "refuses", refuses),
        Look("x", "works", lambda: [ok("x", "works", "all")]),
    ]
    checks = checks_of(looks)
    never.set()
    assert [(check.name, check.state) for check in checks] == [
        ("breaks", "problem"),
        ("hangs", "problem"),
        ("refuses", "problem"),
        ("works", "ok"),
    ]
    assert "ZeroDivisionError" in checks[0].found
    assert "no answer" in checks[1].found
    assert (checks[2].found, checks[2].remedy) == ("there: that, where this was expected", "Do so.")


def test_a_package_of_another_version_is_named(monkeypatch):
    assert all(check.state == "ok" for check in checks_of(looks_at_installation()))
    told = installation.version
    monkeypatch.setattr(installation, "version", lambda name: "3.9.1" if name == "prefect" else told(name))
    check = named(checks_of(looks_at_installation()), "prefect")
    assert check.state == "problem"
    assert check.found == "3.9.1, where <3.9,>=3.8.8 is needed"


def test_scratch_of_the_dead_is_told_from_that_of_the_living(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("dead", "living", "young"):
        (tmp_path / f"stitchpipe-{name}").mkdir()
    old = time.time() - 3600
    with (tmp_path / "stitchpipe-living" / "0.log").open("w"):
        for name in ("dead", "living"):
            os.utime(tmp_path / f"stitchpipe-{name}", (old, old))
        check = named(checks_of(looks_at_machine(tmp_path)), "scratch")
    assert check.state == "warning"
    assert "stitchpipe-dead" in check.found
    assert "living" not in check.found
    assert "young" not in check.found


def test_a_full_disk_and_too_many_threads_are_told(tmp_path, monkeypatch):
    usage = machine.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage._replace(free=2**20))
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    checks = checks_of(looks_at_machine(tmp_path / "not" / "yet"))
    assert named(checks, "working folder").state == "problem"
    assert named(checks, "threads").state == "warning"


def test_a_sweep_that_asks_for_more_than_there_is(tmp_path):
    file = tmp_path / "x.toml"
    model = 'name = "A"\narchitecture = "resnet18"\nuntrained = true'
    text = f'name = "x"\ndata = {{ kind = "digits" }}\n[[models]]\n{model}\n'
    file.write_text(f"{text}[run]\nworkers = 64\nmemory_limit_bytes = {2**49}\n")
    checks = checks_of(looks_at_sweep(str(file)))
    assert named(checks, "share of the machine").state == "problem"
    file.write_text(text.replace("digits", "digts"))
    (check,) = checks_of(looks_at_sweep(str(file)))
    assert check.state == "problem"


def test_a_run_that_is_well(tiny):
    checks = checks_of_run(str(tiny.root))
    assert {check.state for check in checks} == {"ok"}, checks


@pytest.mark.parametrize("there", [False, True])
def test_no_run(tmp_path, there):
    place = tmp_path / "nothing"
    if there:
        place.mkdir()
    check = named(checks_of_run(str(place)), "place")
    assert check.state == ("warning" if there else "problem")
    assert place.exists() == there


def test_claims_of_the_lost_and_units_that_failed(run):
    with Claims(run.files) as lost:
        lost.worker = replace(lost.worker, name="far-1-0", host="far", birth="")
        lost.take("train B")
        lost._files.stop_sign(lost.worker.name)
        Ledger(run.files).note(failed("dump B test", passing=False))
        Ledger(run.files).note(failed("stitch A l", passing=True))
        checks = checks_of_run(run.url)
    claims = named(checks, "claims")
    assert (claims.state, "train B" in claims.found, "far" in claims.found) == ("warning", True, True)
    final, passing = (check for check in checks if check.name == "units")
    assert (final.state, "dump B test (a NaN)" in final.found) == ("problem", True)
    assert "--retry-failed" in final.remedy
    assert (passing.state, "stitch A l" in passing.found) == ("warning", True)


def test_a_dump_that_nobody_works_on(run):
    check = named(checks_of_run(run.url), "dumps")
    assert (check.state, check.found.split(" is ")[0]) == ("warning", "dump A test")
    with Claims(run.files) as claims:
        claims.take("dump A test")
        assert "dumps" not in [check.name for check in checks_of_run(run.url)]
        claims.take("dump A train")
        claims.give_back("dump A test")
        assert named(checks_of_run(run.url), "dumps").state == "warning"


def test_a_damaged_record_is_found_without_a_traceback(run, tmp_path):
    run.files.put_record("models/A/model", {"epochs": 3})
    (record,) = (file for file in (tmp_path / "run" / "commits").rglob("*") if b"epochs" in contents(file))
    record.write_bytes(record.read_bytes()[:-9])
    check = named(checks_of_run(run.url), "records")
    assert check.state == "problem"
    assert f"stitchpipe repair {run.url}" in check.remedy


def test_a_bucket(aws):
    place = RunPlace.at(f"s3://{BUCKET}/{uuid4().hex}")
    place.declare('name = "x"\n')
    checks = checks_of_run(place.url)
    assert {check.state for check in checks} == {"ok"}, checks
    assert [entry for entry in place.files.place.entries() if "doctor" in entry.key] == []


def test_a_bucket_that_does_not_answer(aws, monkeypatch):
    monkeypatch.setattr("stitchpipe.steps.checkup.run_place._PATIENCE_S", 0.2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    (check,) = checks_of_run(f"s3://{BUCKET}/{uuid4().hex}")
    assert check.state == "problem"
    assert aws.endpoint not in check.found


def test_a_clock_that_is_off(run, monkeypatch):
    told = type(run.files).signs
    later = timedelta(minutes=20).total_seconds()
    monkeypatch.setattr(
        type(run.files), "signs", lambda files: {name: at + later for name, at in told(files).items()}
    )
    check = named(checks_of_run(run.url), "clock")
    assert check.state == "warning"
    assert "1200 s ahead of" in check.found
