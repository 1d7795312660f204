"""Summaries in a folder of their own and in a store, on a disk and in a bucket."""

import json
import pickle
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from safetensors import safe_open
from safetensors.numpy import load_file

from storage import (
    WORK,
    ArrayNotFoundError,
    ConflictError,
    CorruptError,
    LayoutError,
    NotFoundError,
    ReadOnlyError,
    SchemaError,
    open_store,
    open_summaries,
)
from storage.place.local import LocalPlace
from storage.summaries import file as summary_file
from storage.summaries.folder import SUMMARIES, Summaries
from tests.storage.object_server import new_objects
from tests.storage.small_dump import address, begin, dumped, finish, new_store, tree, truth
from tests.storage.small_summary import CONTENT, arrays, same

DTYPES = ["b1", "i1", "u1", "i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8"]


@pytest.fixture(params=["disk", "bucket"])
def summaries(request, tmp_path):
    if request.param == "bucket":
        request.getfixturevalue("aws")
        return open_summaries(new_objects().url)
    return open_summaries(tmp_path / "run" / "summaries")


@pytest.fixture
def folder(tmp_path):
    return open_summaries(tmp_path / "summaries")


def file_of(folder, kind, key):
    return Path(folder._file(kind, key).path)


def test_what_was_written_is_read(summaries):
    summaries.write("moments", "a1", arrays(), CONTENT)
    found = summaries.read("moments", "a1")
    assert found.content == CONTENT
    assert same(found.arrays, arrays())
    assert not any(values.flags.writeable for values in found.arrays.values())


def test_some_arrays_are_read_in_the_order_asked_for(summaries):
    summaries.write("moments", "a1", arrays(), CONTENT)
    found = summaries.read("moments", "a1", ["norms", "mean"])
    assert list(found.arrays) == ["norms", "mean"]
    assert same(found.arrays, {name: arrays()[name] for name in ("norms", "mean")})
    assert summaries.read("moments", "a1", []).arrays == {}
    for read in (summaries.read, summaries.read_or_none):
        with pytest.raises(
            ArrayNotFoundError, match=r"a1.safetensors.*'covar'.*covariance, kept, mean, norms"
        ):
            read("moments", "a1", ["covar"])


def test_what_is_not_there_is_not_found(summaries):
    assert not summaries.has("moments", "a1")
    assert summaries.read_or_none("moments", "a1") is None
    assert summaries.keys("moments") == []
    summaries.delete("moments", ["a1"])
    with pytest.raises(NotFoundError, match=f"{summaries.url}/moments/a1.safetensors"):
        summaries.read("moments", "a1")


def test_keys_are_listed_and_deleted(summaries):
    for key in ("b", "a", "c"):
        summaries.write("moments", key, arrays(), CONTENT)
    summaries.write("gram", "z", {}, {})
    assert summaries.keys("moments") == ["a", "b", "c"]
    summaries.delete("moments", ["a", "c", "never"])
    assert (summaries.keys("moments"), summaries.keys("gram")) == (["b"], ["z"])
    assert not summaries.has("moments", "a")
    assert summaries.read("gram", "z").arrays == {}
    assert [entry.key for entry in summaries.entries("moments")] == ["moments/b.safetensors"]


def test_the_same_again_is_fine_and_the_first_ones_bits_stay(summaries):
    summaries.write("moments", "a1", arrays(), CONTENT)
    summaries.write("moments", "a1", arrays(), CONTENT)
    summaries.write("moments", "a1", arrays(noise=1e-15), CONTENT)
    assert same(summaries.read("moments", "a1").arrays, arrays())


def test_the_same_again_writes_nothing_and_reads_the_header_alone(folder, monkeypatch):
    values = {"gram": np.zeros((300, 300))}
    folder.write("gram", "a", values, CONTENT)
    asked, original = [], LocalPlace.read_ranges
    monkeypatch.setattr(LocalPlace, "stage", None)
    monkeypatch.setattr(
        LocalPlace,
        "read_ranges",
        lambda place, key, ranges: asked.extend(ranges) or original(place, key, ranges),
    )
    folder.write("gram", "a", values, CONTENT)
    assert asked == [(0, summary_file.FIRST_BYTES)]


