"""Files, records and publications beside a store: what is promised of each, on a disk and in a bucket."""

import os
import pickle
import time
from pathlib import Path

import pytest

from storage import (
    CheckedFiles,
    CorruptError,
    LayoutError,
    NotFoundError,
    SchemaError,
    SymlinkError,
    open_place,
)
from tests.storage.object_server import new_objects
from tests.storage.small_run import MAPS, PAGES, RECORD, WEIGHTS, demand_filled, fill
from tests.storage.test_store_names import HOSTILE


def in_a_bucket(request):
    request.getfixturevalue("aws")
    return new_objects()


def in_a_folder(request):
    return open_place(request.getfixturevalue("tmp_path") / "new" / "run")


@pytest.fixture(params=[in_a_bucket, in_a_folder], ids=lambda factory: factory.__name__)
def files(request):
    return CheckedFiles(request.param(request), others=("store.zarr",))


@pytest.fixture
def local(tmp_path):
    return CheckedFiles(open_place(tmp_path / "run"))


def test_everything_comes_back_as_it_was_written(files):
    fill(files)
    demand_filled(files)
    fill(files)
    demand_filled(pickle.loads(pickle.dumps(files)))


def test_a_file_lies_under_its_digest_for_other_programs(local):
    file = local.write("maps/dm-1", ".safetensors", b"bytes")
    assert (file.digest, file.n_bytes) == (
        "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9"[:32],
        5,
    )
    assert file.key == f"maps/dm-1~{file.digest}.safetensors"
    assert Path(local.place.path(file.key)).read_bytes() == b"bytes"
    assert [path.name for path in Path(local.place.path("maps")).iterdir()] == [file.key.partition("/")[2]]


def test_the_first_bytes_of_a_name_stay(files):
    first = files.write("a", ".bin", b"first")
    assert files.write("a", ".bin", b"second") == first
    assert files.write("a", ".json", b"first") == first
    assert files.read("a") == b"first"
    assert [file.name for file in files.listing()] == ["a"]
    assert files.gc(older_than_s=0).uncommitted == ()


def test_what_is_not_there_is_not_found(files):
    assert files.find("a") is None
    assert files.record("a") is None
    assert files.listing() == files.listing("a") == []
    assert files.records() == {}
    assert files.verify() == []
    with pytest.raises(NotFoundError, match="a file of this name"):
        files.read("maps/a")
    with pytest.raises(NotFoundError, match="published"):
        files.read_published("report", "index.html")
    files.remove("a")
    files.remove_record("a")


def test_removed_is_gone_and_may_be_written_anew(files):
    fill(files)
    files.remove("maps/dm-1")
    files.remove_record("models/net")
    assert [file.name for file in files.listing("maps")] == ["maps/dm-0", "maps/dm-2", "maps/dm-3"]
    assert list(files.records()) == ["comparison"]
    assert files.verify() == []
    stale = files.find("maps/dm-2")
    files.remove("maps/dm-2")
    with pytest.raises(NotFoundError):
        files.read(stale)
    files.write("maps/dm-1", ".bin", b"another")
    assert files.read("maps/dm-1") == b"another"


def test_listings_are_of_a_folder_and_cost_two_requests(proxy):
    files = CheckedFiles(new_objects())
    fill(files)
    proxy.clear()
    assert [file.name for file in files.listing("maps")] == sorted(MAPS)
    assert len(proxy.seen) == 2
    assert [file.name for file in files.listing()] == [*sorted(MAPS), "weights/Net 1"]


def test_a_listing_says_what_find_says(files):
    fill(files)
    for file in files.listing():
        assert files.find(file.name) == file
        assert files.read(file) == files.read(file.name)


def test_a_record_that_does_not_change_gets_no_version(local):
    for _ in range(3):
        local.put_record("a", RECORD)
    local.update_record("a", lambda before: before)
    assert [entry.key for entry in local.place.files("commits/records/a")] == [
        "commits/records/a/~000000.json"
    ]


def test_a_record_is_changed_from_what_it_was(files):
    for _ in range(12):
        files.update_record("n", lambda before: {"n": 1 + (before or {"n": 0})["n"]})
    assert files.record("n") == {"n": 12}


