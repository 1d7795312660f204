import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from storage import FormatError, NotFoundError, StoreError, WriteError
from storage.errors import UnreachableError
from storage.format.keys import dump_key, shard_key
from storage.place import bucket
from storage.place.bucket import BucketPlace
from storage.place.names import encode_name
from tests.storage.object_server import BUCKET, SECRET, new_objects

DATA = bytes(range(256)) * 40


def puts(request):
    return request.method == "PUT"


def gets(request):
    return request.method == "GET"


def within(place):
    return place.url.removeprefix(f"s3://{BUCKET}/")


@pytest.mark.parametrize("kind", [500, 503, 409, "delay", "reset", "lost", "cut"])
def test_failures_that_pass_cost_time_alone(aws, proxy, kind):
    place = new_objects(request_timeout_s=0.5)
    place.create("a/b", DATA)
    proxy.inject(kind, times=2)
    assert place.read("a/b") == DATA
    proxy.inject(kind, times=2)
    assert place.read_ranges("a/b", [(3, 9), (9000, 9100)]) == [DATA[3:9], DATA[9000:9100]]
    proxy.inject(kind, times=1)
    assert place.create("a/c", DATA)
    proxy.inject(kind, times=1)
    assert [entry.key for entry in place.entries()] == ["a/b", "a/c"]
    proxy.inject(kind, times=1)
    assert place.directories() == ["a"]
    proxy.inject(kind, times=1)
    assert place.size("a/c") == len(DATA)
    proxy.inject(kind, times=1)
    place.remove("a/c")
    assert aws.keys(within(place)) == [f"{within(place)}/a/b"]


@pytest.mark.parametrize("kind", [500, 503, 409, "delay", "reset", "cut"])
def test_failures_that_stay_are_one_clear_error(proxy, kind):
    place = new_objects(retry_timeout_s=0.3, request_timeout_s=0.2)
    place.create("a/b", DATA)
    proxy.inject(kind, times=float("inf"))
    begun = time.monotonic()
    with pytest.raises(UnreachableError, match=r"times in \d") as caught:
        place.read("a/b")
    assert time.monotonic() - begun < 2
    assert len(proxy.seen) >= 3
    assert caught.value.where == place.path("a/b")
    assert caught.value.status == (kind if isinstance(kind, int) else None)
    if kind != "cut":  # the answer to a PUT has no body
        with pytest.raises(UnreachableError):
            place.create("a/c", b"x")


def test_one_more_attempt_is_made_however_long_the_first_took(proxy):
    place = new_objects(retry_timeout_s=0.0, request_timeout_s=0.3)
    place.create("a/b", b"x")
    proxy.inject("delay")
    assert place.read("a/b") == b"x"


