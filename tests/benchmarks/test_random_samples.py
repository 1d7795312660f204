"""Random samples out of a layer, and the opening of a large store."""

from __future__ import annotations

import numpy as np
import pytest

from storage import Address, LayerSpec, open_store
from storage.place.local import LocalPlace
from tests.benchmarks.dumped_network import store_with_split
from tests.benchmarks.tables import best_seconds

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize("chunk_kib", [64, 256, 1024])
def test_random_samples(subject, table, repeats, tmp_path, monkeypatch, chunk_kib):
    """256 random samples of one layer, against a memory map of the same values"""
    from storage import Encoding

    block = subject.activations["layer2.1"].astype(np.float16)
    n = max(subject.n_images, len(block))
    values = block[np.arange(n) % len(block)]
    store = store_with_split(tmp_path / "store", n)
    dump = store.begin_dump(
        dataset="benchmark",
        split="test",
        model="net",
        layers={"layer": LayerSpec(values.shape[1:], "float16")},
        identity={},
        provenance={},
        encoding=Encoding(chunk_bytes=chunk_kib << 10),
    )
    for group in dump.missing_row_groups():
        dump.write(group, {"layer": values[slice(*dump.split.row_groups[group])]})
    dump.seal()
    np.save(tmp_path / "values.npy", values)
    rows = np.random.default_rng(0).choice(n, size=256, replace=False)
    found = open_store(tmp_path / "store").representation(Address("benchmark", "test", "net", "layer"))
    asked = []
    original = LocalPlace.read_ranges
    with monkeypatch.context() as patched:
        patched.setattr(
            LocalPlace,
            "read_ranges",
            lambda self, key, ranges: asked.extend(ranges) or original(self, key, ranges),
        )
        np.testing.assert_array_equal(found.read_rows(rows), values[rows])
    seconds = best_seconds(
        {
            "ours": lambda: found.read_rows(rows),
            "memmap": lambda: np.array(np.load(tmp_path / "values.npy", mmap_mode="r")[rows]),
        },
        repeats=repeats,
    )
    read = sum(stop - start for start, stop in asked)
    table.add(
        samples=f"256 of {n}",
        chunk_KiB=chunk_kib,
        time_to_memmap=f"{seconds['ours'] / seconds['memmap']:.1f}",
        bytes_read_to_values=f"{read / values[rows].nbytes:.2f}",
        bytes_read_to_layer_on_disk=f"{read / found.n_bytes:.3f}",
    )


def test_opening(table, repeats, tmp_path):
    """Opening a store of 500 representations, listing them, and reading the first row of one"""
    store = store_with_split(tmp_path / "store", 40)
    values = np.ones((2, 8), dtype=np.float32)
    for model in range(50):
        dump = store.begin_dump(
            dataset="benchmark",
            split="test",
            model=f"net-{model:02d}",
            layers={f"layer{number}": LayerSpec((8,)) for number in range(10)},
            identity={"weights": model},
            provenance={},
        )
        for group in dump.missing_row_groups():
            dump.write(group, {f"layer{number}": values for number in range(10)})
        dump.seal()

    def open_anew():
        from storage.commits import sealed_layer_sets
        from storage.format import records
        from storage.splits import record

        for cached in (records._read_version, sealed_layer_sets._read_version, record._load_version):
            cached.cache_clear()
        opened = open_store(tmp_path / "store")
        assert len(opened.representations()) == 500
        opened.representation(Address("benchmark", "test", "net-07", "layer3")).read_rows(slice(1))

    seconds = best_seconds({"open": open_anew}, repeats=repeats)["open"]
    table.add(
        representations=500,
        row_groups=20,
        within_1_s="yes" if seconds <= 1 else "no",
        seconds=f"{seconds:.2f}",
    )
