"""What `plan` says of time and disk beside what then happens: three sweeps, run one step after the other."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from tests.benchmarks.tables import Table

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

MANY_NARROW = ("--layers", "100", "--images", "1000", "--width", "16")
FEW_WIDE = (
    *("--layers", "8", "--images", "2000", "--width", "256", "128"),
    *("--indices", "cka", "procrustes", "pwcca", "dm_r2", "--intervals"),
)
NETWORKS = """
name = "networks"
[data]
name = "digits"
kind = "digits"
[dump]
layers = ["layer?.0"]
[[models]]
name = "A"
architecture = "cifar_resnet"
options = { in_channels = 1, blocks = [2, 2, 2] }
untrained = true
[[models]]
name = "B"
architecture = "cifar_resnet"
options = { in_channels = 1, blocks = [2, 2, 2] }
untrained = true
[[compare]]
view = "positions"
indices = ["cka_biased", "cca", "procrustes"]
[[compare]]
view = "pooled"
indices = ["cka", "procrustes"]
[[stitch]]
method = "tlm"
sources = ["A/*"]
targets = ["B/layer1.0"]
steps = 100
batch_size = 32
"""


@pytest.fixture(scope="module")
def table():
    made = Table(
        "What was planned beside what was seen", "two workers; about a factor of 2 on an idle machine"
    )
    yield made
    made.show()


def told(table, sweep, step, planned, seen):
    table.add(
        sweep=sweep, step=step, planned=f"{planned:.3g}", seen=f"{seen:.3g}", ratio=f"{planned / seen:.2f}"
    )


@pytest.mark.parametrize(
    ("name", "options"), [("many narrow", MANY_NARROW), ("few wide, intervals", FEW_WIDE)], ids=str
)
def test_ingested_layers(table, name, options):
    """Layers that were ingested, compared"""
    command = [sys.executable, "-m", "tests.benchmarks.random_zoo", *options, "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    told(table, name, "compare, s", found["planned_s"]["compare"], found["wall_s"]["compare"])
    disk = found["temporary_bytes"]
    told(table, name, "summaries, MiB", disk["planned"] / 2**20, disk["seen"] / 2**20)
    told(table, name, "results, MiB", found["planned_results_bytes"] / 2**20, found["results_bytes"] / 2**20)


def test_networks_with_stitches(table, tmp_path):
    """Small networks: dumped, compared and stitched"""
    from stitchpipe import steps
    from stitchpipe.config import parse
    from stitchpipe.run import Run
    from stitchpipe.steps.forecast import forecast
    from stitchpipe.steps.forecast_seconds import engine_seconds
    from stitchpipe.steps.network_seconds import network_seconds

    sweep = parse(NETWORKS, where="networks", folder=tmp_path)
    run = Run.open(sweep, tmp_path / "run")
    for model in sweep.networks:
        steps.inspect(run, model.name)
    ahead = forecast(run)
    planned = network_seconds(run, ahead)
    comparing = engine_seconds(run, ahead.comparison).total
    units = steps.units(run)
    for step, expected, work in (
        ("dump, s", planned.dump, lambda: [steps.dump(run, *unit) for unit in units.dumps]),
        ("compare, s", comparing, lambda: steps.compare(run)),
        ("stitch, s", planned.stitch, lambda: [steps.stitch(run, *unit) for unit in units.targets]),
    ):
        begun = time.perf_counter()
        work()
        told(table, "networks", step, expected, time.perf_counter() - begun)
