"""The store's write path and verified read path beside plain zarr-python: same arrays, shards, codec, durability."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from itertools import count

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from storage import Address, LayerSpec, open_store
from storage.format.row_groups import chunk_rows
from tests.benchmarks.dumped_network import store_with_split
from tests.benchmarks.tables import best_seconds, sync_all

pytestmark = pytest.mark.benchmark

ROW_GROUPS = 20


class Rounds:
    """The same arrays written and read in every way, each time into a new folder."""

    def __init__(self, root, arrays):
        self.root, self.arrays, self.number = root, arrays, count()
        self.n = len(next(iter(arrays.values())))
        self.rows = -(-self.n // ROW_GROUPS)
        self.places = {}

    def new(self, name):
        shutil.rmtree(self.places.get(name, self.root / "none"), ignore_errors=True)
        self.places[name] = self.root / f"{name}-{next(self.number)}"
        sync_all()
        return self.places[name]

    def ours(self, name="ours"):
        store = store_with_split(self.new(name), self.n, row_groups=ROW_GROUPS)
        dump = store.begin_dump(
            dataset="benchmark",
            split="test",
            model="net",
            layers={layer: LayerSpec(array.shape[1:], "float16") for layer, array in self.arrays.items()},
            identity={},
            provenance={},
        )
        for group in dump.missing_row_groups():
            dump.write(group, {k: a[slice(*dump.split.row_groups[group])] for k, a in self.arrays.items()})
        dump.seal()

    def unsynced(self):
        """Ours without waiting for the disk: the difference is the fsync's own cost."""
        original = os.fsync
        os.fsync = lambda descriptor: None
        try:
            self.ours("unsynced")
        finally:
            os.fsync = original

    def zarr(self, *, sync, name):
        root = self.new(name)
        for layer, array in self.arrays.items():
            shape = array.shape[1:]
            made = zarr.create_array(
                str(root / layer),
                shape=array.shape,
                dtype=array.dtype,
                shards=(self.rows, *shape),
                chunks=(chunk_rows(self.rows, array[0].nbytes), *shape),
                compressors=[
                    BloscCodec(cname="lz4", clevel=5, shuffle="noshuffle", typesize=2),
                    Crc32cCodec(),
                ],
                chunk_key_encoding={"name": "default", "separator": "."},
                config={"write_empty_chunks": True},
            )
            for group, start in enumerate(range(0, self.n, self.rows)):
                made[start : start + self.rows] = array[start : start + self.rows]
                if sync:
                    for path in (root / layer / f"c.{group}.0.0.0", root / layer):
                        descriptor = os.open(path, os.O_RDONLY)
                        os.fsync(descriptor)
                        os.close(descriptor)

    def numpy(self):
        root = self.new("numpy")
        root.mkdir()
        for layer, array in self.arrays.items():
            with (root / f"{layer}.npy").open("wb") as file:
                np.save(file, array)
                file.flush()
                os.fsync(file.fileno())

    def read_ours(self, *, check):
        store = open_store(self.places["ours"], check_reads=check)
        for layer in self.arrays:
            found = store.representation(Address("benchmark", "test", "net", layer))
            for group in range(len(found.row_groups)):
                found.read(group)

    def read_zarr(self):
        for layer in self.arrays:
            made = zarr.open_array(str(self.places["zarr"] / layer), mode="r")
            for start in range(0, self.n, self.rows):
                made[start : start + self.rows]

    def read_zarrs(self):
        """By the pipeline of zarrs, where it is installed."""
        with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
            self.read_zarr()

    def read_numpy(self):
        for layer in self.arrays:
            np.load(self.places["numpy"] / f"{layer}.npy")


def test_write_and_read(subject, table, repeats, tmp_path):
    """Writing durably and reading verified, as speeds relative to plain zarr-python (larger is faster)"""
    arrays = {layer: array.astype(np.float16) for layer, array in subject.activations.items()}
    rounds = Rounds(tmp_path, arrays)
    written = best_seconds(
        {
            "zarr": lambda: rounds.zarr(sync=True, name="zarr"),
            "ours": rounds.ours,
            "zarr, no fsync": lambda: rounds.zarr(sync=False, name="zarr-unsynced"),
            "ours, no fsync": rounds.unsynced,
            "numpy.save": rounds.numpy,
        },
        repeats=repeats,
    )
    read = best_seconds(
        {
            "zarr": rounds.read_zarr,
            "ours": lambda: rounds.read_ours(check=True),
            "ours, unchecked": lambda: rounds.read_ours(check=False),
            "numpy.load": rounds.read_numpy,
            **({"zarr with zarrs": rounds.read_zarrs} if find_spec("zarrs") else {}),
        },
        repeats=repeats,
    )
    for act, seconds in (("write", written), ("read", read)):
        for name, taken in seconds.items():
            table.add(act=act, by=name, speed_to_zarr=f"{seconds['zarr'] / taken:.2f}")
