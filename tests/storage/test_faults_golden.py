"""A store of each format reads as it was written; a newer one is refused with a clear word."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from storage import FormatError, open_store
from storage.format import records
from storage.format.schema import FORMAT
from tests.storage.golden import write_golden as golden
from tests.storage.small_dump import tree
from tests.storage.test_faults_damage import as_a_new_process

STORE = Path(__file__).parent / "golden" / "format-1"
DIGEST = "b4b9788afe85c55dd3e03dd7bfe87cb601e4c6a6328a4afae28cd87d51d22144"
ORDER = [11, 1, 5, 8, 9, 0, 3, 12, 2, 4, 6, 10, 7]
FIRST_LOGITS = [[13.25, 15.375, -14.5], [6.5, 8.625, 10.75]]


def digest_of(files):
    whole = hashlib.sha256()
    for key, data in sorted(files.items()):
        whole.update(f"{key}\0{len(data)}\0".encode() + data)
    return whole.hexdigest()


def test_the_golden_store_is_as_it_was_written():
    assert digest_of(tree(STORE)) == DIGEST
    assert sum(map(len, tree(STORE).values())) < 60_000


def test_every_value_of_the_golden_store_reads_as_it_was_written():
    store = open_store(STORE)
    split = store.split("shapes", "Test 1")
    assert sorted(split.sample_ids) == golden.IDS
    assert [golden.IDS[i] for i in split.original_index] == list(split.sample_ids)
    assert split.labels.tolist() == [golden.LABELS[i] for i in split.original_index]
    assert split.class_names == ("zero", "one", "two")
    assert split.row_groups == ((0, 5), (5, 10), (10, 13))
    read = 0
    for entry in store.representations():
        model, layer = entry.address.model, entry.address.layer
        found = store.representation(golden.address(model, layer))
        values = found.read_rows(slice(None))
        assert values.dtype == golden.MODELS[model]
        wanted = golden.value(model, layer, golden.MODELS[model])[split.original_index]
        np.testing.assert_array_equal(values, wanted, strict=True)
        assert found.identity["dtype"] == golden.MODELS[model]
        assert found.provenance == {"writer": "golden"}
        read += values.size
    assert read == golden.N_SAMPLES * (2 * (24 + 15) + 3)


def test_some_values_of_the_golden_store_are_these():
    """Not by formula, so that the formula cannot change unnoticed."""
    logits = open_store(STORE).representation(golden.address("Net/A", "logits"))
    order = logits.split.original_index
    assert order.tolist() == ORDER
    np.testing.assert_array_equal(logits.read(0)[:2], FIRST_LOGITS)


def test_the_golden_store_verifies():
    assert open_store(STORE).verify() == []


def without_bytes_of_codecs(content):
    """Return a record without what depends on how well a codec compresses."""
    if isinstance(content, dict):
        free = {"n_bytes", "digest", "digests", "sha256"}
        return {key: without_bytes_of_codecs(value) for key, value in content.items() if key not in free}
    return [without_bytes_of_codecs(value) for value in content] if isinstance(content, list) else content


def test_the_present_code_writes_the_golden_store(tmp_path):
    now, then = tree(golden.write(str(tmp_path / "s")).url), tree(STORE)
    assert now.keys() == then.keys()
    shards = {key for key in then if "/activations/c." in key}
    for key in sorted(then.keys() - shards):
        if key.endswith(".json") and "/commits/" in f"/{key}" and not key.endswith("zarr.json"):
            pair = [without_bytes_of_codecs(json.loads(data[key])) for data in (now, then)]
            assert pair[0] == pair[1], key
        else:
            assert now[key] == then[key], key
    if all(now[key] == then[key] for key in shards):  # the codecs are of the versions that wrote it
        assert now == then


@pytest.mark.parametrize("name", ["store.json", "split.json", "manifest.json", "row-group-00000.json"])
def test_a_store_of_a_newer_format_is_refused_by_its_number(tmp_path, monkeypatch, name):
    shutil.copytree(STORE, tmp_path / "s")
    for path in sorted((tmp_path / "s").rglob(name)):
        record = json.loads(path.read_bytes())
        with monkeypatch.context() as newer:
            newer.setattr(records, "FORMAT", FORMAT + 1)
            path.write_bytes(records.record_bytes(record["record"], record["content"]))
    as_a_new_process()

    def read():
        store = open_store(tmp_path / "s")
        found = store.representation(golden.address("Net/A", "logits"))
        return store.splits(), found.split, found.read(0)

    with pytest.raises(FormatError, match=f"format {FORMAT + 1}") as caught:
        read()
    assert f"format {FORMAT} or older" in str(caught.value)
    assert "newer version" in caught.value.remedy
    assert name in caught.value.where
