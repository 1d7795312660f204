"""The columns of a result, declared once: tables, the catalogue and the documentation follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from stitchpipe.measures import EXTRAS, WHOLE_EXTRAS

Kind: TypeAlias = Literal["text", "whole number", "number"]
"""What a column holds."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the results: what it means, and whether it may be null."""

    name: str
    kind: Kind
    meaning: str
    is_nullable: bool = False


def _maybe(name: str, kind: Kind, meaning: str) -> Column:
    return Column(name, kind, meaning, is_nullable=True)


def _beside(*names: str) -> tuple[Column, ...]:
    """Return the columns of what may stand beside a number."""
    return tuple(
        _maybe(name, "whole number" if name in WHOLE_EXTRAS else "number", EXTRAS[name]) for name in names
    )


FAMILY: Final = ("p_family", "p_by", "calibrated_family")
"""What may stand beside a number and is over a family of pairs: the column `family` says which."""

COLUMNS: Final = (
    Column("index", "text", "the measure: a name of its registry, with its parameter in parentheses"),
    _maybe("value", "number", "the number, in the measure's own unit and range; null where there is none"),
    Column("status", "text", "`ok`, or one word for why there is no number"),
    _maybe("reason", "text", "the same in a sentence; beside a number, a remark"),
    Column("view", "text", "how rows were made: `positions`, `pooled`, `flatten`, `cls` or `tokens`"),
    Column("grid", "text", "the positions that rows were made at, such as `8x8`"),
    Column("source_model", "text", "the model whose layer is compared, or stitched in"),
    Column("source_layer", "text", "its layer"),
    _maybe(
        "source_depth", "whole number", "its place in the network's order among the layers of the run, from 0"
    ),
    Column("target_model", "text", "the model that it is compared with, or stitched into"),
    Column("target_layer", "text", "its layer"),
    _maybe(
        "target_depth", "whole number", "its place in the network's order among the layers of the run, from 0"
    ),
    _maybe("fit_split", "text", "the split on which a map was fitted; null where nothing was"),
    Column("split", "text", "the split on which the number was taken"),
    Column("n_samples", "whole number", "images"),
    Column("n_rows", "whole number", "rows of the view"),
    Column("p", "whole number", "features of the source"),
    Column("q", "whole number", "features of the target"),
    *_beside(*(name for name in EXTRAS if name not in FAMILY)),
    _maybe(
        "family",
        "text",
        "the pairs that `p_family`, `p_by` and `calibrated_family` are over: `models`, all layers of the two models; "
        "`targets`, the target with all layers of the source's model; `run`, all pairs of models of the run",
    ),
    *_beside(*FAMILY),
    _maybe(
        "method",
        "text",
        "of a stitch: `dm`, `dm_ridge(0.1)` and the like (direct matching), or `tlm` (task loss matching)",
    ),
    _maybe("init", "text", "where a training started: `random`, `identity` or `dm`"),
    _maybe("objective", "text", "what a training minimised"),
    _maybe("seed", "whole number", "of a training: its random start and the order of its images"),
    _maybe("steps", "whole number", "optimiser steps of a training"),
    _maybe("final_loss", "number", "mean loss of the last tenth of the steps"),
    _maybe("batch_size", "whole number", "images of a step"),
    _maybe("learning_rate", "number", "of the optimiser, Adam"),
    _maybe("weight_decay", "number", "of the optimiser, Adam"),
    _maybe(
        "augmented",
        "whole number",
        "augmented passes over the training images that a training went through; 0: the images as they are",
    ),
    _maybe("precision", "text", "`float32` or `bfloat16`, with `compiled` where the tail was"),
    Column(
        "source_digest", "text", "digest of the source's content on `split`; `identity:…` of one never stored"
    ),
    Column(
        "target_digest", "text", "digest of the target's content on `split`; `identity:…` of one never stored"
    ),
    _maybe(
        "key",
        "text",
        "digest of everything that the number depends on but its measure; the same for all measures of a pair of "
        "layers, or of a stitch",
    ),
)
"""Every column in the order of the table. What may stand beside a number is what `stitchpipe.measures.EXTRAS` has."""

CLOSED_NULL: Final = ("effect_size", "null_mean", "p_closed", "null_moments", "null_gap")
"""What may stand beside a number and is of its null in closed form."""

LATER: Final = frozenset(
    {
        *("auroc", "floor", "warned", "corrected", *CLOSED_NULL),
        *("family", *FAMILY, "source_depth", "target_depth"),
    }
)
"""Columns that parts of before may lack: they read as null there."""
