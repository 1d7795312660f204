"""Which layers of which networks the comparison benchmarks compare. Without torch: workers import what this does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.engine import Comparison, LayerShape, Pairs, SplitShape
from storage import Address

if TYPE_CHECKING:
    from stitchpipe.engine import Plan
    from storage import Store

DEPTHS = {"resnet20": 3, "resnet56": 9}
"""Blocks in each of the three stages (He et al. 2016, §4.2)."""
SPLITS = ("train", "test")
INDICES = {
    "positions": ("cka_biased", "cca", "pwcca", "procrustes", "dm_r2"),
    "pooled": ("cka", "cka_biased", "cca", "pwcca", "procrustes", "dm_r2"),
}


def blocks(model: str) -> tuple[str, ...]:
    return tuple(f"layer{stage}.{block}" for stage in (1, 2, 3) for block in range(DEPTHS[model]))


def comparison_of(store: Store, *, intervals: bool = False) -> Comparison:
    """Return the comparison of all pairs of all blocks of a dumped zoo under both views."""
    layers = []
    for model in DEPTHS:
        for layer in blocks(model):
            ends = [store.representation(Address("benchmark", split, model, layer)) for split in SPLITS]
            shape = ends[0].shape[1:]
            layers.append(LayerShape(model, layer, tuple(end.fingerprint for end in ends), shape, 2))
    splits = tuple(
        SplitShape(
            "benchmark", split, store.representation(Address("benchmark", split, model, layer)).row_groups
        )
        for split in SPLITS
    )
    pairs = Pairs.every(len(layers))
    return Comparison(tuple(layers), splits, dict.fromkeys(INDICES, pairs), INDICES, intervals=intervals)


def plan_of(store: Store, *, intervals: bool = False, **options) -> Plan:
    """Plan that comparison, with 1 GiB a worker."""
    return comparison_of(store, intervals=intervals).plan(**{"memory_limit_bytes": 2**30, **options})