@pytest.mark.parametrize("kind", ["moments", WORK])
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"content": {**CONTENT, "rows": 30}}, "content"),
        ({"arrays": {**arrays(), "mean": arrays()["mean"][:4]}}, "mean"),
        ({"arrays": {**arrays(), "mean": arrays()["mean"].astype("f4")}}, "mean"),
        ({"arrays": {**arrays(), "more": np.ones(2)}}, "more"),
        ({"arrays": {}}, "covariance, kept, mean, norms"),
    ],
    ids=["content", "shape", "dtype", "more", "fewer"],
)
def test_another_summary_under_the_same_key_is_refused(folder, kind, change, named):
    folder.write(kind, "a1", arrays(), CONTENT)
    with pytest.raises(ConflictError, match=f"a1.safetensors.*differs in {named}"):
        folder.write(kind, "a1", **{"arrays": arrays(), "content": CONTENT, **change})
    assert same(folder.read(kind, "a1").arrays, arrays())


def test_a_bucket_holds_the_bytes_of_a_disk(tmp_path, aws):
    local, remote = open_summaries(tmp_path / "s"), open_summaries(new_objects().url)
    big = {**arrays(), "gram": np.arange(30_000.0).reshape(100, 300)}
    for found in (local, remote):
        found.write("moments", "A/b", arrays(), CONTENT)
        found.write(WORK, "big", big, {}, durable=False)
    files = {entry.key: local.place.read(entry.key) for entry in local.entries()}
    assert files.keys() == {"moments/%41%2fb.safetensors", "work/big.safetensors"}
    assert {entry.key: remote.place.read(entry.key) for entry in remote.entries()} == files
    assert same(remote.read(WORK, "big").arrays, big)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (5, 3)])
def test_every_dtype_and_shape_comes_back(folder, dtype, shape):
    values = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    folder.write("k", "a", {"x": values, "y": values.astype(values.dtype.newbyteorder(">"))}, {})
    found = folder.read("k", "a").arrays
    assert same(found, {"x": values, "y": values})


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.dictionaries(
        st.text(min_size=1, max_size=6),
        arrays_of.arrays(st.sampled_from(["<f8", ">f4", "<i8", "?"]), arrays_of.array_shapes(min_dims=0)),
        max_size=4,
    ),
    data=st.data(),
)
def test_any_arrays_come_back_also_where_they_are_views(folder, values, data):
    turned = {name: array.T[::-1] if array.ndim else array for name, array in values.items()}
    folder.delete("k", ["a"])
    folder.write("k", "a", turned, {})
    wanted = {name: np.array(array, dtype=array.dtype.newbyteorder("=")) for name, array in turned.items()}
    asked = data.draw(st.lists(st.sampled_from(sorted(values)), unique=True)) if values else []
    assert same(folder.read("k", "a").arrays, dict(sorted(wanted.items())))
    assert same(folder.read("k", "a", asked).arrays, {name: wanted[name] for name in asked})
    assert list(folder.damaged()) == []


def test_arrays_can_be_worked_on_where_they_lie(folder, monkeypatch):
    """The first starts at a multiple of 64 bytes, each at one of its item's size, whatever lies before it."""
    values = {"a": np.ones(3, "?"), "b": np.ones(5, "f2"), "c": np.ones(3), "d": np.ones(7, "f4")}
    folder.write("moments", "a1", values, CONTENT)
    data = file_of(folder, "moments", "a1").read_bytes()
    assert (8 + int.from_bytes(data[:8], "little")) % 64 == 0
    for first_bytes in (64, 1 << 16):
        monkeypatch.setattr(summary_file, "FIRST_BYTES", first_bytes)
        assert all(found.flags.aligned for found in folder.read("moments", "a1").arrays.values())


