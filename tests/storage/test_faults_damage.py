"""Flipped bits, files that end early, chunks in each other's places: readers refuse or are right, `verify` names it."""

import os
import shutil
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from storage import CorruptError, Encoding, StoreError, open_store
from storage.commits import sealed_layer_sets
from storage.format import records
from storage.format.shard_bytes import read_index
from storage.reading import shard
from storage.splits import record
from tests.storage.small_dump import address, begin, new_store, tree

KINDS = ("shards", "markers", "manifests", "other")
LAYERS = ("blocks.1", "logits")
SHAPES = {"blocks.1": (5, 6), "logits": (7,)}


READS = (
    lambda found: found.read_rows(slice(None)),
    lambda found: found.read_rows(np.arange(28, -1, -1))[::-1],
)


def values(layer, seed=0):
    """Return floats that are random in every bit but two: nothing to compress, so that chunks are of one size."""
    bits = np.random.default_rng([seed, len(layer)]).integers(
        0, 2**31 - 2**28, (29, *SHAPES[layer]), np.uint32
    )
    return bits.view("f4")


def dump(root, seed=0):
    store = new_store(root, row_groups=3)
    made = begin(store, LAYERS, identity={"seed": seed}, encoding=Encoding(chunk_bytes=240))
    for group, (start, stop) in enumerate(made.split.row_groups):
        made.write(group, {layer: values(layer, seed)[start:stop] for layer in LAYERS})
    made.seal()
    return store


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return dump(tmp_path_factory.mktemp("sealed") / "s").url


@pytest.fixture
def url(pristine, tmp_path):
    shutil.copytree(pristine, tmp_path / "s")
    return str((tmp_path / "s").resolve())


def kind_of(key):
    name = key.rpartition("/")[2]
    if "/activations/c." in key:
        return "shards"
    return {"row": "markers", "man": "manifests"}.get(name[:3], "other")


def files_of(url, kind):
    return [Path(url, key) for key in sorted(tree(url)) if kind_of(key) == kind]


def as_a_new_process():
    """Forget what this process read."""
    caches = (
        records._read_version,
        sealed_layer_sets._read_version,
        record._load_version,
        shard._shard_record,
    )
    for cache in (*caches, shard.RECENT_MARKERS):
        cache.cache_clear()


def named_by_verify(url):
    as_a_new_process()
    try:
        return {problem.file for problem in open_store(url).verify()}
    except StoreError as error:
        return {getattr(error, "file", error.where)}


def refusals(url):
    """Return the errors that reading gives; what is read without one must be right."""
    errors = []
    for layer in LAYERS:
        for read in READS:
            as_a_new_process()
            try:
                found = read(open_store(url).representation(address(layer)))
            except StoreError as error:
                errors.append(error)
            else:
                assert found.tobytes() == values(layer).tobytes(), f"wrong values of {layer}"
    return errors


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flips", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_a_flipped_bit_is_never_a_silent_one(url, kind, flips):
    rng = np.random.default_rng(KINDS.index(kind))
    files, refused = files_of(url, kind), 0
    for turn in range(flips):
        path = files[int(rng.integers(len(files)))]
        before = path.read_bytes()
        bit = int(rng.integers(8 * len(before)))
        flipped = bytearray(before)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert str(path) in named_by_verify(url), f"flip {turn}, bit {bit} of {path} was not found"
        errors = refusals(url)
        refused += bool(errors)
        assert errors or kind == "other", f"flip {turn}, bit {bit} of {path} was read over"
        path.write_bytes(before)
    assert named_by_verify(url) == set()
    assert refusals(url) == []
    print(f"{flips} flips in {kind}: all named by verify, {refused} refused by readers, 0 wrong values")


@pytest.mark.parametrize("kind", ["shards", "markers", "manifests"])
def test_a_file_that_ends_early_is_named(url, kind):
    for path in files_of(url, kind)[:: 1 if kind == "manifests" else 2]:
        before = path.read_bytes()
        for keep in (0, 1, len(before) // 2, len(before) - 1):
            path.write_bytes(before[:keep])
            errors = refusals(url)
            assert errors
            assert all(str(path) in str(error) for error in errors)
            assert named_by_verify(url) == {str(path)}
        path.write_bytes(before)
    assert refusals(url) == []


def swap_chunks(path, *, index_too):
    """Exchange two inner chunks of one size: their bytes, or only what the index says of them."""
    data = bytearray(path.read_bytes())
    n_chunks = 5
    (a, b), (c, d) = list(read_index(bytes(data), n_chunks))[:2]
    assert b - a == d - c
    if index_too:
        index = np.frombuffer(bytes(data[-(16 * n_chunks + 4) : -4]), "<u8").reshape(n_chunks, 2).copy()
        index[[0, 1]] = index[[1, 0]]
        data[-(16 * n_chunks + 4) :] = index.tobytes() + google_crc32c.value(index.tobytes()).to_bytes(
            4, "little"
        )
    else:
        data[a:b], data[c:d] = data[c:d], data[a:b]
    path.write_bytes(data)


DAMAGE = ("swapped", "stale", "missing", "half-filled", "sparse", "inner chunks", "inner index")


@pytest.mark.parametrize("how", DAMAGE)
def test_a_shard_that_is_another_or_half_there_is_named(url, tmp_path, how):
    shards = [path for path in files_of(url, "shards") if "blocks" in str(path)]
    path, other = shards[:2]
    damaged = {path}
    data = path.read_bytes()
    match how:
        case "swapped":
            assert path.stat().st_size == other.stat().st_size
            path.write_bytes(other.read_bytes())
            other.write_bytes(data)
            damaged.add(other)
        case "stale":
            older = dump(tmp_path / "older", seed=1)
            replacement = [found for found in files_of(older.url, "shards") if found.name == path.name]
            path.write_bytes(next(f for f in replacement if "blocks" in str(f)).read_bytes())
            assert path.stat().st_size == len(data)
        case "missing":
            path.unlink()
        case "half-filled":
            path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
        case "sparse":
            os.truncate(path, 0)
            os.truncate(path, len(data))
        case _:
            swap_chunks(path, index_too=how == "inner index")
    errors = refusals(url)
    assert errors
    assert all(isinstance(error, CorruptError) and str(path) in str(error) for error in errors[:1])
    assert named_by_verify(url) == {str(damage) for damage in damaged}


def test_without_digests_swapped_chunks_would_be_read_as_each_other(url):
    """The check above is what finds them: the codec's own CRC does not."""
    swap_chunks(next(path for path in files_of(url, "shards") if "blocks" in str(path)), index_too=False)
    found = open_store(url, check_reads=False).representation(address("blocks.1")).read_rows(slice(None))
    assert found.tobytes() != values("blocks.1").tobytes()
