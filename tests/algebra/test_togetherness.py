"""What groups forbid is said alike of images in a run and of samples in memory."""

from __future__ import annotations

import pytest

from stitchpipe.algebra import INDICES
from stitchpipe.algebra.certainty import Togetherness

IMAGES = Togetherness(12, 12, (3, 5), "image")
SAMPLES = Togetherness(12, 12, (3, 5), "sample")


@pytest.mark.parametrize("name", INDICES)
def test_images_and_samples_lack_the_same(name):
    measure = INDICES[name].measure
    for told in (
        lambda together: together.no_null(measure, permuted=True),
        lambda together: together.no_limits(measure, 8, 8),
    ):
        assert [said.replace("image", "sample") for said in told(IMAGES)] == told(SAMPLES)


def test_what_is_there_is_not_missed():
    cka, rsa, cca_sq = (INDICES[name].measure for name in ("cka", "rsa", "cca_sq"))
    closed, permuted = IMAGES.no_null(cka, permuted=True)
    assert closed.startswith("no null in closed form")
    assert permuted.endswith("those of 3, 5 images have none")
    assert IMAGES.no_null(cka, permuted=False) == [closed]
    assert Togetherness(12, 12, (), "image").no_null(rsa, permuted=True) == []
    assert IMAGES.no_limits(cca_sq, 5, 6) == []
    assert IMAGES.no_limits(cca_sq, 6, 6) == [
        "no interval where p + q > 11: so few groups of images force the number"
    ]
    assert IMAGES.no_limits(rsa, 6, 6) == []
    assert (
        Togetherness(4, 4, (), "image")
        .no_limits(cca_sq, 1, 1)[0]
        .endswith("5 parts at least, and they make 4")
    )


def test_of_many_sizes_the_first_are_named():
    sizes = tuple(range(1, 12))
    (said,) = Togetherness(11, 11, sizes, "sample").no_null(INDICES["rsa"].measure, permuted=True)
    assert "those of 1, 2, 3, 4, 5, 6, 7, 8, … samples" in said
