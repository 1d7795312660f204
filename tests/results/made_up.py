"""Made-up results of a zoo, as tables: distinct numbers for all pairs of many layers."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from stitchpipe.results import coded, table_of, texts_of


def zoo_table(models, layers, indices, *, sources=slice(None), seed=0, view="pooled"):
    """Return numbers of all pairs of ``models * layers`` layers from some sources: all values are distinct.

    Beside them stand limits, also distinct, for half of the indices, and ranks and distinct conditions for two fifths.
    Keys follow from the pair, values from the seed; names of layers sort in another order than the network's.
    """
    n = models * layers
    source, target = np.meshgrid(np.arange(n)[sources], np.arange(n), indexing="ij")
    source, target = (np.tile(side.ravel(), len(indices)) for side in (source, target))
    index = np.repeat(np.arange(len(indices)), len(source) // len(indices))
    value = np.random.default_rng([seed, int(source[0])]).random(len(source))
    generator = np.random.default_rng([seed, int(source[0]), 1])
    limits = np.where(index % 2 == 0, generator.random((2, len(value))) / 50, np.nan)
    condition = np.where(index % 5 < 2, 1 + 1e4 * generator.random(len(value)), np.nan)
    # The factor is odd: no two pairs of a view have the same key.
    keys = (source * n + target).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(
        crc32(view.encode())
    )
    columns = {
        "index": coded(indices, index),
        "value": value,
        "status": "ok",
        "view": view,
        "grid": "1x1",
        "split": "test",
        "n_samples": 2000,
        "n_rows": 2000,
        "low": value - limits[0],
        "high": value + limits[1],
        "rank": np.where(index % 5 < 2, 16.0, np.nan),
        "condition": condition,
        "key": texts_of(keys),
    }
    names = [f"net{model:03d}" for model in range(models)], [f"features.{layer}" for layer in range(layers)]
    digests = [f"{place:064x}" for place in np.random.default_rng(1).integers(0, 2**62, n)]
    for side, places in (("source", source), ("target", target)):
        columns[f"{side}_model"] = coded(names[0], places // layers)
        columns[f"{side}_layer"] = coded(names[1], places % layers)
        columns[f"{side}_depth"] = places % layers
        columns[f"{side}_digest"] = coded(digests, places)
        columns["p" if side == "source" else "q"] = 16 * (1 + places % layers)
    return table_of(len(source), columns)
