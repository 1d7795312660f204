"""Forty architectures of as many families, each split and held against itself: `stitchpipe census` has them all."""

from __future__ import annotations

import pytest

from stitchpipe.census import Limits, examined, subjects
from stitchpipe.census.processes import rows

SHARES = {"torchvision": 12, "timm": 20, "transformers": 8}
"""How many families of each library are taken, evenly spaced over their alphabet; of each its first network."""

SEVERAL_VALUES = frozenset({"coat", "crossvit", "efficientvim", "gcvit", "hrnet", "nasnet", "pnasnet", "tnt"})
"""Families whose networks run side by side in several branches: no single value crosses in some third of the depth."""


def sample():
    firsts = {(subject.library, subject.family): subject for subject in reversed(subjects())}
    for library, share in SHARES.items():
        families = sorted(family for known, family in firsts if known == library)
        for number in range(share):
            yield firsts[library, families[number * len(families) // share]]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("subject", list(sample()), ids=lambda subject: subject.name)
def test_an_architecture_is_split(subject):
    (row,) = rows([subject], examined, Limits(), jobs=1, until=float("inf"))
    assert not row.mismatches
    assert not row.miscaptured
    if row.outcome == "not reached":
        pytest.skip(row.reason)
    assert row.outcome == "split" or subject.family in SEVERAL_VALUES, row.reason
