"""The indices: one file for each, its facts beside its formula, and the table of them all."""

from stitchpipe.algebra.indices.by_name import evaluate, index_named
from stitchpipe.algebra.indices.table import INDICES

__all__ = ["INDICES", "evaluate", "index_named"]
