"""What a dump takes, where it goes, and what is refused before any work."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from stitchpipe import steps
from stitchpipe.config import ConfigError, parse
from stitchpipe.run import PlaceError, Run, RunPlace
from stitchpipe.steps.forecast import forecast
from storage import Address, CorruptError
from tests.storage.object_server import BUCKET, aws, new_objects, object_server  # noqa: F401  (fixtures)
from tests.tiny_sweep import TINY

COMPARE_ONLY = TINY[: TINY.index("[[stitch]]")]
POOLED_ONLY = TINY[: TINY.index("[[compare]]")] + COMPARE_ONLY[COMPARE_ONLY.rindex("[[compare]]") :]


def sweep_of(text, **replacements):
    for old, new in replacements.items():
        text = text.replace(old, new)
    return parse(text, where="test", folder=Path.cwd())


def declared(dump="", store="", text=COMPARE_ONLY):
    return sweep_of(text, **{"row_groups = 5": f"row_groups = 5\n{dump}\n[store]\n{store}"})


@pytest.fixture
def opened(tmp_path):
    """Open the declaration of some settings in an empty place."""
    return lambda *settings, **more: Run.open(declared(*settings, **more), tmp_path / "run")


def test_the_bytes_of_a_dump_are_those_of_its_arrays(opened):
    sizes = opened().extent.activation_bytes
    per_image = 4 * (4 * 8 * 8 + 6 * 4 * 4 + 8 * 2 * 2 + 10)
    assert sizes[("A", "test")] == 450 * per_image
    assert sizes[("org/B", "train")] == 1347 * per_image
    assert opened("dtype = 'float16'").extent.activation_bytes[("A", "test")] * 2 == sizes[("A", "test")]
    pooled = opened("view = 'pooled'", text=POOLED_ONLY).extent.activation_bytes
    assert pooled[("A", "test")] == 450 * 4 * (4 + 6 + 8 + 10)


def test_large_layers_are_cut_into_more_row_groups(opened):
    assert forecast(opened()).row_groups == {"train": 5, "test": 5}
    run = opened("shard_mib = 1", text=COMPARE_ONLY.replace("widths = [4, 6, 8]", "widths = [64, 64, 64]"))
    assert run.extent.max_rows == 64
    assert forecast(run).row_groups == {"train": 22, "test": 8}


def test_a_budget_refuses_a_dump_with_both_numbers(opened):
    opened(store="budget_gib = 1").extent.demand_room()
    with pytest.raises(
        ConfigError, match=r"store.budget_gib: expected .*at most 0.001 GiB.*found 0.00[0-9]+ GiB.*pooled"
    ):
        opened(store="budget_gib = 0.001").extent.demand_room()


def test_a_full_disk_refuses_a_dump_before_it_begins(opened, monkeypatch):
    monkeypatch.setattr("storage.place.local.LocalPlace.free_bytes", lambda self: 1 << 20)
    with pytest.raises(ConfigError, match=r"room for 0.00.* GiB.*found 0.000977 GiB"):
        opened().extent.demand_room()


def test_the_peak_of_a_dump_does_not_depend_on_the_images(opened):
    small = opened("batch_size = 8").extent.peak_bytes
    assert small < opened("batch_size = 800").extent.peak_bytes
    fewer = COMPARE_ONLY.replace('kind = "digits"', 'kind = "digits"\nlimit = 200')
    assert small == opened("batch_size = 8", text=fewer).extent.peak_bytes
    assert opened("codec = 'zstd'\nchunk_kib = 64").extent.settings.encoding.chunk_bytes == 64 << 10


@pytest.mark.parametrize(
    ("dump", "message"),
    [
        ("view = 'pooled'", "under the view 'pooled'.*found a comparison under 'positions'"),
        ("view = 'positions'", "under the view 'positions'.*found a comparison under 'pooled'"),
        ("view = 'pooledd'", "dump.view"),
        ("codec = 'lzma'", "dump.codec"),
    ],
)
def test_a_view_that_is_not_stored_cannot_be_compared(dump, message):
    with pytest.raises(ConfigError, match=message):
        declared(dump)


def test_stitches_need_whole_layers():
    text = TINY[: TINY.index("[[compare]]")] + TINY[TINY.index("[[stitch]]") :]
    with pytest.raises(ConfigError, match="stitches, which need whole layers"):
        declared("view = 'pooled'", text=text)


@pytest.mark.parametrize("url", ["ftp://host/x", "http://host/x"])
def test_a_store_lies_on_a_disk_or_in_a_bucket(url):
    with pytest.raises(ConfigError, match="s3://bucket/prefix"):
        declared(store=f"url = '{url}'")


@pytest.mark.parametrize("part", ["0/2", "3/2", "2", "a/b", "1/0", "-1/2", ""])
def test_parts_are_counted_from_one(part):
    with pytest.raises(ConfigError, match="--part"):
        steps.parse_part(part)


def test_a_run_has_one_store(tmp_path):
    place = RunPlace.at(tmp_path)
    place.settle_store(f"{tmp_path}/store.zarr")
    assert place.store_url == f"{tmp_path}/store.zarr"
    assert list(tmp_path.iterdir()) == []
    place.settle_store("s3://bucket/one")
    place.settle_store("s3://bucket/one")
    assert place.store_url == "s3://bucket/one"
    with pytest.raises(PlaceError, match="s3://bucket/one.*found.*s3://bucket/two"):
        place.settle_store("s3://bucket/two")
    (record,) = tmp_path.rglob("store/*.json")
    record.write_text("{")
    with pytest.raises(CorruptError, match=record.name):
        _ = place.store_url


def test_a_run_that_has_a_store_takes_no_other(tiny, tmp_path):
    place = tiny.copy(tmp_path / "run").place
    with pytest.raises(PlaceError, match="another store"):
        place.settle_store("s3://bucket/one")


@pytest.mark.slow
def test_a_sweep_in_a_bucket_gives_the_numbers_of_one_on_a_disk(tiny, tmp_path, aws, cluster):  # noqa: F811
    import stitchpipe as sp

    url = new_objects().url
    text = COMPARE_ONLY.replace("row_groups = 5", f"row_groups = 5\n[store]\nurl = '{url}'")
    place = tiny.copy(tmp_path / "run").place
    for part in place.files.listing("results"):
        place.files.remove(part.name)
    shutil.rmtree(tmp_path / "run" / "store.zarr")
    run = Run.open(parse(text, where="test", folder=tmp_path), place)
    for model, split in steps.units(run).dumps:
        steps.dump(run, model, split)
    assert not (tmp_path / "run" / "store.zarr").exists()
    # All views in one comparison, as on the disk: views that share a pass share its blocks, and so their last bits.
    steps.compare(run, cluster=cluster)
    local = tiny.run.store
    remote = sp.open(place.url).store
    assert remote.url == url
    assert {found.address for found in remote.representations()} == {
        f.address for f in local.representations()
    }
    at = Address("small digits", "test", "A", "layer2.0")
    assert remote.representation(at).digest == local.representation(at).digest
    keys = ["view", "index", "grid", "source_model", "source_layer", "target_model", "target_layer", "split"]
    local_results = sp.open(tiny.root).results()
    both = sp.open(place.url).results().merge(local_results[local_results.method.isna()], on=keys)
    assert len(both) == len(sp.open(place.url).results()) > 100
    np.testing.assert_array_equal(both.value_x, both.value_y)
