"""How similar whole networks are: the best source of each target layer, chosen on half of the images, scored on others.

The best of many layers is high by the search alone, on the images that it was searched on. On the other half it is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow.compute as pc

from stitchpipe.algebra import Analysis, CentredRows, PairMoments, stored_spacing
from stitchpipe.asking.ends import EVERYTHING, LayerNames, in_order
from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.asking.layer_rows import row_blocks
from stitchpipe.asking.stored_layers import stored_layer
from stitchpipe.registry import index_named
from stitchpipe.run.names import TEST
from storage import check_pairing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

    from stitchpipe.algebra import Index
    from stitchpipe.asking.ends import Ends
    from stitchpipe.asking.layer_rows import SampleView
    from stitchpipe.run.names import LayerName
    from stitchpipe.run.place import RunPlace
    from storage import Representation, Store

    Float64 = npt.NDArray[np.float64]

COLUMNS: Final = (
    "source_model",
    "target_model",
    "measure",
    "view",
    "score",
    "n_targets",
    "n_left_out",
    "n_samples",
)


def model_scores(
    place: RunPlace,
    store: Store,
    measure: str = "cka",
    layers: Ends = EVERYTHING,
    *,
    view: SampleView = "pooled",
) -> pd.DataFrame:
    """Return how well the layers of one network are found in another, one row for each ordered pair of networks.

    The images are cut into two halves, of every second row group: images fall into these by a hash, so that either half
    is a random one. For each layer of the target network the best layer of the source network is chosen on one half,
    and what it scores on the other half counts; then the other way round. The score is the mean of both over all layers
    of the target network.

    Parameters
    ----------
    measure
        An index of moments that fits no map: ``cka``, ``procrustes_angle``, ``soft_matching`` …
    layers
        Which layers take part, ``MODEL/LAYER`` with globs; at least two models.
    view
        How an image becomes a row.

    Returns
    -------
    DataFrame
        ``source_model``, ``target_model``, ``measure``, ``view``, ``score`` (missing where no layer has a number),
        ``n_targets`` that it is a mean over, ``n_left_out`` target layers for which no source has a number on both
        halves, and ``n_samples``, the images of both halves.

    Raises
    ------
    WorkspaceError
        Another measure; fewer than two models; a split of one row group.
    UnknownNameError
        No such measure.
    storage.StoreError
        Activations are damaged, or are of other samples.

    Notes
    -----
    Reads each layer of the test split once for each other network; memory is that of the rows of two networks. For L
    layers each O(L²·n·p²), and twice what the measure takes for L² pairs.

    Examples
    --------
    >>> run.model_scores("cka").pivot(index="source_model", columns="target_model", values="score")  # doctest: +SKIP
    """
    import pandas as pd  # noqa: PLC0415 - a third of a second that only whoever asks should pay

    index = index_named(measure)
    _demand_usable(index, place)
    of_models: dict[str, list[LayerName]] = {}
    for name in _compared_layers(place).matching(layers):
        of_models.setdefault(name.model, []).append(name)
    if len(of_models) < 2:
        raise WorkspaceError(
            where=place.url,
            expected="layers of at least two models",
            found=f"those of {', '.join(of_models)}",
            remedy="Name more models, or compare layers of one with `run.matrix`.",
        )
    rows = []
    for x, y in combinations(of_models, 2):
        sources, targets = (_Halves.of(place, store, of_models[model], view, index) for model in (x, y))
        check_pairing(sources.first, targets.first)
        numbers = [_numbers(index, *sides) for sides in zip(sources.halves, targets.halves, strict=True)]
        for ends, (first, second) in (
            ((x, y), [forth for forth, _ in numbers]),
            ((y, x), [back for _, back in numbers]),
        ):
            scored = cross_fitted(first, second, larger=bool(index.measure.larger_is_more_similar))
            rows.append((*ends, index.name, view, *scored, sources.first.shape[0]))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"score": float})


def cross_fitted(first: Float64, second: Float64, *, larger: bool) -> tuple[float | None, int, int]:
    """Return the mean over targets of what the best source of one half scores on the other, both ways round.

    Parameters
    ----------
    first, second
        The numbers on either half, ``[sources, targets]``, NaN where there is none.
    larger
        Whether larger ones are more similar.

    Returns
    -------
    tuple
        The mean (None where no target has a number), over how many targets it is, and how many were left out.
    """
    sign = 1.0 if larger else -1.0
    known = np.isfinite(first) & np.isfinite(second)
    targets = np.flatnonzero(known.any(axis=0))
    if not targets.size:
        return None, 0, first.shape[1]
    each = []
    for chosen_on, scored_on in ((first, second), (second, first)):
        best = np.argmax(np.where(known, sign * chosen_on, -np.inf)[:, targets], axis=0)
        each.append(scored_on[best, targets])
    return float(np.mean(each)), int(targets.size), int(first.shape[1] - targets.size)


@dataclass(frozen=True, eq=False)
class _Halves:
    """The layers of one network on both halves of the images.

    Attributes
    ----------
    first
        Its first layer, which stands for the samples of all.
    halves
        Of each half the rows of every layer, and how exactly they are known.
    """

    first: Representation
    halves: tuple[list[tuple[CentredRows, float]], list[tuple[CentredRows, float]]]

    @classmethod
    def of(
        cls, place: RunPlace, store: Store, names: Sequence[LayerName], view: SampleView, index: Index
    ) -> _Halves:
        """Read all layers of one network."""
        layers = [stored_layer(place, store, name, TEST) for name in names]
        halves: tuple[list[tuple[CentredRows, float]], ...] = ([], [])
        for layer in layers:
            check_pairing(layers[0], layer)
            spacing = stored_spacing(np.empty(0, layer.dtype))
            for half, rows in zip(halves, _both_halves(layer, view), strict=True):
                centred = CentredRows.of(rows)
                # Fewer coordinates do, unless single features count.
                is_free = "rotation" in index.measure.invariances
                half.append((centred.narrowed() if is_free else centred, spacing))
        return cls(layers[0], (halves[0], halves[1]))


def _both_halves(layer: Representation, view: SampleView) -> tuple[Float64, Float64]:
    """Return the rows of the even and of the odd row groups; images that belong together are where their first is."""
    owners = np.arange(layer.n_samples)
    for start, stop in layer.group_bounds or ():
        owners[start:stop] = start
    starts = [start for start, _ in layer.row_groups]
    is_odd = (np.searchsorted(starts, owners, side="right") - 1) % 2 == 1
    if is_odd.all() or not is_odd.any():
        raise WorkspaceError(
            where=str(layer.address),
            expected="images in at least two row groups, to be halved",
            found="one" if len(starts) < 2 else "groups of images that are as large",
            remedy="Dump with more row groups ([dump] row_groups).",
        )
    halves: tuple[list[Float64], list[Float64]] = ([], [])
    for start, rows in row_blocks(layer, view):
        odd = is_odd[start : start + len(rows)]
        halves[0].append(rows[~odd])
        halves[1].append(rows[odd])
    return np.concatenate(halves[0]), np.concatenate(halves[1])


def _numbers(
    index: Index, sources: Sequence[tuple[CentredRows, float]], targets: Sequence[tuple[CentredRows, float]]
) -> tuple[Float64, Float64]:
    """Return the numbers of all pairs, ``[sources, targets]``, and those of the other direction, transposed."""
    forth, back = np.full((len(sources), len(targets)), np.nan), np.full((len(targets), len(sources)), np.nan)
    for i, (x, eps_x) in enumerate(sources):
        for j, (y, eps_y) in enumerate(targets):
            analysis = Analysis(PairMoments.of(x, y), None, (eps_x, eps_y))
            value = index.number(analysis).value
            other = value if index.measure.symmetric else index.number(analysis.swap()).value
            forth[i, j] = np.nan if value is None else value
            back[j, i] = np.nan if other is None else other
    return forth, back


def _demand_usable(index: Index, place: RunPlace) -> None:
    measure = index.measure
    if measure.computed_from != "moments" or measure.held_out or measure.larger_is_more_similar is None:
        raise WorkspaceError(
            where=place.url,
            expected="an index of moments that fits no map and says what is more similar",
            found=f"'{measure.name}'",
            remedy="Ask for cka, procrustes_angle or soft_matching, for example.",
        )


def _compared_layers(place: RunPlace) -> LayerNames:
    """Return the layers that a run has compared; logits, of which only agreement is known, are none."""
    table = place.results.table(
        "SELECT model, layer, min(depth) AS depth FROM (SELECT source_model AS model, source_layer AS layer, "
        "source_depth AS depth FROM results WHERE index != 'agreement' AND method IS NULL) GROUP BY ALL"
    )
    table = table.filter(pc.is_valid(table["model"]))
    rows = zip(*(table[name].to_pylist() for name in ("model", "layer", "depth")), strict=True)
    return LayerNames(f"comparisons of {place.url}", in_order(rows))
