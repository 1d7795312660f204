import errno
import os
import pickle

import numpy as np
import pytest

import storage
from storage import (
    Address,
    ConflictError,
    CorruptError,
    FormatError,
    LayerSpec,
    LayoutError,
    NonFiniteError,
    NotFoundError,
    PairingError,
    RangeError,
    ReadOnlyError,
    SampleIdError,
    SchemaError,
    StoreError,
    UnfinishedError,
    WriteError,
    check_pairing,
    open_store,
)
from tests.storage.small_dump import (
    IDS,
    LABELS,
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


@pytest.fixture
def dump(tmp_path):
    return begin(new_store(tmp_path / "s"))


def written(dump):
    """Return the shards on the disk."""
    return [name for name in tree(dump._place.root) if "/activations/c." in name]


@pytest.mark.parametrize("rows", [slice(0, 7), slice(0, 9), slice(0, 0)])
def test_a_block_that_is_not_a_whole_row_group_is_refused_with_both_numbers(dump, rows):
    blocks = {name: truth_of(dump, name)[rows] for name in SHAPES}
    with pytest.raises(LayoutError) as caught:
        dump.write(0, blocks)
    assert "8 rows" in caught.value.expected
    assert f"{rows.stop} rows" in caught.value.found
    assert written(dump) == []


def truth_of(dump, name):
    """Return a layer's activations in storage order."""
    return np.concatenate([blocks_of(dump, group)[name] for group in range(4)])


@pytest.mark.parametrize(
    "block",
    [np.zeros((8, 3, 4, 5), "f4"), np.zeros((8, 48), "f4"), np.zeros((8, 3, 4, 4), "i4"), np.zeros(())],
)
def test_blocks_of_another_shape_or_kind_are_refused(dump, block):
    with pytest.raises(LayoutError, match=r"layer1\.0"):
        dump.write(0, {**blocks_of(dump, 0), "layer1.0": block})
    assert written(dump) == []


@pytest.mark.parametrize("row_group", [-1, 4])
def test_row_groups_that_do_not_exist_are_refused(dump, row_group):
    with pytest.raises(LayoutError, match="from 0 to 3"):
        dump.write(row_group, blocks_of(dump, 0))


def test_all_layers_of_a_row_group_are_written_together(dump):
    blocks = blocks_of(dump, 0)
    del blocks["logits"]
    with pytest.raises(LayoutError, match=r"missing \['logits'\]"):
        dump.write(0, blocks)
    with pytest.raises(LayoutError, match=r"unknown \['layer9'\]"):
        dump.write(0, {**blocks_of(dump, 0), "layer9": blocks["layer1.0"]})
    assert written(dump) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_activations_are_refused_with_layer_sample_and_count(dump, value):
    blocks = blocks_of(dump, 1)
    blocks["blocks.1"][5, 0, :3] = value
    blocks["blocks.1"][7, 0, 0] = value
    with pytest.raises(NonFiniteError) as caught:
        dump.write(1, blocks)
    error = caught.value
    assert (error.layer, error.sample_id, error.count, error.row_group) == (
        "blocks.1",
        dump.split.sample_ids[8 + 5],
        4,
        1,
    )
    assert written(dump) == []
    assert dump.missing_row_groups() == [0, 1, 2, 3]


def test_values_beyond_float16_are_refused_and_never_clipped(tmp_path):
    dump = begin(new_store(tmp_path / "s"), ["logits"], dtype="float16")
    block = truth_of(dump, "logits")[:8].astype("f4")
    block[3, 2] = -7e4
    with pytest.raises(RangeError) as caught:
        dump.write(0, {"logits": block})
    error = caught.value
    assert (error.layer, error.sample_id, error.value, error.dtype, error.limit) == (
        "logits",
        dump.split.sample_ids[3],
        -7e4,
        "float16",
        65504.0,
    )
    assert "float32" in error.remedy
    assert written(dump) == []
    block[3, 2] = 65504
    dump.write(0, {"logits": block})


def test_float64_beyond_float32_is_refused(dump):
    blocks = blocks_of(dump, 0)
    blocks["logits"] = blocks["logits"].astype("f8")
    blocks["logits"][0, 0] = 1e300
    with pytest.raises(RangeError, match="1e\\+300"):
        dump.write(0, blocks)


def test_nothing_is_readable_before_it_is_sealed(dump):
    store = open_store(dump._place.root)
    for group in range(4):
        dump.write(group, blocks_of(dump, group))
        assert store.representations() == []
        with pytest.raises(NotFoundError, match="not finished"):
            store.representation(address())
    dump.seal()
    assert store.representation(address()).n_samples == 29


def test_a_dump_with_row_groups_missing_is_not_sealed(dump):
    dump.write(2, blocks_of(dump, 2))
    with pytest.raises(UnfinishedError) as caught:
        dump.seal()
    assert caught.value.row_groups == (0, 1, 3)
    assert not dump.sealed


def test_an_unknown_layer_or_model_is_answered_with_the_nearest(tmp_path):
    store = dumped(tmp_path / "s")
    with pytest.raises(NotFoundError, match=r"Did you mean 'layer1\.0'"):
        store.representation(address("layer1.1"))
    with pytest.raises(NotFoundError, match="Did you mean 'net-a'"):
        store.representation(address(model="net-b"))
    with pytest.raises(NotFoundError, match="split 'train'"):
        store.split("digits", "train")
    with pytest.raises(NotFoundError, match="split 'train'"):
        store.begin_dump(
            dataset="digits",
            split="train",
            model="m",
            layers={"l": LayerSpec((3,))},
            identity={},
            provenance={},
        )


@pytest.mark.parametrize(
    "change",
    [
        {"sample_ids": [*IDS[:-1], "other"]},
        {"sample_ids": IDS[:-1], "labels": LABELS[:-1]},
        {"sample_ids": IDS[::-1]},
        {"labels": LABELS[::-1].copy()},
        {"labels": None},
        {"class_names": ["zero"]},
        {"row_groups": 5},
        {"seed": 1},
    ],
)
def test_another_split_under_the_same_name_is_refused_and_nothing_changes(tmp_path, change):
    store = new_store(tmp_path / "s")
    before = tree(store.url)
    wanted = {
        "sample_ids": IDS,
        "labels": LABELS,
        "class_names": list("0123456789"),
        "row_groups": 4,
        **change,
    }
    with pytest.raises(ConflictError, match="digits/test"):
        store.add_split("digits", "test", **wanted)
    assert tree(store.url) == before


@pytest.mark.parametrize("labels", [[0.5] * 29, [1] * 28, [["a"]] * 29])
def test_labels_are_one_whole_number_per_sample(tmp_path, labels):
    with pytest.raises(SampleIdError, match="29 integers"):
        open_store(tmp_path / "s", mode="a").add_split("d", "t", IDS, labels=labels)


def test_a_sealed_layer_in_another_form_is_refused(tmp_path):
    store = dumped(tmp_path / "s")
    with pytest.raises(ConflictError, match="float16"):
        begin(store, ["logits"], dtype="float16")


def test_an_unsealed_layer_in_another_form_is_refused(tmp_path):
    store = new_store(tmp_path / "s")
    first = begin(store, ["logits"])
    first.write(0, blocks_of(first, 0))
    second = begin(store, ["logits"], dtype="float16")
    with pytest.raises(ConflictError, match="float16"):
        second.write(0, blocks_of(second, 0))


@pytest.mark.parametrize("bad", [{"w": np.zeros(2)}, {"w": float("nan")}, {"a": {1: "x"}}, {"w": b"x"}])
def test_identity_and_provenance_are_plain_json(tmp_path, bad):
    store = new_store(tmp_path / "s")
    with pytest.raises(SchemaError, match="identity of net-a"):
        begin(store, identity=bad)
    with pytest.raises(SchemaError, match="provenance of net-a"):
        begin(store, provenance=bad)


def test_pairing_demands_the_same_samples_in_the_same_order(tmp_path):
    store = dumped(tmp_path / "s")
    other = open_store(tmp_path / "o", mode="a")
    found = {}
    for name, ids in {"same": IDS, "replaced": ["zzz", *IDS[1:]], "fewer": IDS[1:]}.items():
        other.add_split("digits", name, ids, row_groups=4)
        dump = other.begin_dump(
            dataset="digits", split=name, model="b", layers={"l": LayerSpec((2,))}, identity={}, provenance={}
        )
        for group, (start, stop) in enumerate(dump.split.row_groups):
            dump.write(group, {"l": np.ones((stop - start, 2), "f4")})
        dump.seal()
        found[name] = other.representation(Address("digits", name, "b", "l"))
    mine = store.representation(address())
    check_pairing(mine, store.representation(address("logits")))
    check_pairing(mine, found["same"])
    for name in ("replaced", "fewer"):
        with pytest.raises(PairingError) as caught:
            check_pairing(mine, found[name])
        row = int(caught.value.found.split()[1])
        ids, others = mine.split.sample_ids, found[name].split.sample_ids
        assert ids[:row] == others[:row]
        assert ids[row] != others[row]
        assert repr(ids[row]) in str(caught.value)


def test_pairing_names_a_missing_tail_and_other_row_groups(tmp_path):
    store = open_store(tmp_path / "s", mode="a")
    whole = store.add_split("d", "whole", IDS, row_groups=4)
    made = {}
    for split, ids, groups in (("cut", whole.sample_ids[:-1], 4), ("coarse", IDS, 2), ("whole", IDS, 4)):
        store.add_split("d", split, ids, row_groups=groups)
        dump = store.begin_dump(
            dataset="d", split=split, model="m", layers={"l": LayerSpec((2,))}, identity={}, provenance={}
        )
        for group, (start, stop) in enumerate(dump.split.row_groups):
            dump.write(group, {"l": np.ones((stop - start, 2), "f4")})
        dump.seal()
        made[split] = store.representation(Address("d", split, "m", "l"))
    with pytest.raises(PairingError, match="29 samples in one and 28 in the other"):
        check_pairing(made["whole"], made["cut"])
    with pytest.raises(PairingError, match="row groups"):
        check_pairing(made["whole"], made["coarse"])


def test_a_store_opened_for_reading_writes_nothing(tmp_path):
    store = open_store(dumped(tmp_path / "s").url)
    before = tree(store.url)
    with pytest.raises(ReadOnlyError):
        begin(store)
    with pytest.raises(ReadOnlyError):
        store.add_split("d", "t", IDS)
    assert tree(store.url) == before


def test_what_is_no_store_is_not_opened(tmp_path):
    with pytest.raises(NotFoundError, match="nothing"):
        open_store(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "draft.txt").write_text("x")
    for mode in ("r", "a"):
        with pytest.raises(FormatError, match="another directory"):
            open_store(tmp_path / "papers", mode=mode)
        with pytest.raises(FormatError, match="local path"):
            open_store("ftp://server/store", mode=mode)
    assert [path.name for path in (tmp_path / "papers").iterdir()] == ["draft.txt"]
    with pytest.raises(StoreError):
        open_store(tmp_path / "papers" / "draft.txt", mode="a")


def test_a_newer_format_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(storage.format.records, "FORMAT", 7)
    open_store(tmp_path / "s", mode="a")
    monkeypatch.undo()
    storage.format.records._read_version.cache_clear()
    with pytest.raises(FormatError, match="format 7"):
        open_store(tmp_path / "s")


@pytest.mark.parametrize("call", ["write", "link", "fsync"])
def test_a_full_disk_is_one_clear_error_and_the_dump_resumes_when_there_is_room(tmp_path, monkeypatch, call):
    store = new_store(tmp_path / "s")
    dump = begin(store)
    dump.write(0, blocks_of(dump, 0))

    def full(*arguments, **keywords):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(WriteError, match="No space left on device") as caught:
            dump.write(1, blocks_of(dump, 1))
    assert caught.value.errno == errno.ENOSPC
    finish(begin(store))
    np.testing.assert_array_equal(store.representation(address()).read_rows(slice(None)), truth(store))


@pytest.mark.parametrize(
    "rows", [np.array([29]), np.array([-30]), np.array([0.5]), np.array([True]), np.zeros((2, 2), int)]
)
def test_rows_that_are_not_there_are_refused(tmp_path, rows):
    found = dumped(tmp_path / "s").representation(address())
    with pytest.raises(LayoutError, match="29 rows"):
        found.read_rows(rows)
    with pytest.raises(LayoutError, match="from 0 to 3"):
        found.read(4)


@pytest.mark.parametrize(("batch_size", "window"), [(0, 1), (1, 0)])
def test_batches_need_positive_sizes(tmp_path, batch_size, window):
    found = dumped(tmp_path / "s").representation(address())
    with pytest.raises(LayoutError, match="at least 1"):
        found.shuffled_batches(batch_size, np.random.default_rng(0), window_row_groups=window)


def test_errors_have_four_parts_and_cross_processes_whole():
    errors = [
        NonFiniteError(layer="l", sample_id="s", count=3, row_group=1),
        RangeError(layer="l", sample_id="s", value=7e4, dtype="float16", limit=65504.0),
        CorruptError(representation="r", row_group=2, file="f", expected="e", found="x"),
        UnfinishedError(where="d", row_groups=[1], total=4),
        WriteError(path="p", n_bytes=3, cause=OSError(errno.EROFS, "Read-only file system")),
        storage.AmbiguousError(where="a", fingerprints=["f1", "f2"]),
        storage.SymlinkError(file="f", target="/t"),
        ReadOnlyError(where="s", action="add_split"),
        NotFoundError(where="w", expected="e", found="f", remedy="r"),
    ]
    for error in errors:
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)
        assert isinstance(again, StoreError)
        for part in (error.where, error.expected, error.found, error.remedy):
            assert part
            assert part in str(error)
