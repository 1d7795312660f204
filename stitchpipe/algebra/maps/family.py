"""What a family of least-squares maps is: how its maps are fitted, and what there is to know of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from stitchpipe.algebra.maps.affine_map import AffineMap
    from stitchpipe.algebra.moments import PairMoments
    from stitchpipe.algebra.spectrum import StorageEps
    from stitchpipe.measures import Parameter, Transformation


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of least-squares maps; each has two held-out indices (`stitchpipe.algebra.indices.direct_matching`).

    Attributes
    ----------
    name
        As in sweeps and in the names of indices: ``dm_ridge_r2`` scores a map of ``ridge``.
    label
        As on a figure.
    map_is
        What its maps are, as the subject of a sentence.
    fit
        Of the moments of a pair, the parameter (None: its default) and the spacing of storage.
    parameter
        What may be chosen, None where there is nothing.
    source_invariances
        Transformations of the source that leave what the map predicts as it is.
    cost
        Of a fit.
    literature
        Where it was proposed.
    """

    name: str
    label: str
    map_is: str
    fit: Callable[[PairMoments, float | None, StorageEps], AffineMap]
    parameter: Parameter | None = None
    source_invariances: frozenset[Transformation]
    cost: str
    literature: str
