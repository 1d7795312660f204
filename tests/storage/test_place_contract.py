"""What every place promises, whatever it lies on."""

import os
import pickle
from pathlib import Path

import pytest

from storage import NotFoundError, SymlinkError
from storage.place import local
from storage.place.contract import PARTIAL, QUARANTINE, Entry
from storage.place.local import LocalPlace
from tests.storage.object_server import new_objects


def in_a_bucket(request):
    request.getfixturevalue("aws")
    return new_objects()


def in_a_folder(request):
    return LocalPlace(str(request.getfixturevalue("tmp_path").resolve() / "new" / "place"))


PLACES = [in_a_bucket, in_a_folder]
"""One function per implementation, from pytest's `request` to a new, empty place."""


@pytest.fixture(params=PLACES, ids=lambda factory: factory.__name__)
def place(request):
    return request.param(request)


def test_it_is_a_value(place):
    again = pickle.loads(pickle.dumps(place))
    assert again == place
    assert hash(again) == hash(place)
    assert again.url == place.url
    place.create("a/b", b"x")
    assert pickle.loads(pickle.dumps(place)).read("a/b") == b"x"


def test_the_first_creation_wins_and_the_second_is_told(place):
    assert place.create("a/b.json", b"first") is True
    assert place.create("a/b.json", b"second") is False
    assert place.create("a/b.json", b"first") is False
    assert place.read("a/b.json") == b"first"


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_bytes_come_back_as_they_were(place, size):
    data = bytes(range(251)) * (size // 251) + bytes(size % 251)
    assert place.create("a/b", data)
    assert place.read("a/b") == data
    assert place.size("a/b") == size


def test_what_is_not_there_is_not_found(place):
    place.create("a/b/c", b"x")
    for key in ("nowhere", "a", "a/b", "a/b/c/d"):
        with pytest.raises(NotFoundError, match=key):
            place.read(key)
        with pytest.raises(NotFoundError, match=key):
            place.read_ranges(key, [(0, 1)])
        assert place.size(key) is None
        assert place.version(key) is None
    assert place.directories("nowhere") == []
    assert list(place.entries("nowhere")) == []


def test_a_staged_file_appears_whole_when_it_is_committed(place):
    with place.stage("a/b") as staged:
        staged.write(b"one ")
        staged.write(b"two")
        assert place.size("a/b") is None
        assert staged.commit() is True
    assert place.read("a/b") == b"one two"


def test_a_staged_file_that_is_not_committed_leaves_nothing(place):
    with place.stage("a/b") as staged:
        staged.write(b"one")

    def fail_halfway():
        with place.stage("a/b") as staged:
            staged.write(b"one")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert list(place.entries()) == []


def test_a_staged_file_whose_key_is_taken_meanwhile_is_told(place):
    with place.stage("a/b") as staged:
        staged.write(b"late")
        assert place.create("a/b", b"early")
        assert staged.commit() is False
    assert [entry.key for entry in place.entries()] == ["a/b"]
    assert place.read("a/b") == b"early"


def test_ranges_are_what_slices_are(place):
    data = bytes(range(256)) * 4
    place.create("a/b", data)
    ranges = [
        (0, 1),
        (5, 5),
        (1000, 1024),
        (1000, 2000),
        (1024, 1030),
        (5000, 5001),
        (3, 700),
        (2, 4),
        (0, 1024),
    ]
    assert place.read_ranges("a/b", ranges) == [data[start:stop] for start, stop in ranges]
    assert place.read_ranges("a/b", []) == []
    assert place.read_ranges("a/b", [(2000, 3000)]) == [b""]


def test_the_version_is_of_the_file_and_changes_with_it(place):
    place.create("a/b", b"one")
    before = place.version("a/b")
    assert place.version("a/b") == before
    assert hash(before) is not None
    place.remove("a/b")
    place.create("a/b", b"two")
    assert place.version("a/b") not in {before, None}


def test_directories_are_names_with_keys_below_without_records(place):
    for key in (
        "m~0f/zarr.json",
        "m~0f/l/c.0",
        "b/x",
        "%52es/x",
        "commits/store.json",
        "zarr.json",
        "m~0f/commits/d",
    ):
        place.create(key, b"")
    assert place.directories() == ["%52es", "b", "m~0f"]
    assert place.directories("m~0f") == ["l"]
    assert place.directories("m~0f/l") == []
    assert place.directories("m") == []


def test_entries_are_all_files_below_a_key(place):
    keys = [
        "a/z",
        "a.b/c",
        "a/b/c.0",
        "a/b/c.10",
        "a/b/c.9",
        "commits/store.json",
        "commits/partial/u",
        "a-/c",
        "ab",
    ]
    for key in keys:
        place.create(key, key.encode())
    found = sorted(place.entries())
    assert [entry.key for entry in found] == sorted(keys)
    assert [entry.n_bytes for entry in found] == [len(key) for key in sorted(keys)]
    assert all(isinstance(entry, Entry) and entry.modified_s > 1e9 for entry in found)
    assert sorted(entry.key for entry in place.entries("a")) == ["a/b/c.0", "a/b/c.10", "a/b/c.9", "a/z"]
    assert sorted(entry.key for entry in place.entries("a/b")) == ["a/b/c.0", "a/b/c.10", "a/b/c.9"]


def test_removal_is_of_one_key_and_twice_is_once(place):
    place.create("a/b", b"")
    place.create("a/bc", b"")
    place.remove("a/b")
    place.remove("a/b")
    assert [entry.key for entry in place.entries()] == ["a/bc"]
    assert place.create("a/b", b"again")


def test_quarantine_keeps_all_bytes_out_of_the_way(place):
    moved = {}
    for data in (b"one", b"two", b"two", b"three"):
        place.create("a/b", data)
        moved[place.quarantine("a/b")] = data
        assert place.size("a/b") is None
    assert all(key.startswith(f"{QUARANTINE}/") for key in moved)
    assert {place.read(key) for key in moved} == {b"one", b"two", b"three"}
    assert sorted(entry.key for entry in place.entries()) == sorted(moved)
    with pytest.raises(NotFoundError):
        place.quarantine("a/b")


def test_preflight_leaves_nothing(place):
    place.preflight()
    assert list(place.entries()) == []
    assert list(place.entries(PARTIAL)) == []


def test_room_is_a_number_or_unknown(place):
    free = place.free_bytes()
    assert free is None or free > 0


def test_a_key_is_named_below_the_place(place):
    assert place.path("a/b") == f"{place.url}/a/b"
    assert place.path("") == place.url


def test_a_file_of_another_writer_is_made_durable(place):
    assert place.make_durable("a/b") is False
    place.create("a/b", b"x")
    assert place.make_durable("a/b") is True
    assert place.read("a/b") == b"x"


def test_what_need_not_last_is_created_once_too(place):
    for data, made in ((b"first", True), (b"second", False)):
        with place.stage("a/b") as staged:
            staged.write(memoryview(data))
            assert staged.commit(durable=False) is made
    assert place.read("a/b") == b"first"


def test_ranges_longer_than_one_call_gives(tmp_path, monkeypatch):
    place = LocalPlace(str(tmp_path.resolve()))
    place.create("a", bytes(range(100)))
    monkeypatch.setattr(local, "_PREAD_BYTES", 7)
    assert place.read_ranges("a", [(3, 50), (90, 120), (5, 5)]) == [
        bytes(range(3, 50)),
        bytes(range(90, 100)),
        b"",
    ]


def test_removing_the_last_file_beside_another_remover(tmp_path, monkeypatch):
    """The directory is gone before it can be flushed."""
    place, unlink = LocalPlace(str(tmp_path.resolve())), os.unlink
    place.create("a/b/c", b"x")

    def unlinked(path):
        unlink(path)
        Path(path).parent.rmdir()

    monkeypatch.setattr(os, "unlink", unlinked)
    place.remove("a/b/c")
    assert place.size("a/b/c") is None


def test_a_directory_that_goes_while_a_file_is_linked_into_it_is_made_again(tmp_path, monkeypatch):
    place, link, left = LocalPlace(str(tmp_path.resolve())), os.link, [3]

    def linked(source, target):
        if left[0]:
            left[0] -= 1
            Path(target).parent.rmdir()
        link(source, target)

    monkeypatch.setattr(os, "link", linked)
    assert place.create("a/b/c", b"x")
    assert place.read("a/b/c") == b"x"


def test_replacing_is_of_the_whole_file(place):
    for data in (b"first", b"", b"a longer second one", b"x"):
        place.replace("a/b.html", data)
        assert place.read("a/b.html") == data
    assert [entry.key for entry in place.entries()] == ["a/b.html"]
    assert place.create("a/b.html", b"created") is False


def test_files_are_those_directly_below_a_key(place):
    for key in ("a", "b/c", "b/d", "b/e/f", "bc", "commits/store.json"):
        place.create(key, key.encode())
    assert [(entry.key, entry.n_bytes) for entry in place.files()] == [("a", 1), ("bc", 2)]
    assert [entry.key for entry in place.files("b")] == ["b/c", "b/d"]
    assert [entry.key for entry in place.files("commits")] == ["commits/store.json"]
    assert place.files("a") == place.files("nowhere") == []


def test_links_are_files_whatever_they_lead_to(tmp_path):
    place = LocalPlace(str(tmp_path.resolve()))
    place.create("a/b", b"x")
    (tmp_path / "c").symlink_to(tmp_path / "a")
    (tmp_path / "d").symlink_to(tmp_path / "nowhere")
    assert [entry.key for entry in place.files()] == ["c", "d"]


def test_what_is_reached_through_a_link_is_not_moved(tmp_path):
    place = LocalPlace(str((tmp_path / "place").resolve()))
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_bytes(b"x")
    place.create("a", b"")
    (tmp_path / "place" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(SymlinkError):
        place.quarantine("link/x")
    assert (tmp_path / "outside" / "x").read_bytes() == b"x"
    place.quarantine("link")
    assert (tmp_path / "outside" / "x").read_bytes() == b"x"
