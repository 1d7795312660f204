"""The front door: one function that compares arrays, or two networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stitchpipe.algebra import RowsError
from stitchpipe.in_memory.arrays import compare_arrays

if TYPE_CHECKING:
    import pandas as pd


def compare(*compared: Any, **options: Any) -> pd.DataFrame:
    """Compare representations in memory: no store, no orchestration, the same algebra.

    ``compare({"name": array, …})``, ``compare(X, Y)`` or ``compare([X, Y, Z])``
        Arrays, see `stitchpipe.in_memory.arrays.compare_arrays`. Those without names are called ``X`` and ``Y``, or by
        their numbers in a list.
    ``compare(model_a, model_b, images)``
        Networks and batches of images, see `stitchpipe.in_memory.networks.compare_networks`.

    Both take ``indices``, ``view``, ``fit``, ``products``, ``intervals``, ``permutations``, ``groups`` and
    ``progress``, networks ``layers`` too. Both return one row per number.

    Raises
    ------
    RowsError
        Neither arrays, nor two networks and images; and what the two functions raise.

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
        case ([*arrays],) if arrays and all(map(_is_array, arrays)):
            return compare_arrays(_named(map(str, range(len(arrays))), arrays, options), **options)
        case (X, Y) if _is_array(X) and _is_array(Y):
            return compare_arrays(_named(("X", "Y"), compared, options), **options)
        case (model_a, model_b, images) if not _is_array(model_a):
            # Torch takes seconds to import, and whoever compares arrays may not have it loaded.
            from stitchpipe.in_memory.networks import compare_networks  # noqa: PLC0415

            return compare_networks(model_a, model_b, images, **options)
        case _:
            raise RowsError(
                where="compare",
                expected="arrays (two, a list, or a mapping from names), or two networks and batches of images",
                found=", ".join(type(given).__name__ for given in compared) or "nothing",
                remedy='Give arrays names: compare({"a": X, "b": Y}).',
            )


def _is_array(given: Any) -> bool:
    """Return whether something is an array of whatever library: it has axes, or is made of numbers."""
    return hasattr(given, "shape") or hasattr(given, "__array__")


def _named(names: Iterable[str], arrays: Iterable[Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return arrays by names, and name the arrays of `fit` in the same way."""
    chosen = list(names)
    fit = options.get("fit")
    if isinstance(fit, list | tuple):
        options["fit"] = dict(zip(chosen, fit, strict=False))
    return dict(zip(chosen, arrays, strict=True))