def test_a_record_is_json(files):
    with pytest.raises(SchemaError):
        files.put_record("a", {"value": float("nan")})
    with pytest.raises(SchemaError):
        files.put_record("a", {1: 2})
    assert files.record("a") is None


def test_records_may_lie_in_folders_of_records(files):
    for name in ("a", "a/b", "a/b/~000000.json", "a/B"):
        files.put_record(name, {"name": name})
    assert files.records() == {name: {"name": name} for name in ("a", "a/B", "a/b", "a/b/~000000.json")}
    assert list(files.records("a/b")) == ["a/b", "a/b/~000000.json"]
    files.remove_record("a/b")
    assert list(files.records()) == ["a", "a/B", "a/b/~000000.json"]


def test_publishing_replaces_and_keeps_the_rest(files):
    files.publish("report", PAGES)
    files.publish("report", {"index.html": b"newer"})
    assert files.place.read("report/index.html") == files.read_published("report", "index.html") == b"newer"
    assert files.read_published("report", "assets/plot.js") == PAGES["assets/plot.js"]
    assert files.verify() == []


def test_publishing_the_same_again_writes_nothing(local):
    local.publish("report", PAGES)
    before = local.place.files("commits/published/report")
    local.publish("report", PAGES)
    assert local.place.files("commits/published/report") == before


@pytest.mark.parametrize(
    "name", ["", "../a", "a//b", ".hidden", "a/.b", "/a", "commits/x", "a~b", "a b", "ä", "a\0"]
)
def test_published_names_are_plain(local, name):
    with pytest.raises(LayoutError, match="published file"):
        local.publish("", {name: b""})
    assert not Path(local.place.url).exists()


@pytest.mark.parametrize("suffix", ["", "bin", ".", ".a/b", "..", ".A", "~.bin", ".bin~", ".a.b.c"])
def test_suffixes_are_extensions(local, suffix):
    with pytest.raises(LayoutError, match="suffix"):
        local.write("a", suffix, b"")


def test_hostile_names_have_files_and_records_of_their_own(local):
    names = [
        *HOSTILE,
        "x" * 300,
        "x" * 301,
        "commits",
        "a~" + "0" * 32,
        "~commit.json",
        "maps/../../x",
        "maps/.",
    ]
    names = [name for name in dict.fromkeys(names) if all(name.split("/"))]
    for name in names:
        local.write(name, ".bin", name.encode("utf-8", "surrogatepass"))
        local.put_record(name, {"n": len(name)})
    for name in names:
        assert local.read(name) == name.encode("utf-8", "surrogatepass")
        assert local.record(name) == {"n": len(name)}
    assert {file.name for file in local.listing()} == set(names)
    assert set(local.records()) == set(names)
    assert local.verify() == []
    root = Path(local.place.url)
    assert [path.name for path in root.parent.iterdir()] == [root.name]
    for name in ("", "a//b", "/a", "a/"):
        with pytest.raises(LayoutError):
            local.write(name, ".bin", b"")


def test_folders_of_others_are_left_alone(files):
    fill(files)
    files.place.create("store.zarr/zarr.json", b"whatever")
    files.place.create("store.zarr/x~" + "0" * 32 + ".bin", b"whatever")
    demand_filled(files)
    assert files.gc(older_than_s=0).uncommitted == ()
    for refused in (
        lambda: files.write("store.zarr/a", ".bin", b""),
        lambda: files.publish("store.zarr", {"a": b""}),
        lambda: files.publish("", {"store.zarr/a": b""}),
    ):
        with pytest.raises(LayoutError, match="outside of this folder"):
            refused()


