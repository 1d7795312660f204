"""Claims on units of work: one holder at a time, freed by its death, on a disk and in a bucket."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stitchpipe.run.claims import Claims, Worker
from storage import CheckedFiles, WriteError, open_place

HOLDING = """
import sys
from stitchpipe.run.claims import Claims
from storage import CheckedFiles, open_place
claims = Claims(CheckedFiles(open_place(sys.argv[1])))
assert claims.take("dump A test") is None
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def files(tmp_path: Path) -> CheckedFiles:
    return CheckedFiles(open_place(tmp_path))


@pytest.fixture
def elsewhere(files: CheckedFiles) -> Iterator[Claims]:
    """Return the claims of a worker of which this machine cannot know if it lives."""
    with Claims(files) as claims:
        claims.worker = replace(claims.worker, name="far-1-0", host="far", birth="")
        yield claims


def age(files: CheckedFiles, worker: Worker, by_s: float) -> None:
    """Make a worker's last sign of life older."""
    (sign,) = (entry for entry in files.place.entries("commits/partial/signs") if worker.name in entry.key)
    path = Path(files.place.path(sign.key))
    os.utime(path, (sign.modified_s - by_s, sign.modified_s - by_s))


def test_one_holder_until_it_gives_back(files, elsewhere):
    with Claims(files) as claims:
        assert elsewhere.take("dump A test") is None
        holder = claims.take("dump A test")
        assert holder is not None
        assert (holder.worker, holder.lives) == (elsewhere.worker, True)
        assert claims.take("dump B test") is None
        elsewhere.give_back("dump A test")
        assert claims.take("dump A test") is None
        assert elsewhere.take("dump A test").worker == claims.worker


def test_taken_twice_by_one_worker_is_still_its_own(files):
    with Claims(files) as claims:
        assert claims.take("dump A test") is None
        assert claims.take("dump A test") is None
        assert set(claims.held()) == {"dump A test"}


def test_at_its_end_a_worker_gives_all_back_and_leaves_no_sign(files):
    with Claims(files) as claims:
        claims.take("dump A test")
        claims.take("dump B test")
    assert Claims(files).held() == {}
    assert files.signs() == {}


def test_a_sign_of_life_says_how_far_the_work_is(files):
    with Claims(files, lease_s=0.1) as claims, Claims(files) as asking:
        claims.take("dump A test")
        claims.take("dump B test")
        assert {holder.progress for holder in asking.held().values()} == {None}
        claims.note("dump A test", 3, 20)
        while (found := asking.held())["dump A test"].progress is None:
            pass
        assert (found["dump A test"].progress, found["dump B test"].progress) == ((3, 20), None)
        assert found["dump A test"].whole_s(found["dump A test"].since_s + 6.0) == 40.0
        claims.give_back("dump A test")
        claims.take("dump A test")
        while asking.held()["dump A test"].progress is not None:  # what was said of an earlier try
            pass


@pytest.mark.parametrize(
    "saying",
    [
        {},
        {"progress": {"dump A test": [3]}},
        {"progress": {"dump A test": [5, 3]}},
        {"progress": {"dump A test": "x"}},
    ],
)
def test_a_sign_that_says_something_else_says_nothing(files, saying):
    with Claims(files) as claims:
        claims.take("dump A test")
        files.give_sign(claims.worker.name, saying)
        assert Claims(files).held()["dump A test"].progress is None


def test_a_sign_of_an_older_kind_or_cut_short_says_nothing(files):
    with Claims(files) as claims:
        claims.take("dump A test")
        (sign,) = files.place.entries("commits/partial/signs")
        for told in (b"1764443201\n", b'{"at_ns": 1, "say', b"\xff", b"[]"):
            files.place.replace(sign.key, told)
            assert Claims(files).held()["dump A test"].progress is None


