"""Whole dumps into a bucket over a bad network: the same bytes as on a good one, or a clear error and a resume."""

import random

import pytest

from storage import StoreError, open_store
from tests.storage.object_server import BUCKET, new_objects
from tests.storage.small_dump import begin, finish, new_store, tree

LAYERS = ("blocks.1", "logits")
PASSING = (500, 503, 409, "delay", "reset", "lost", "cut")
USUAL = (503, "reset", "lost")
KINDS = (*PASSING, "alter", 404, 403)
REQUESTS = 100


def dump_into(url):
    finish(begin(new_store(url, row_groups=2), LAYERS))


def contents(server, url):
    prefix = url.removeprefix(f"s3://{BUCKET}/") + "/"
    found = {key.removeprefix(prefix): server.get(key) for key in server.keys(prefix)}
    return {key: data for key, data in found.items() if not key.startswith("commits/partial/")}


@pytest.fixture
def undisturbed(tmp_path):
    dump_into(tmp_path / "s")
    return tree(tmp_path / "s")


@pytest.fixture(autouse=True)
def impatience(monkeypatch):
    monkeypatch.setenv("STITCHPIPE_S3_RETRY_S", "0.2")


def schedule(proxy, generator, kinds):
    """Let a few random requests of the next dump go wrong; return the kinds."""
    proxy.clear()
    chosen = [generator.choice(kinds) for _ in range(generator.randrange(1, 5))]
    for kind in chosen:
        at = generator.randrange(REQUESTS)
        # an answer that is altered in the same way whenever it is asked for is what lies there, for all one can see
        times = 1 if kind == "alter" else generator.choice([1, 1, 2, 8])
        proxy.inject(kind, times=times, when=lambda request, at=at: len(proxy.seen) > at)
    return chosen


def disturbed_dump(proxy, server, generator, undisturbed, kinds=KINDS):
    """Dump through faults, again after each error; return the errors' kinds, and demand the same bytes."""
    url, errors = new_objects().url, []
    for attempt in range(4):
        chosen = schedule(proxy, generator, kinds) if attempt < 3 else proxy.clear()
        try:
            dump_into(url)
        except StoreError as error:
            errors.append(chosen)
            demand_clear(error, url)
            proxy.clear()
            demand_nothing_partial(url)
        else:
            break
    proxy.clear()
    assert contents(server, url) == undisturbed, f"other bytes after {chosen}"
    assert open_store(url).verify() == []
    return errors


def demand_clear(error, url):
    assert url in str(error), f"an error that names no place: {error}"
    assert error.remedy


def demand_nothing_partial(url):
    try:
        store = open_store(url)
    except StoreError:
        return
    assert {found.address.layer for found in store.representations()} in (set(), set(LAYERS))
    assert store.verify() == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("schedules", [2, pytest.param(32, marks=pytest.mark.slow)])
def test_a_dump_through_random_faults_ends_in_the_same_bytes_or_says_why_not(
    proxy, aws, undisturbed, monkeypatch, schedules
):
    generator = random.Random(schedules)
    monkeypatch.setattr(proxy, "slow_s", 0.02)
    errors = [disturbed_dump(proxy, aws, generator, undisturbed) for _ in range(schedules)]
    print(
        f"{schedules} dumps: {sum(map(bool, errors))} stopped {sum(map(len, errors))} times with a clear error"
    )


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in USUAL else pytest.mark.slow) for kind in PASSING]
)
def test_a_dump_goes_through_what_passes(proxy, aws, undisturbed, monkeypatch, kind):
    monkeypatch.setattr(proxy, "slow_s", 0.02)
    monkeypatch.setenv("STITCHPIPE_S3_RETRY_S", "30")
    proxy.clear()
    url = new_objects().url
    for at in range(3, REQUESTS, 16):
        proxy.inject(kind, times=2, when=lambda request, at=at: len(proxy.seen) > at)
    dump_into(url)
    assert contents(aws, url) == undisturbed


@pytest.mark.parametrize("kind", ["alter", pytest.param(404, marks=pytest.mark.slow)])
def test_an_answer_that_lies_never_ends_in_a_damaged_store(proxy, aws, undisturbed, kind):
    """Answers about files that carry no digest of their own, the last before the manifest and one at random."""
    proxy.clear()
    dump_into(new_objects().url)
    gets = {at: request.path for at, request in enumerate(proxy.seen) if request.method == "GET"}
    ends = ("/zarr.json", "/dump.json")
    last = [max(at for at, path in gets.items() if path.endswith(end)) for end in ends]
    for at in [*last, random.Random(1).choice(sorted(gets))]:
        proxy.clear()
        url = new_objects().url
        proxy.inject(kind, times=1, when=lambda request, at=at: len(proxy.seen) == at + 1)
        try:
            dump_into(url)
        except StoreError as error:
            demand_clear(error, url)
            proxy.clear()
            dump_into(url)
        proxy.clear()
        assert contents(aws, url) == undisturbed, f"other bytes after the {at}th answer"
        assert open_store(url).verify() == []
