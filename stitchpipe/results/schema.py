"""The columns of a result, declared once: the record, the table of the catalogue and the documentation follow."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from types import NoneType
from typing import Annotated, Any, Final, Literal, Self, TypeAlias, get_args, get_origin, get_type_hints

from stitchpipe.errors import ExplainedError
from stitchpipe.measures import EXTRAS, OK, Number

Kind: TypeAlias = Literal["text", "whole number", "number"]
"""What a column holds."""


class ResultError(ExplainedError, ValueError):
    """A record contradicts itself: a number without status ok, or the other way round."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two layers that a number is about.

    Attributes
    ----------
    width
        Its features under the view: p of a source, q of a target.
    digest
        Of its content on the split where the number was taken; ``identity:…`` of what was never stored.
    """

    model: str
    layer: str
    width: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a number is about; all measures of two layers have it in common. The columns of `Result` say more."""

    source: Side
    target: Side
    view: str
    grid: str
    split: str
    fit_split: str | None = None
    n_samples: int
    n_rows: int
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How a stitch was made. The columns of `Result` say more."""

    method: str
    init: str | None = None
    objective: str | None = None
    seed: int | None = None
    steps: int | None = None
    final_loss: float | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    augmented: int | None = None
    precision: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One number, always directed, with everything that is needed to know what it is.

    Each attribute is a column; its annotation holds type and meaning. What may stand beside a number is explained by
    `stitchpipe.measures.EXTRAS`.

    Raises
    ------
    ResultError
        A value with another status than ok, none with ok, a number that is NaN or infinite, or a count that cannot
        be.
    """

    index: Annotated[str, "the measure: a name of its registry, with its parameter in parentheses"]
    value: Annotated[
        float | None, "the number, in the measure's own unit and range; null where there is none"
    ]
    status: Annotated[str, "`ok`, or one word for why there is no number"] = OK
    reason: Annotated[str | None, "the same in a sentence; beside a number, a remark"] = None
    view: Annotated[str, "how rows were made: `positions`, `pooled`, `flatten`, `cls` or `tokens`"]
    grid: Annotated[str, "the positions that rows were made at, such as `8x8`"]
    source_model: Annotated[str, "the model whose layer is compared, or stitched in"]
    source_layer: Annotated[str, "its layer"]
    target_model: Annotated[str, "the model that it is compared with, or stitched into"]
    target_layer: Annotated[str, "its layer"]
    fit_split: Annotated[str | None, "the split on which a map was fitted; null where nothing was"] = None
    split: Annotated[str, "the split on which the number was taken"]
    n_samples: Annotated[int, "images"]
    n_rows: Annotated[int, "rows of the view"]
    p: Annotated[int, "features of the source"]
    q: Annotated[int, "features of the target"]
    rank: int | None = None
    condition: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    calibrated: float | None = None
    null_samples: int | None = None
    family: Annotated[
        str | None,
        "the pairs that `p_family`, `p_by` and `calibrated_family` are over: `models`, all layers of the two models; "
        "`targets`, the target with all layers of the source's model; `run`, all pairs of models of the run",
    ] = None
    p_family: float | None = None
    p_by: float | None = None
    calibrated_family: float | None = None
    auroc: float | None = None
    floor: float | None = None
    warned: int | None = None
    method: Annotated[
        str | None,
        "of a stitch: `dm`, `dm_ridge(0.1)` and the like (direct matching), or `tlm` (task loss matching)",
    ] = None
    init: Annotated[str | None, "where a training started: `random`, `identity` or `dm`"] = None
    objective: Annotated[str | None, "what a training minimised"] = None
    seed: Annotated[int | None, "of a training: its random start and the order of its images"] = None
    steps: Annotated[int | None, "optimiser steps of a training"] = None
    final_loss: Annotated[float | None, "mean loss of the last tenth of the steps"] = None
    batch_size: Annotated[int | None, "images of a step"] = None
    learning_rate: Annotated[float | None, "of the optimiser, Adam"] = None
    weight_decay: Annotated[float | None, "of the optimiser, Adam"] = None
    augmented: Annotated[
        int | None,
        "augmented passes over the training images that a training went through; 0: the images as they are",
    ] = None
    precision: Annotated[str | None, "`float32` or `bfloat16`, with `compiled` where the tail was"] = None
    source_digest: Annotated[
        str, "digest of the source's content on `split`; `identity:…` of one never stored"
    ]
    target_digest: Annotated[
        str, "digest of the target's content on `split`; `identity:…` of one never stored"
    ]
    key: Annotated[
        str | None,
        "digest of everything that the number depends on but its measure; the same for all measures of a pair of "
        "layers, or of a stitch",
    ] = None

    def __post_init__(self) -> None:
        for column in COLUMNS:
            number = getattr(self, column.name)
            if column.kind == "number" and number is not None and not isfinite(number):
                remedy = "Record a status that says why there is no number, and None."
                raise self._refused(column.name, "a finite number or None", str(number), remedy)
        if (self.status == OK) != (self.value is not None):
            expected = "a number" if self.status == OK else "no number"
            remedy = "Give a number with status 'ok', or None with the status that says why."
            raise self._refused("value", f"{expected} with status '{self.status}'", str(self.value), remedy)
        for name in ("n_samples", "n_rows", "p", "q"):
            if getattr(self, name) < 0:
                raise self._refused(name, "a count", str(getattr(self, name)), "Pass the number of rows.")

    @classmethod
    def of(
        cls,
        index: str,
        number: Number,
        subject: Subject,
        making: Making | None = None,
        *,
        family: str | None = None,
    ) -> Self:
        """Return what a measure says about its subject; `making` where that is a stitch, `family` as the column."""
        source, target = subject.source, subject.target
        shared = ("view", "grid", "split", "fit_split", "n_samples", "n_rows", "key")
        columns: dict[str, Any] = {**number.extras, **({} if making is None else asdict(making))}
        return cls(
            index=index,
            value=number.value,
            status=number.status,
            reason=number.reason,
            source_model=source.model,
            source_layer=source.layer,
            target_model=target.model,
            target_layer=target.layer,
            p=source.width,
            q=target.width,
            family=family,
            source_digest=source.digest,
            target_digest=target.digest,
            **{name: getattr(subject, name) for name in shared},
            **columns,
        )

    def _refused(self, field: str, expected: str, found: str, remedy: str) -> ResultError:
        pair = f"{self.source_model}/{self.source_layer} -> {self.target_model}/{self.target_layer}"
        return ResultError(
            where=f"{self.index} of {pair}, {field}", expected=expected, found=found, remedy=remedy
        )


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the results."""

    name: str
    kind: Kind
    is_nullable: bool
    meaning: str


_KINDS: dict[object, Kind] = {str: "text", int: "whole number", float: "number"}


def _column(name: str, annotation: object) -> Column:
    meaning = EXTRAS.get(name, "")
    if get_origin(annotation) is Annotated:
        annotation, meaning = get_args(annotation)
    types = get_args(annotation) or (annotation,)
    (held,) = (part for part in types if part is not NoneType)
    return Column(name, _KINDS[held], NoneType in types, meaning)


COLUMNS: Final = tuple(
    _column(name, annotation) for name, annotation in get_type_hints(Result, include_extras=True).items()
)
"""Every column in the order of the table: the attributes of `Result`."""

LATER: Final = frozenset({"auroc", "floor", "warned", "family", "p_family", "p_by", "calibrated_family"})
"""Columns that parts of before may lack: they read as null there."""
