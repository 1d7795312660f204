"""Nights by their seeds: each must end as a quiet run does. `make nights` lets ten thousand happen."""

import logging
import os
import subprocess
import sys

import pytest

from tests.nights.__main__ import main
from tests.nights.bucket import Bucket
from tests.nights.disk import Disk, home_of_nights
from tests.nights.night import night, quiet_night
from tests.nights.units import MODELS, ROW_GROUPS, SPLITS

READING = {"get", "get_ranges", "head", "list", "stat", "open"}
"""What a place is asked that changes nothing in it: a file that is made is written, too, or linked."""

FOUND = {
    "d7": "a clock that was set back at a restart: the sign of life of a worker that the power cut had ended came from "
    "the future, and all others waited for a day",
    2: "a listing without the asker's own sign of life: the claim failed with a KeyError",
    24: "a listing that lagged behind: a dump whose row groups were all there was 'unfinished', for good",
    239: "a claim that could not be given back in an outage: its worker lived on, and all others waited for ever",
    1515: "a claim given back behind a lagging listing stayed with its worker, as if another had taken it: two runs "
    "waited for each other for ever",
}
"""Seeds that ended badly once, and what was mended; those of a bucket were drawn when its nights had fewer units."""


@pytest.fixture(autouse=True)
def _silent():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", range(0, 16, 8))
def test_nights_end_as_a_quiet_run(first):
    ended = [night(seed) for seed in range(first, first + 8)]
    assert {found.seed: found.problems for found in ended if found.problems} == {}
    assert sum(found.kills for found in ended) > 0


def test_nights_on_a_disk_end_as_a_quiet_run():
    ended = [night(f"d{number}") for number in range(10)]
    assert {found.seed: found.problems for found in ended if found.problems} == {}
    assert sum(found.kills for found in ended) > 0
    assert sum(found.cuts for found in ended) > 0


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_found_once_stays_mended(seed):
    assert night(seed).problems == []


def test_a_quiet_run_computes_everything_once():
    calm = quiet_night(Bucket)
    assert calm.computed == len(MODELS) * len(SPLITS) * ROW_GROUPS
    assert (calm.redone, calm.overlaps, calm.kills) == (0, 0, 0)
    assert calm.state == quiet_night(Disk).state


@pytest.mark.parametrize("seed", [1, "d7"])
def test_a_seed_gives_the_same_night_again(seed):
    first, second = night(seed), night(seed)
    assert first.told() == second.told()
    assert first.operations > 500


def test_the_command_says_how_many_ended_badly(capsys):
    assert main(["--seeds", "0", "d0", "--processes", "1"]) == 0
    assert "2 of 2 nights, 0 bad" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [Bucket, Disk], ids=["bucket", "disk"])
def test_a_finished_run_that_is_triggered_again_changes_nothing(kind):
    calm = quiet_night(kind)
    assert calm.operations_again
    assert {what for what in calm.operations_again if what not in READING} == set()


def test_folders_of_nights_that_were_killed_are_removed_and_no_others(monkeypatch, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    kept = [f"night-of-{os.getpid()}-a", "night-of-1-b", "night-qu8kmzl9", "night-of-nobody-c"]
    for name in (*kept, f"night-of-{ended.pid}-d"):
        (tmp_path / name / "disk").mkdir(parents=True)
    assert home_of_nights.__wrapped__(tmp_path) == tmp_path
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