def test_a_worker_without_signs_of_life_has_lost_its_claims(files, elsewhere):
    elsewhere.take("stitch A/layer1")
    with Claims(files, lease_s=60.0) as claims:
        age(files, elsewhere.worker, 50.0)
        assert claims.take("stitch A/layer1") is not None
        age(files, elsewhere.worker, 20.0)
        assert [holder.lives for holder in claims.held().values()] == [False]
        assert claims.take("stitch A/layer1") is None
        # Who lost a claim does not give back another's.
        elsewhere.give_back("stitch A/layer1")
        assert set(claims.held()) == {"stitch A/layer1"}


def test_a_sign_of_life_from_the_future_is_no_sign_of_life(files, elsewhere):
    """A clock that was a day ahead is set right at a restart; whoever worked before it is gone."""
    elsewhere.take("stitch A/layer1")
    with Claims(files, lease_s=60.0) as claims:
        age(files, elsewhere.worker, -50.0)
        assert claims.take("stitch A/layer1") is not None
        age(files, elsewhere.worker, -86400.0)
        assert claims.take("stitch A/layer1") is None


def test_a_killed_process_has_lost_its_claims_at_once(files, tmp_path):
    holding = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holding.stdout.readline() == b"held\n"
    with Claims(files) as claims:
        holder = claims.take("dump A test")
        assert holder.worker.pid == holding.pid
        holding.send_signal(signal.SIGKILL)
        holding.wait()
        assert claims.take("dump A test") is None


def test_of_many_workers_one_gets_a_unit(files):
    every = [Claims(files) for _ in range(8)]
    got = []
    barrier = threading.Barrier(len(every))

    def grab(claims: Claims) -> None:
        barrier.wait()
        if claims.take("dump A test") is None:
            got.append(claims)

    threads = [threading.Thread(target=grab, args=(claims,)) for claims in every]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    for claims in every:
        claims.close()


def test_claims_are_no_damage_and_signs_are_garbage(files, elsewhere):
    elsewhere.take("dump A test")
    assert files.verify() == []
    sign = [entry.key for entry in files.gc(older_than_s=-1.0).partial]
    assert sign == ["commits/partial/signs/far-1-0"]


def test_a_listing_that_lags_behind_our_claim_does_not_keep_it(files, elsewhere, monkeypatch):
    assert elsewhere.take("dump A test") is None
    elsewhere.give_back("dump A test")
    (before,) = files.records("claims").values()
    with Claims(files) as claims:
        assert claims.take("dump A test") is None
        written = []
        update = CheckedFiles.update_record

        def lagging(files, name, change):
            """The listing shows what stood there before our claim: to write behind it fails, and the truth is read."""
            written.append(change(before))
            return update(files, name, change)

        monkeypatch.setattr(CheckedFiles, "update_record", lagging)
        claims.give_back("dump A test")
        assert written[0] is not before
        monkeypatch.undo()
        assert elsewhere.take("dump A test") is None


def test_who_has_what_is_told_where_nothing_can_be_written(files, elsewhere, monkeypatch):
    elsewhere.take("dump A test")
    monkeypatch.setattr("storage.checked_files.signs.give", refuse)
    holders = Claims(files).held()
    assert [holder.lives for holder in holders.values()] == [True]


def refuse(*_: object) -> None:
    from storage import WriteError

    raise WriteError(path="run", n_bytes=0, cause="read-only")


def test_another_process_of_the_same_number_is_not_the_worker():
    here = Worker.here()
    assert not here.is_gone()
    assert replace(here, birth=f"{here.birth}1").is_gone()
    assert not replace(here, birth="").is_gone(), "a system that does not say is not taken for dead"


def test_a_claim_that_could_not_be_given_back_is_given_back_later(files, elsewhere, monkeypatch):
    """Its worker lives on: others would wait for it for ever."""
    with Claims(files, lease_s=0.2) as claims:
        assert claims.take("dump A test") is None
        with monkeypatch.context() as outage:
            outage.setattr(CheckedFiles, "update_record", refused)
            with pytest.raises(WriteError):
                claims.give_back("dump A test")
        patience = time.monotonic() + 60
        while elsewhere.take("dump A test") is not None:
            assert time.monotonic() < patience
            time.sleep(0.05)


def refused(*_):
    raise WriteError(path="claims", n_bytes=0, cause="no answer", remedy="Wait.")