def damage(files, key):
    """Flip one bit of a file."""
    data = bytearray(files.place.read(key))
    data[len(data) // 2] ^= 4
    files.place.replace(key, bytes(data))


def test_damaged_bytes_are_refused_and_named(files):
    fill(files)
    file = files.find("weights/Net 1")
    damage(files, file.key)
    with pytest.raises(CorruptError) as caught:
        files.read("weights/Net 1")
    assert caught.value.file == files.place.path(file.key)
    assert file.digest in caught.value.expected
    assert "the next run makes it again" in caught.value.remedy
    damage(files, "report/index.html")
    with pytest.raises(CorruptError, match="index.html"):
        files.read_published("report", "index.html")
    damage(files, "commits/records/models/net/~000001.json")
    with pytest.raises(CorruptError, match="000001"):
        files.record("models/net")
    with pytest.raises(CorruptError, match="000001"):
        files.put_record("models/net", {})
    damage(files, "commits/files/maps/dm-1~commit.json")
    with pytest.raises(CorruptError, match="dm-1~commit"):
        files.read("maps/dm-1")
    assert len(files.verify()) == 4


def test_what_an_edited_name_claims_is_held_against_the_commit(local):
    """A file of other bytes with a name that fits them, in the place of the right one."""
    fill(local)
    file = local.find("maps/dm-1")
    other = local.write("maps/other", ".bin", b"other")
    Path(local.place.path(file.key)).rename(
        Path(local.place.path(file.key)).with_name(f"dm-1~{other.digest}.bin")
    )
    with pytest.raises(CorruptError, match="no such file"):
        local.read("maps/dm-1")


def test_a_commit_or_version_of_another_name_is_refused(local):
    fill(local)
    commits = Path(local.place.path("commits"))
    (commits / "files/maps/dm-1~commit.json").write_bytes(
        (commits / "files/maps/dm-2~commit.json").read_bytes()
    )
    with pytest.raises(CorruptError, match="dm-2"):
        local.read("maps/dm-1")
    (commits / "records/comparison/~000000.json").write_bytes(
        (commits / "records/models/net/~000000.json").read_bytes()
    )
    with pytest.raises(CorruptError, match="models/net"):
        local.record("comparison")
    (commits / "records/models/net/~000007.json").write_bytes(
        (commits / "records/models/net/~000001.json").read_bytes()
    )
    with pytest.raises(CorruptError, match="version 1"):
        local.record("models/net")
    assert len(local.verify()) == 3


def test_repair_takes_out_what_is_damaged_and_the_next_run_makes_it_again(files):
    fill(files)
    keys = [
        files.find("weights/Net 1").key,
        "commits/records/models/net/~000001.json",
        "report/index.html",
        "commits/files/maps/dm-1~commit.json",
        "commits/published/~000001.json",
    ]
    for key in keys:
        damage(files, key)
    files.place.remove(files.find("maps/dm-3").key)
    done = files.repair()
    assert len(done.problems) == len(keys) + 1
    assert done.left == []
    assert done.restored == ["commits/files/maps/dm-1~commit.json"]
    assert files.find("weights/Net 1") is None
    assert files.record("models/net") is None
    assert files.read("maps/dm-1") == MAPS["maps/dm-1"]
    assert files.verify() == []
    assert len(files.gc().quarantined) >= len(keys) + 2
    fill(files)
    demand_filled(files)
    assert files.repair().problems == []
    files.gc(older_than_s=0).remove(quarantined=True)
    demand_filled(files)
    assert files.gc(older_than_s=0).quarantined == ()


def test_an_older_version_that_is_damaged_goes_alone(files):
    fill(files)
    damage(files, "commits/records/models/net/~000000.json")
    assert len(files.repair().quarantined) == 1
    assert files.record("models/net") == RECORD


def test_files_that_nothing_vouches_for_are_told_and_left(files):
    fill(files)
    files.place.create("maps/note.txt", b"mine")
    files.place.create("commits/strange", b"?")
    files.place.create("maps/.hidden", b"another program's")
    files.place.create(".cache/x", b"another program's")
    problems = files.verify()
    assert {problem.file for problem in problems} == {
        files.place.path("maps/note.txt"),
        files.place.path("commits/strange"),
    }
    assert files.repair().left == problems
    assert files.place.read("maps/note.txt") == b"mine"


def test_links_are_refused_named_and_left_to_people(local, tmp_path):
    fill(local)
    outside = tmp_path / "outside"
    Path(local.place.path("report")).rename(outside)
    Path(local.place.path("report")).symlink_to(outside)
    path = Path(local.place.path(local.find("maps/dm-1").key))
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(SymlinkError):
        local.read("maps/dm-1")
    with pytest.raises(SymlinkError):
        local.read_published("report", "index.html")
    with pytest.raises(SymlinkError):
        local.publish("report", {"index.html": b"x"})
    assert {problem.file for problem in local.verify()} >= {
        str(path),
        str(outside.with_name("run") / "report"),
    }
    done = local.repair()
    assert done.left != []
    assert (outside / "index.html").read_bytes() == PAGES["index.html"]
    assert (tmp_path / "moved").read_bytes() == MAPS["maps/dm-1"]
    local.write("maps/dm-1", ".bin", MAPS["maps/dm-1"])
    assert local.read("maps/dm-1") == MAPS["maps/dm-1"]


def test_what_others_left_uncommitted_is_taken_over_or_collected(files):
    """A writer that was killed before its commit, with the same bytes, and with others."""
    file = files.write("a", ".bin", b"bytes")
    files.place.remove("commits/files/a~commit.json")
    files.place.create("b~" + "0" * 32 + ".bin", b"damaged")
    assert files.find("a") is None
    assert files.listing() == []
    assert [entry.key for entry in files.gc(older_than_s=0).uncommitted] == [
        file.key,
        "b~" + "0" * 32 + ".bin",
    ]
    assert files.gc().uncommitted == ()
    assert files.write("a", ".bin", b"bytes") == file
    assert files.gc(older_than_s=0).remove() == len(b"damaged")
    assert files.verify() == []
    assert files.read("a") == b"bytes"


def test_damaged_bytes_that_nobody_named_are_not_taken_over(files):
    file = files.write("a", ".bin", b"bytes")
    files.place.remove("commits/files/a~commit.json")
    damage(files, file.key)
    files.write("a", ".bin", b"bytes")
    assert files.read("a") == b"bytes"
    assert files.verify() == []


def test_a_listing_beside_leftovers_asks_the_commit(files):
    file = files.write("a", ".bin", b"bytes")
    files.place.create("a~" + "0" * 32 + ".bin", b"left")
    assert files.listing() == [file]
    files.place.remove(file.key)
    assert [problem.found for problem in files.verify()][-1] == "no such file"
    with pytest.raises(CorruptError, match="no such file"):
        files.read("a")


def test_older_versions_are_garbage_after_a_while(files):
    fill(files)
    assert files.gc().superseded == ()
    garbage = files.gc(older_than_s=0)
    assert [entry.key for entry in garbage.superseded] == [
        "commits/published/report/~000000.json",
        "commits/published/~000000.json",
        "commits/records/models/net/~000000.json",
    ]
    assert garbage.remove() == garbage.n_bytes > 0
    demand_filled(files)
    files.put_record("models/net", {"epochs": 4})
    assert files.record("models/net") == {"epochs": 4}


def test_unfinished_files_are_garbage_after_a_while(local):
    local.write("a", ".bin", b"a")
    partial = Path(local.place.path("commits/partial/0"))
    partial.write_bytes(b"half")
    assert local.verify() == []
    assert local.gc().partial == ()
    os.utime(partial, (time.time() - 1e6,) * 2)
    assert local.gc().remove() == 4
    assert not partial.exists()


def test_progress_tells_every_file(local):
    fill(local)
    seen = {}
    local.verify(on_file=lambda key, n_bytes: seen.update({key: n_bytes}))
    root = Path(local.place.url)
    assert seen == {str(p.relative_to(root)): p.stat().st_size for p in root.rglob("*") if p.is_file()}


def test_bytes_altered_on_the_way_are_asked_for_again(proxy):
    files = CheckedFiles(new_objects())
    fill(files)
    for read in (lambda: files.read("weights/Net 1"), lambda: files.read_published("report", "index.html")):
        proxy.inject(
            "alter", times=1, when=lambda request: request.method == "GET" and "list" not in request.path
        )
        assert read() in (WEIGHTS, PAGES["index.html"])
    proxy.inject("alter", times=1e9, when=lambda request: "dm-1~" in request.path and ".bin" in request.path)
    with pytest.raises(CorruptError, match="dm-1"):
        files.read("maps/dm-1")


def test_a_write_whose_answer_is_lost_is_its_own(proxy):
    files = CheckedFiles(new_objects())
    for _ in range(3):
        proxy.inject("lost", times=1, when=lambda request: request.method == "PUT")
    fill(files)
    demand_filled(files)
