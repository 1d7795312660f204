"""What families of pairs add to a comparison that draws its permutations anyway."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from stitchpipe.engine import ImageComparison, LayerShape, Pairs, SplitShape, TaskResources
from stitchpipe.engine.numbers import DEFINED
from stitchpipe.engine.samples.compare_images import BLOCK_LAYERS, blocks_of, compare_images
from stitchpipe.engine.samples.family_numbers import ComparedPairs, merge_maxima, with_families
from stitchpipe.engine.samples.kept_images import keep_pooled
from storage import open_summaries
from tests.benchmarks.tables import Table, best_seconds

if TYPE_CHECKING:
    from stitchpipe.engine.samples.families import Families

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

IMAGES, WIDTH, LAYERS_EACH, PERMUTATIONS = 1000, 64, 9, 200
LAYERS = 284
"""Of the whole comparison, 80,656 directed pairs; some blocks of it are carried out, and the client's part of all."""
INDICES = ("cka", "cka_biased", "cca_sq", "cka_rbf", "rsa", "mutual_knn")


def comparison(folder, layers, kind=None) -> ImageComparison:
    """Return a comparison of layers of random numbers, a few of a model."""
    shapes = tuple(
        LayerShape(f"model{at // LAYERS_EACH}", f"layer{at}", (f"{at}",), (WIDTH,), 4) for at in range(layers)
    )
    split = SplitShape("random", "test", ((0, IMAGES),))
    resources = TaskResources(None, open_summaries(folder))
    return ImageComparison(resources, shapes, split, {"pooled": INDICES}, PERMUTATIONS, kind)


@pytest.mark.parametrize("indices", [("cka", "cka_biased", "cca_sq"), ("cka_rbf",)], ids=["linear", "kernel"])
def test_families(tmp_path, repeats, indices):
    """All blocks of four models, and the client's part of 80,656 pairs, by kind of family"""
    few = 4 * LAYERS_EACH
    whole = comparison(tmp_path, few)
    rng = np.random.default_rng(0)
    for layer in range(few):
        keep_pooled(whole, layer, rng.standard_normal((IMAGES, WIDTH)))
    kinds = (None, "models", "targets", "run")

    def compared(kind):
        asked = replace(whole, family=kind, indices={"pooled": indices})
        for sides in blocks_of(asked.families, all_pairs(few)):
            compare_images(asked, "pooled", *sides)

    seconds = best_seconds({kind: lambda kind=kind: compared(kind) for kind in kinds}, repeats=repeats)
    made = Table(
        "Families of pairs",
        f"{IMAGES} images, width {WIDTH}, {PERMUTATIONS} permutations, {', '.join(indices)}; models of {LAYERS_EACH} "
        f"layers: {few}² pairs {seconds[None]:.1f} s without families; whole: {LAYERS}² pairs, blocks extrapolated",
    )
    extrapolated = LAYERS**2 / few**2
    bare = client_part(comparison(tmp_path, LAYERS).families, len(indices))
    for kind in kinds:
        client = client_part(comparison(tmp_path, LAYERS, kind).families, len(indices))
        more = (seconds[kind] - seconds[None]) * extrapolated + client.seconds - bare.seconds
        made.add(
            family=kind or "none",
            blocks_to_none=f"{seconds[kind] / seconds[None]:.3f}",
            client_s_more=f"{client.seconds - bare.seconds:.2f}",
            whole_to_none=f"{1 + more / (seconds[None] * extrapolated):.3f}",
            KiB_from_a_block=f"{client.block_bytes / 2**10:.0f}",
            MiB_of_maxima=f"{client.maxima_bytes / 2**20:.1f}",
        )
    made.show()


def all_pairs(layers):
    return Pairs.every(layers)


def client_part(families: Families, indices: int) -> SimpleNamespace:
    """Return what merging all blocks and holding all pairs against their families takes, of random nulls."""
    rng = np.random.default_rng(0)
    null = rng.standard_normal((PERMUTATIONS, BLOCK_LAYERS**2)) / 50
    of_blocks, shape = [], comparison("unused", 1)
    for sources, targets in blocks_of(families, all_pairs(LAYERS)):
        pairs = np.array([(x, y) for x in sources for y in targets if x <= y], np.int32)
        values = rng.standard_normal(len(pairs)) / 50
        numbers = shape.numbers("pooled", "cka", pairs, values, [DEFINED] * len(pairs))
        numbers = numbers.with_columns(extras={"p_value": rng.integers(1, 202, len(pairs)) / 201})
        of_blocks.append(ComparedPairs.of(families, numbers, null[:, : len(pairs)]))
    begun = time.perf_counter()
    for _ in range(indices):
        maxima: dict = {}
        parts = [merge_maxima(maxima, block) for block in of_blocks]
        with_families(families, replace(ComparedPairs.joined(parts), maxima=maxima))
    seconds = time.perf_counter() - begun
    held = [sum(of_family.nbytes for of_family in maxima.get("cka", {}).values())]
    travels = max(sum(one.nbytes for one in block.maxima.get("cka", {}).values()) for block in of_blocks)
    return SimpleNamespace(seconds=seconds, maxima_bytes=indices * held[0], block_bytes=indices * travels)
