"""Fitted maps by their ends: least-squares maps and those that stitches were trained to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Unpack

import pyarrow.compute as pc

from stitchpipe.asking.errors import WorkspaceError, listed
from stitchpipe.asking.selection import Selection, demand_one
from stitchpipe.asking.stored_layers import stored_layer, stored_names
from stitchpipe.errors import first_line
from stitchpipe.measures import OK, UnknownNameError
from stitchpipe.registry import map_family
from stitchpipe.results import MAKING, MapFileError, made_of, map_of
from stitchpipe.run import keys
from stitchpipe.run.activations import End
from stitchpipe.run.file_names import map_name
from stitchpipe.run.names import TEST, TRAIN
from stitchpipe.run.planned_stitch import AFFINE
from stitchpipe.run.run_keys import STITCH_VIEW
from stitchpipe.stitching.fidelity import FIDELITY

if TYPE_CHECKING:
    import pyarrow as pa

    from stitchpipe.algebra.maps import AffineMap
    from stitchpipe.asking.selection import TrainingChoice
    from stitchpipe.run.names import LayerName
    from stitchpipe.run.place import RunPlace
    from storage import Store

DIRECT: Final = "dm"
TRAINED: Final = "tlm"
PRODUCTS: Final = tuple(
    keys.Products(precision, backend)
    for precision in ("float64", "float32")
    for backend in ("numpy", "torch")
)
"""How sums may have been formed that a map was fitted from; the most precise first."""


def fitted_map(
    place: RunPlace,
    store: Store,
    source: str,
    target: str,
    method: str = DIRECT,
    **training: Unpack[TrainingChoice],
) -> AffineMap:
    """Return the fitted map from one layer to another.

    Parameters
    ----------
    source, target
        ``MODEL/LAYER``, or globs that mean one layer each. The map takes rows of the source to rows of the target.
    method
        ``dm`` (direct matching), ``dm_ridge(0.1)`` and the like, or ``tlm`` (task loss matching).
    training
        ``init``, ``objective``, ``seed``, ``steps``: which training, where a pair has several of ``tlm``.

    Returns
    -------
    AffineMap
        ``W [q, p]``, ``b [q]``, in float64; for rows of the view ``positions``, brought to the target's grid.

    Raises
    ------
    WorkspaceError
        A name is none or means several layers, there is no such map, its training diverged, or there are several.
    stitchpipe.results.MapFileError, storage.CorruptError
        The file is no map of these ends, or damaged: it is held against its digest.

    Notes
    -----
    One listing, and one file read.

    Examples
    --------
    >>> run.map("B/layer2.0", "A/layer2.0", method="dm").W.shape  # doctest: +SKIP
    """
    names = stored_names(store)
    ends = names.one(source), names.one(target)
    if method == TRAINED:
        name = _trained(place, store, ends, dict(training))
    else:
        if training:
            raise WorkspaceError(
                where=f"{method} of {ends[0]} into {ends[1]}",
                expected="no choice of training, because nothing is trained",
                found=", ".join(training),
                remedy="Leave it out, or ask for method='tlm'.",
            )
        name = _direct(place, store, ends, method)
    data = place.files.read(name)
    made = made_of(data, where=name)
    if (made.get("source"), made.get("target")) != tuple(map(str, ends)):
        raise MapFileError(
            where=name,
            expected=f"the map of {ends[0]} into {ends[1]}",
            found=f"one of {made.get('source')} into {made.get('target')}",
            remedy="Remove the file and run the sweep again: it is fitted anew from the store.",
        )
    return map_of(data, where=name)


def _direct(place: RunPlace, store: Store, ends: tuple[LayerName, LayerName], method: str) -> str:
    """Return the name of the least-squares map of a pair: that of what its layers hold now on the training split."""
    family = _family(method)
    held = [stored_layer(place, store, name, TRAIN) for name in ends]
    source, target = (End(name, layer, layer) for name, layer in zip(ends, held, strict=True))
    there = {file.name for file in place.files.listing("maps")}
    for products in PRODUCTS:
        key = keys.map_key(
            source.side,
            target.side,
            view=STITCH_VIEW,
            grids=(source.grid, target.grid),
            family=family,
            products=products,
        )
        if map_name(key) in there:
            return map_name(key)
    raise WorkspaceError(
        where=f"maps of {place.url}",
        expected=f"a map '{method}' of {ends[0]} into {ends[1]}, as these layers are stored now",
        found=f"none among {len(there)} maps",
        remedy=f"{_others(place, ends)} Declare such a stitch and run the sweep.".lstrip(),
    )


def _family(method: str) -> str:
    """Return the family of maps that a method of direct matching fits."""
    named = AFFINE if method == DIRECT else method.removeprefix(f"{DIRECT}_")
    try:
        if method.startswith(DIRECT):
            return map_family(named)
    except UnknownNameError as error:
        raise WorkspaceError(
            where="method", expected=error.expected, found=f"'{method}'", remedy=first_line(error)
        ) from None
    raise WorkspaceError.unknown(
        "method", "a method of stitching", method, [DIRECT, "dm_ridge(0.1)", TRAINED]
    )


def _others(place: RunPlace, ends: tuple[LayerName, LayerName]) -> str:
    """Return which stitches there are from the source, and which into the target, as a hint."""
    hints = []
    for side, end in zip(("source", "target"), ends, strict=True):
        other = "target" if side == "source" else "source"
        table = _rows(place, Selection().of(side, [end]))
        pairs = zip(table[f"{other}_model"].to_pylist(), table[f"{other}_layer"].to_pylist(), strict=True)
        names = sorted({f"{model}/{layer}" for model, layer in pairs})
        way = f"From {end} stitches go into" if side == "source" else f"Into {end} they come from"
        hints.append(f"{way} {listed(names)}.")
    return " ".join(hints)


def _rows(place: RunPlace, selection: Selection) -> pa.Table:
    """Return one row for each stitch that is chosen: its ends, how it was made, its key, and whether it has numbers."""
    ends = [f"{side}_{part}" for side in ("source", "target") for part in ("model", "layer", "digest")]
    columns = ", ".join(f'"{name}"' for name in (*ends, *MAKING, "key"))
    chosen = selection.equal(index=list(FIDELITY)).where("method IS NOT NULL")
    return chosen.ask(place, f"{columns}, max(status = '{OK}') AS is_ok", "GROUP BY ALL")


def trained_stitch(
    place: RunPlace, store: Store, ends: tuple[LayerName, LayerName], choice: dict[str, Any]
) -> dict[str, Any]:
    """Return the one trained stitch of a pair that is chosen, as a row of how it was made and its key.

    Raises
    ------
    WorkspaceError
        There is none, or several.
    """
    selection = Selection().between([ends[0]], [ends[1]]).equal(**{"method": TRAINED, **choice})
    table = _rows(place, selection)
    where = f"tlm of {ends[0]} into {ends[1]}"
    if not len(table):
        raise WorkspaceError(
            where=where,
            expected="a trained stitch" + "".join(f", {name}={value!r}" for name, value in choice.items()),
            found="none",
            remedy=_others(place, ends),
        )
    if len(table) > 1:
        now = [stored_layer(place, store, name, TEST).digest for name in ends]
        of_now = pc.and_(pc.equal(table["source_digest"], now[0]), pc.equal(table["target_digest"], now[1]))
        table = table.filter(of_now) if pc.any(of_now).as_py() else table
    demand_one(table, where)
    row: dict[str, Any] = table.to_pylist()[0]
    return row


def _trained(place: RunPlace, store: Store, ends: tuple[LayerName, LayerName], choice: dict[str, Any]) -> str:
    """Return the name of the map that a stitch was trained to."""
    row = trained_stitch(place, store, ends, choice)
    name = map_name(f"tlm-{row['key'].removeprefix(keys.STITCH_PREFIX)}")
    if place.files.find(name) is None:
        raise WorkspaceError(
            where=f"tlm of {ends[0]} into {ends[1]}",
            expected="the map that it was trained to",
            found="none" if row["is_ok"] else "none: the training diverged",
            remedy="Take another start or seed." if not row["is_ok"] else "Run the sweep again.",
        )
    return name