def test_other_programs_read_them_as_safetensors(folder):
    values = {**arrays(), 'ä/b "c"': np.arange(6, dtype="u2").reshape(2, 3), "none": np.zeros((0, 3))}
    folder.write("moments", "a1", values, CONTENT)
    path = file_of(folder, "moments", "a1")
    assert same(load_file(path), values)
    with safe_open(path, framework="numpy") as file:
        about = file.metadata()
    assert (about["kind"], about["key"], json.loads(about["content"])) == ("moments", "a1", CONTENT)
    assert json.loads(about["digests"]).keys() == values.keys()


def test_summaries_of_the_first_format_count_as_missing(folder):
    """They lay under another suffix; nothing of them is read."""
    folder.write("moments", "a1", arrays(), CONTENT)
    path = file_of(folder, "moments", "a1")
    path.rename(path.with_suffix(".summary"))
    assert folder.read_or_none("moments", "a1") is None
    assert folder.keys("moments") == []
    folder.write("moments", "a1", arrays(), CONTENT)
    assert same(folder.read("moments", "a1").arrays, arrays())


def test_many_small_arrays_are_three_requests_of_a_bucket(proxy):
    folder = open_summaries(new_objects().url)
    values = {f"a{number:03}": np.full(1000, float(number)) for number in range(40)}
    folder.write("moments", "a1", values, CONTENT)
    proxy.clear()
    assert same(folder.read("moments", "a1").arrays, values)
    assert sum(request.method == "GET" for request in proxy.seen) == 2


def test_arrays_larger_than_a_piece_are_filled_piece_by_piece(folder, monkeypatch):
    monkeypatch.setattr(summary_file, "PIECE_BYTES", 128)
    monkeypatch.setattr(summary_file, "FIRST_BYTES", 64)
    folder.write("moments", "a1", arrays(n=40), CONTENT)
    found = folder.read("moments", "a1")
    assert same(found.arrays, arrays(n=40))
    assert not found.arrays["covariance"].flags.writeable
    asked, original = [], LocalPlace.read_ranges
    monkeypatch.setattr(
        LocalPlace,
        "read_ranges",
        lambda place, key, ranges: asked.extend(ranges) or original(place, key, ranges),
    )
    folder.read("moments", "a1", ["covariance"])
    assert max(stop - start for start, stop in asked[2:]) == 128
    assert sum(stop - start for start, stop in asked[2:]) == 40 * 40 * 8


def test_only_what_is_asked_for_is_read(folder, monkeypatch):
    folder.write("gram", "a", {"large": np.zeros((1000, 1000)), "small": np.ones(7)}, CONTENT)
    asked, original = [], LocalPlace.read_ranges
    monkeypatch.setattr(
        LocalPlace,
        "read_ranges",
        lambda place, key, ranges: asked.extend(ranges) or original(place, key, ranges),
    )
    assert folder.read("gram", "a", ["small"]).arrays["small"].tolist() == [1.0] * 7
    assert sum(stop - start for start, stop in asked) < 100_000


def test_headers_longer_than_the_first_read(folder):
    content = {"names": [f"layer{i}" for i in range(20_000)]}
    folder.write("moments", "a1", arrays(), content)
    assert folder.read("moments", "a1").content == content
    assert same(folder.read("moments", "a1").arrays, arrays())
    assert list(folder.damaged()) == []


@pytest.mark.parametrize(
    "values",
    [np.array(["a"]), np.array([None]), np.zeros(2, "M8[s]"), np.zeros(2, "f8,f4"), np.longdouble(1), 1j],
)
def test_values_that_are_no_numbers_are_refused(folder, values):
    with pytest.raises(LayoutError, match="array 'x'"):
        folder.write("k", "a", {"x": values}, {})
    with pytest.raises(LayoutError, match="array ''"):
        folder.write("k", "a", {"": np.ones(2)}, {})
    with pytest.raises(LayoutError, match="array '__metadata__'"):
        folder.write("k", "a", {"__metadata__": np.ones(2)}, {})
    assert folder.keys("k") == []


