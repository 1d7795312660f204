import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from storage import (
    ConflictError,
    CorruptError,
    Encoding,
    FormatError,
    NotFoundError,
    Store,
    open_place,
    open_store,
    repair,
)
from storage.commits import store_record
from storage.format.digests import digest_of_bytes
from storage.format.records import record_bytes
from storage.format.schema import FORMAT
from storage.format.zarr_arrays import group_metadata
from storage.maintenance.repairing import split
from storage.splits import arrays
from storage.writing import dump_arrays
from tests.storage.crashing import crash_in
from tests.storage.small_dump import (
    IDS,
    LABELS,
    ROW_GROUPS,
    SHAPES,
    address,
    begin,
    blocks_of,
    dumped,
    finish,
    new_store,
    tree,
    truth,
)

SHARD = "logits/activations/c.1.0"


@pytest.fixture(autouse=True)
def no_flushes(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return dumped(tmp_path_factory.mktemp("sealed") / "store.zarr").url


@pytest.fixture
def store(pristine, tmp_path):
    shutil.copytree(pristine, tmp_path / "s")
    return open_store(tmp_path / "s", mode="a")


def file(store, pattern):
    return next(path for path in sorted(Path(store.url).rglob(pattern)) if "quarantine" not in path.parts)


def flip(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def damage(kind, path, rng):
    match kind:
        case "flip":
            flip(path, rng.randrange(8 * path.stat().st_size))
        case "missing":
            path.unlink()
        case "half":
            os.truncate(path, path.stat().st_size // 2)
        case "directory":
            path.unlink()
            path.mkdir()


def outside_quarantine(root):
    return {name: data for name, data in tree(root).items() if not name.startswith("commits/quarantine/")}


def right(store, *layers):
    for layer in layers or SHAPES:
        found = store.representation(address(layer)).read_rows(slice(None))
        np.testing.assert_array_equal(found, truth(store, layer))


def redone(repaired):
    return [(one.address.layer, one.row_groups) for one in repaired.redo]


@pytest.mark.parametrize(
    ("every", "shift"), [(9, 0), *(pytest.param(3, shift, marks=pytest.mark.slow) for shift in (0, 1, 2))]
)
def test_any_damaged_file_is_repaired_and_only_damaged_row_groups_are_computed(
    tmp_path, pristine, every, shift
):
    original = tree(pristine)
    rng = random.Random(shift)
    kinds = ("flip", "missing", "half")
    for number, name in enumerate(sorted(original)):
        if number % every != shift and "/activations/c." not in name:
            continue
        root = tmp_path / "s"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(pristine, root)
        damage(kinds[(number + shift) % 3], root / name, rng)
        store = Store(open_place(root), mode="a")
        repaired = store.repair()
        assert repaired.left == (), name
        assert store.verify() == [], name
        dump = begin(store)
        if "/activations/c." in name:
            layer, group = name.split("/")[3], int(name.split("c.")[1].split(".")[0])
            assert redone(repaired) == [(layer, (group,))]
            assert (set(dump.layers), dump.missing_row_groups()) == ({layer}, [group])
        else:
            assert (redone(repaired), dump.missing_row_groups()) == ([], [])
        finish(dump)
        assert store.verify() == [], name
        right(store)
        changed = {k for k, v in outside_quarantine(root).items() if original.get(k) != v}
        assert set(original) <= set(outside_quarantine(root))
        assert all("/commits/" in key for key in changed), name
        again = store.repair()
        assert (again.problems, again.redo, again.quarantined) == ((), (), ())


def test_a_sound_store_is_not_touched(store):
    before = tree(store.url)
    repaired = store.repair()
    assert (repaired.problems, repaired.quarantined, repaired.restored, repaired.redo) == ((), (), (), ())
    assert tree(store.url) == before


def test_nothing_is_lost_by_a_repair(store):
    path = file(store, SHARD)
    os.truncate(path, 20)
    bad = path.read_bytes()
    (moved,) = store.repair().quarantined
    assert moved.key == str(path.relative_to(store.url))
    assert Path(store.url, moved.moved_to).read_bytes() == bad


def test_other_shards_are_not_written_again(store):
    damaged = file(store, SHARD)
    stamps = {path: path.stat().st_mtime_ns for path in Path(store.url).rglob("activations/c.*")}
    flip(damaged, 99)
    store.repair()
    finish(begin(store))
    assert {p for p, t in stamps.items() if p.stat().st_mtime_ns != t} == {damaged}


def test_other_last_bits_of_another_machine_get_digests_of_their_own(store):
    flip(file(store, SHARD), 99)
    store.repair()
    finish(begin(store), noise=1e-6)
    assert store.verify() == []
    found = store.representation(address("logits"))
    np.testing.assert_array_equal(found.read(0), truth(store, "logits")[:8])
    assert not np.array_equal(found.read(1), truth(store, "logits")[8:16])
    np.testing.assert_allclose(found.read(1), truth(store, "logits")[8:16], rtol=1e-5)


def test_a_row_group_that_is_damaged_between_repair_and_dump_is_found_by_another_repair(store):
    flip(file(store, SHARD), 99)
    assert redone(store.repair()) == [("logits", (1,))]
    assert redone(store.repair()) == [("logits", (1,))]
    flip(file(store, "logits/activations/c.3.0"), 99)
    assert redone(store.repair()) == [("logits", (1, 3))]
    dump = begin(store)
    assert dump.missing_row_groups() == [1, 3]
    finish(dump)
    assert store.verify() == []
    right(store)


def test_damage_in_several_layers(store):
    for pattern in (
        SHARD,
        "layer1.0/activations/c.2.0.0.0",
        "row-group-00002.json",
        "blocks.1/sample_id/c/0",
    ):
        flip(file(store, pattern), 333)
    assert redone(store.repair()) == [("layer1.0", (2,)), ("logits", (1,))]
    assert store.verify() == []
    dump = begin(store)
    assert (set(dump.layers), dump.missing_row_groups()) == ({"layer1.0", "logits"}, [1, 2])
    finish(dump)
    assert store.verify() == []
    right(store)


def test_two_swapped_shards_are_both_dumped_again(store):
    one, other = file(store, SHARD), file(store, "logits/activations/c.2.0")
    mine, others = one.read_bytes(), other.read_bytes()
    one.write_bytes(others)
    other.write_bytes(mine)
    assert redone(store.repair()) == [("logits", (1, 2))]
    finish(begin(store))
    right(store)


def test_a_marker_is_rebuilt_from_sound_shards_byte_for_byte(store):
    marker = file(store, "row-group-00001.json")
    before = marker.read_bytes()
    flip(marker, 4000)
    assert store.repair().redo == ()
    assert marker.read_bytes() == before


def test_a_marker_and_a_shard_of_its_row_group(store):
    flip(file(store, "row-group-00001.json"), 4000)
    file(store, SHARD).unlink()
    assert redone(store.repair()) == [("logits", (1,))]
    assert store.verify() == []
    right(store, "layer1.0", "blocks.1")
    finish(begin(store))
    assert store.verify() == []
    right(store)


def test_a_manifest_is_made_again_from_its_markers(store):
    manifest = file(store, "manifest.json")
    before = manifest.read_bytes()
    flip(manifest, 4000)
    assert store.repair().redo == ()
    assert manifest.read_bytes() == before


def test_without_a_repair_of_its_own_a_lost_manifest_is_sealed_again_without_computing(store):
    file(store, "manifest.json").unlink()
    dump = begin(store)
    assert dump.missing_row_groups() == []
    dump.seal()
    assert store.verify() == []
    right(store)


def test_a_manifest_and_a_marker_lost_at_once_cost_one_row_group(store):
    flip(file(store, "manifest.json"), 4000)
    flip(file(store, "row-group-00002.json"), 4000)
    repaired = store.repair()
    assert redone(repaired) == [(layer, (2,)) for layer in sorted(SHAPES)]
    dump = begin(store)
    assert dump.missing_row_groups() == [2]
    finish(dump)
    assert store.verify() == []
    right(store)
    assert store.repair().redo == ()


def test_a_damaged_manifest_of_a_second_pass(tmp_path):
    store = dumped(tmp_path / "s", layers=["layer1.0"])
    finish(begin(store))
    for manifest in sorted(Path(store.url).rglob("manifest.json")):
        flip(manifest, 3000)
    assert store.repair().redo == ()
    assert store.verify() == []
    right(store)


def test_a_split_is_rebuilt_from_the_arrays_beside_it(store):
    record = file(store, "split.json")
    before = json.loads(record.read_bytes())["content"]
    flip(record, 3000)
    assert store.repair().left == ()
    after = json.loads(record.read_bytes())["content"]
    assert {k for k in before if before[k] != after[k]} == {"provenance"}
    assert store.verify() == []
    right(open_store(store.url))
    new_store(store.url)


def test_a_split_of_other_samples_is_rebuilt_too(store, tmp_path):
    other = new_store(tmp_path / "other", n_samples=30)
    shutil.copy(file(other, "split.json"), file(store, "split.json"))
    assert open_store(store.url, mode="a").repair().left == ()
    assert store.verify() == []
    right(open_store(store.url))


def test_a_split_without_its_arrays_must_be_restored_or_added_again(store):
    file(store, "split.json").unlink()
    flip(file(store, "sample_id/c/0"), 100)
    shutil.rmtree(Path(store.url, "digits", "test", "sample_id"))
    (left,) = store.repair().left
    assert "split.json" in left.file
    assert "add the same split again" in left.remedy
    with pytest.raises(NotFoundError):
        begin(store)
    store.add_split(
        "digits", "test", IDS, labels=LABELS, class_names=[str(i) for i in range(10)], row_groups=4
    )
    assert store.repair().left == ()
    assert store.verify() == []
    right(store)


def test_other_arrays_than_those_sealed_rebuild_no_split(store, tmp_path):
    other = new_store(tmp_path / "other", n_samples=30)
    file(store, "split.json").unlink()
    for array in ("sample_id", "original_index", "row_group", "label"):
        target = Path(store.url, "digits", "test", array)
        shutil.rmtree(target)
        shutil.copytree(Path(other.url, "digits", "test", array), target)
    assert len(store.repair().left) == 1


def test_a_store_whose_own_record_is_damaged_is_repaired(store):
    file(store, "store.json").write_bytes(b"")
    assert len(repair(open_place(store.url)).problems) == 1
    assert open_store(store.url, mode="a").verify() == []


def test_a_directory_that_is_no_store_is_not_made_one(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(NotFoundError):
        repair(open_place(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_records_of_a_newer_version_are_left_alone(store):
    record = file(store, "split.json")
    content = json.loads(record.read_bytes())["content"]
    body = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    digest = digest_of_bytes(json.dumps(["split", FORMAT + 1], separators=(",", ":")).encode() + body)
    old = json.loads(record_bytes("split", {}))
    head = {"format": FORMAT + 1, "record": old["record"], "sha256": digest}
    text = json.dumps(head, separators=(",", ":"))[:-1].encode() + b',"content":' + body + b"}\n"
    record.write_bytes(text)
    with pytest.raises(FormatError):
        store.repair()
    assert record.read_bytes() == text


UNSEALED = {
    "missing shard": ("missing", SHARD),
    "cut shard": ("half", SHARD),
    "flipped shard": ("flip", SHARD),
    "directory": ("directory", SHARD),
    "cut marker": ("half", "row-group-00001.json"),
    "flipped marker": ("flip", "row-group-00001.json"),
    "dump.json": ("half", "net-a*/commits/dump.json"),
    "lost dump.json": ("missing", "net-a*/commits/dump.json"),
    "group": ("half", "net-a*/zarr.json"),
    "array": ("half", "logits/activations/zarr.json"),
    "coordinate": ("flip", "logits/sample_id/c/0"),
    "lost coordinate": ("missing", "logits/label/c/0"),
    "layer": ("half", "logits/zarr.json"),
}


USUAL = ("missing shard", "flipped shard", "cut marker", "dump.json", "lost dump.json", "array", "layer")


@pytest.mark.parametrize(
    "what",
    [pytest.param(what, marks=[] if what in USUAL else pytest.mark.slow) for what in UNSEALED],
)
def test_a_dump_that_was_never_sealed_resumes_after_a_repair(tmp_path, what):
    kind, pattern = UNSEALED[what]
    store = new_store(tmp_path / "s")
    dump = begin(store)
    for group in (0, 1):
        dump.write(group, blocks_of(dump, group))
    damage(kind, file(store, pattern), random.Random(3))
    repaired = store.repair()
    assert repaired.left == ()
    assert repaired.problems or what.startswith("lost ")
    again = begin(store)
    assert 0 not in again.missing_row_groups()
    finish(again)
    assert store.verify() == []
    right(store)
    assert store.repair().problems == ()


@pytest.mark.parametrize("kind", ["half", "flip"])
def test_a_shard_that_nobody_marked_and_that_is_damaged_is_taken_out(tmp_path, kind):
    store = new_store(tmp_path / "s")
    dump = begin(store)
    dump.write(0, blocks_of(dump, 0))
    file(store, "row-group-00000.json").unlink()
    damage(kind, file(store, "logits/activations/c.0.0"), random.Random(1))
    assert len(store.repair().quarantined) == 1
    finish(begin(store))
    assert store.verify() == []
    right(store)


def test_an_array_made_again_with_another_encoding_does_not_block_its_dump(tmp_path):
    store = new_store(tmp_path / "s")
    dump = begin(store)
    dump.write(0, blocks_of(dump, 0))
    file(store, "layer1.0/activations/zarr.json").write_bytes(b"")
    store.repair()
    with pytest.raises(CorruptError, match="Repair the store"):
        begin(store, encoding=Encoding(chunk_bytes=200)).missing_row_groups()
    store.repair()
    finish(begin(store, encoding=Encoding(chunk_bytes=200)))
    assert store.verify() == []
    right(store)


def test_markers_put_in_anothers_place_are_taken_out(tmp_path):
    store = new_store(tmp_path / "s")
    dump = begin(store)
    for group in (0, 1):
        dump.write(group, blocks_of(dump, group))
    shutil.copy(file(store, "row-group-00001.json"), file(store, "row-group-00000.json"))
    store.repair()
    again = begin(store)
    assert again.missing_row_groups() == [0, 2, 3]
    finish(again)
    right(store)


def test_a_link_is_taken_out_and_what_it_led_to_stays(store, tmp_path):
    array = file(store, SHARD).parent
    array.rename(tmp_path / "outside")
    array.symlink_to(tmp_path / "outside")
    held = tree(tmp_path / "outside")
    assert redone(store.repair()) == [("logits", (0, 1, 2, 3))]
    assert tree(tmp_path / "outside") == held
    finish(begin(store))
    assert store.verify() == []
    right(store)


def test_a_dump_behind_a_link_is_left_and_named(store, tmp_path):
    dump = next(path for path in Path(store.url, "digits", "test").iterdir() if "~" in path.name)
    dump.rename(tmp_path / "outside")
    dump.symlink_to(tmp_path / "outside")
    (left,) = store.repair().left
    assert str(dump) in left.file
    assert dump.is_symlink()


def test_files_that_this_version_makes_otherwise_are_sealed_again_without_computing(store, monkeypatch):
    original = group_metadata
    for module in (arrays, dump_arrays, split, store_record):
        monkeypatch.setattr(module, "group_metadata", lambda about: original({**about, "made": "otherwise"}))
    for pattern in ("logits/zarr.json", "net-a*/zarr.json", "digits/test/zarr.json", "zarr.json"):
        flip(file(store, pattern), 50)
    repaired = store.repair()
    assert (repaired.redo, repaired.left) == ((), ())
    fresh = open_store(store.url)
    assert fresh.verify() == []
    right(fresh)


def test_only_one_models_dumps_are_repaired_when_asked(store):
    finish(begin(store, model="net-b"))
    for model in ("net-a", "net-b"):
        flip(file(store, f"{model}*/{SHARD}"), 99)
    assert {one.address.model for one in store.repair(model="net-b").redo} == {"net-b"}
    assert [problem.row_group for problem in store.verify()] == [1]


def test_evicted_layers_are_not_repaired_back(store):
    store.evict(layer="logits")
    assert store.repair().problems == ()
    assert len(store.evicted()) == 1


def test_progress_is_told(store):
    told = []
    store.repair(on_shard=lambda label, n_bytes: told.append(n_bytes))
    assert sum(told) == sum(found.n_bytes for found in store.representations())
    assert len(told) == len(SHAPES) * ROW_GROUPS


@pytest.mark.parametrize("every", [17, pytest.param(1, marks=pytest.mark.slow)])
def test_a_repair_cut_at_any_operation_is_run_again(tmp_path, monkeypatch, every):
    template = new_store(tmp_path / "template", row_groups=2)
    finish(begin(template, ["logits", "blocks.1"]))
    unsealed = begin(template, ["logits"], identity={"weights": "w1"})
    unsealed.write(0, blocks_of(unsealed, 0))
    bad = [SHARD, "row-group-00000.json", "blocks.1/label/c/0", "split.json", "store.json", "logits/sealed/c"]
    home = begin(template, ["logits"]).identity.key
    for pattern in bad:
        base = home + "/**/" if "/" in pattern or "row" in pattern else "**/"
        flip(next(Path(template.url).glob(base + pattern)), 3)
    flip(next(Path(template.url, unsealed.identity.key).rglob("logits/activations/c.0.0")), 99)
    for point in range(0, 1000, every):
        root = tmp_path / f"{point}"
        shutil.copytree(template.url, root)
        _, finished = crash_in(
            monkeypatch, lambda root=root: repair(open_place(root)), after=point, torn=bool(point % 2)
        )
        repaired = repair(open_place(root))
        assert repaired.left == ()
        assert [(r.address.layer, r.row_groups) for r in repaired.redo if r.row_groups == (1,)] == [
            ("logits", (1,))
        ]
        store = open_store(root, mode="a")
        assert store.verify() == []
        dump = begin(store, ["logits", "blocks.1"])
        assert dump.missing_row_groups() == [1]
        finish(dump)
        finish(begin(store, ["logits"], identity={"weights": "w1"}))
        assert store.verify() == []
        fingerprint = dump.fingerprint
        for layer in ("logits", "blocks.1"):
            found = store.representation(address(layer), fingerprint=fingerprint)
            np.testing.assert_array_equal(found.read_rows(slice(None)), truth(store, layer))
        if finished:
            break
    assert point > 15


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_a_manifest_cut_while_it_is_made_again(tmp_path, pristine, monkeypatch, every):
    for point in range(0, 100, every):
        root = tmp_path / f"{point}"
        shutil.copytree(pristine, root)
        flip(next(root.rglob("manifest.json")), 99)
        _, finished = crash_in(monkeypatch, lambda root=root: repair(open_place(root)), after=point)
        assert repair(open_place(root)).redo == ()
        store = open_store(root, mode="a")
        assert begin(store).sealed
        assert store.verify() == []
        if finished:
            break
    assert point > 3


def test_values_that_this_network_does_not_give_go_with_the_garbage(tmp_path):
    store = new_store(tmp_path / "s")
    dump = begin(store)
    dump.write(0, blocks_of(dump, 0, scale=3.0))
    file(store, "row-group-00000.json").unlink()
    again = begin(store)
    with pytest.raises(Exception, match="garbage") as caught:
        again.write(0, blocks_of(again, 0))
    assert not isinstance(caught.value, ConflictError)
    store.gc(older_than_s=-60).remove()
    finish(begin(store))
    assert store.verify() == []
    right(store)
