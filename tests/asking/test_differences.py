"""What changed between two runs: numbers, contents, facts about how they were computed, declarations."""

from __future__ import annotations

import numpy as np
import pytest

import stitchpipe as sp
from stitchpipe.asking import difference
from stitchpipe.results import table_of_records
from stitchpipe.run import RunPlace
from tests import synthetic_results
from tests.asking.made_up_run import made_up

CKA = "index = 'cka' AND view = 'pooled'"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two runs: the second lacks one number, has one more, another value of one, and none of one that had a value."""
    before, after = tmp_path_factory.mktemp("before"), tmp_path_factory.mktemp("after")
    frame = synthetic_results.results(views=("pooled",), stitches=False).astype(object)
    records = frame.where(frame.notna(), None).to_dict("records")
    changed = [dict(record) for record in records[1:]]
    changed[0] |= {"value": changed[0]["value"] + 0.25}
    changed[1] |= {"value": None, "status": "constant", "reason": "it does not vary"}
    changed.append(records[0] | {"index": "gulp(0.1)"})
    RunPlace.at(before).results.write("made-up", table_of_records(records))
    RunPlace.at(after).results.write("made-up", table_of_records(changed))
    for place, scale in ((before, 1.0), (after, 2.0)):
        rows = scale * np.arange(80, dtype=np.float32).reshape(20, 4)
        for layer, values in (("same", rows / scale), ("other", rows)):
            batch = ([str(number) for number in range(20)], {layer: values})
            sp.ingest_batches(place, [batch], dataset="D", split="test", model=f"M-{layer}")
        RunPlace.at(place).declare(f'name = "x"\nseed = {scale}\n')
    return sp.open(before), sp.open(after), records


def test_every_kind_of_change_is_told(pair):
    before, after, records = pair
    told = before.diff(after)
    assert told.numbers == len(records) - 3
    assert told.removed[["index", "source_layer"]].values.tolist() == [["cka", "layer1.0"]]
    assert told.added["index"].tolist() == ["gulp(0.1)"]
    assert told.changed["status_there"].tolist() == ["constant", "ok"]
    assert told.changed["change"].tolist()[1] == pytest.approx(0.25)
    assert told.contents[["model", "layer"]].values.tolist() == [["M-other", "other"]]
    assert told.declaration == ("-seed = 1.0", "+seed = 2.0")
    assert not told.is_none
    assert "2 numbers that changed" in repr(told)
    assert "constant" in told._repr_html_()


def test_it_goes_either_way_and_a_tolerance_makes_equal(pair):
    before, after, _ = pair
    back = after.diff(before.place.url)
    assert back.added["index"].tolist() == ["cka"]
    assert before.diff(after, tolerance=0.3).changed["status_there"].tolist() == ["constant"]


def test_a_run_differs_from_itself_in_nothing(tmp_path):
    place = made_up(tmp_path)
    told = difference(place, place)
    assert told.is_none
    assert told.numbers == len(place.results.read())
    assert len(difference(RunPlace.at(tmp_path / "none"), place).added) == told.numbers