def test_content_that_is_no_json_is_refused(folder):
    for content in ({"x": float("nan")}, {"x": np.ones(2)}, {1: "x"}):
        with pytest.raises(SchemaError, match="k/a"):
            folder.write("k", "a", {}, content)


def test_only_work_in_progress_may_be_lost(folder):
    with pytest.raises(LayoutError, match="durable=False"):
        folder.write("moments", "a", arrays(), {}, durable=False)
    folder.write(WORK, "a", arrays(), {}, durable=False)
    assert same(folder.read(WORK, "a").arrays, arrays())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.text(min_size=1, max_size=150), min_size=2, max_size=4, unique=True))
@pytest.mark.parametrize("hostile", [["..", "commits"], ["a/b", "a\\b"], ["A" * 300, "a" * 300], ["\0", "ẞ"]])
def test_hostile_names_stay_apart_and_inside(folder, hostile, names):
    for kind, key in zip((*hostile, *names), (*names, *hostile), strict=True):
        folder.write(kind, key, {}, {"kind": kind, "key": key})
        assert folder.read(kind, key).content == {"kind": kind, "key": key}
        assert key in folder.keys(kind)
    top = {path.name for path in Path(folder.url).iterdir()}
    assert all(len(name) <= 120 for name in top)
    folder.delete(hostile[0], folder.keys(hostile[0]))
    assert folder.keys(hostile[0]) == []


def test_a_folder_is_a_value(summaries):
    summaries.write("moments", "a1", arrays(), CONTENT)
    again = pickle.loads(pickle.dumps(summaries))
    assert (again, hash(again)) == (summaries, hash(summaries))
    assert same(again.read("moments", "a1").arrays, arrays())


def test_a_folder_opened_for_reading_is_not_written_to(folder):
    folder.write("moments", "a1", arrays(), CONTENT)
    reader = open_summaries(folder.url, mode="r")
    assert same(reader.read("moments", "a1").arrays, arrays())
    for act in (lambda: reader.write("k", "a", {}, {}), lambda: reader.delete("moments", ["a1"])):
        with pytest.raises(ReadOnlyError, match="of a summary"):
            act()


