"""What a measure says of itself."""

from __future__ import annotations

from math import inf

import pytest

from stitchpipe.measures import ISOTROPIC, LINEAR, Measure, Parameter, spelt


def measure(**facts):
    given = {
        "name": "sharpness",
        "label": "Sharpness",
        "meaning": "How sharp it is.",
        "kind": "index",
        "computed_from": "moments",
        "range": (0.0, 1.0),
        "larger_is_more_similar": True,
    }
    return Measure(**(given | facts))


LAMBDA = Parameter(symbol="λ", meaning="the penalty", value=0.01, largest=inf, label="λ = {:g}")
RANK = Parameter(symbol="r", meaning="the rank", value=8, largest=64, label="rank {:g}", whole=True)


def test_a_measure_is_as_plain_as_it_is_declared():
    plain = measure()
    assert (plain.base, plain.title, plain.held_out) == ("sharpness", "Sharpness", False)
    assert plain.invariances == frozenset()
    assert (plain.null, plain.interval) == (None, None)
    assert measure(family="ridge").held_out


def test_either_side_may_undergo_what_both_may():
    sided = measure(source_invariances=ISOTROPIC, target_invariances=LINEAR)
    assert sided.invariances == ISOTROPIC


def test_one_number_has_one_name():
    ridge = measure(parameter=LAMBDA)
    assert ridge.title == "Sharpness, λ = 0.01"
    assert ridge.with_parameter(0.01) is ridge
    tenth = ridge.with_parameter(0.10)
    assert (tenth.name, tenth.base, tenth.title) == ("sharpness(0.1)", "sharpness", "Sharpness, λ = 0.1")
    assert tenth.with_parameter(0.5).name == "sharpness(0.5)"
    assert measure(parameter=RANK).with_parameter(4.0).name == "sharpness(4)"
    assert [spelt(value) for value in (4, 0.10, 1e-30)] == ["4", "0.1", "1e-30"]


def test_what_has_no_parameter_takes_none():
    with pytest.raises(ValueError, match="sharpness has no parameter"):
        measure().with_parameter(1.0)


@pytest.mark.parametrize(
    ("parameter", "words", "allowed", "refused"),
    [
        (LAMBDA, "λ > 0", (1e-300, 5.0), (0.0, -1.0, inf, float("nan"))),
        (RANK, "a whole number 0 < r ≤ 64", (1.0, 64.0), (0.5, 65.0, inf)),
    ],
)
def test_a_parameter_says_what_it_may_be(parameter, words, allowed, refused):
    assert parameter.allowed == words
    assert all(map(parameter.allows, allowed))
    assert not any(map(parameter.allows, refused))
