"""Crashes just after a file operation, around every request to a bucket, and in pairs."""

import os
import random
from contextlib import suppress

import obstore
import pytest

from storage import NotFoundError, open_store
from tests.storage.crashing import OPERATIONS, Crash
from tests.storage.object_server import BUCKET, new_objects
from tests.storage.small_dump import address, begin, finish, new_store, tree, truth

LAYERS = ("logits",)
REQUESTS = ("put", "get", "get_ranges", "head", "list", "list_with_delimiter", "delete")


class CrashAfter:
    """Lets operations of a module happen, then dies: before the next one, or after it and before its answer."""

    def __init__(self, monkeypatch, module, names, *, after, answered=True):
        self.left, self.answered, self.dead, self.count = after, answered, False, 0
        for name in names:
            monkeypatch.setattr(module, name, self.wrapped(getattr(module, name)))

    def wrapped(self, original):
        def operation(*arguments, **keywords):
            if self.dead:
                raise Crash
            if self.left == 0:
                self.dead = True
                if not self.answered:
                    with suppress(Exception):
                        original(*arguments, **keywords)
                raise Crash
            self.left -= 1
            self.count += 1
            return original(*arguments, **keywords)

        return operation


def dump_into(url):
    finish(begin(new_store(url, row_groups=2), LAYERS))


def crashed(monkeypatch, where, url, *, after, answered=True):
    """Dump until the crash; return the operations that happened, and whether the dump was finished."""
    with monkeypatch.context() as patched:
        crash = CrashAfter(patched, *where, after=after, answered=answered)
        try:
            dump_into(url)
        except Crash:
            return crash.count, False
        return crash.count, True


def demand_all_or_nothing(url):
    """Return whether readers see the dump: all of it, and verified, or nothing."""
    try:
        store = open_store(url)
    except NotFoundError:
        return False
    seen = {found.address.layer for found in store.representations()}
    assert seen in (set(), set(LAYERS))
    assert store.verify() == []
    if seen:
        assert store.representation(address("logits")).read_rows(slice(None)).tobytes() == wanted(store)
    return bool(seen)


def wanted(store):
    return truth(store, "logits").tobytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed") / "s"
    dump_into(root)
    return tree(root)


@pytest.fixture
def disk(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # a process that dies takes nothing with it
    places = iter(range(10**6))
    return (os, OPERATIONS), lambda: str(tmp_path / str(next(places))), tree


@pytest.fixture
def bucket(aws):
    def contents(url):
        prefix = url.removeprefix(f"s3://{BUCKET}/") + "/"
        found = {key.removeprefix(prefix): aws.get(key) for key in aws.keys(prefix)}
        return {key: data for key, data in found.items() if not key.startswith("commits/partial/")}

    return (obstore, REQUESTS), lambda: new_objects().url, contents


@pytest.fixture(params=["disk", "bucket"])
def place(request):
    return request.getfixturevalue(request.param)


def crash_and_resume(place, monkeypatch, undisturbed, *crashes):
    """Crash at each of some points in turn, then finish; return how often the dump was sealed before the end."""
    where, new_url, contents = place
    url, sealed = new_url(), 0
    for after, answered in crashes:
        crashed(monkeypatch, where, url, after=after, answered=answered)
        sealed += demand_all_or_nothing(url)
    dump_into(url)
    assert contents(url) == undisturbed
    return sealed


def n_operations(place, monkeypatch):
    where, new_url, _ = place
    count, finished = crashed(monkeypatch, where, new_url(), after=10**9)
    assert finished
    return count


@pytest.mark.parametrize("answered", [True, False], ids=["before", "after"])
def test_a_dump_that_crashes_around_an_operation_resumes_to_the_same_bytes(
    place, monkeypatch, undisturbed, answered
):
    count = n_operations(place, monkeypatch)
    assert count > 60
    on_disk = place[0][0] is os
    points = range(count % 5, count, 11 if on_disk else 45)
    sealed = sum(crash_and_resume(place, monkeypatch, undisturbed, (at, answered)) for at in points)
    assert sealed <= len(points) // 3


def test_pairs_of_crashes_resume_to_the_same_bytes(place, monkeypatch, undisturbed):
    generator = random.Random(11)
    count = n_operations(place, monkeypatch)
    for _ in range(6 if place[0][0] is os else 1):
        pair = [(generator.randrange(count), generator.random() < 0.5) for _ in range(2)]
        crash_and_resume(place, monkeypatch, undisturbed, *pair)


@pytest.mark.slow
def test_every_point_and_many_pairs(place, monkeypatch, undisturbed):
    generator = random.Random(12)
    count, on_disk = n_operations(place, monkeypatch), place[0][0] is os
    # on a disk, those before an operation are all in the default run (test_store_crashes)
    single = [[(at, not on_disk and at % 2 > 0)] for at in range(0, count, 1 if on_disk else 3)]
    pairs = [
        [(generator.randrange(count), generator.random() < 0.5) for _ in range(2)]
        for _ in range(100 if on_disk else 12)
    ]
    for crashes in single + pairs:
        crash_and_resume(place, monkeypatch, undisturbed, *crashes)
    print(f"{len(single)} points, {len(pairs)} pairs")
