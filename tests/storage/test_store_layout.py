import hashlib

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import Crc32cCodec
from zarr.storage import MemoryStore

from storage import LayerSpec, LayoutError, SampleIdError, plan_split
from storage.format import encode_vector
from storage.format.keys import shard_key
from storage.format.row_groups import (
    CHUNK_BYTES,
    chunk_rows,
    part_of,
    row_group_bounds,
    rows_of_shard,
    rows_per_group,
)

ids = st.lists(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=1, max_size=60, unique=True
)


@given(ids=ids, row_groups=st.integers(1, 70), seed=st.integers(0, 9), align=st.integers(1, 9))
def test_a_plan_stores_every_sample_once_in_groups_of_one_size(ids, row_groups, seed, align):
    plan = plan_split(ids, row_groups=row_groups, seed=seed, align_rows=align)
    assert sorted(plan.order) == list(range(len(ids)))
    starts, stops = zip(*plan.bounds, strict=True)
    assert starts[0] == 0
    assert stops[-1] == len(ids)
    assert starts[1:] == stops[:-1]
    sizes = [stop - start for start, stop in plan.bounds]
    assert set(sizes[:-1]) <= {sizes[0]}
    assert 1 <= sizes[-1] <= sizes[0]
    assert len(sizes) <= row_groups
    if len(sizes) > 1:
        assert sizes[0] % align == 0


@given(ids=ids, seed=st.integers(0, 99), data=st.data())
def test_which_sample_falls_into_which_group_does_not_depend_on_the_input_order(ids, seed, data):
    shuffled = data.draw(st.permutations(ids))
    plan, other = (plan_split(order, row_groups=5, seed=seed) for order in (ids, shuffled))
    assert [ids[i] for i in plan.order] == [shuffled[i] for i in other.order]
    assert plan.bounds == other.bounds


def test_groups_of_a_class_sorted_split_are_exchangeable():
    labels = np.repeat(np.arange(10), 100)
    plan = plan_split([f"{label}/{i}" for i, label in enumerate(labels)], row_groups=10)
    counts = np.stack([np.bincount(labels[plan.order][a:b], minlength=10) for a, b in plan.bounds[:-1]])
    # a group of 104 holds 10.4 of each class, standard deviation about 3: sorted storage would give 0 or 100
    assert counts.min() >= 1
    assert counts.max() <= 30


def test_the_seed_moves_samples_to_other_groups():
    names = [str(i) for i in range(200)]
    assert list(plan_split(names, seed=0).order) != list(plan_split(names, seed=1).order)


def test_the_order_is_pinned():
    # another order would make every split that exists another split
    keys = {name: hashlib.sha256(f"7\0{name}".encode()).digest() for name in "abcde"}
    assert ["abcde"[i] for i in plan_split("abcde", seed=7).order] == sorted("abcde", key=keys.__getitem__)


@pytest.mark.parametrize(
    ("bad", "found"),
    [([], "none"), (["a", "a"], "'a'"), (["a", ""], "''"), ([1], "1"), (["\ud800"], "ud800")],
)
def test_ids_that_cannot_identify_are_refused(bad, found):
    with pytest.raises(SampleIdError) as caught:
        plan_split(bad)
    assert found in caught.value.found


@pytest.mark.parametrize("keyword", ["row_groups", "align_rows"])
def test_a_plan_needs_positive_numbers(keyword):
    with pytest.raises(LayoutError, match=f"{keyword}: expected at least 1, found 0"):
        plan_split(["a"], **{keyword: 0})


