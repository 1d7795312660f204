"""The engine over a real store and real worker processes: the right numbers, whatever the schedule."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import time

import numpy as np
import pytest
from distributed import LocalCluster

from stitchpipe.algebra import cca, cka, direct_matching, procrustes
from stitchpipe.engine import NotKeptError, Pairs, TaskResources
from stitchpipe.engine.cluster import Cluster, SchedulerError, execute
from stitchpipe.engine.cluster.gpus import VISIBLE, OneGpuEach, deal_gpus
from stitchpipe.results import MapFileError, MapToKeep, made_of, map_of
from stitchpipe.rows import result_grid, to_rows
from storage import CheckedFiles, open_place, open_summaries
from tests.engine.conftest import SHAPES, all_pairs, build

NAMES = list(SHAPES)


def compared(client, synthetic, plan, **options):
    """Return (source, target, index) → number of the pair."""
    heard = []
    parts = execute(client, synthetic.comparison(plan, **options), report=lambda *at: heard.append(at))
    records = [record for part in parts for record in part.records()]
    assert heard[0][0] == 0
    assert heard[-1][0] == heard[-1][1]
    return by_name(synthetic, records)


def by_name(synthetic, records):
    return {(*(synthetic.layers[index].layer for index in r.pair), r.index): r for r in records}


@pytest.fixture(scope="module")
def client(processes):
    """Workers that are processes: they are the subject here, and here alone."""
    return processes.client


@pytest.fixture(scope="module")
def records(client, synthetic):
    return compared(client, synthetic, synthetic.plan())


@pytest.mark.parametrize("source", ["wide", "coarse", "dead", "duplicate"])
@pytest.mark.parametrize("target", ["wide", "coarse", "dead", "duplicate"])
def test_numbers_are_those_of_the_rows_in_memory(records, synthetic, source, target):
    grid = result_grid("positions", SHAPES[target])
    rows = {
        (split, side): to_rows(synthetic.blocks[split, name], "positions", grid)
        for split in ("train", "test")
        for side, name in (("x", source), ("y", target))
    }
    x, y = rows["test", "x"], rows["test", "y"]
    fitted = direct_matching(rows["train", "x"], rows["train", "y"], storage_eps=2**-23)
    expected = {
        "cka_biased": cka(x, y, debiased=False),
        "cca": cca(x, y),
        "procrustes": procrustes(x, y),
        "dm_r2": fitted.r2(x, y),
        "dm_struct": fitted.struct_error(x, y),
    }
    for index, value in expected.items():
        record = records[source, target, index]
        assert record.number.value == pytest.approx(value, rel=1e-9, abs=1e-12), index
        assert record.n_rows == len(x)
        assert record.number.status == "ok"
    assert records[source, target, "dm_r2"].number.extras["rank"] == fitted.rank


def test_what_has_no_value_says_why(records):
    for source, target in (("constant", "wide"), ("wide", "constant")):
        record = records[source, target, "cka_biased"]
        assert (record.number.value, record.number.status) == (None, "constant")
        assert record.number.reason
    assert records["constant", "wide", "dm_r2"].number.value is not None  # the mean is the best map
    assert records["wide", "constant", "dm_r2"].number.status == "constant"
    assert records["dead", "dead", "dm_r2"].number.extras["rank"] == 4
    assert records["duplicate", "wide", "dm_r2"].number.extras["rank"] == 3


def test_too_few_rows_are_refused_not_answered(tmp_path, client):
    few = build(tmp_path / "few.zarr", row_groups=3, samples=(7, 6))
    records = compared(client, few, few.plan({"pooled": all_pairs(few.layers)}), indices=("cca", "cka"))
    assert records["wide", "coarse", "cca"].number.status == "too_few_rows"
    assert records["wide", "coarse", "cka"].number.status == "ok"


def test_the_number_of_workers_changes_no_bit(records, synthetic):
    with Cluster(workers=1, memory_limit_bytes=2**30) as alone:
        assert compared(alone.client, synthetic, synthetic.plan()) == records


def test_a_worker_that_dies_changes_no_bit(records, synthetic):
    with Cluster(workers=2, memory_limit_bytes=2**30) as cluster:
        fragile = cluster.client
        victims = list(fragile.run(os.getpid).values())
        plan = synthetic.plan()
        parts, killed = [], []
        for part in execute(
            fragile, synthetic.comparison(plan), report=lambda *_: _kill_once(victims, killed)
        ):
            parts += part.records()
    assert killed
    assert by_name(synthetic, parts) == records


def _kill_once(victims, killed):
    if not killed:
        os.kill(victims[0], signal.SIGKILL)
        killed.append(victims[0])


def test_little_memory_means_more_passes_and_the_same_numbers(client, records, synthetic):
    tight = synthetic.plan_of_several_passes()
    assert len(tight.passes) > 1
    assert tight.blocks.samples < 10
    found = compared(client, synthetic, tight)
    assert found.keys() == records.keys()
    for key, record in found.items():
        assert record.number.status == records[key].number.status
        if record.number.value is not None:
            assert record.number.value == pytest.approx(records[key].number.value, rel=1e-9, abs=1e-10)


def test_another_cut_into_row_groups_gives_the_same_numbers(client, records, tmp_path):
    other = build(tmp_path / "other.zarr", row_groups=4)
    found = compared(client, other, other.plan())
    for key, record in found.items():
        if record.number.value is not None:
            assert record.number.value == pytest.approx(records[key].number.value, rel=1e-9, abs=1e-10)


def test_maps_that_were_asked_for_are_written(client, synthetic, tmp_path):
    files = CheckedFiles(open_place(tmp_path))
    destinations = {
        family: MapToKeep(files, f"maps/{name}", {"family": family})
        for family, name in (("affine", "a"), ("ridge(0.5)", "b"))
    }
    wanted = {("positions", (0, 1)): destinations}
    pairs = Pairs.of({(0, 1)})
    both = synthetic.plan(
        {"positions": pairs, "pooled": pairs}
    )  # another view has another map of the same pair
    compared(client, synthetic, both, indices=(), maps=wanted)
    first, second = files.listing("maps")
    fitted = map_of(files.read(first), where="a")
    grid = result_grid("positions", SHAPES["coarse"])
    rows = [to_rows(synthetic.blocks["train", name], "positions", grid) for name in ("wide", "coarse")]
    expected = direct_matching(*rows, storage_eps=2**-23)
    np.testing.assert_allclose(fitted.W, expected.W, rtol=1e-8, atol=1e-10)
    assert (fitted.rank, fitted.condition) == (expected.rank, pytest.approx(expected.condition))
    assert (first.name, second.name) == ("maps/a", "maps/b")
    assert made_of(files.read(second), where="b") == {"family": "ridge(0.5)"}
    penalised = direct_matching(*rows, family="ridge", parameter=0.5, storage_eps=2**-23)
    np.testing.assert_allclose(map_of(files.read(second), where="b").W, penalised.W, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("read", [map_of, made_of])
def test_what_is_no_map_is_one_message(read):
    with pytest.raises(MapFileError, match="run the sweep again"):
        read(b"no map", where="a")


def test_a_running_cluster_can_be_named(client, records, synthetic):
    with Cluster(client.scheduler.address, workers=9, memory_limit_bytes=1) as other:
        assert compared(other.client, synthetic, synthetic.plan()) == records
    assert client.submit(sum, [1, 2]).result() == 3  # leaving the connection has not ended what was named


def test_a_cluster_starts_when_it_is_needed_and_once(monkeypatch):
    started = []
    monkeypatch.setattr("stitchpipe.engine.cluster.cluster.PATIENCE_S", 1)
    monkeypatch.setattr(
        "stitchpipe.engine.cluster.cluster.LocalCluster",
        lambda **options: started.append(options) or LocalCluster(**options),
    )
    with Cluster(workers=1, memory_limit_bytes=2**30) as lazy:
        assert started == []
        assert lazy.client is lazy.client
        address = lazy.client.scheduler.address
    assert [options["n_workers"] for options in started] == [1]
    with Cluster(address, workers=1, memory_limit_bytes=2**30) as gone, pytest.raises(SchedulerError):
        assert gone.client


def test_there_is_a_worker_for_each_gpu_and_no_more_than_were_asked_for(monkeypatch):
    begun = []
    monkeypatch.setattr(Cluster, "_started", lambda self: begun.append((self._workers, self._gpus)))
    for workers, gpus in ((4, 0), (4, 2), (1, 8)):
        with Cluster(workers=workers, memory_limit_bytes=1, gpus=gpus) as dealt:
            assert dealt.client is None
    assert begun == [(4, 0), (2, 2), (1, 8)]


def test_a_scheduler_that_is_not_there_is_one_message(monkeypatch):
    monkeypatch.setattr("stitchpipe.engine.cluster.cluster.PATIENCE_S", 1)
    with (
        Cluster("tcp://127.0.0.1:9", workers=1, memory_limit_bytes=2**30) as nobody,
        pytest.raises(SchedulerError, match="dask scheduler"),
    ):
        assert nobody.client


def test_only_names_and_numbers_enter_the_graph(monkeypatch, client, synthetic):
    sent = []
    submit = type(client).submit

    def noted(self, function, *arguments, **options):
        sent.extend(arguments)
        return submit(self, function, *arguments, **options)

    monkeypatch.setattr(type(client), "submit", noted)
    compared(client, synthetic, synthetic.plan(), indices=("cka_biased",))
    assert sent
    assert not [one for one in sent if isinstance(one, np.ndarray)]


def test_a_worker_that_its_libraries_fill_still_works():
    """Dask would pause it at 80 % of its limit, until what it holds becomes less: never."""
    limit = 600 * 2**20
    with Cluster(workers=1, memory_limit_bytes=limit) as cluster:
        small = cluster.client
        small.submit(_fill, 0.87 * limit).result(timeout=60)
        time.sleep(0.5)  # Dask looks every 100 ms
        assert small.submit(sum, [1, 2]).result(timeout=20) == 3


def _fill(n_bytes):
    import psutil

    sys.ballast = b"x" * int(n_bytes - psutil.Process().memory_info().rss)


def test_a_comparison_without_a_store_travels_to_workers(client, synthetic, tmp_path):
    """What was left lies where workers find it; what is missing is said by name, not by a lost worker."""
    plan, summaries = synthetic.plan(), open_summaries(tmp_path)
    comparison = dataclasses.replace(synthetic.comparison(plan), resources=TaskResources(None, summaries))
    with pytest.raises(NotKeptError, match="Compare again"):
        list(execute(client, comparison, report=lambda *_: None))


def test_every_local_worker_sees_one_gpu(client, monkeypatch):
    monkeypatch.setenv(VISIBLE, "5, GPU-ab")
    deal_gpus(client, 2)
    assert sorted(client.run(os.getenv, VISIBLE).values()) == ["5", "GPU-ab"]
    monkeypatch.delenv(VISIBLE)
    client.unregister_worker_plugin(OneGpuEach.name)
    deal_gpus(client, 1)
    assert list(client.run(os.getenv, VISIBLE).values()) == ["0", "0"]
    client.unregister_worker_plugin(OneGpuEach.name)
    client.run(exec, f"import os; os.environ.pop({VISIBLE!r})")
