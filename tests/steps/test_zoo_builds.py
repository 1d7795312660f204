"""A zoo is declared in a few lines, and each of its networks is built once: to inspect it, and never to list it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from stitchpipe import config, steps
from stitchpipe.cli.plan_tables import describe
from stitchpipe.run import Run
from stitchpipe.run import layers as run_layers
from stitchpipe.run import networks as run_networks
from stitchpipe.steps.forecast import forecast

ZOO = """
name = "two-hundred"
data = { kind = "digits", limit = 24 }
[[zoo]]
models = ["installed:cifar_resnet"]
untrained = true
seeds = [SEEDS]
options = { in_channels = 1, blocks = [1, 1, 1], widths = [2, 3, 4] }
layers = "blocks:2"
[[compare]]
view = "pooled"
indices = ["cka"]
"""


@dataclass
class Counted:
    built: int = 0
    traced: int = 0


@pytest.fixture
def counted(monkeypatch):
    """Count the networks that are built and traced."""
    counts, build, trace = Counted(), run_networks.declared_network, run_layers.inspect

    def built(*arguments):
        counts.built += 1
        return build(*arguments)

    def traced(*arguments):
        counts.traced += 1
        return trace(*arguments)

    monkeypatch.setattr(run_networks, "declared_network", built)
    monkeypatch.setattr(run_layers, "inspect", traced)
    return counts


def shown(run):
    out = io.StringIO()
    Console(file=out, width=200).print(describe(run))
    return out.getvalue()


@pytest.mark.parametrize("size", [13, pytest.param(200, marks=pytest.mark.slow)])
def test_each_network_is_built_once_and_none_to_list_it(tmp_path, counted, size, monkeypatch):
    text = ZOO.replace("SEEDS", ", ".join(map(str, range(size))))
    assert len(text.strip().splitlines()) <= 12
    sweep = config.parse(text, where="zoo", folder=Path())
    assert len(sweep.networks) == size

    before = shown(Run.open(sweep, tmp_path))
    assert f"{size} of {size} networks are not inspected yet" in before
    assert "stitchpipe inspect" in before
    assert (counted.built, counted.traced) == (0, 0)

    run = Run.open(sweep, tmp_path)
    for model in sweep.networks:
        steps.inspect(run, model.name)
    assert (counted.built, counted.traced) == (size, size)

    opened = Run.open(sweep, tmp_path)
    units = steps.units(opened)
    assert len(units.dumps) == 2 * size
    assert forecast(opened).comparison.pairs == (2 * size) ** 2
    after = shown(Run.open(sweep, tmp_path))
    assert f"{2 * size} of {size} models, 2 each" in after
    for model in sweep.networks:
        steps.inspect(opened, model.name)
    assert (counted.built, counted.traced) == (size, size)


def test_what_is_known_of_a_zoo_is_planned_and_the_rest_is_told(tmp_path, counted):
    sweep = config.parse(ZOO.replace("SEEDS", ", ".join(map(str, range(12)))), where="zoo", folder=Path())
    run = Run.open(sweep, tmp_path)
    for model in sweep.networks[:3]:
        steps.inspect(run, model.name)
    told = shown(Run.open(sweep, tmp_path))
    assert "9 of 12 networks are not inspected yet (cifar_resnet@3" in told
    assert "36 directed pairs" in told
    assert counted.built == 3 + 3  # three were timed: so few are


def test_a_part_of_a_sweep_has_the_numbers_of_the_whole(tmp_path):
    text = ZOO.replace("SEEDS", "0, 1, 2")
    stitches = '[[stitch]]\nmethod = "dm"\nsources = ["*@2/stages:1"]\ntargets = ["*@0/blocks:1", "*@1/*"]\n'
    sweep = config.parse(text + stitches, where="zoo", folder=Path())
    part = config.restricted(sweep, only=["*@[02]"])
    assert part.labels == ("cifar_resnet@0", "cifar_resnet@2")
    again = config.parse(config.declared_toml(part), where="again", folder=Path())
    assert again.labels == part.labels
    for model in part.networks:
        steps.inspect(Run.open(part, tmp_path), model.name)
    (planned,) = Run.open(again, tmp_path).stitches
    assert str(planned.target) == "cifar_resnet@0/layer3.0"
    assert planned in Run.open(sweep, tmp_path).stitches
    assert config.restricted(sweep, only=["*@0"]).stitch == ()
    assert config.restricted(sweep, limit=2).labels == ("cifar_resnet@0", "cifar_resnet@1")
    with pytest.raises(config.ConfigError, match="Did you mean"):
        config.restricted(sweep, only=["cifar_resnet@7"])


def test_a_plan_says_how_many_networks_it_built_and_what_for(tmp_path, counted):
    sweep = config.parse(ZOO.replace("SEEDS", "0, 1, 2"), where="zoo", folder=Path())
    steps.inspect(Run.open(sweep, tmp_path), "cifar_resnet@1")
    told = shown(Run.open(sweep, tmp_path))
    assert counted.built == 1 + 2 + 3
    assert (
        "2 to list their layers (cifar_resnet@0, cifar_resnet@2: `stitchpipe inspect` leaves them on record)"
        in told
    )
    assert "3 to time a few batches" in told
    for model in sweep.networks:
        steps.inspect(Run.open(sweep, tmp_path), model.name)
    told, counted.built = shown(Run.open(sweep, tmp_path)), 0
    assert "networks built" in told
    assert "to list their layers" not in told
