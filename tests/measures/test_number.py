"""A number, or the reason why there is none."""

from __future__ import annotations

import pickle

import pytest

from stitchpipe.measures import EXTRAS, Number, NumberError


def test_a_number_and_what_stands_beside_it():
    number = Number(0.5, extras={"rank": 3}).beside(low=0.4, high=None, condition=2.0)
    assert (number.value, number.status, number.reason) == (0.5, "ok", None)
    assert number.extras == {"rank": 3, "low": 0.4, "condition": 2.0}
    assert number.extras.keys() <= EXTRAS.keys()


def test_the_absence_of_a_number_says_why():
    number = Number.missing("constant", "expected rows that vary, found 5 equal rows")
    assert (number.value, number.status, number.extras) == (None, "constant", {})
    assert "vary" in number.reason


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"value": None}, "expected a value with status 'ok', found None"),
        ({"value": 1.0, "status": "constant"}, "expected no value with status 'constant', found 1.0"),
        ({"value": float("nan")}, "expected a finite number or None, found nan"),
        ({"value": 1.0, "extras": {"low": float("inf")}}, "a number, low: expected a finite number"),
        ({"value": 1.0, "extras": {"weather": 1.0}}, "found weather"),
    ],
)
def test_a_number_that_contradicts_itself_is_refused(given, text):
    with pytest.raises(NumberError) as caught:
        Number(**given)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "number", [Number(1.5), Number(2.0).beside(rank=3), Number.missing("constant", "One value.")]
)
def test_a_number_travels_between_processes(number):
    assert pickle.loads(pickle.dumps(number)) == number
