"""Every number of a sweep file has a bound, so that a slip of the keyboard is refused and not tried."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path

import annotated_types
import pytest
from pydantic import BaseModel

from stitchpipe.config import ConfigError, Sweep, parse
from stitchpipe.run import stitches
from stitchpipe.run.names import LayerName

SWEEP = """
name = "x"
data = {{ kind = "digits"{data} }}
[[models]]
name = "A"
architecture = "cifar_resnet"
untrained = true
options = {{ {options} }}
[[compare]]
view = "pooled"
indices = ["cka"]
{more}
"""


def fields_of(annotation, seen):
    """Yield every field of every table below a type, with the table's name."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel) and annotation not in seen:
        seen.add(annotation)
        for name, field in annotation.model_fields.items():
            yield f"{annotation.__name__}.{name}", field
            yield from fields_of(field.annotation, seen)
    for part in typing.get_args(annotation):
        yield from fields_of(part, seen)


def bounds_of(annotation, metadata):
    """Yield, for every int of an annotation, what bounds it from above."""
    metadata = [*metadata, *getattr(annotation, "__metadata__", ())]
    if annotation is int:
        nested = [each for part in metadata for each in getattr(part, "metadata", (part,))]
        yield [each for each in nested if isinstance(each, annotated_types.Le | annotated_types.Lt)]
    elif typing.get_origin(annotation) is typing.Annotated:
        yield from bounds_of(annotation.__origin__, metadata)
    elif typing.get_origin(annotation) is not typing.Literal:
        for part in typing.get_args(annotation):
            yield from bounds_of(part, metadata)


def test_every_whole_number_of_every_table_has_an_upper_bound():
    fields = dict(fields_of(Sweep, set()))
    assert len(fields) > 150
    counted = {name: list(bounds_of(field.annotation, field.metadata)) for name, field in fields.items()}
    assert sum(map(len, counted.values())) > 50
    assert [name for name, bounds in counted.items() if not all(bounds)] == []


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({"options": "blocks = [1000000000, 1, 1]"}, "blocks = 1000000000"),
        ({"options": "deep = { inner = [{ n = 99999999 }] }"}, "deep.inner.n = 99999999"),
        ({"options": "num_classes = 1000000000"}, "num_classes = 1000000000"),
        ({"data": ", size = 16384"}, "16384"),
        (
            {
                "more": '[[models]]\nname = "C"\ncontrol = { kind = "random_codes", shape = [16384, 16384, 3] }'
            },
            "805,306,368",
        ),
        ({"more": "[run]\nworkers = 1000000000000000000000000000000"}, "1000000000000000000"),
        ({"more": "[store]\nbudget_gib = inf"}, "inf"),
        ({"more": "[dump]\naugment = { passes = 1, crop = 5000 }"}, "5000"),
        ({"more": '[dump]\nlayers = ["cuts:99999999999999999999"]'}, "cuts:99999999999999999999"),
        (
            {"more": f'[[zoo]]\nmodels = ["torchvision:*"]\nuntrained = true\nseeds = {list(range(1000))}'},
            "more",
        ),
    ],
)
def test_numbers_beyond_reason_are_refused(parts, found):
    text = SWEEP.format(**{"data": "", "options": "", "more": "", **parts})
    with pytest.raises(ConfigError) as refused:
        parse(text, where="x", folder=Path())
    assert found in str(refused.value)


def test_seeds_among_options_may_have_32_bits():
    sweep = parse(SWEEP.format(data="", options="seed = 4294967295", more=""), where="x", folder=Path())
    assert sweep.models[0].options == {"seed": 4294967295}


def test_stitches_are_counted_before_they_are_made(monkeypatch):
    more = '[[stitch]]\nmethod = "tlm"\nsources = ["A/*"]\ntargets = ["A/*"]\nseeds = [0, 1, 2]'
    sweep = parse(SWEEP.format(data="", options="", more=more), where="x", folder=Path())
    names = [LayerName("A", str(number)) for number in range(1000)]
    with pytest.raises(ConfigError, match=r"3,000,000: 1,000 sources, 1,000 targets, 3 ways"):
        stitches._demand_count(sweep.stitch[0], names, names, "stitch[0]")
    stitches._demand_count(sweep.stitch[0], names, names[:300], "stitch[0]")
