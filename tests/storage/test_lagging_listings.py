"""A listing that lags behind what was created: records are what they are, and an inventory knows what it lacks."""

import pytest

from storage import CheckedFiles, Inventory, open_place


@pytest.fixture
def files(tmp_path):
    return CheckedFiles(open_place(tmp_path))


@pytest.fixture
def lagging(monkeypatch, files):
    """Return a function by whose call listings show what is there at that moment, from then on."""
    kind = type(files.place)
    now = {name: getattr(kind, name) for name in ("files", "entries")}

    def from_now_on():
        then = list(now["entries"](files.place, ""))
        below = lambda key: [entry for entry in then if entry.key.startswith(f"{key}/".lstrip("/"))]  # noqa: E731
        monkeypatch.setattr(kind, "entries", lambda place, key="": iter(below(key)))
        direct = lambda key: [entry for entry in below(key) if "/" not in entry.key[len(key) + 1 :]]  # noqa: E731
        monkeypatch.setattr(kind, "files", lambda place, key="": direct(key))

    return from_now_on


def test_a_record_is_its_newest_version_whatever_a_listing_shows(files, lagging):
    files.put_record("models/a", {"epochs": 1})
    lagging()
    files.put_record("models/a", {"epochs": 2})
    files.put_record("models/a", {"epochs": 3})
    files.put_record("models/b", {"epochs": 1})
    assert files.record("models/a") == {"epochs": 3}
    assert files.record("models/b") == {"epochs": 1}
    assert files.record("models/c") is None
    assert files.records_of(["models/a", "models/b", "models/c"], "models") == {
        "models/a": {"epochs": 3},
        "models/b": {"epochs": 1},
    }
    assert files.update_record("models/a", lambda before: {"epochs": before["epochs"] + 1}) == {"epochs": 4}


def test_versions_that_were_collected_do_not_hide_the_newest(files):
    for epochs in range(4):
        files.put_record("models/a", {"epochs": epochs})
    files.gc(older_than_s=-1.0).remove()
    assert files.record("models/a") == {"epochs": 3}


def test_an_inventory_that_was_taken_of_a_listing_from_before_does_not_cover_what_came_since(files, lagging):
    inventory = Inventory(files.place, ("claims",))
    files.write("maps/a", ".bin", b"a")
    inventory.take(list)
    assert inventory.covers(files.place.entries(), list)
    files.write("maps/b", ".bin", b"b")
    files.put_record("claims/x", {"worker": None})
    assert not inventory.covers(files.place.entries(), list)
    assert inventory.covers(files.place.entries(), lambda: ["maps/b"])
    inventory.take(list)
    files.put_record("models/a", {"epochs": 1})
    assert not inventory.covers(files.place.entries(), list)
