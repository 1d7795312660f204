"""Code that is wrong in one place, which some night of the first few must find."""

import logging

import pytest

from stitchpipe.run.claims import Claims
from storage.place.bucket import BucketPlace
from storage.writing.dump import Dump
from tests.nights.night import night, quiet_night


@pytest.fixture(autouse=True)
def _silent():
    logging.disable(logging.CRITICAL)
    quiet_night()  # of the code as it is
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


@pytest.mark.parametrize(
    ("wrong", "seeds"),
    [
        (claims_not_asked, range(10)),
        (leases_without_end, range(5)),
        (leases_that_end_at_once, range(10)),
        (creations_in_two_steps, range(20)),
        (row_groups_computed_again, range(20, 30)),
        (deaths_for_good, range(10)),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_fault_in_the_code_is_found_within_a_few_nights(monkeypatch, wrong, seeds):
    wrong(monkeypatch)
    found = next((seed for seed in seeds if night(seed).problems), None)
    assert found is not None
    print(f"found by seed {found}")
