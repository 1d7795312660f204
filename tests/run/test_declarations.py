"""Which sweep a run keeps: the one that was worked on last, and never a part in place of the whole."""

from __future__ import annotations

import pytest

from stitchpipe.config import parse, restricted
from stitchpipe.run import PlaceError, RunPlace
from stitchpipe.run.declarations import keep_sweep, kept_sweep
from stitchpipe.run.kept_declarations import kept_text
from tests.tiny_sweep import TINY


@pytest.fixture
def whole(tmp_path):
    return parse(TINY, where="a test", folder=tmp_path)


def test_a_run_keeps_its_sweep_as_it_was_declared_last(whole, tmp_path):
    place = RunPlace.at(tmp_path / "run")
    changed = whole.model_copy(update={"compare": whole.compare[:1]})
    for sweep in (whole, changed, whole):  # the last is the first again, whose file is the oldest
        keep_sweep(sweep, place)
        assert kept_sweep(place) == kept_sweep(place, "tiny") == sweep
    assert 'name = "tiny"' in kept_text(place)


def test_a_part_takes_the_place_of_nothing(whole, tmp_path):
    place = RunPlace.at(tmp_path / "run")
    part = restricted(whole, only=["A"])
    assert (part.name, part.part_of) == ("tiny.A", "tiny")
    assert restricted(part, only=["A"]) is part
    assert restricted(whole, only=["*"]) is whole
    keep_sweep(whole, place)
    keep_sweep(part, place)
    assert kept_sweep(place) == whole
    assert kept_sweep(place, "tiny.A") == part


def test_a_part_is_called_by_a_digest_where_its_models_make_no_name(whole):
    part = restricted(whole, only=["org/*"])
    assert part.name.startswith("tiny.1-models-")
    assert part.whole == "tiny"


def test_a_run_that_keeps_none_says_what_to_do(whole, tmp_path):
    place = RunPlace.at(tmp_path / "run")
    with pytest.raises(PlaceError, match="found none.*sweep's file"):
        kept_sweep(place)
    keep_sweep(whole, place)
    with pytest.raises(PlaceError, match="'other', found only tiny"):
        kept_sweep(place, "other")
