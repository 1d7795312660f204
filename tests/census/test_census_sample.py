"""Forty architectures of as many families, each split and held against itself: `stitchpipe census` has them all."""

from __future__ import annotations

from functools import cache

import pytest

from stitchpipe.census import Limits, examined, subjects
from stitchpipe.census.processes import rows

SHARES = {"torchvision": 12, "timm": 20, "transformers": 8}
"""How many families of each library are taken, evenly spaced over their alphabet; of each its first network."""

SEVERAL_VALUES = frozenset({"tnt", "lw_detr_vit", "rf_detr_dinov2"})
"""Families of which several values cross in some third of the depth, and not all of these are layers."""


@cache
def firsts():
    """Return the first network of each family; asked for when a test runs: three libraries are imported for it."""
    return {(subject.library, subject.family): subject for subject in reversed(subjects())}


def of_the_sample(library, number):
    families = sorted(family for known, family in firsts() if known == library)
    return firsts()[library, families[number * len(families) // SHARES[library]]]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("library", "number"), [(library, number) for library, share in SHARES.items() for number in range(share)]
)
def test_an_architecture_is_split(library, number):
    subject = of_the_sample(library, number)
    (row,) = rows([subject], examined, Limits(), jobs=1, until=float("inf"))
    assert not row.mismatches
    assert not row.miscaptured
    if row.outcome == "not reached":
        pytest.skip(row.reason)
    assert row.outcome == "split" or subject.family in SEVERAL_VALUES, row.reason
