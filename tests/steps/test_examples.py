"""Example images of a page: what is near each other is as the store says, and what is not at hand is not shown."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics.pairwise import cosine_similarity

import stitchpipe.steps.examples as examples_of_run
from stitchpipe.data import DataError
from stitchpipe.steps.examples import ASKED, IMAGES, NEAREST, examples


@pytest.fixture(scope="module")
def ends(tiny):
    return tiny.run.activations.ends(tiny.run.layers.names())


@pytest.fixture(scope="module")
def found(tiny, ends):
    return examples(tiny.run, ends)


def test_the_nearest_are_those_of_the_pooled_rows(ends, found):
    assert set(found.nearest) == {(name.model, name.layer) for name in ends}
    for name, end in ends.items():
        rows = end.test.read_rows(np.arange(IMAGES)).mean(axis=(2, 3), dtype=np.float64)
        alike = cosine_similarity(rows - rows.mean(axis=0))
        for asked, places in enumerate(found.nearest[name.model, name.layer]):
            others = np.delete(np.arange(IMAGES), asked)
            best = np.sort(alike[asked, others])[::-1][:NEAREST]
            assert asked not in places
            assert alike[asked, places] == pytest.approx(best)


def test_pictures_and_names_are_those_of_the_samples(tiny, ends, found):
    split = next(iter(ends.values())).test.split
    images = tiny.run.data.splits["test"]
    assert (found.asked, len(found.pictures), len(found.names)) == (ASKED, IMAGES, IMAGES)
    for place in (0, IMAGES - 1):
        with Image.open(io.BytesIO(found.pictures[place])) as picture:
            shown = np.asarray(picture)
        at = list(images.sample_ids).index(split.sample_ids[place])
        assert shown == pytest.approx(255 * images.batch([at])[0, 0].numpy(), abs=0.5)
        assert found.names[place].endswith(split.sample_ids[place])


def test_there_are_none_where_they_are_not_at_hand_or_not_small(tiny, ends, monkeypatch):
    def absent(*_):
        raise DataError(where="[data]", expected="files", found="none", remedy="Put them there.")

    monkeypatch.setattr(examples_of_run, "load_splits", absent)
    assert examples(tiny.run, ends) is None
    monkeypatch.undo()
    monkeypatch.setattr(examples_of_run, "MOST_READ_BYTES", 1000)
    assert examples(tiny.run, ends) is None
