"""What goes in as a file or as batches comes out of the store, sample by sample."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

import stitchpipe as sp
from stitchpipe.ingest import Ingested, IngestError, ingest_batches, ingest_files
from storage import open_store

N = 37
IDS = [f"s{i * 7 % N:03d}" for i in range(N)]
LABELS = np.arange(N) % 5
SHAPES = {"conv": (3, 4, 5), "tokens": (6, 4), "logits": (10,)}


def arrays(dtype="float32", names=tuple(SHAPES)):
    rng = np.random.default_rng(0)
    made = {name: rng.standard_normal((N, *shape)).astype(dtype) for name, shape in SHAPES.items()}
    return {name: made[name] for name in names}


def put(run, *files, **options) -> Ingested:
    return ingest_files(run, files, dataset="d", split="test", model="m", **options)


def check(run, wanted, *, ids=IDS, labels=LABELS, model="m", dtype=None):
    opened = sp.open(run)
    assert set(opened.layers(model)) == set(wanted)
    for name, rows in wanted.items():
        found = opened.activations(f"{model}/{name}")
        place = {sample: row for row, sample in enumerate(ids)}
        order = [place[sample] for sample in found.sample_id.values]
        np.testing.assert_array_equal(found.values, rows[order].astype(dtype or found.dtype))
        if labels is not None:
            np.testing.assert_array_equal(found.label.values, np.asarray(labels)[order])


def npz(path, **options):
    np.savez(path, **arrays(**options), ids=np.array(IDS), labels=LABELS)
    return path


def npz_compressed(path, **options):
    np.savez_compressed(path, **arrays(**options), ids=np.array(IDS), labels=LABELS)
    return path


def nested(rows, kind):
    """Return rows as lists within lists."""
    flat = pa.array(rows.reshape(-1))
    for extent in reversed(rows.shape[1:]):
        if kind == "fixed":
            flat = pa.FixedSizeListArray.from_arrays(flat, extent)
        else:
            flat = pa.ListArray.from_arrays(np.arange(0, len(flat) + 1, extent, dtype=np.int32), flat)
    return flat


def parquet(path, kind="fixed", **options):
    columns = {name: nested(rows, kind) for name, rows in arrays(**options).items()}
    table = pa.table({**columns, "ids": IDS, "labels": LABELS, "path": ["x"] * N})
    pq.write_table(table, path, row_group_size=10)
    return path


def tensors(path, **options):
    made = arrays(**options)
    save_file({**made, "labels": LABELS, "ids": np.arange(N)}, path)
    return path


@pytest.mark.parametrize(
    ("write", "suffix"), [(npz, ".npz"), (npz_compressed, ".npz"), (parquet, ".parquet")]
)
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_files_with_ids_and_labels_read_back_by_sample(tmp_path, write, suffix, dtype):
    done = put(tmp_path / "run", write(tmp_path / f"a{suffix}", dtype=dtype))
    assert (done.n_samples, done.row_groups_written) == (N, done.row_groups)
    check(tmp_path / "run", arrays(dtype))
    stored = sp.open(tmp_path / "run").activations("m/conv").dtype
    assert stored == ("float16" if dtype == "float16" else "float32")


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_safetensors_read_back_by_sample(tmp_path, dtype):
    put(tmp_path / "run", tensors(tmp_path / "a.safetensors", dtype=dtype))
    check(tmp_path / "run", arrays(dtype), ids=[str(i) for i in range(N)])


def test_every_kind_of_file_with_the_same_content_is_the_same_representation(tmp_path):
    first = put(tmp_path / "run", npz(tmp_path / "a.npz"))
    assert first.row_groups_written == first.row_groups
    for path in (
        npz_compressed(tmp_path / "b.npz"),
        parquet(tmp_path / "c.parquet"),
        parquet(tmp_path / "d.parquet", kind="list"),
    ):
        again = put(tmp_path / "run", path)
        assert (again.fingerprint, again.row_groups_written) == (first.fingerprint, 0)
    for order in (np.arange(N)[::-1], np.random.default_rng(1).permutation(N)):
        rows = {name: values[order] for name, values in arrays().items()}
        np.savez(tmp_path / "e.npz", **rows, ids=np.array(IDS)[order], labels=LABELS[order])
        assert put(tmp_path / "run", tmp_path / "e.npz").fingerprint == first.fingerprint


def test_npy_files_are_layers_by_their_names_or_by_the_one_given(tmp_path):
    made = arrays()
    (tmp_path / "ids.txt").write_text("\n".join(IDS) + "\n")
    for name, rows in made.items():
        np.save(tmp_path / f"{name}.npy", np.asfortranarray(rows) if name == "tokens" else rows)
    files = [tmp_path / f"{name}.npy" for name in made]
    put(tmp_path / "run", *files, ids=tmp_path / "ids.txt", labels=LABELS.tolist())
    check(tmp_path / "run", made)
    put(tmp_path / "one", files[0], ids="range", layer="layer1.0")
    check(tmp_path / "one", {"layer1.0": made["conv"]}, ids=[f"{i:02d}" for i in range(N)], labels=None)


def test_bfloat16_becomes_float32_exactly(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch

    rows = torch.randn(N, 8).bfloat16()
    save_torch({"x": rows}, tmp_path / "a.safetensors")
    put(tmp_path / "run", tmp_path / "a.safetensors", ids=IDS)
    check(tmp_path / "run", {"x": rows.float().numpy()}, labels=None)


def test_big_endian_and_channels_last(tmp_path):
    rows = arrays()["conv"]
    np.save(tmp_path / "conv.npy", np.moveaxis(rows, 1, -1).astype(">f4"))
    put(tmp_path / "run", tmp_path / "conv.npy", ids=IDS, channels_last=True)
    check(tmp_path / "run", {"conv": rows}, labels=None)
    assert sp.open(tmp_path / "run").activations("m/conv").dims == ("sample", "channel", "y", "x")


def test_parquet_tensors_of_one_shape(tmp_path):
    rows = arrays()["conv"]
    column = pa.FixedShapeTensorArray.from_numpy_ndarray(rows)
    pq.write_table(pa.table({"conv": column, "name": IDS}), tmp_path / "a.parquet", row_group_size=8)
    put(tmp_path / "run", tmp_path / "a.parquet", ids="name")
    check(tmp_path / "run", {"conv": rows}, labels=None)


def test_class_names_become_labels(tmp_path):
    names = np.array(["cat", "ant", "bee"])[np.arange(N) % 3]
    np.savez(tmp_path / "a.npz", x=arrays()["logits"], ids=np.array(IDS), labels=names)
    put(tmp_path / "run", tmp_path / "a.npz")
    split = open_store(tmp_path / "run" / "store.zarr").split("d", "test")
    assert split.class_names == ("ant", "bee", "cat")
    assert [split.class_names[label] for label in split.labels] == list(names[split.original_index])


def batches(size, *, names=tuple(SHAPES)):
    made = arrays(names=names)
    for at in range(0, N, size):
        part = slice(at, at + size)
        yield IDS[part], {name: rows[part] for name, rows in made.items()}, LABELS[part]


@given(size=st.integers(1, N + 3))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batches_of_any_size_are_the_representation_of_the_file(tmp_path_factory, size):
    folder = tmp_path_factory.mktemp("batches")
    done = sp.ingest_batches(folder / "run", batches(size), dataset="d", split="test", model="m")
    check(folder / "run", arrays())
    again = put(folder / "run", npz(folder / "a.npz"))
    assert (again.fingerprint, again.row_groups_written) == (done.fingerprint, 0)
    assert [path.name for path in (folder / "run").iterdir()] == ["store.zarr"]


def test_batches_without_ids_are_numbered_only_when_asked(tmp_path):
    made = [(None, {"x": arrays()["logits"]})]
    with pytest.raises(IngestError, match="--ids range"):
        ingest_batches(tmp_path / "run", made, dataset="d", split="test", model="m")
    assert not (tmp_path / "run" / "store.zarr").exists()
    ingest_batches(tmp_path / "run", made, dataset="d", split="test", model="m", ids="range")
    check(tmp_path / "run", {"x": arrays()["logits"]}, ids=[f"{i:02d}" for i in range(N)], labels=None)


def test_samples_that_belong_together_are_stored_side_by_side(tmp_path):
    groups = [f"scene {number % 9}" for number in range(N)]
    np.savez(tmp_path / "a.npz", **arrays(names=("conv",)), ids=np.array(IDS), scene=np.array(groups))
    (tmp_path / "scenes.txt").write_text("\n".join(groups) + "\n")
    put(tmp_path / "run", tmp_path / "a.npz", groups="scene")
    split = open_store(tmp_path / "run" / "store.zarr").split("d", "test")
    of = dict(zip(IDS, groups, strict=True))
    assert split.groups == tuple(of[sample] for sample in split.sample_ids)
    assert len(split.group_bounds) == 9
    check(tmp_path / "run", arrays(names=("conv",)), labels=None)
    again = put(tmp_path / "run", tmp_path / "a.npz", only=("conv",), groups=tmp_path / "scenes.txt")
    assert again.row_groups_written == 0
    assert put(tmp_path / "run", tmp_path / "a.npz", only=("conv",)).row_groups_written == 0
    with pytest.raises(IngestError, match="the groups that the store has for these samples, found others"):
        put(tmp_path / "run", tmp_path / "a.npz", only=("conv",), groups=groups[::-1])
    with pytest.raises(IngestError, match="groups"):
        put(tmp_path / "other", tmp_path / "a.npz", only=("conv",), groups=groups[1:])


def test_groups_of_batches_are_recorded_as_those_of_files(tmp_path):
    """A fourth entry of each batch, labels None beside it; whatever the order of batches, rows are the file's."""
    groups = [f"scene {number % 9}" for number in range(N)]
    values = arrays(names=("conv",))["conv"]
    order = np.random.default_rng(0).permutation(N)

    def of_groups(named):
        for rows in np.array_split(order, 4):
            yield [IDS[row] for row in rows], {"conv": values[rows]}, None, [named[row] for row in rows]

    done = ingest_batches(tmp_path / "run", of_groups(groups), dataset="d", split="test", model="m")
    split = open_store(tmp_path / "run" / "store.zarr").split("d", "test")
    of = dict(zip(IDS, groups, strict=True))
    assert split.groups == tuple(of[sample] for sample in split.sample_ids)
    assert len(split.group_bounds) == 9
    check(tmp_path / "run", arrays(names=("conv",)), labels=None)
    np.savez(tmp_path / "a.npz", conv=values, ids=np.array(IDS), scene=np.array(groups))
    again = put(tmp_path / "run", tmp_path / "a.npz", groups="scene")
    assert (again.fingerprint, again.row_groups_written) == (done.fingerprint, 0)
    with pytest.raises(IngestError, match="the groups that the store has for these samples, found others"):
        ingest_batches(tmp_path / "run", of_groups(groups[::-1]), dataset="d", split="test", model="m")
    short = [(IDS, {"conv": values}, None, groups[1:])]
    with pytest.raises(IngestError, match="groups"):
        ingest_batches(tmp_path / "other", short, dataset="d", split="test", model="m")
    mixed = [(IDS[:9], {"conv": values[:9]}, None, groups[:9]), (IDS[9:], {"conv": values[9:]})]
    with pytest.raises(IngestError, match="groups, one per row"):
        ingest_batches(tmp_path / "other", mixed, dataset="d", split="test", model="m")
    assert not (tmp_path / "other" / "store.zarr").exists()
