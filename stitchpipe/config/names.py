"""The names of indices and of families of maps in a sweep file: the registry's, each under its one spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import AfterValidator

from stitchpipe import registry
from stitchpipe.config.refusal import RefusalError
from stitchpipe.measures import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable


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


IndexName: TypeAlias = Annotated[str, _named(lambda name: registry.index_measure(name).name)]
MapName: TypeAlias = Annotated[str, _named(registry.map_family)]