class TestInAStore:
    @pytest.fixture
    def store(self, tmp_path):
        store = dumped(tmp_path / "s")
        store.summaries.write("moments", "a1", arrays(), CONTENT)
        return store

    def damage(self, store, key="a1", kind="moments"):
        path = file_of(store.summaries, kind, key)
        data = bytearray(path.read_bytes())
        data[-100] ^= 1
        path.write_bytes(data)
        return path

    def test_they_lie_out_of_sight_of_zarr(self, store):
        assert f"{SUMMARIES}/moments/a1.safetensors" in tree(store.url)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = xr.open_datatree(store.url, engine="zarr", consolidated=False)
        assert "moments" not in str(found)
        assert store.splits() == [("digits", "test")]

    def test_a_store_opened_for_reading_gives_them_and_takes_none(self, store):
        reader = open_store(store.url)
        assert same(reader.summaries.read("moments", "a1").arrays, arrays())
        with pytest.raises(ReadOnlyError):
            reader.summaries.write("moments", "a2", arrays(), CONTENT)

    def test_evictions_leave_them(self, store):
        store.evict()
        assert store.representations() == []
        assert same(store.summaries.read("moments", "a1").arrays, arrays())
        assert store.verify() == []

    def test_verify_counts_them_and_names_damaged_ones(self, store):
        store.summaries.write("gram", "g", arrays(), {})
        seen = []
        assert store.verify(on_summary=lambda *found: seen.append(found)) == []
        assert [file for file, _ in seen] == [
            f"{SUMMARIES}/gram/g.safetensors",
            f"{SUMMARIES}/moments/a1.safetensors",
        ]
        path = self.damage(store)
        (problem,) = store.verify()
        assert (problem.representation, problem.file) == ("summary", str(path))
        assert "the array 'mean'" in problem.expected
        assert store.verify(model="net-a") == []

    def test_a_sample_of_the_arrays_is_enough_for_headers(self, store):
        self.damage(store)
        assert store.verify(sample=0.0) == []
        path = file_of(store.summaries, "moments", "a1")
        path.write_bytes(path.read_bytes()[:-1])
        assert [problem.file for problem in store.verify(sample=0.0)] == [str(path)]

    def test_a_repair_takes_damaged_ones_out_and_says_so(self, store):
        store.summaries.write("gram", "g", arrays(), {})
        path = self.damage(store)
        done = store.repair()
        key = f"{SUMMARIES}/moments/a1.safetensors"
        assert done.summaries == (key,)
        assert [one.key for one in done.quarantined] == [key]
        assert [one.file for one in done.problems] == [str(path)]
        assert (done.redo, done.left) == ((), ())
        assert not store.summaries.has("moments", "a1")
        assert same(store.summaries.read("gram", "g").arrays, arrays())
        store.summaries.write("moments", "a1", arrays(), CONTENT)
        assert store.verify() == []
        assert store.repair().problems == ()

    def test_a_repair_leaves_a_newer_format_alone(self, store, monkeypatch):
        monkeypatch.setattr("storage.summaries.format.SUMMARY_FORMAT", 3)
        store.summaries.write("gram", "g", {}, {})
        monkeypatch.undo()
        with pytest.raises(Exception, match="format 3"):
            store.repair()
        assert store.summaries.has("gram", "g")

    def test_damaged_work_is_no_problem(self, store):
        store.summaries.write(WORK, "w", arrays(), {})
        self.damage(store, "w", WORK)
        assert store.verify() == []
        assert store.repair().problems == ()

    def test_old_work_is_garbage_and_nothing_else(self, store):
        store.summaries.write(WORK, "w", arrays(), {}, durable=False)
        kept = tree(store.url)
        assert store.gc().work == ()
        late = {"now_s": time.time() + 2 * 86400}
        garbage = store.gc(**late)
        assert [entry.key for entry in garbage.work] == [f"{SUMMARIES}/{WORK}/w.safetensors"]
        assert garbage.n_bytes == garbage.remove() > 0
        assert set(kept) - set(tree(store.url)) == {f"{SUMMARIES}/{WORK}/w.safetensors"}
        assert (store.gc(**late).n_bytes, store.gc(**late).remove()) == (0, 0)
        assert same(store.summaries.read("moments", "a1").arrays, arrays())

    def test_work_that_was_written_again_meanwhile_is_left(self, store):
        store.summaries.write(WORK, "w", arrays(), {})
        garbage = store.gc(now_s=time.time() + 2 * 86400)
        store.summaries.delete(WORK, ["w"])
        time.sleep(0.02)
        store.summaries.write(WORK, "w", arrays(), {})
        assert garbage.remove() == 0
        assert store.summaries.has(WORK, "w")

    def test_a_data_set_of_that_name_is_another_thing(self, store):
        store.add_split("summaries", "moments", ["a1"])
        assert store.verify() == []
        assert store.summaries.keys("moments") == ["a1"]

    def test_a_store_begins_with_summaries_too(self, tmp_path):
        place = LocalPlace(str((tmp_path / "new").resolve()))
        Summaries(place, SUMMARIES).write("moments", "a1", arrays(), CONTENT)
        finish(begin(new_store(place.url)))
        store = open_store(place.url)
        assert same(store.summaries.read("moments", "a1").arrays, arrays())
        np.testing.assert_array_equal(store.representation(address()).read_rows(slice(None)), truth(store))

    def test_a_symbolic_link_is_refused_and_taken_out(self, store):
        path = file_of(store.summaries, "moments", "a1")
        path.rename(path.with_name("elsewhere"))
        path.symlink_to(path.with_name("elsewhere"))
        with pytest.raises(CorruptError, match="symbolic link"):
            store.summaries.read("moments", "a1")
        assert [problem.file for problem in store.verify()] == [str(path)]
        assert store.repair().summaries == (f"{SUMMARIES}/moments/a1.safetensors",)
        assert not path.is_symlink()
