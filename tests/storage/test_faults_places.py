"""Full, read-only and forbidden directories, made for real: in a mount namespace, or as another user."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CHILD = """
import errno, os, subprocess, sys
from storage import WriteError, open_store
from tests.storage.small_dump import SHAPES, begin, blocks_of, finish, new_store, tree

root, *cases = sys.argv[1:]

def refused(act, number):
    try:
        act()
    except WriteError as error:
        assert error.errno == number, error
        assert os.strerror(number) in str(error), error
        assert "run again" in error.remedy, error.remedy
        return
    raise SystemExit("nothing was refused")
"""

FULL = (
    CHILD
    + """
def fill(place):
    filler = os.open(f"{place}/filler", os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(filler, bytes(4096))
    except OSError as error:
        assert error.errno == errno.ENOSPC

def is_full_at(case, place):
    store = new_store(f"{place}/s")
    finish(begin(store, identity={"weights": "committed"}))
    committed = tree(store.url)
    dump = begin(store)
    dump.write(0, blocks_of(dump, 0))
    if case == "manifest":
        for group in (1, 2, 3):
            dump.write(group, blocks_of(dump, group))
    if case == "marker":
        mark = dump._mark
        dump._mark = lambda *rest, **keywords: (fill(place), mark(*rest, **keywords))
    else:
        fill(place)
    before = tree(store.url)
    acts = {"manifest": dump.seal, "split": lambda: store.add_split("digits", "new", ["a"])}
    refused(acts.get(case, lambda: dump.write(1, blocks_of(dump, 1))), errno.ENOSPC)
    after = tree(store.url)
    assert before.items() <= after.items()
    new = sorted(key.rpartition("/")[2] for key in after.keys() - before.keys())
    assert all(key.startswith("c.1") for key in new), new
    assert len(new) == (len(SHAPES) if case == "marker" else 0), new
    assert len(open_store(store.url).representations()) == len(SHAPES)
    assert open_store(store.url).verify() == []
    subprocess.run(["mount", "-o", "remount,size=64m", place], check=True)
    finish(begin(open_store(store.url, mode="a")))
    assert open_store(store.url).verify() == []
    whole = new_store(f"{place}/reference")
    for weights in ("committed", "w0"):
        finish(begin(whole, identity={"weights": weights}))
    assert tree(store.url) == tree(whole.url)

for case in cases:
    place = f"{root}/{case}"
    os.mkdir(place)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], check=True)
    is_full_at(case, place)
    print(case)
"""
)

READ_ONLY = (
    CHILD
    + """
finish(begin(new_store(f"{root}/there")))
before = tree(root)
subprocess.run(["mount", "--bind", root, root], check=True)
subprocess.run(["mount", "-o", "remount,bind,ro", root], check=True)
for case in cases:
    refused(lambda: open_store(f"{root}/{case}", mode="a"), errno.EROFS)
    print(case)
assert tree(root) == before
assert open_store(f"{root}/there").verify() == []
"""
)

FORBIDDEN = (
    CHILD
    + """
finish(begin(new_store(f"{root}/there")))
before = tree(root)
os.setgid(65534)
os.setuid(65534)
for case in cases:
    refused(lambda: open_store(f"{root}/{case}", mode="a"), errno.EACCES)
    print(case)
assert tree(root) == before
assert open_store(f"{root}/there").verify() == []
"""
)


def namespaces_are_permitted():
    if shutil.which("unshare") is None:
        return False
    mount = "mount -t tmpfs -o size=1m tmpfs /mnt"
    done = subprocess.run(["unshare", *_flags(), "sh", "-c", mount], capture_output=True, check=False)
    return done.returncode == 0


def _flags():
    return ["-m"] if os.geteuid() == 0 else ["-rm"]


in_a_namespace = pytest.mark.skipif(
    not namespaces_are_permitted(), reason="this machine lets nobody make a mount namespace"
)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


def passed(script, root, *cases, prefix=()):
    """Run a script in a process of its own; return the cases that it says went well."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*prefix, sys.executable, "-c", script, str(root), *cases]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return tuple(done.stdout.split())


@in_a_namespace
def test_a_full_disk_leaves_committed_data_alone_and_the_dump_resumes_when_there_is_room(tmp_path):
    cases = ("split", "shard", "marker", "manifest")
    assert passed(FULL, tmp_path, *cases, prefix=["unshare", *_flags()]) == cases


@in_a_namespace
def test_a_read_only_file_system_is_refused_before_anything_is_written(tmp_path):
    cases = ("there", "new")
    assert passed(READ_ONLY, tmp_path, *cases, prefix=["unshare", *_flags()]) == cases


@as_root
def test_another_user_s_directory_is_refused_before_anything_is_written():
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        assert passed(FORBIDDEN, root, "there", "new") == ("there", "new")
