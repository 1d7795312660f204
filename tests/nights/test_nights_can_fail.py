"""Code that is wrong in one place, which some night of the first few must find."""

import logging
import os
from pathlib import Path

import pytest

from stitchpipe.run.claims import Claims
from stitchpipe.run.inventory import take_inventory
from stitchpipe.run.place import RunPlace
from stitchpipe.steps import claimed
from storage import Summaries
from storage.place.bucket import BucketPlace
from storage.place.local import LocalPlace
from storage.place.staging import StagedFile
from storage.summaries.file import SummaryFile
from storage.writing.dump import Dump
from tests.nights.bucket import Bucket
from tests.nights.disk import Disk
from tests.nights.night import night, quiet_night


@pytest.fixture(autouse=True)
def _silent():
    logging.disable(logging.CRITICAL)
    for kind in (Bucket, Disk):
        quiet_night(kind)  # of the code as it is
    yield
    logging.disable(logging.NOTSET)


def claims_not_asked(patch):
    patch.setattr(Claims, "take", lambda self, name: self._live())


def leases_without_end(patch):
    patch.setattr(Claims, "_gave_sign", lambda self, worker, signs: True)
    patch.setattr("stitchpipe.run.claims.Worker.is_gone", lambda self: False)


def leases_that_end_at_once(patch):
    patch.setattr(Claims, "_gave_sign", lambda self, worker, signs: False)


def creations_in_two_steps(patch):
    whole = BucketPlace.create

    def create(self, key, data):
        return whole(self, key, data[: len(data) // 2]) and self.replace(key, data) is None

    patch.setattr(BucketPlace, "create", create)


def row_groups_computed_again(patch):
    patch.setattr(Dump, "is_written", lambda self, row_group: False)
    patch.setattr(Dump, "missing_row_groups", lambda self, *, part=0, parts=1: [0, 1, 2])


def deaths_for_good(patch):
    patch.setattr("flows.worker_process.death_may_pass", lambda status: False)


def files_without_flushes(patch):
    patch.setattr("storage.place.durability.sync_file", lambda path: None)


def folders_without_flushes(patch):
    patch.setattr("storage.place.durability.sync_directory", lambda path: None)


def nothing_waits_for_the_disk(patch):
    commit = StagedFile.commit
    patch.setattr(StagedFile, "commit", lambda self, *, durable=True: commit(self, durable=False))


def _written_where_it_will_lie(place, key, data):
    path = Path(place.path(key))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def what_others_wrote_is_not_flushed(patch):
    patch.setattr(LocalPlace, "make_durable", lambda self, key: self.size(key) is not None)


def work_is_whole_where_its_header_is(patch):
    patch.setattr(Summaries, "is_whole", lambda self, kind, key: self.read_or_none(kind, key, []) is not None)


def damaged_work_is_read(patch):
    patch.setattr(SummaryFile, "_demand_digest", lambda self, entry, digest: None)


def records_written_in_place(patch):
    def create(self, key, data):
        is_free = self.size(key) is None
        if is_free:
            _written_where_it_will_lie(self, key, data)
        return is_free

    patch.setattr(LocalPlace, "create", create)


def pages_written_in_place(patch):
    patch.setattr(LocalPlace, "replace", _written_where_it_will_lie)


def names_moved_over_others(patch):
    def linked(self):
        self._named(os.rename)
        self._begun = False
        return True

    patch.setattr(StagedFile, "_linked", linked)


def unfinished_files_stay(patch):
    patch.setattr(StagedFile, "discard", lambda self: None)


def full_disks_for_good(patch):
    kinds = [kind for kind in claimed._PASSING if kind.__name__ != "WriteError"]
    patch.setattr(claimed, "_PASSING", tuple(kinds))


def records_as_they_are_listed(patch):
    patch.setattr("storage.checked_files.versions.Versions.after", lambda self, number: None)


def absence_for_good(patch):
    patch.setattr(claimed, "NotFoundError", ZeroDivisionError)


def inventories_before_the_page(patch):
    publish = RunPlace.publish_report

    def published(self, *arguments):
        take_inventory(self)
        publish(self, *arguments)

    patch.setattr(RunPlace, "publish_report", published)
    patch.setattr("tests.nights.units.take_inventory", lambda place: None)


DISK = [f"d{seed}" for seed in range(10)]


@pytest.mark.parametrize(
    ("wrong", "seeds"),
    [
        (claims_not_asked, [3, *range(10)]),
        (leases_without_end, [2, *range(5)]),
        (leases_that_end_at_once, [3, *range(10)]),
        (creations_in_two_steps, [1, *range(20)]),
        (row_groups_computed_again, [29, *range(20, 30)]),
        (deaths_for_good, [2, *range(10)]),
        (records_as_they_are_listed, [2, *range(10)]),
        (absence_for_good, [173, *range(20)]),
        (files_without_flushes, DISK),
        (folders_without_flushes, DISK),
        (nothing_waits_for_the_disk, DISK),
        (what_others_wrote_is_not_flushed, ["d10", "d0", "d5"]),
        (work_is_whole_where_its_header_is, ["d9", "d4"]),
        (damaged_work_is_read, ["d44", "d9"]),
        (records_written_in_place, DISK),
        (pages_written_in_place, ["d3", *DISK]),
        (names_moved_over_others, DISK),
        (unfinished_files_stay, DISK),
        (full_disks_for_good, ["d23", *DISK]),
        (inventories_before_the_page, ["d11", *DISK]),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_fault_in_the_code_is_found_within_a_few_nights(monkeypatch, wrong, seeds):
    """Seeds are tried in turn; the first is the one that found it when this was written."""
    wrong(monkeypatch)
    found = next((seed for seed in seeds if night(seed).problems), None)
    assert found is not None
    print(f"found by seed {found}")
