"""Ctrl-C and SIGTERM at random times of a real dump: a hint, and a resume to the same store."""

from __future__ import annotations

import random
import shutil
import signal
import time

import pytest

from storage import open_store
from tests.steps.test_interruption import start


def seen(store):
    """Return address and digest of everything that is sealed."""
    opened = open_store(store)
    return {
        str(entry.address): opened.representation(entry.address, fingerprint=entry.fingerprint).digest
        for entry in opened.representations()
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_dump_that_is_stopped_at_random_times_says_how_to_go_on_and_does(tiny, tmp_path):
    generator, whole = random.Random(4), seen(tiny.root / "store.zarr")
    stopped, longest_s = 0, 0.0
    for turn in range(5):
        out, log = tmp_path / f"run{turn}", tmp_path / f"log{turn}"
        files, store = tiny.copy(out).place.files, out / "store.zarr"
        shutil.rmtree(store)
        for part in files.listing("results"):
            files.remove(part.name)
        number, code = [(signal.SIGINT, 130), (signal.SIGTERM, 143)][turn % 2]
        with log.open("w") as stream:
            process = start(tiny.path, out, stream)
            deadline = time.monotonic() + 240
            while not (store / "commits" / "store.json").exists():  # the dumps begin
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            time.sleep(generator.uniform(0, 1.5))
            begun = time.monotonic()
            process.send_signal(number)
            assert process.wait(timeout=300) == code, log.read_text()
            longest_s = max(longest_s, time.monotonic() - begun)
        stopped += 1
        said = log.read_text()
        assert "the same command continues" in said
        assert "Traceback" not in said
        assert open_store(store).verify() == []
        assert seen(store).items() <= whole.items()
        if turn == 0:
            with log.open("w") as stream:
                process = start(tiny.path, out, stream)

                process.wait(timeout=240)
            assert seen(store) == whole
    print(f"{stopped} stops, the longest took {longest_s:.1f} s")
