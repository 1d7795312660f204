import json
import os
import shutil
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from storage import CorruptError, StoreError, SymlinkError, open_store
from storage.format.codecs import UndecodableError
from storage.format.shard_bytes import ChunkTable, chunk_digest, read_table, shard_index
from tests.storage.small_dump import SHAPES, address, begin, blocks_of, dumped, finish, new_store, tree, truth


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return dumped(tmp_path_factory.mktemp("sealed") / "store.zarr").url


@pytest.fixture
def store(pristine, tmp_path):
    shutil.copytree(pristine, tmp_path / "s")
    return open_store(tmp_path / "s")


def shard(store, group, layer="layer1.0"):
    return Path(store.url, store.representation(address(layer)).shard_file(group))


def flip(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def damage(kind, path, other):
    """Do to a shard what disks and people do."""
    size = path.stat().st_size
    match kind:
        case "missing":
            path.unlink()
        case "empty" | "first byte" | "half" | "last byte":
            keep = {"empty": 0, "first byte": 1, "half": size // 2, "last byte": size - 1}[kind]
            os.truncate(path, keep)
        case "longer":
            path.write_bytes(path.read_bytes() + b"\0")
        case "swapped":
            mine, others = path.read_bytes(), other.read_bytes()
            path.write_bytes(others)
            other.write_bytes(mine)
        case "zeros":
            path.write_bytes(bytes(size))
        case "directory":
            path.unlink()
            path.mkdir()


KINDS = ["missing", "empty", "first byte", "half", "last byte", "longer", "swapped", "zeros", "directory"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_shard_is_an_error_that_names_it_and_leaves_the_others_readable(store, kind):
    damage(kind, shard(store, 1), shard(store, 2))
    found = store.representation(address())
    with pytest.raises(CorruptError) as caught:
        found.read(1)
    assert caught.value.row_group == 1
    assert caught.value.file == str(shard(store, 1))
    assert str(address()) in caught.value.representation
    assert "dump again" in caught.value.remedy
    for rows in (slice(None), np.array([9])):
        with pytest.raises(CorruptError):
            found.read_rows(rows)
    with pytest.raises(CorruptError):
        found.to_xarray().isel(sample=8).values  # noqa: B018  (reading is the act)
    np.testing.assert_array_equal(found.read(0), truth(store)[:8])
    named = {(problem.row_group, problem.file) for problem in store.verify()}
    swapped = {(2, str(shard(store, 2)))} if kind == "swapped" else set()
    assert named == {(1, str(shard(store, 1)))} | swapped


def test_a_shard_of_another_layer_or_dump_is_not_taken_for_this_one(store):
    writable = open_store(store.url, mode="a")
    finish(begin(writable, identity={"weights": "w1"}), scale=1.5)
    entries = store.representations(layer="layer1.0")
    mine, other = (store.representation(e.address, fingerprint=e.fingerprint) for e in entries)
    shutil.copy(Path(store.url, other.shard_file(0)), Path(store.url, mine.shard_file(0)))
    with pytest.raises(CorruptError):
        mine.read(0)
    assert len(store.verify()) == 1


def test_two_swapped_shards_of_one_size_are_noticed(tmp_path):
    store = new_store(tmp_path / "s")
    dump = begin(store, ["logits"])
    bits = np.random.default_rng(0).integers(0, 2**31 - 2**28, size=(29, 7), dtype=np.uint32)
    blocks = bits.view("f4")  # random in every bit but two: nothing to compress, so sizes are equal
    for group, (start, stop) in enumerate(dump.split.row_groups):
        dump.write(group, {"logits": blocks[start:stop]})
    dump.seal()
    one, other = shard(store, 0, "logits"), shard(store, 1, "logits")
    assert one.stat().st_size == other.stat().st_size
    damage("swapped", one, other)
    found = store.representation(address("logits"))
    for group in (0, 1):
        with pytest.raises(CorruptError, match="others in chunk 0"):
            found.read(group)
    np.testing.assert_array_equal(found.read(2), blocks[16:24])
    assert [problem.row_group for problem in store.verify()] == [0, 1]


def test_a_shard_that_changes_after_it_was_read_is_noticed_in_the_same_process(store):
    found = store.representation(address())
    found.read(0)
    flip(shard(store, 0), 100)
    with pytest.raises(CorruptError):
        found.read(0)


def test_every_bit_flip_in_any_file_is_found_and_read_as_an_error_or_the_right_values(store):
    rng = np.random.default_rng(0)
    files = sorted(tree(store.url))
    for position in range(2 * len(files)):
        path = Path(store.url, files[position % len(files)])
        original = path.read_bytes()
        flip(path, int(rng.integers(8 * len(original))))
        problems = fresh(store).verify_or_error()
        assert problems, f"a flip in {path} was not found"
        fresh(store).read_right_or_refuse()
        path.write_bytes(original)
    assert open_store(store.url).verify() == []


class fresh:  # noqa: N801  (reads as a word)
    """A store as a new process would see it, which must refuse or be right."""

    def __init__(self, store):
        self.url = store.url

    def verify_or_error(self):
        try:
            return [problem.file for problem in open_store(self.url).verify()]
        except StoreError as error:
            return [error.where]

    def read_right_or_refuse(self):
        for layer in SHAPES:
            try:
                found = open_store(self.url).representation(address(layer)).read_rows(slice(None))
            except StoreError:
                continue
            np.testing.assert_array_equal(found, WANTED[layer])


WANTED = {}


@pytest.fixture(autouse=True)
def wanted(pristine):
    for layer in SHAPES:
        WANTED[layer] = truth(open_store(pristine), layer)


def test_a_damaged_manifest_hides_nothing_and_invents_nothing(store):
    (manifest,) = Path(store.url).rglob("manifest.json")
    content = json.loads(manifest.read_text())
    content["content"]["n_samples"] = 28
    manifest.write_text(json.dumps(content, indent=1, sort_keys=True))
    with pytest.raises(CorruptError, match=r"manifest\.json"):
        store.representation(address())
    with pytest.raises(CorruptError):
        store.representations()
    with pytest.raises(CorruptError):
        begin(open_store(store.url, mode="a"))
    assert [problem.file for problem in store.verify()] == [str(manifest)]


def test_a_manifest_of_another_dump_is_refused(store):
    finish(begin(open_store(store.url, mode="a"), identity={"weights": "w1"}))
    one, other = sorted(Path(store.url).rglob("manifest.json"))
    shutil.copy(one, other)
    with pytest.raises(CorruptError, match="the one of"):
        store.representations()


def test_without_its_manifest_a_dump_is_not_readable(store):
    for manifest in Path(store.url).rglob("manifest.json"):
        manifest.unlink()
    assert store.representations() == []


def test_a_damaged_marker_names_itself_and_what_to_do(tmp_path):
    store = new_store(tmp_path / "s")
    dump = begin(store)
    dump.write(0, blocks_of(dump, 0))
    (marker,) = Path(store.url).rglob("row-group-00000.json")
    flip(marker, 4000)
    with pytest.raises(CorruptError, match=r"row-group-00000\.json") as caught:
        begin(store).missing_row_groups()
    assert "Repair the store" in caught.value.remedy
    store.repair()
    finish(begin(store))
    np.testing.assert_array_equal(store.representation(address()).read(0), truth(store)[:8])


@pytest.mark.parametrize("source", ["other row group", "other dump"])
def test_a_marker_put_in_anothers_place_is_refused(tmp_path, source):
    store = new_store(tmp_path / "s")
    dump, other = begin(store), begin(store, identity={"weights": "w1"})
    for written in (dump, other):
        for group in (0, 1):
            written.write(group, blocks_of(written, group))
    home = Path(store.url, dump.identity.key)
    target = next(home.rglob("row-group-00000.json"))
    if source == "other dump":
        shutil.copy(next(Path(store.url, other.identity.key).rglob("row-group-00000.json")), target)
    else:
        shutil.copy(next(home.rglob("row-group-00001.json")), target)
    with pytest.raises(CorruptError, match="the marker of these rows"):
        begin(store).missing_row_groups()


@pytest.mark.parametrize("kind", ["missing", "half"])
def test_a_resume_does_not_trust_a_marker_whose_shard_is_gone_or_cut(tmp_path, kind):
    store = new_store(tmp_path / "s")
    dump = begin(store)
    dump.write(0, blocks_of(dump, 0))
    (path,) = Path(store.url).rglob("logits/activations/c.0.0")
    damage(kind, path, None)
    with pytest.raises(CorruptError) as caught:
        begin(store).missing_row_groups()
    assert (caught.value.file, caught.value.row_group) == (str(path), 0)
    (marker,) = Path(store.url).rglob("row-group-00000.json")
    assert "Repair the store" in caught.value.remedy
    store.repair()
    assert not marker.exists()
    finish(begin(store))
    assert store.verify() == []


@pytest.mark.parametrize("kind", ["half", "zeros", "other values"])
def test_an_unmarked_shard_that_this_network_cannot_have_made_is_not_adopted(tmp_path, kind):
    store = new_store(tmp_path / "s")
    dump = begin(store)
    dump.write(0, blocks_of(dump, 0))
    next(Path(store.url).rglob("row-group-00000.json")).unlink()
    (path,) = Path(store.url).rglob("logits/activations/c.0.0")
    if kind == "other values":
        dump.write(1, blocks_of(dump, 1))
        other = begin(store, identity={"weights": "w1"})
        other.write(0, blocks_of(other, 0, scale=3.0))
        path.write_bytes(Path(store.url, other.identity.key, "logits/activations/c.0.0").read_bytes())
    else:
        damage(kind, path, None)
    before = path.read_bytes()
    again = begin(store)
    with pytest.raises(CorruptError) as caught:
        again.write(0, blocks_of(again, 0))
    assert caught.value.file == str(path)
    assert path.read_bytes() == before
    path.unlink()
    finish(begin(store))
    assert store.verify() == []


def test_an_unmarked_shard_with_other_last_bits_is_adopted(tmp_path):
    store = new_store(tmp_path / "s")
    dump = begin(store)
    dump.write(0, blocks_of(dump, 0))
    next(Path(store.url).rglob("row-group-00000.json")).unlink()
    first = truth(store)[:8]
    finish(begin(store), noise=1e-5)
    found = store.representation(address())
    np.testing.assert_array_equal(found.read(0), first)
    assert not np.array_equal(found.read(1), truth(store)[8:16])
    assert store.verify() == []


@pytest.mark.parametrize("what", ["shard", "array", "dump", "manifest"])
def test_symbolic_links_inside_a_store_are_refused(store, tmp_path, what):
    path = {
        "shard": shard(store, 1),
        "array": shard(store, 1).parent,
        "dump": shard(store, 1).parent.parent.parent,
        "manifest": next(Path(store.url).rglob("manifest.json")),
    }[what]
    outside = tmp_path / "outside"
    path.rename(outside)
    path.symlink_to(outside)
    with pytest.raises(SymlinkError) as caught:
        store.representation(address()).read(1)
    assert str(path) in caught.value.file
    assert store.verify() != []


def test_nothing_is_written_through_a_symbolic_link(tmp_path):
    store = new_store(tmp_path / "s")
    dump = begin(store)
    outside = tmp_path / "outside"
    outside.mkdir()
    Path(store.url, dump.identity.key, "layer1.0").symlink_to(outside)
    with pytest.raises(SymlinkError):
        dump.write(0, blocks_of(dump, 0))
    assert list(outside.iterdir()) == []


def test_a_store_reached_through_a_link_is_the_store_itself(store, tmp_path):
    (tmp_path / "link").symlink_to(store.url)
    assert open_store(tmp_path / "link").url == store.url
    assert open_store(tmp_path / "link").representation(address()).read(0).shape == (8, 3, 4, 4)


def test_a_writer_that_comes_second_demands_that_the_marker_vouches_for_what_is_there(tmp_path, monkeypatch):
    store = new_store(tmp_path / "s")
    first, second = begin(store), begin(store)
    first.write(0, blocks_of(first, 0))
    monkeypatch.setattr(
        second, "_marker", lambda row_group, size_of: None
    )  # it looked before the first was done
    second.write(0, blocks_of(second, 0))
    other = begin(store, identity={"weights": "w1"})
    other.write(0, blocks_of(other, 0, noise=1e-5))
    (path,) = Path(store.url, first.identity.key).rglob("logits/activations/c.0.0")
    shutil.copy(Path(store.url, other.identity.key, "logits/activations/c.0.0"), path)
    with pytest.raises(CorruptError, match="the shard that its marker names"):
        second.write(0, blocks_of(second, 0))


def test_coordinates_that_were_damaged_before_the_seal_are_not_sealed(tmp_path):
    store = new_store(tmp_path / "s")
    dump = begin(store)
    for group in range(4):
        dump.write(group, blocks_of(dump, group))
    path = Path(store.url, dump.identity.key, "logits/sample_id/c/0")
    flip(path, 77)
    with pytest.raises(CorruptError, match="the split's sample_id") as caught:
        dump.seal()
    assert caught.value.file == str(path)
    path.unlink()
    finish(begin(store))
    assert store.verify() == []


def test_samples_that_are_not_those_that_were_dumped_are_refused(store, tmp_path):
    other = new_store(tmp_path / "other", n_samples=30)
    shutil.copy(*(Path(s.url, "digits/test/commits/split.json") for s in (other, store)))
    with pytest.raises(CorruptError, match="samples with the digest"):
        store.representation(address()).split  # noqa: B018  (reading is the act)
    assert any("digest" in problem.expected for problem in store.verify())


def test_a_split_that_a_killed_process_left_unfinished_is_completed_before_a_dump(tmp_path):
    store = new_store(tmp_path / "s")
    shutil.rmtree(Path(store.url, "digits", "test", "label"))
    assert store.verify() == []
    finish(begin(store))
    assert Path(store.url, "digits", "test", "label", "zarr.json").exists()
    assert store.verify() == []
    Path(store.url, "digits", "test", "label", "zarr.json").unlink()
    assert [Path(problem.file).parent.name for problem in store.verify()] == ["label"]


def test_reads_that_are_not_checked_say_so_and_still_compare_the_checksum(store):
    unchecked = open_store(store.url, check_reads=False).representation(address("logits"))
    assert unchecked.provenance["reads"] == "not checked"
    assert "reads" not in store.representation(address("logits")).provenance
    one, other = shard(store, 0, "logits"), shard(store, 1, "logits")
    content = one.read_bytes(), other.read_bytes()
    one.write_bytes(content[1])
    other.write_bytes(content[0])
    np.testing.assert_array_equal(unchecked.read(0), truth(store, "logits")[8:16])  # swapped, and not noticed
    with pytest.raises(CorruptError):
        store.representation(address("logits")).read(0)
    flip(one, 40)
    with pytest.raises(CorruptError, match="CRC-32C"):
        unchecked.read(0)


def test_a_shard_is_chunks_one_behind_the_other_and_their_index():
    chunks, address = [b"one", b"second", b"3"], "fingerprint/layer/c.0"
    digests = tuple(chunk_digest(address, i, data) for i, data in enumerate(chunks))
    table = ChunkTable(tuple(map(len, chunks)), digests)
    whole = b"".join(chunks) + shard_index(table, 5)
    assert read_table(whole, 5, address) == table
    gap = b"".join(chunks) + b"\0" + shard_index(table, 5)
    index = np.frombuffer(shard_index(table, 5)[:-4], "<u8").reshape(5, 2)[[1, 0, 2, 3, 4]].tobytes()
    other_order = b"".join(chunks) + index + google_crc32c.value(index).to_bytes(4, "little")
    for data in (gap, other_order):
        with pytest.raises(UndecodableError, match="one behind the other"):
            read_table(data, 5, address)
    for data, n_chunks in ((whole, 4), (whole[:-1], 5), (b"", 5)):
        with pytest.raises(UndecodableError, match="no index"):
            read_table(data, n_chunks, address)
