import multiprocessing
import random
import time

import numpy as np
import pytest

from storage import open_store, opening
from tests.storage.small_dump import SHAPES, address, begin, finish, new_store, tree, truth, write_in_child


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["storage"])
    return context


def started_writer(processes, store, identity):
    """Return a child that has begun a dump."""
    began = processes.Event()
    child = processes.Process(target=write_in_child, args=(store.url, began), kwargs={"identity": identity})
    child.start()
    assert began.wait(60)
    return child


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_writer_killed_at_random_moments_resumes_to_the_same_bytes(tmp_path, processes, kills):
    generator = random.Random(11)
    store = new_store(tmp_path / "s", row_groups=10)
    reference = new_store(tmp_path / "reference", row_groups=10)
    child, start = started_writer(processes, reference, {"weights": "w0"}), time.monotonic()
    child.join(60)
    undisturbed_s = time.monotonic() - start
    killed = dumps = 0
    while killed < kills:
        identity = {"weights": f"w{dumps}"}
        child = started_writer(processes, store, identity)
        time.sleep(generator.uniform(0.0, undisturbed_s))
        child.kill()
        child.join(60)
        killed += child.exitcode == -9
        dumps += begin(store, identity=identity).sealed
        assert len(store.representations()) == dumps * len(SHAPES)
        assert store.verify() == []
    for number in range(dumps + 1):
        finish(begin(store, identity={"weights": f"w{number}"}))
        finish(begin(reference, identity={"weights": f"w{number}"}))
    assert tree(store.url) == tree(reference.url)


@pytest.mark.parametrize("noises", [(0.0, 0.0), (0.0, 1e-6), (1e-6, -1e-6)])
def test_two_writers_of_one_dump_end_in_one_correct_result(tmp_path, processes, noises):
    for trial in range(2):
        store = new_store(tmp_path / f"{trial}")
        together = processes.Barrier(2)
        children = [
            processes.Process(target=write_in_child, args=(store.url, together), kwargs={"noise": noise})
            for noise in noises
        ]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0, 0]
        assert store.verify() == []
        assert begin(store).sealed
        for layer in SHAPES:
            found, wanted = store.representation(address(layer)), truth(store, layer)
            for group, (start, stop) in enumerate(found.row_groups):
                possible = [(wanted[start:stop] * np.float32(1 + noise)).tobytes() for noise in noises]
                assert found.read(group).tobytes() in possible


def test_two_processes_adding_one_split_end_in_one(tmp_path, processes):
    children = [processes.Process(target=new_store, args=(tmp_path / "s",)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert tree(tmp_path / "s") == tree(new_store(tmp_path / "reference").url)
    assert open_store(tmp_path / "s").verify() == []


def test_a_store_that_is_made_between_two_looks_is_opened(tmp_path, monkeypatch):
    looked = opening.strangers

    def made_meanwhile(place):
        monkeypatch.undo()
        new_store(tmp_path / "s")
        return looked(place)

    monkeypatch.setattr(opening, "strangers", made_meanwhile)
    assert open_store(tmp_path / "s", mode="a").splits() == [("digits", "test")]
