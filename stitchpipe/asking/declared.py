"""Of numbers that several declarations left of one thing, those of the declaration that the run stands by now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.config import parse
from stitchpipe.run.place import DECLARATION
from stitchpipe.run.run import Run
from stitchpipe.run.run_keys import index_keys, pair_keys

if TYPE_CHECKING:
    from stitchpipe.config import Sweep
    from stitchpipe.run.place import RunPlace


def declared_sweep(place: RunPlace) -> Sweep:
    """Return the sweep that was dumped last in a run.

    Raises
    ------
    WorkspaceError
        The run keeps none: its activations were ingested.
    """
    text = place.declaration()
    if text is None:
        raise WorkspaceError(
            where=place.url,
            expected=f"a run that keeps the sweep it is of ({DECLARATION})",
            found="none",
            remedy="Run a sweep into this folder, which keeps it.",
        )
    return parse(text, where=f"{place.url}/{DECLARATION}", folder=Path())


def of_the_declaration(place: RunPlace, table: pa.Table) -> pa.Table:
    """Return the numbers of comparisons that the run's sweep stands for, as it was dumped last.

    Parameters
    ----------
    table
        With the columns ``index``, ``view`` and ``key``.

    Notes
    -----
    Opens every layer of the run, and forms the key of each of its pairs: seconds for hundreds of layers. Only where a
    question meets two numbers of one thing it is asked.
    """
    run = Run.open(declared_sweep(place), place)
    ends = run.activations.ends(run.layers.names())
    names, kept = set(table["index"].unique().to_pylist()), np.zeros(len(table), np.bool_)
    for declared in run.sweep.compare:
        keys = pair_keys(run, ends, declared)
        for index, of_pairs in index_keys(keys, names & set(declared.indices)).items():
            texts = pa.array([f"{key:016x}" for key in np.unique(of_pairs).tolist()], pa.string())
            here = pc.and_(
                pc.and_(pc.equal(table["index"], index), pc.equal(table["view"], declared.view)),
                pc.is_in(table["key"], texts),
            )
            kept |= here.to_numpy()
    return table.filter(pa.array(kept))
