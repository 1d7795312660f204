"""Some records of a folder at once: one listing, and no read of any other record."""

from __future__ import annotations

from storage import CheckedFiles, open_place


def test_only_those_asked_for_are_read(tmp_path, monkeypatch):
    files = CheckedFiles(open_place(tmp_path))
    for name in ("models/a/one", "models/a/two", "models/org/b/one", "other/c"):
        files.put_record(name, {"name": name})
    files.put_record("models/a/one", {"name": "newer"})
    read, listed = [], []
    kind = type(files.place)
    monkeypatch.setattr(kind, "read", lambda place, key, own=kind.read: read.append(key) or own(place, key))
    monkeypatch.setattr(
        kind, "entries", lambda place, key="", own=kind.entries: listed.append(key) or own(place, key)
    )
    found = files.records_of(["models/a/one", "models/org/b/one", "models/z/one"], "models")
    assert found == {"models/a/one": {"name": "newer"}, "models/org/b/one": {"name": "models/org/b/one"}}
    assert {key.removeprefix("commits/records/models/").rpartition("/")[0] for key in read} == {
        "a/one",
        "org/b/one",
        "z/one",
    }
    assert len(read) == 5  # the version listed, and one that may have come since; or the first
    assert len(listed) == 1
    assert files.records_of([], "models") == {}
