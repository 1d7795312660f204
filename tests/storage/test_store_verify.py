import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from storage import Encoding, StoreError, open_store
from tests.storage.small_dump import begin, finish, new_store, tree

LAYERS = ("logits", "layer1.0")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    store = new_store(tmp_path_factory.mktemp("sealed") / "s", row_groups=2)
    finish(begin(store, LAYERS, encoding=Encoding(chunk_bytes=256)))
    store.evict(layer="logits")
    finish(begin(store, LAYERS))
    return store.url


@pytest.fixture
def store(pristine, tmp_path):
    shutil.copytree(pristine, tmp_path / "s")
    return open_store(tmp_path / "s")


def shards(store):
    return sorted(Path(store.url).rglob("layer1.0/activations/c.*"))


def flip(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def problems(store, **keywords):
    try:
        return open_store(store.url).verify(**keywords)
    except StoreError as error:
        return [error]


def test_150_bit_flips_over_all_files_are_all_found(store):
    rng = np.random.default_rng(7)
    files = [Path(store.url, name) for name in sorted(tree(store.url))]
    for trial in range(150):
        path = files[trial % len(files)] if trial < len(files) else files[rng.integers(len(files))]
        original = path.read_bytes()
        flip(path, int(rng.integers(8 * len(original))))
        assert problems(store, sample=1.0), path
        path.write_bytes(original)
    assert problems(store) == []


def test_sizes_records_and_indices_are_checked_whatever_the_sample(store):
    for path in shards(store):
        original = path.read_bytes()
        os.truncate(path, len(original) - 1)
        assert problems(store, sample=0.0)
        path.write_bytes(original)
        flip(path, 8 * (len(original) - 10))
        assert problems(store, sample=0.0)
        path.write_bytes(original)
    for name in ("manifest.json", "row-group-00001.json", "split.json", "sample_id/c/0"):
        path = next(Path(store.url).rglob(name))
        original = path.read_bytes()
        flip(path, 200)
        assert problems(store, sample=0.0), name
        path.write_bytes(original)


def test_a_sample_finds_a_flip_in_a_chunk_as_often_as_it_reads_it(store):
    path = shards(store)[0]
    flip(path, 80)
    assert problems(store, sample=0.0) == []
    found = sum(bool(problems(store, sample=0.25, rng=np.random.default_rng(seed))) for seed in range(60))
    assert 5 <= found <= 26
    assert len(problems(store)) == 1


def test_progress_names_every_shard_and_its_bytes(store):
    told = []
    store.verify(on_shard=lambda label, n_bytes: told.append((label, n_bytes)))
    sealed = store.representations()
    assert sum(n_bytes for _, n_bytes in told) == sum(found.n_bytes for found in sealed)
    assert len(told) == 2 * len(LAYERS)
    assert {label.split(" ")[0] for label, _ in told} == {str(found.address) for found in sealed}


def test_evicted_layers_and_what_they_left_are_no_problem(store):
    writable = open_store(store.url, mode="a")
    left = {path: path.read_bytes() for path in shards(store)}
    writable.evict(layer="layer1.0")
    assert problems(store) == []
    next(iter(left)).write_bytes(b"left by a crash")
    assert problems(store) == []
