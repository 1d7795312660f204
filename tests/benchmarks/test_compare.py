"""All pairs of layers of two CIFAR ResNets: beside one pair after the other, and beside the bare products."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import cached_property
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from stitchpipe.capture import activations_of
from stitchpipe.engine import TaskResources, rehearsed
from stitchpipe.engine.moments.kept_leaves import KeptLeaves
from stitchpipe.engine.moments.pass_tasks import read_leaf, read_shifts
from stitchpipe.rows import rows_per_sample
from storage import Address, Representation, open_summaries
from tests.benchmarks.dumped_network import BATCH
from tests.benchmarks.dumped_zoo import Zoo
from tests.benchmarks.tables import Table
from tests.benchmarks.zoo_plan import DEPTHS, SPLITS, blocks, comparison_of, plan_of

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

PAIRS_PER_STAGES = 4
"""Pairs of the baseline for every two of the three stages: 36 in all."""


class Measured:
    """The dumped zoo at full size and at a fifth, each made once."""

    def __init__(self, zoo: Zoo, root) -> None:
        self.zoo, self.root = zoo, root
        self.dump_s = 0.0

    @cached_property
    def store(self):
        self.zoo.images.pixels  # noqa: B018 - decoded before the clock starts
        begun = time.perf_counter()
        store = self.zoo.dumped(self.root / "whole" / "zoo.zarr", self.zoo.images.n_images)
        self.dump_s = time.perf_counter() - begun
        return store

    @cached_property
    def fifth(self):
        return self.zoo.dumped(self.root / "fifth" / "zoo.zarr", self.zoo.images.n_images // 5)

    def compared(self, store, *options: str) -> SimpleNamespace:
        """Compare in processes of their own."""
        command = [sys.executable, "-m", "tests.benchmarks.compare_in_process", str(store.url), *options]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return SimpleNamespace(**json.loads(done.stdout.splitlines()[-1]))

    @cached_property
    def two_workers(self) -> SimpleNamespace:
        return self.compared(self.store)


@pytest.fixture(scope="module")
def measured(pytestconfig, subject, tmp_path_factory) -> Measured:
    weights = {
        "resnet20": pytestconfig.getoption("--weights"),
        "resnet56": pytestconfig.getoption("--weights-56"),
    }
    return Measured(Zoo(subject, weights), tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def table(request, subject):
    made = Table(title="All pairs of 36 layers, two views", about=subject.describe() + ", and ResNet-56")
    yield made
    made.show()


def _one_pair(x, y) -> None:
    """What tools do for a pair: resize, convert, centre, three products; both views, torch resizing on both cores."""
    size = y.shape[2:]
    source = torch.from_numpy(x)
    if x.shape[2:] != size:
        source = torch.nn.functional.interpolate(source, size=size, mode="bilinear", align_corners=False)
    for pooled in (False, True):
        rows = []
        for one in (source, torch.from_numpy(y)):
            flat = one.mean(dim=(2, 3)) if pooled else one.permute(0, 2, 3, 1).reshape(-1, one.shape[1])
            wide = flat.double().numpy()
            rows.append(wide - wide.mean(axis=0))
        for a, b in ((0, 0), (0, 1), (1, 1)):
            rows[a].T @ rows[b]


def _in_memory(store, model, layer):
    """Return a layer's activations of both splits, ``(n, C, H, W)`` float32."""
    ends = [store.representation(Address("benchmark", split, model, layer)) for split in SPLITS]
    return np.concatenate([end.read_rows(slice(None)).astype(np.float32) for end in ends])


