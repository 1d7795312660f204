"""Names of models with the signs of globs in them mean themselves, wherever models are chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from stitchpipe.config import parse
from stitchpipe.config.restricting import restricted
from stitchpipe.globs import meant_by
from stitchpipe.graph import LayerInfo
from stitchpipe.run.stitches import planned_stitches

NAMES = ["net[1]*", "net1", "net1x", "a?"]
SWEEP = 'name = "x"\ndata = { kind = "digits" }\n' + "".join(
    f'[[models]]\nname = "{name}"\narchitecture = "cifar_resnet"\nuntrained = true\n' for name in NAMES
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_means_itself(name):
    assert meant_by(name, NAMES) == [name]
    sweep = parse(
        f'{SWEEP}[[stitch]]\nmethod = "dm"\nsources = ["{name}/*"]\ntargets = ["{name}/one"]',
        where="x",
        folder=Path(),
    )
    table = {label: (LayerInfo("one", (4, 2, 2), True), LayerInfo("two", (4, 2, 2), True)) for label in NAMES}
    planned = planned_stitches(sweep, sweep.stitch, table)
    assert {stitch.source.model for stitch in planned.made} == {name}
    assert [model.name for model in restricted(sweep, only=[name], limit=None).models] == [name]


def test_other_globs_are_globs():
    assert meant_by("net[1]?", NAMES) == ["net1x"]
    assert meant_by("net*", NAMES) == NAMES[:3]
    assert meant_by("b*", NAMES) == []
