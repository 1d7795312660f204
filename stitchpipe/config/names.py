"""The names of indices and of families of maps in a sweep file: the registry's, each under its one spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import AfterValidator, WithJsonSchema

from stitchpipe import registry
from stitchpipe.algebra.map_families import FAMILIES
from stitchpipe.config.refusal import RefusalError
from stitchpipe.measures import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def _named(spelling: Callable[[str], str]) -> AfterValidator:
    """Return a validator that puts the registry's refusal where the name stands in the file."""

    def validate(name: str) -> str:
        try:
            return spelling(name)
        except UnknownNameError as unknown:
            raise RefusalError(
                expected=unknown.expected, found=unknown.found, remedy=unknown.remedy
            ) from None

    return AfterValidator(validate)


def _completed(known: Iterable[str]) -> WithJsonSchema:
    """Return a schema by which editors complete the known names, and let parameters and names of packages pass."""
    return WithJsonSchema(
        {"type": "string", "anyOf": [{"enum": list(known)}, {"pattern": r"^\w+(\([^()]+\))?$"}]}
    )


IndexName: TypeAlias = Annotated[
    str, _named(lambda name: registry.index_measure(name).name), _completed(registry.indices())
]
MapName: TypeAlias = Annotated[str, _named(registry.map_family), _completed(FAMILIES)]
