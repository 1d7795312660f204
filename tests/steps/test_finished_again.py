"""A finished run that is triggered again: nothing of it is written anew, whichever command is given."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, nullcontext

import pytest

from flows import work
from stitchpipe.run.settled import _PASSING as PASSING
from storage import digest_of
from tests.cli.command import PoolHere, stitchpipe


class OwnPool(PoolHere):
    """Stands in for `WorkerPool` as the runner uses it."""

    processes = 1

    def stop(self, error):
        raise error


@contextmanager
def runner_here():
    """Let `flows.runner.run`, and nothing less, take its steps without Prefect and without other processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.runner._is_for_prefect", lambda steps: False)
        patch.setattr(work, "pool_of", lambda sweep, out, progress: nullcontext(OwnPool(progress)))
        patch.setattr(work, "opened", work.opened.__wrapped__)
        yield


def state(root):
    """Return the bytes of every file below a folder, where they lie on the disk and when they were written."""
    known = {path: path.stat() for path in root.rglob("*") if path.is_file()}
    return {
        str(path.relative_to(root)): (digest_of(path.read_bytes().hex()), about.st_ino, about.st_mtime_ns)
        for path, about in known.items()
    }


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """A finished run that `stitchpipe run` has found to be so."""
    root = tiny.copy(tmp_path_factory.mktemp("again") / "run").place.url
    with runner_here():
        assert stitchpipe("run", tiny.path, "--out", root).returncode == 0
    return tmp_path_factory.getbasetemp().joinpath(root)


@pytest.mark.parametrize(
    "command",
    [
        "run SWEEP --out RUN",
        "run RUN",
        "inspect RUN",
        "train RUN",
        "dump RUN",
        "compare RUN",
        "stitch RUN",
        "report RUN",
        "verify RUN",
        "status RUN",
        "plan RUN",
        "nearest RUN A/layer1.0",
        "study RUN",
        "query RUN SELECT",
    ],
)
def test_no_file_of_a_finished_run_changes(finished, tiny, command, untimed):
    meant = {"SWEEP": tiny.path, "RUN": finished, "SELECT": "SELECT count(*) AS n FROM results"}
    before = state(finished)
    with runner_here():
        done = stitchpipe(*(meant.get(word, word) for word in command.split()))
    assert (done.returncode, "failed" in done.stderr) == (0, False), done.stderr
    assert state(finished) == before


def test_one_that_is_looked_into_anew_changes_in_what_says_who_worked_and_when(finished, tiny, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(finished, root)
    shutil.rmtree(root / "commits" / "records" / "settled")  # as if the code had changed since
    before = state(root)
    with runner_here():
        assert stitchpipe("run", tiny.path, "--out", root).returncode == 0
    after = state(root)
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert any(name.startswith("commits/records/settled/") for name in changed)
    assert {name for name in changed if not name.startswith((*PASSING, "commits/records/agendas/"))} == set()
