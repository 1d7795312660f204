"""A small run's files, as the tests write them; importable by their child processes."""

from __future__ import annotations

from pathlib import Path

WEIGHTS = bytes(range(256)) * 5
MAPS = {f"maps/dm-{number}": bytes([number]) * (50 + number) for number in range(4)}
RECORD = {"epochs": 3, "accuracy": 0.75, "about": ["x", None]}
PAGES = {"index.html": b"<html>a report</html>", "assets/plot.js": b"draw()"}


def fill(files):
    """Write some of everything: files, records with more than one version, publications."""
    files.write("weights/Net 1", ".safetensors", WEIGHTS)
    for name, data in MAPS.items():
        files.write(name, ".bin", data)
    files.put_record("models/net", {"epochs": 1})
    files.put_record("models/net", RECORD)
    files.put_record("comparison", {"done": [1, 2]})
    files.publish("report", PAGES)
    files.publish("", {"sweep.toml": b"name = 'x'\n"})


def demand_filled(files):
    """Demand that everything of `fill` is there."""
    assert files.read("weights/Net 1") == WEIGHTS
    assert {file.name: files.read(file) for file in files.listing("maps")} == MAPS
    assert files.record("models/net") == RECORD
    assert files.records() == {"comparison": {"done": [1, 2]}, "models/net": RECORD}
    assert {name: files.read_published("report", name) for name in PAGES} == PAGES
    assert files.read_published("", "sweep.toml") == b"name = 'x'\n"
    assert files.verify() == []


def paths(files):
    """Return the paths of all files of a run on a disk, but unfinished ones and what repairs took out."""
    root = Path(files.place.url)
    keys = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    return [root / key for key in keys if not key.startswith(("commits/partial", "commits/quarantine"))]
