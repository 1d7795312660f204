"""The front door: one function that compares arrays, or two networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

from stitchpipe.algebra import RowsError
from stitchpipe.in_memory.arrays import compare_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from torch import nn

    from stitchpipe.algebra import Products
    from stitchpipe.in_memory.networks import Batches
    from stitchpipe.rows import View


@overload
def compare(
    representations: Mapping[str, Any],
    /,
    *,
    indices: Sequence[str] = ...,
    view: View | None = ...,
    fit: Mapping[str, Any] | None = ...,
    products: Products = ...,
) -> pd.DataFrame: ...


@overload
def compare(
    model_a: nn.Module,
    model_b: nn.Module,
    images: Batches,
    /,
    *,
    layers: Sequence[str],
    indices: Sequence[str] = ...,
    view: View = ...,
    fit: Batches | None = ...,
) -> pd.DataFrame: ...


def compare(*compared: Any, **options: Any) -> pd.DataFrame:
    """Compare representations in memory: no store, no orchestration, the same algebra.

    ``compare({"name": array, …}, indices=[…])`` takes arrays, see `stitchpipe.in_memory.arrays.compare_arrays`;
    ``compare(model_a, model_b, images, layers=[…])`` takes networks and batches of images, see
    `stitchpipe.in_memory.networks.compare_networks`. Both return one row per number.

    Raises
    ------
    RowsError
        Neither a mapping of names to arrays, nor two networks and images; and what the two functions raise.

    Notes
    -----
    L representations of n rows, p wide, cost O(L·n·p·r) for what each is in itself and O(L²·n·r²) for what their pairs
    are, products and decompositions, with r = min(n, p): where there are fewer rows than features the width is never
    squared. That is what the plain functions of `stitchpipe.algebra` cost together, or less, because what indices and
    pairs have in common is computed once.
    """
    match compared:
        case (Mapping() as representations,):
            return compare_arrays(representations, **options)
        case (model_a, model_b, images):
            # Torch takes seconds to import, and whoever compares arrays may not have it loaded.
            from stitchpipe.in_memory.networks import compare_networks  # noqa: PLC0415

            return compare_networks(model_a, model_b, images, **options)
        case _:
            raise RowsError(
                where="compare",
                expected="a mapping of names to arrays, or two networks and batches of images",
                found=", ".join(type(given).__name__ for given in compared) or "nothing",
                remedy='Give arrays names: compare({"a": X, "b": Y}).',
            )