def _stratified() -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Return pairs of layers spread evenly over pairs of stages."""
    layers = [(model, layer) for model in DEPTHS for layer in blocks(model)]
    rng = np.random.default_rng(0)
    by_stage = [[one for one in layers if one[1].startswith(f"layer{stage}")] for stage in (1, 2, 3)]
    return [
        tuple(side[int(rng.integers(len(side)))] for side in sides)
        for sides in product(by_stage, repeat=2)
        for _ in range(PAIRS_PER_STAGES)
    ]


def test_all_pairs_against_one_after_the_other(measured, table):
    """The whole comparison with two workers, finalisation included, to per-pair work scaled by the pairs."""
    ours = measured.two_workers
    zoo = measured.zoo
    batches = list(zoo.images.pixels.split(BATCH))
    torch.set_num_threads(2)
    forward = {}
    for model in DEPTHS:
        begun = time.perf_counter()
        activations_of(zoo.network(model), batches, blocks(model)[:1])
        forward[model] = time.perf_counter() - begun
    pair_s = 0.0
    chosen = _stratified()
    for source, target in chosen:
        x, y = (_in_memory(measured.store, *name) for name in (source, target))
        with threadpool_limits(limits=2):
            begun = time.perf_counter()
            _one_pair(x, y)
            pair_s += (time.perf_counter() - begun) / len(chosen)
    count = 36 * 36
    share = {"resnet20": 9 / 36, "resnet56": 27 / 36}
    extract_s = 2 * sum(share[model] * forward[model] for model in DEPTHS)
    table.add(figure="seconds a pair, baseline", value=f"{pair_s:.2f}", target="")
    table.add(
        figure="accumulation, finalisation (s)",
        value=f"{ours.accumulate_s:.1f}, {ours.total_s - ours.accumulate_s:.1f}",
        target="",
    )
    table.add(figure="× faster than per pair", value=f"{pair_s * count / ours.total_s:.1f}", target="≥ 30")
    table.add(
        figure="× faster than per pair with re-extraction, our dump included",
        value=f"{(pair_s + extract_s) * count / (ours.total_s + measured.dump_s):.1f}",
        target="≥ 150",
    )


def test_intervals(measured, table):
    """What intervals cost."""
    ours = measured.compared(measured.store, "--intervals")
    table.add(
        figure="whole comparison with intervals to without",
        value=f"{ours.total_s / measured.two_workers.total_s:.2f}",
        target="",
    )


@pytest.mark.parametrize(("precision", "target"), [("float64", "≥ .75"), ("float32", "≥ .60")])
def test_accumulation_against_bare_products(measured, table, tmp_path, precision, target):
    """Reading, checking, converting, resizing and multiplying, to X.T @ Y of the same shapes, one thread each"""
    plan = plan_of(measured.store, precision=precision)
    resources = TaskResources(measured.store, open_summaries(tmp_path))
    handed_out = []
    original = Representation.blocks

    def counted(self, *arguments):
        for block in original(self, *arguments):
            handed_out.append(block.nbytes)
            yield block

    Representation.blocks = counted
    with threadpool_limits(limits=1):
        begun = time.perf_counter()
        for split, shape in enumerate(plan.splits):
            leaves = KeptLeaves.of(resources, plan, 0, split)
            read_shifts(leaves)
            for leaf in range(len(shape.leaves())):
                read_leaf(leaves, leaf)
        seconds = time.perf_counter() - begun
        Representation.blocks = original
        least = _bare_products_s(plan)
    tried = rehearsed(comparison_of(measured.store), plan)
    planned = tried.reading + tried.products
    table.add(
        figure=f"accumulation's rate to that of bare products, {precision}",
        value=f"{least / seconds:.2f}",
        target=target,
    )
    table.add(
        figure=f"the seconds that are planned to those taken, {precision}",
        value=f"{planned / seconds:.2f}",
        target="",
    )
    table.add(
        figure=f"bytes read to planned, {precision}",
        value=f"{sum(handed_out) / plan.cost.bytes_read:.3f}",
        target=".95-1.05",
    )


def _bare_products_s(plan) -> float:
    """Return how long X.T @ Y takes for the distinct products of a plan, symmetric ones counted as half."""
    samples = sum(split.n_samples for split in plan.splits)
    total = 0.0
    for tile in plan.passes[0].tiles:
        p, q = (sum(plan.width(tile.view, index) for index in side) for side in (tile.sources, tile.targets))
        rows = rows_per_sample(tile.view, tile.formed_on)
        held = max(2048, 32 * rows)
        rng = np.random.default_rng(0)
        x = rng.standard_normal((held, p)).astype(plan.precision)
        y = rng.standard_normal((held, q)).astype(plan.precision)
        x.T @ y
        best = float("inf")
        for _ in range(3):
            begun = time.perf_counter()
            x.T @ y
            best = min(best, time.perf_counter() - begun)
        total += best * samples * rows / held * (0.5 if tile.symmetric else 1.0)
    return total


def test_memory_and_growth(measured, table):
    """Peak memory of all processes, planned and seen, and how time grows with images."""
    whole, fifth = measured.two_workers, measured.compared(measured.fifth)
    table.add(
        figure="peak of all processes, PSS (MiB)", value=f"{whole.peak_bytes / 2**20:.0f}", target="≤ 2048"
    )
    table.add(
        figure="planned to seen peak of a worker",
        value=f"{whole.planned_worker_bytes / whole.worker_peak_bytes:.2f}",
        target="1-2",
    )
    table.add(
        figure="peak with all images to a fifth of them",
        value=f"{whole.peak_bytes / fifth.peak_bytes:.3f}",
        target="≤ 1.05",
    )
    table.add(
        figure="accumulation with all images to a fifth of them",
        value=f"{whole.accumulate_s / fifth.accumulate_s:.2f}",
        target="4.5-5.5",
    )


def test_two_workers_against_one(measured, table):
    """Two worker processes against one, one thread each"""
    one = measured.compared(measured.store, "--workers", "1")
    two = measured.two_workers
    table.add(
        figure="accumulation, two workers to one (×)",
        value=f"{one.accumulate_s / two.accumulate_s:.2f}",
        target="≥ 1.7",
    )
    table.add(
        figure="whole comparison, two workers to one (×)",
        value=f"{one.total_s / two.total_s:.2f}",
        target="≥ 1.7",
    )
