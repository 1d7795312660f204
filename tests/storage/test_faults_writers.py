"""Writers side by side, writers that sleep while others take over, and readers that look on."""

import multiprocessing
import os
import random
import signal
import time

import numpy as np
import pytest

from storage import NotFoundError, open_store
from tests.storage.small_dump import SHAPES, address, begin, blocks_of, finish, new_store, tree, truth

NOISES = (0.0, 1e-6, -1e-6, 2e-6)


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.storage.small_dump"])
    return context


def write_shuffled(url, seed, noise, began=None):
    """Dump in an order of one's own, then seal."""
    dump = begin(open_store(url, mode="a"))
    if began is not None:
        began.set()
    missing = dump.missing_row_groups()
    random.Random(seed).shuffle(missing)
    for row_group in missing:
        dump.write(row_group, blocks_of(dump, row_group, noise=noise))
    dump.seal()


def race(urls, barrier, writer):
    """Take part in one race after another."""
    for number, url in enumerate(urls):
        barrier.wait(60)
        if writer < 2 + number % 3:  # two, three or four of the four
            write_shuffled(url, seed=10 * number + writer, noise=NOISES[writer])


def demand_one_correct_result(store):
    assert store.verify() == []
    assert len(store.representations()) == len(SHAPES)
    for layer in SHAPES:
        found, wanted = store.representation(address(layer)), truth(store, layer)
        for group, (start, stop) in enumerate(found.row_groups):
            possible = [(wanted[start:stop] * np.float32(1 + noise)).tobytes() for noise in NOISES]
            assert found.read(group).tobytes() in possible


@pytest.mark.timeout(600)
@pytest.mark.parametrize("runs", [3, pytest.param(80, marks=pytest.mark.slow)])
def test_two_to_four_writers_of_one_dump_end_in_one_result(processes, tmp_path, runs):
    stores = [new_store(tmp_path / f"{run}", row_groups=6) for run in range(runs)]
    barrier = processes.Barrier(4)
    children = [
        processes.Process(target=race, args=([store.url for store in stores], barrier, writer))
        for writer in range(4)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(300)
    assert [child.exitcode for child in children] == [0] * 4
    mixed = 0
    for store in stores:
        demand_one_correct_result(store)
        plain = [
            truth(store, "logits")[slice(*bounds)].tobytes()
            for bounds in store.split("digits", "test").row_groups
        ]
        found = store.representation(address("logits"))
        own = sum(found.read(group).tobytes() == values for group, values in enumerate(plain))
        mixed += 0 < own < len(plain)
    print(f"{runs} runs of two to four writers, {mixed} of them with shards of several: one result each")
    assert mixed or runs < 10


@pytest.mark.timeout(600)
@pytest.mark.parametrize("times", [2, pytest.param(24, marks=pytest.mark.slow)])
def test_a_writer_that_wakes_after_another_has_sealed_changes_nothing(processes, tmp_path, times):
    generator, taken_over = random.Random(times), 0
    started = 0
    while started < times:
        store = new_store(tmp_path / f"{started}", row_groups=6)
        began = processes.Event()
        child = processes.Process(target=write_shuffled, args=(store.url, started, 1e-6, began))
        child.start()
        assert began.wait(60)
        time.sleep(generator.uniform(0, 0.06))
        os.kill(child.pid, signal.SIGSTOP)
        other = begin(store)
        taken_over += bool(other.missing_row_groups())
        finish(other)
        demand_one_correct_result(store)
        sealed = tree(store.url)
        os.kill(child.pid, signal.SIGCONT)
        child.join(60)
        assert child.exitcode == 0
        assert tree(store.url) == sealed
        demand_one_correct_result(store)
        started += 1
    print(f"{times} writers stopped, {taken_over} of them with row groups left to take over: all harmless")
    assert taken_over or times < 10


def write_many(url, dumps, over):
    for number in range(dumps):
        store = open_store(url, mode="a")
        finish(begin(store, identity={"weights": f"w{number}"}))
    over.set()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("dumps", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_a_reader_beside_a_writer_sees_whole_dumps_only(processes, tmp_path, dumps):
    store, over = new_store(tmp_path / "s", row_groups=6), processes.Event()
    with pytest.raises(NotFoundError):
        open_store(store.url).representation(address())
    child = processes.Process(target=write_many, args=(store.url, dumps, over))
    child.start()
    looks, seen, wanted = 0, set(), {layer: truth(store, layer).tobytes() for layer in SHAPES}
    while not over.is_set():
        looks += 1
        reader = open_store(store.url)
        sealed = reader.representations()
        assert len(sealed) % len(SHAPES) == 0, "a part of a dump was listed"
        seen.add(len(sealed) // len(SHAPES))
        for entry in sealed[-len(SHAPES) :]:
            found = reader.representation(entry.address, fingerprint=entry.fingerprint)
            assert found.read_rows(slice(None)).tobytes() == wanted[entry.address.layer]
        if looks % 5 == 0:
            assert reader.verify() == []
    child.join(60)
    assert child.exitcode == 0
    print(f"{looks} looks at {sorted(seen)} dumps: none partial")
    assert looks
    assert len(seen) > 1 or dumps < 10