def test_nobody_listening_is_an_error_in_time(aws, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("STITCHPIPE_S3_RETRY_S", "0.2")
    with pytest.raises(UnreachableError, match="AWS_ENDPOINT_URL"):
        new_objects().read("a")


REQUESTS = {
    "read": lambda place: place.read("a/b"),
    "read_ranges": lambda place: place.read_ranges("a/b", [(0, 1)]),
    "size": lambda place: place.size("a/b"),
    "create": lambda place: place.create("a/c", b"x"),
    "directories": lambda place: place.directories(),
    "entries": lambda place: list(place.entries()),
    "remove": lambda place: place.remove("a/b"),
    "quarantine": lambda place: place.quarantine("a/b"),
    "preflight": lambda place: place.preflight(),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_forbidden_is_an_error_at_once(proxy, name):
    place = new_objects()
    place.create("a/b", b"x")
    proxy.clear()
    proxy.inject(403, times=float("inf"))
    with pytest.raises(UnreachableError, match="policy") as caught:
        REQUESTS[name](place)
    assert len(proxy.seen) == 1
    assert caught.value.status == 403
    assert place.url in str(caught.value)


def test_no_bucket_is_not_no_file(aws):
    place = BucketPlace.at("s3://no-such-bucket/store")
    for name in ("read", "create", "directories", "entries", "preflight"):
        with pytest.raises(UnreachableError, match="bucket's name"):
            REQUESTS[name](place)


def test_a_404_is_not_found_and_not_for_ever(proxy):
    place = new_objects()
    place.create("a/b", DATA)
    proxy.inject(404)
    with pytest.raises(NotFoundError, match="a/b"):
        place.read("a/b")
    assert place.read("a/b") == DATA


def test_an_altered_byte_comes_through_for_digests_above_to_find(proxy):
    place = new_objects()
    place.create("a/b", DATA)
    proxy.inject("alter")
    assert place.read("a/b") == bytes([DATA[0] ^ 1]) + DATA[1:]


def test_a_creation_whose_answer_was_lost_is_known_as_our_own(proxy):
    place = new_objects()
    for turn in range(25):
        proxy.inject("lost", when=puts)
        assert place.create(f"a/{turn}", b"the same bytes") is True
        assert place.read(f"a/{turn}") == b"the same bytes"
    assert sum(map(puts, proxy.seen)) == 50


@pytest.mark.parametrize("data", [b"mine", b"theirs"], ids=["other bytes", "the same bytes"])
def test_a_creation_that_failed_before_somebody_elses_is_not_taken_for_our_own(proxy, aws, data):
    place = new_objects()

    def while_they_create(request):
        if puts(request):
            aws.s3.put_object(
                Bucket=BUCKET, Key=f"{within(place)}/a/b", Body=b"theirs", Metadata={"writer": "them"}
            )
        return puts(request)

    proxy.inject("reset", when=while_they_create)
    assert place.create("a/b", data) is False
    assert place.read("a/b") == b"theirs"


def test_a_creation_that_failed_before_a_removal_is_made_again(proxy, aws):
    place = new_objects()
    proxy.inject("lost", when=puts)
    proxy.inject(404, when=gets)  # what is found when the key is looked at: maintenance was faster
    proxy.inject("strip", when=lambda request: puts(request) and len(proxy.seen) > 3)
    assert place.create("a/b", b"x") is True
    assert [request.method for request in proxy.seen] == ["PUT", "PUT", "GET", "PUT"]


def test_without_metadata_the_bytes_decide(proxy, aws):
    place = new_objects()
    for key, theirs, made in (("a", b"mine", True), ("b", b"other", False)):
        aws.put(f"{within(place)}/{key}", theirs)  # as a server that keeps no metadata would show it
        proxy.inject("reset", when=puts)
        assert place.create(key, b"mine") is made


def test_eight_racing_creators_have_one_winner_per_key(proxy):
    place, start = new_objects(), Barrier(8)

    def race(writer):
        start.wait()
        return [place.create(f"a/{turn}", f"{writer}/{turn}".encode() * 50) for turn in range(20)]

    proxy.inject("lost", times=8, when=puts)
    proxy.inject(503, times=8, when=puts)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(race, range(8)))
    for turn in range(20):
        (winner,) = [writer for writer in range(8) if made[writer][turn]]
        assert place.read(f"a/{turn}") == f"{winner}/{turn}".encode() * 50


def test_a_server_without_conditional_writes_is_refused_and_nothing_is_left(proxy, aws):
    place = new_objects()
    proxy.inject("strip", times=float("inf"))
    with pytest.raises(WriteError, match="not refused") as caught:
        place.preflight()
    assert "If-None-Match" in caught.value.remedy
    proxy.clear()
    proxy.inject(501, times=float("inf"), when=puts)
    with pytest.raises(WriteError, match="not refused"):
        place.preflight()
    assert aws.keys(within(place)) == []


NAMES = [
    "ResNet/50",
    "é",
    "..",
    "a b",
    "50%",
    "%41",
    "x" * 300,
    "a~b",
    "?q#f&a=b+c",
    "\\",
    "commits",
    "名前",
    "nul\0",
]


def test_keys_in_the_bucket_are_ours_to_the_letter(aws, monkeypatch):
    monkeypatch.setattr(bucket, "PAGE", 3)
    place = new_objects()
    keys = [f"{dump_key(name, name, name, '0f' * 32)}/{shard_key(name, 1, 2)}" for name in NAMES]
    for key in keys:
        assert place.create(key, key.encode())
    assert aws.keys(within(place)) == sorted(f"{within(place)}/{key}" for key in keys)
    for key in keys:
        assert aws.get(f"{within(place)}/{key}") == key.encode() == place.read(key)
        assert place.read_ranges(key, [(1, 4)]) == [key.encode()[1:4]]
    assert [entry.key for entry in place.entries()] == sorted(keys)
    assert place.directories() == sorted(map(encode_name, NAMES))
    assert len(place.directories(encode_name("50%"))) == 1
    for key in keys:
        place.quarantine(key)
    assert all(key.startswith(f"{within(place)}/commits/quarantine/") for key in aws.keys(within(place)))


def test_a_store_may_fill_a_bucket_and_neighbours_stay_apart(aws):
    aws.s3.create_bucket(Bucket="whole")
    whole, part, neighbour = (BucketPlace.at(f"s3://whole{tail}") for tail in ("", "/a/b", "/a/bc"))
    part.create("x", b"1")
    neighbour.create("x", b"2")
    assert [entry.key for entry in whole.entries()] == ["a/b/x", "a/bc/x"]
    assert [entry.key for entry in part.entries()] == ["x"]
    assert whole.directories() == ["a"]
    assert whole.read("a/b/x") == b"1"


def test_pages_that_fail_are_asked_for_again(proxy, monkeypatch):
    monkeypatch.setattr(bucket, "PAGE", 2)
    place = new_objects()
    for turn in range(7):
        place.create(f"a/{turn}", b"")
    found = []
    for entry in place.entries("a"):
        proxy.inject("reset")
        found.append(entry.key)
    assert found == [f"a/{turn}" for turn in range(7)]


def test_quarantine_removes_nothing_before_its_bytes_are_safe(proxy, aws):
    place = new_objects(retry_timeout_s=0.05)
    place.create("a/b", DATA)
    proxy.inject(500, times=float("inf"), when=puts)
    with pytest.raises(UnreachableError):
        place.quarantine("a/b")
    assert aws.keys(within(place)) == [f"{within(place)}/a/b"]
    proxy.clear()
    proxy.inject(403, when=lambda request: request.method == "DELETE")
    with pytest.raises(UnreachableError):
        place.quarantine("a/b")
    moved = place.quarantine("a/b")
    assert aws.keys(within(place)) == [f"{within(place)}/{moved}"]
    assert place.read(moved) == DATA


def test_foreign_keys_no_store_has_are_named(aws):
    place = new_objects()
    aws.put(f"{within(place)}/a//b", b"")
    with pytest.raises(FormatError, match="segments"):
        list(place.entries())


CHILD = """
import pickle, sys
place = pickle.loads(bytes.fromhex(sys.argv[1]))
print(place.create("a/b", b"from a child"), place.create("c", b"from a child"), place.read("c").decode())
"""


def test_it_works_in_another_process(aws):
    place = new_objects()
    place.create("a/b", b"x")
    found = subprocess.run(
        [sys.executable, "-c", CHILD, pickle.dumps(place).hex()], capture_output=True, text=True, check=True
    )
    assert found.stdout.split(maxsplit=2) == ["False", "True", "from a child\n"]


def in_a_fork(act):
    """Return what a forked child says."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # one that waits in native code runs no handler
        signal.alarm(5)
        try:
            os.write(writing, str(act()).encode())
        except StoreError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        text = said.read().decode()
    os.waitpid(child, 0)
    return text


def test_a_child_forked_too_late_is_told_instead_of_waiting_for_ever(aws):
    place = new_objects()
    place.create("a/b", b"x")
    assert "'spawn'" in in_a_fork(lambda: place.read("a/b"))
    assert place.read("a/b") == b"x"


def test_secrets_are_in_no_message_and_no_pickle(proxy):
    place = new_objects(retry_timeout_s=0.0)
    place.create("a/b", b"x")
    said = [repr(place), str(place), repr(pickle.dumps(place)), place.path("a")]
    for kind in (403, 404, 503, "reset", 501):
        proxy.clear()
        proxy.inject(kind, times=9)
        with pytest.raises(StoreError) as caught:
            place.read("a/b")
        said += [repr(pickle.dumps(caught.value)), "".join(traceback.format_exception(caught.value))]
        assert caught.value.__context__ is None
    assert not any(SECRET in text or "AKID" in text for text in said)


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKID:hush@bucket/x", "s3://AKID:hush/y@bucket/x", "s3://hush@bucket", "s3://bucket:9000/x",
        "s3://bucket/x?X-Amz-Signature=hush", "s3://bucket/x#hush", "s3://", "s3:///x", "s3://ab/x", "s3://Bucket/x",
        "s3://-bucket/x", "s3://buc..ket/x", "s3://bucket//x", "s3://bucket/a/../x", "s3://bucket/a/./x",
        "s3://bucket/a\nb", "s3://bucket/a\\b", "gs://bucket/x", "/tmp/x", "", "https://AKID:hush@host/bucket",
    ],
)  # fmt: skip
def test_urls_that_name_no_bucket_are_refused_without_repeating_secrets(url):
    with pytest.raises(FormatError, match="s3://bucket/prefix") as caught:
        BucketPlace.at(url)
    assert "hush" not in str(caught.value)
    assert "AKID" not in str(caught.value)


def test_one_place_has_one_url(aws):
    assert BucketPlace.at("s3://bucket/a/") == BucketPlace.at("s3://bucket/a", retry_timeout_s=1.0)
    assert BucketPlace.at("s3://bucket/").url == BucketPlace.at("s3://bucket").url == "s3://bucket"
    urls = ["s3://bucket/a", "s3://bucket/a/", "s3://bucket/b"]
    assert len({BucketPlace.at(url) for url in urls}) == 2
