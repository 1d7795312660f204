"""The activations of a layer as a lazy labelled array: of which samples, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, Unpack

import numpy as np

from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.asking.stored_layers import stored_layer, stored_names

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy.typing as npt
    import xarray as xr

    from stitchpipe.run.place import RunPlace
    from storage import Representation, Split, Store

Order: TypeAlias = Literal["store", "data"]
"""The order of samples: as they are stored, or as the data set has them."""


class Contents(TypedDict, total=False):
    """Which contents of a layer are meant."""

    split: str
    dataset: str
    fingerprint: str


class Samples(Contents, total=False):
    """Which samples of a layer are meant, and in which order."""

    samples: Sequence[str]
    labels: Collection[int | str]
    mask: Any
    order: Order


def activations(place: RunPlace, store: Store, end: str, **which: Unpack[Samples]) -> xr.DataArray:
    """Return a layer's activations, lazily: nothing is read before values are asked for.

    Parameters
    ----------
    end
        ``MODEL/LAYER``, or a glob that means one layer.
    which
        ``split``, by default ``test``. ``samples``: ids, in the order in which rows are wanted. ``labels``: only
        samples of these classes, by number or name. ``mask``: boolean ``[n]``, over the samples in the chosen order.
        ``order``: ``store`` or ``data``. ``dataset`` where there are several, ``fingerprint`` to have an earlier dump.

    Returns
    -------
    DataArray
        Dimensions ``sample, channel, y, x`` (or ``sample, token, feature``; ``sample, feature``), with coordinates for
        sample ids and labels.

    Raises
    ------
    WorkspaceError
        No such layer or no such values, or what is chosen contradicts itself.
    storage.SampleIdError
        Ids or labels that are not there; the nearest id is named.
    storage.StoreError
        The name stands for several contents, or a shard is damaged (on reading): rows are held against their digests.

    Notes
    -----
    The store's order is the default: rows that lie side by side are read as one, and all layers of a split have the
    same. It is a shuffled one, by a seeded hash of the ids, so that any part of it is a fair sample. In the data's own
    order values stand beside what a loader gives; only the chunks that hold the chosen rows are read either way, each
    once, and those in the data's order are sorted in memory, which takes twice as much of it.

    Examples
    --------
    >>> run.activations("A/layer2.0", labels=["cat"], order="data")  # doctest: +SKIP
    """
    layer = _layer(place, store, end, which, Samples)
    array = layer.to_xarray()
    if not which.keys() - Contents.__annotations__.keys():
        return array
    rows = chosen_rows(
        layer.split,
        samples=which.get("samples"),
        labels=which.get("labels"),
        mask=which.get("mask"),
        order=which.get("order", "store"),
    )
    return array.isel(sample=rows)


def layer_of(place: RunPlace, store: Store, end: str, **which: Unpack[Contents]) -> Representation:
    """Return what a layer's name stands for; of split ``test`` unless another is named."""
    return _layer(place, store, end, which, Contents)


def _layer(
    place: RunPlace, store: Store, end: str, which: Contents, allowed: type[Contents]
) -> Representation:
    """Return what a layer's name stands for; `WorkspaceError` where something is said that has no meaning here."""
    known = [*allowed.__annotations__]
    for name in which:
        if name not in known:
            raise WorkspaceError.unknown(f"activations of {end}", "a way to say which", name, known)
    return stored_layer(
        place,
        store,
        stored_names(store).one(end),
        which.get("split", "test"),
        dataset=which.get("dataset"),
        fingerprint=which.get("fingerprint"),
    )


def chosen_rows(
    split: Split,
    *,
    samples: Sequence[str] | None = None,
    labels: Collection[int | str] | None = None,
    mask: npt.ArrayLike | None = None,
    order: Order = "store",
) -> npt.NDArray[np.int64]:
    """Return where chosen samples are stored, in the order in which they are wanted; see `activations`."""
    where = f"{split.dataset}/{split.name}"
    if order not in ("store", "data"):
        raise WorkspaceError.unknown(where, "an order of samples", str(order), ["store", "data"])
    if samples is not None and (mask is not None or order != "store"):
        raise WorkspaceError(
            where=where,
            expected="`samples` alone, which say which rows and in which order",
            found="`mask` or `order` beside them",
            remedy="Leave one of them out.",
        )
    if samples is None and order == "data":
        samples = [split.sample_ids[row] for row in np.argsort(split.original_index, kind="stable").tolist()]
    rows = split.rows(sample_ids=samples)
    if mask is not None:
        rows = rows[_mask(mask, len(rows), where)]
    if labels is not None:
        of_labels = split.rows(labels=labels)
        rows = rows[np.isin(rows, of_labels)]
    return rows


def _mask(mask: npt.ArrayLike, n: int, where: str) -> npt.NDArray[np.bool_]:
    given = np.asarray(mask)
    if given.dtype != np.bool_ or given.shape != (n,):
        raise WorkspaceError(
            where=where,
            expected=f"a boolean mask of {n} samples",
            found=f"{given.dtype} of shape {given.shape}",
            remedy="Give one truth value for each sample, in the chosen order.",
        )
    return given
