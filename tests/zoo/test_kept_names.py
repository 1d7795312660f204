"""Lists of names are kept for one installation of a library, and never believed where they are not whole."""

import json
from importlib.metadata import version

import pytest

from stitchpipe.zoo import kept_names as kept
from stitchpipe.zoo.kept_names import kept_names


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(kept.FOLDER, str(tmp_path / "cache"))
    return tmp_path / "cache"


def never():
    raise AssertionError("asked again")


def test_a_library_is_asked_once_for_each_installation(folder, monkeypatch):
    assert kept_names("networks", "torchvision", lambda: ["a", "ü"]) == ("a", "ü")
    assert kept_names("networks", "torchvision", never) == ("a", "ü")
    (file,) = folder.iterdir()
    assert file.name.startswith(f"networks-{version('torchvision')}-")
    assert kept_names("others", "torchvision", lambda: ["b"]) == ("b",)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-9],
        lambda data: data.replace(b'"a"', b'"x"'),
        lambda data: b"[]",
        lambda data: json.dumps({"names": 3, "sha256": ""}).encode(),
    ],
)
def test_a_file_that_is_not_whole_is_made_again(folder, damage):
    kept_names("networks", "torchvision", lambda: ["a"])
    (file,) = folder.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert kept_names("networks", "torchvision", lambda: ["a", "b"]) == ("a", "b")
    assert kept_names("networks", "torchvision", never) == ("a", "b")


def test_what_cannot_be_kept_is_asked_for_every_time(folder):
    folder.write_bytes(b"a file in the folder's place")
    assert kept_names("networks", "torchvision", lambda: ["a"]) == ("a",)
    assert kept_names("networks", "torchvision", lambda: ["b"]) == ("b",)
    folder.unlink()
    assert kept_names("networks", "no such package", lambda: ["c"]) == ("c",)
    assert not folder.exists()