@given(n=st.integers(1, 10**7), row_groups=st.integers(1, 100), align=st.integers(1, 512))
def test_row_groups_are_no_more_than_asked_for(n, row_groups, align):
    rows = rows_per_group(n, row_groups=row_groups, align_rows=align)
    assert rows % align == 0
    assert len(row_group_bounds(n, rows)) <= row_groups if row_groups < 100 else True
    assert rows < -(-n // row_groups) + 8 * align


@given(rows=st.integers(1, 5000), row_bytes=st.integers(1, 10**7), target=st.integers(1, 10**7))
def test_inner_chunks_divide_the_shard_and_keep_to_the_target(rows, row_bytes, target):
    chunk = chunk_rows(rows, row_bytes, target_bytes=target)
    assert rows % chunk == 0
    assert chunk == 1 or chunk * row_bytes <= target
    larger = [d for d in range(chunk + 1, rows + 1) if rows % d == 0 and d * row_bytes <= target]
    assert larger == []


def test_chunks_of_usual_layers():
    assert chunk_rows(23, 16 * 8 * 8 * 4) == 23
    assert chunk_rows(504, 64 * 32 * 32 * 4) * 64 * 32 * 32 * 4 <= CHUNK_BYTES


def test_shards_of_layers_and_groups_never_share_a_key():
    keys = {shard_key(layer, group, 4) for layer in ("a", "A", "a.1", "a/1", "..") for group in range(12)}
    assert len(keys) == 60


@pytest.mark.parametrize("shape", [(), (1, 2, 3, 4), (0,), (3, -1)])
def test_shapes_that_are_no_layer_are_refused(shape):
    with pytest.raises(LayoutError, match="one sample's shape"):
        LayerSpec(shape)


def test_dtypes_that_are_not_stored_are_refused():
    with pytest.raises(LayoutError, match="float32, float16"):
        LayerSpec((3,), "bfloat16")


sizes = st.integers(1, 10**6)


@given(n=st.integers(1, 5000), groups=st.integers(1, 60), align=st.integers(1, 70), most=st.integers(1, 900))
def test_no_row_group_is_larger_than_was_asked_for(n, groups, align, most):
    rows = rows_per_group(n, row_groups=groups, align_rows=align, max_rows=most)
    assert rows <= max(most, align)
    bounds = row_group_bounds(n, rows)
    assert [start for start, _ in bounds[1:]] == [stop for _, stop in bounds[:-1]]
    assert (bounds[0][0], bounds[-1][1]) == (0, n)
    assert rows % align == 0
    unbounded = rows_per_group(n, row_groups=groups, align_rows=align)
    assert rows == unbounded or rows < unbounded


@given(sample_bytes=sizes, shard_bytes=sizes)
def test_a_shard_holds_what_fits_but_at_least_one_sample(sample_bytes, shard_bytes):
    rows = rows_of_shard(sample_bytes, shard_bytes=shard_bytes)
    assert rows == 1 or rows * sample_bytes <= shard_bytes < (rows + 1) * sample_bytes


@given(count=st.integers(0, 200), parts=st.integers(1, 40))
def test_parts_of_a_dump_are_disjoint_ranges_of_nearly_one_size(count, parts):
    ranges = [part_of(count, part=part, parts=parts) for part in range(parts)]
    assert [group for one in ranges for group in one] == list(range(count))
    assert max(map(len, ranges)) - min(map(len, ranges)) <= 1
    for part in (-1, parts):
        with pytest.raises(LayoutError):
            part_of(count, part=part, parts=parts)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(5), np.arange(5, dtype=">i4")[::2], np.arange(3, dtype=np.int8), np.array([1.5, np.nan]),
        np.array(True), np.array(["ä", "bb", ""]), np.array(["one", "two"], dtype=object), np.array("text"),
        np.zeros(0, np.int64),
    ],
    ids=lambda values: f"{values.dtype.name}-{values.size}",
)  # fmt: skip
def test_a_small_array_has_the_bytes_that_zarr_writes(values):
    attributes = {"class_names": ["ü", "b"]}
    memory = MemoryStore()
    array = zarr.create_array(
        memory,
        shape=values.shape,
        dtype=str if values.dtype.kind in "UO" else values.dtype,
        chunks=values.shape,
        compressors=[Crc32cCodec()],
        dimension_names=("sample",) * values.ndim,
        attributes=attributes,
        config={"write_empty_chunks": True},
        zarr_format=3,
    )
    array[...] = values
    assert encode_vector(values, attributes) == {
        key: data.to_bytes() for key, data in memory._store_dict.items()
    }
