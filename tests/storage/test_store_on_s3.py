"""A store in a bucket holds what the same dump on a disk holds, whatever the network does."""

import numpy as np
import pytest
import xarray as xr
import zarr
from obstore.store import S3Store

from storage import CorruptError, UnreachableError, open_store
from tests.storage.object_server import BUCKET, new_objects
from tests.storage.small_dump import SHAPES, address, begin, dumped, finish, new_store, tree, truth


@pytest.fixture
def url(aws):
    return new_objects().url


def files_of(server, url):
    prefix = url.removeprefix(f"s3://{BUCKET}/") + "/"
    return {key.removeprefix(prefix): server.get(key) for key in server.keys(prefix)}


def test_a_dump_in_a_bucket_is_byte_for_byte_the_one_on_a_disk(tmp_path, url, object_server):
    local, remote = dumped(tmp_path / "s"), dumped(url)
    assert files_of(object_server, url) == tree(local.url)
    assert remote.verify() == []
    for layer in SHAPES:
        one, other = (store.representation(address(layer)) for store in (local, remote))
        assert one.digest == other.digest
        np.testing.assert_array_equal(other.read(1), one.read(1))
        np.testing.assert_array_equal(other.read_rows(np.array([28, 3, 3])), truth(local, layer)[[28, 3, 3]])
        np.testing.assert_array_equal(other.to_xarray()[5:9], one.to_xarray()[5:9])


def test_an_interrupted_dump_in_a_bucket_goes_on(tmp_path, url, object_server):
    dump = begin(new_store(url))
    for group in (0, 2):
        dump.write(group, {n: truth(new_store(url), n)[slice(*dump.split.row_groups[group])] for n in SHAPES})
    assert open_store(url).representations() == []
    again = begin(open_store(url, mode="a"))
    assert again.missing_row_groups() == [1, 3]
    finish(again)
    assert files_of(object_server, url) == tree(dumped(tmp_path / "s").url)


def test_zarr_and_xarray_read_a_bucket_without_us(url, aws):
    store = dumped(url)
    found = store.representation(address())
    prefix = url.removeprefix(f"s3://{BUCKET}/")
    client = S3Store(BUCKET, prefix=prefix, client_options={"allow_http": True})
    group = found.shard_file(0).rsplit("/", 2)[0]
    place = zarr.storage.ObjectStore(client, read_only=True)
    np.testing.assert_array_equal(
        zarr.open_array(place, path=f"{group}/activations", mode="r")[...], truth(store)
    )
    data = xr.open_zarr(place, group=group, consolidated=False)
    assert data.activations.dims == ("sample", "channel", "y", "x")
    assert data.sample_id.values.tolist() == list(found.split.sample_ids)


@pytest.mark.parametrize("kind", ["alter", "cut", 500, 503, "reset"])
def test_what_goes_wrong_once_on_the_way_is_asked_for_again(url, proxy, kind):
    store = dumped(url)
    wanted = truth(store)
    proxy.inject(
        kind, times=1, when=lambda request: request.method == "GET" and "/activations/c." in request.path
    )
    proxy.inject(kind, times=1, when=lambda request: request.method == "GET" and "row-group" in request.path)
    found = open_store(url).representation(address())
    np.testing.assert_array_equal(np.concatenate([found.read(group) for group in range(4)]), wanted)


def test_bytes_that_stay_altered_are_never_values(url, proxy):
    found = dumped(url).representation(address())
    wanted = found.read(0)
    proxy.inject("alter", times=np.inf, when=lambda r: r.method == "GET" and "/activations/c." in r.path)
    for read in (lambda: found.read(0), lambda: found.read_rows(np.array([2, 9]))):
        with pytest.raises(CorruptError, match=f"{url}.*others in chunk 0"):
            read()
    assert {problem.row_group for problem in open_store(url).verify()} == {0, 1, 2, 3}
    proxy.clear()
    np.testing.assert_array_equal(found.read(0), wanted)


def test_a_shard_that_is_gone_is_never_a_fill_value(url, proxy):
    found = dumped(url).representation(address())
    proxy.inject(404, times=np.inf, when=lambda request: "/activations/c.0" in request.path)
    with pytest.raises(CorruptError, match="no file"):
        found.read(0)


def test_no_access_is_an_error_at_once(url, proxy):
    dumped(url)
    proxy.clear()
    proxy.inject(403, times=np.inf)
    with pytest.raises(UnreachableError):
        open_store(url)
    assert len(proxy.seen) == 1
