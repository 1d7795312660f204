"""Logs of worker processes: gone with their run, or with the next one where it was killed."""

import os
import tempfile

from flows.log_folder import FRESH_S, LOCK, PREFIX, LogFolder


def age(folder):
    """Let a folder's lock be older than any process that is about to take it."""
    then = (folder / LOCK).stat().st_mtime - 2 * FRESH_S
    os.utime(folder / LOCK, (then, then))


def test_what_a_killed_process_left_goes_and_what_others_use_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed, fresh, foreign = (tmp_path / f"{PREFIX}{name}" for name in ("killed", "fresh", "foreign"))
    for folder in (killed, fresh, foreign):
        folder.mkdir()
        (folder / "0.log").write_text("said")
    for folder in (killed, fresh):
        (folder / LOCK).touch()
    age(killed)
    used = LogFolder()
    age(used.path)
    own = LogFolder()
    assert {path for path in tmp_path.iterdir() if path != killed} == {fresh, foreign, used.path, own.path}
    assert not killed.exists()
    for folder in (used, own, own):
        folder.remove()
    assert set(tmp_path.iterdir()) == {fresh, foreign}
