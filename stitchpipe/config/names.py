"""The names of indices, maps, objectives and scores in a sweep file: the registry's, each under its one spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import AfterValidator, WithJsonSchema

from stitchpipe import registry
from stitchpipe.algebra import FAMILIES, INDICES
from stitchpipe.algebra.layers import LAYER_MEASURES
from stitchpipe.config.refusal import RefusalError
from stitchpipe.errors import ExplainedError
from stitchpipe.measures import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def _named(spelling: Callable[[str], str]) -> AfterValidator:
    """Return a validator that puts the registry's refusal where the name stands in the file."""

    def validate(name: str) -> str:
        try:
            return spelling(name)
        except ExplainedError as refusal:
            # Of a name that is none the place in the file says enough; of a package that fails, its own.
            at_fault = "" if isinstance(refusal, UnknownNameError) else f", by {refusal.where}"
            raise RefusalError(
                expected=refusal.expected, found=refusal.found + at_fault, remedy=refusal.remedy
            ) from None

    return AfterValidator(validate)


def _completed(known: Iterable[str]) -> WithJsonSchema:
    """Return a schema by which editors complete the known names, and let parameters and names of packages pass."""
    return WithJsonSchema(
        {"type": "string", "anyOf": [{"enum": list(known)}, {"pattern": r"^\w+(\([^()]+\))?$"}]}
    )


IndexName: TypeAlias = Annotated[
    str, _named(lambda name: registry.index_measure(name).name), _completed(INDICES)
]
LayerMeasureName: TypeAlias = Annotated[
    str, _named(lambda name: registry.layer_measure(name).name), _completed(LAYER_MEASURES)
]
MapName: TypeAlias = Annotated[str, _named(registry.map_family), _completed(FAMILIES)]
ObjectiveName: TypeAlias = Annotated[
    str, _named(registry.objective_name), _completed(registry.OWN_OBJECTIVES)
]
ScoreName: TypeAlias = Annotated[str, _named(registry.score_name)]
