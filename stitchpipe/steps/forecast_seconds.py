"""How long the steps of a run would take on this machine: a little of each is tried, and counted by the forecast."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from stitchpipe.algebra.backends import open_backend
from stitchpipe.config import StoredData
from stitchpipe.engine import layer_seconds, rehearsed
from stitchpipe.measures import OK
from stitchpipe.results import COMPARED, Catalogue, coded, table_of, texts_of
from stitchpipe.run.names import TEST
from storage import CheckedFiles, open_place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.run import Run
    from stitchpipe.steps.forecast import EngineWork, Forecast

STARTING_S: Final = 2.5
"""What local workers take to start and end (seen: 2 to 3 s)."""
TRIED_ROWS: Final = 50_000
CLASSES: Final = 10
"""That probes are taken to tell where the images are not looked at."""


@dataclass(frozen=True, slots=True)
class EngineSeconds:
    """What one run of the engine takes.

    Attributes
    ----------
    parts
        Wall seconds by what is done, each as if it were done by all workers at once and nothing else.
    result_bytes
        Of the results on disk.
    """

    parts: Mapping[str, float]
    result_bytes: float

    @property
    def total(self) -> float:
        """Return all seconds."""
        return sum(self.parts.values())


def engine_seconds(run: Run, work: EngineWork, *, reads: bool = True) -> EngineSeconds:
    """Return about how long a comparison takes on this machine, by trying some of it: a few seconds.

    Parameters
    ----------
    reads
        Whether layers are read from a store. Otherwise networks run in one process, which forms the products; the runs
        are not counted.
    """
    declared = run.sweep.run
    tried = rehearsed(work.comparison, work.plan, open_backend(declared.backend, declared.device))
    row_s, row_bytes = _row_rates(intervals=work.comparison.intervals)
    workers = declared.workers
    parts = {
        "reading": tried.reading / workers if reads else 0.0,
        "products": tried.products / (workers if reads else 1),
        "finalisation": tried.finalisation / workers,
        "images": tried.images / workers,
        # Tables are made beside the workers, in a process that shares their cores.
        "results": work.rows * row_s / workers,
        "workers": STARTING_S,
    }
    return EngineSeconds(parts, work.rows * row_bytes)


def single_layer_seconds(run: Run, ahead: Forecast, pairs: EngineSeconds) -> float:
    """Return about how long the numbers of single layers take on this machine, by trying some; a few seconds.

    They are read as layers are for the pairs, whose seconds are `pairs`, and by as many workers.
    """
    if not ahead.layer_questions:
        return 0.0
    layers, splits = ahead.shapes
    images = None if isinstance(run.sweep.data, StoredData) else run.data.splits[TEST].n_classes
    took = layer_seconds(
        ahead.layer_questions,
        layers,
        splits,
        classes=images or CLASSES,
    )
    read = sum(asked.bytes_read(layers, splits) for asked in ahead.layer_questions)
    of_pairs = 0 if ahead.comparison is None else ahead.comparison.cost.bytes_read
    reading = pairs.parts["reading"] * read / of_pairs if of_pairs else 0.0
    return took / run.sweep.run.workers + reading


def _row_rates(*, intervals: bool) -> tuple[float, float]:
    """Return the seconds and the bytes of a row of results: made, written in two parts and merged as a run does."""
    rng, half = np.random.default_rng(0), TRIED_ROWS // 2
    with tempfile.TemporaryDirectory() as folder:
        catalogue = Catalogue(CheckedFiles(open_place(folder)))
        begun = time.perf_counter()
        for part in range(2):
            layers = np.arange(half, dtype=np.int32) % 100
            texts = coded([f"layer{number}" for number in range(100)], layers)
            digests = coded([f"{number:064x}" for number in range(100)], layers)
            limits = {"low": rng.random(half), "high": rng.random(half)} if intervals else {}
            columns = {
                "index": "cka",
                "value": rng.random(half),
                "status": OK,
                "view": "pooled",
                "grid": "1",
                "split": "test",
                "n_samples": 1000,
                "n_rows": 1000,
                "p": 64,
                "q": 64,
                "key": texts_of(rng.integers(0, 2**63, half).astype(np.uint64)),
                "rank": 64,
                "condition": rng.random(half),
                **limits,
            }
            for side in ("source", "target"):
                columns |= {f"{side}_model": texts, f"{side}_layer": texts, f"{side}_digest": digests}
            catalogue.write(f"{COMPARED}{part}", table_of(half, columns))
        catalogue.compact()
        seconds = time.perf_counter() - begun
        size = sum(file.stat().st_size for file in Path(folder).rglob("*.parquet"))
    return seconds / TRIED_ROWS, size / TRIED_ROWS
