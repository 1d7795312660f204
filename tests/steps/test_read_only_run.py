"""A finished run in a folder that cannot be written: what only looks at it works, what would write says so."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import stitchpipe as sp
from storage import WriteError
from storage.place.local import LocalPlace
from tests.cli.command import stitchpipe

WRITING = ("create", "replace", "stage", "make_directory", "remove", "quarantine", "preflight")


@pytest.fixture
def refused(monkeypatch):
    """Refuse every write as a read-only file system does; the names of what was tried, signs of life aside."""
    tried = []

    def refuse(name):
        def act(_place, key="", *_arguments, **_options):
            if "/signs/" not in str(key):
                tried.append((name, str(key)))
            raise WriteError(path=str(key), n_bytes=0, cause=OSError(errno.EROFS, os.strerror(errno.EROFS)))

        return act

    for name in WRITING:
        monkeypatch.setattr(LocalPlace, name, refuse(name))
    return tried


def state(root):
    return {path: path.stat().st_mtime_ns for path in Path(root).rglob("*")}


@pytest.mark.parametrize(
    "command",
    [
        ("query", "SELECT count(*) AS n FROM results"),
        ("status",),
        ("study",),
        ("study", "self"),
        ("nearest", "A/layer1.0"),
    ],
    ids=" ".join,
)
def test_what_looks_at_a_run_works_where_it_cannot_be_written(tiny, refused, command):
    name, *rest = command
    before = state(tiny.root)
    where = [*rest, tiny.root] if name == "study" else [tiny.root, *rest]
    done = stitchpipe(name, *where)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    assert refused == []
    assert state(tiny.root) == before


def test_it_is_verified_where_it_cannot_be_written(tiny, refused):
    done = stitchpipe("verify", tiny.root)
    assert done.returncode == 0, done.stderr
    assert refused == []


def test_a_run_is_opened_where_it_cannot_be_written(tiny, refused):
    assert len(sp.open(tiny.root).results()) > 100
    assert refused == []


@pytest.mark.parametrize("command", ["report", "compare"])
def test_what_writes_says_in_one_line_that_it_cannot(tiny, refused, command):
    done = stitchpipe(command, tiny.root)
    assert done.returncode != 0, done.stdout
    assert "Read-only file system" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
