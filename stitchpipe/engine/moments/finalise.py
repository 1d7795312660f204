"""From moments to numbers: every index of the pairs of one chunk, intervals, and the maps that were asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from stitchpipe.algebra.batches import BatchNumbers, PairBatch, evaluate, evaluate_both
from stitchpipe.algebra.certainty import jackknife
from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.maps import family_named
from stitchpipe.engine.moments.chunk_batches import ChunkBatches
from stitchpipe.engine.moments.effect_sizes import effect_sizes
from stitchpipe.engine.numbers import PairNumbers
from stitchpipe.registry import index_named
from stitchpipe.rows import width_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from stitchpipe.algebra import Index
    from stitchpipe.engine.moments.chunk_batches import EqualPairs
    from stitchpipe.engine.moments.chunk_moments import SplitMoments
    from stitchpipe.engine.moments.moment_comparison import MapDestination, MomentComparison
    from stitchpipe.engine.numbers import Note
    from stitchpipe.engine.planning.pairs import Pair
    from stitchpipe.rows import View

    Float64 = npt.NDArray[np.float64]


def finalise(
    comparison: MomentComparison,
    pass_number: int,
    chunk_number: int,
    fitted_on: SplitMoments | None,
    scored_on: SplitMoments,
) -> PairNumbers:
    """Return the numbers of one chunk of a pass, and write the maps asked for.

    Maps are fitted on `fitted_on` and scored on `scored_on`; every other index is computed in-sample on the latter.
    An index without a value is a record with the reason. Intervals leave out one leaf at a time and keep
    the fitted maps as they are: they speak of the scored images, not of the choice of the training images.

    Notes
    -----
    O(pairs · (p³ + q³)) time, once more for each leaf with intervals; holds the chunk's moments on both splits, their
    batches, and those of one leaf or without one.
    """
    plan, formed = comparison.plan, comparison.plan.passes[pass_number]
    chunk = formed.chunks[chunk_number]
    view = formed.tiles[chunk.tile].view
    cut = ChunkBatches(plan, formed, chunk)
    indices = [index_named(name) for name in comparison.indices.get(view, ())]
    with threadpool_limits(limits=1):
        batches = cut.of(scored_on.total(), scored_on)
        if fitted_on is not None:
            fits = cut.of(fitted_on.total(), fitted_on)
            batches = [replace(batch, train=fit) for batch, fit in zip(batches, fits, strict=True)]
        for group, batch in zip(cut.groups, batches, strict=True):
            _keep_maps(group, batch, view, comparison.maps)
        evaluated = [_Evaluated.of(*both, indices) for both in zip(cut.groups, batches, strict=True)]
        # The closed form takes every image for exchangeable.
        for each, batch in zip(evaluated, batches, strict=True) if plan.splits[-1].groups is None else ():
            each.add_effect_sizes(batch, indices)
        if comparison.intervals and indices and len(scored_on.samples) > 1:
            without: list[list[Sequence[Float64]]] = [[] for _ in batches]
            for rest in scored_on.left_out():
                left = cut.of(rest, scored_on)
                for values, group, batch, part in zip(without, cut.groups, batches, left, strict=True):
                    of_rest = _Evaluated.of(group, batch.rescored(part), indices)
                    values.append([numbers.values for numbers in of_rest.directions])
            together = plan.splits[-1].groups
            groups = None if together is None else len(together)
            for each, values in zip(evaluated, without, strict=True):
                p, q = (width_of(plan.layers[layer].shape, view) for layer in each.pairs[0][0])
                known = [index.measure.has_limits(p, q, groups) for index in indices]
                each.add_limits(values, indices, scored_on.samples, known)
    names = tuple(index.name for index in indices)
    n_rows = batches[0].n if batches else 0
    parts = [
        part for each in evaluated for part in each.columns(view, names, plan.splits[-1].n_samples, n_rows)
    ]
    return PairNumbers.joined(parts)


def without_grid(comparison: MomentComparison) -> list[PairNumbers]:
    """Return the records of the pairs that no resize puts on one grid: a status and a reason, no number."""
    plan = comparison.plan
    shapes = {layer.shape: None for layer in plan.layers}
    codes = {shape: code for code, shape in enumerate(shapes)}
    of_layers = np.array([codes[layer.shape] for layer in plan.layers], np.int32)
    refused = []
    for view, left in plan.incomparable.items():
        names, pairs = comparison.indices.get(view, ()), left.places
        kinds, note = np.unique(of_layers[pairs], axis=0, return_inverse=True)
        count, known = len(names) * len(pairs), list(shapes)
        refused.append(
            PairNumbers(
                view=view,
                pairs=np.repeat(pairs, len(names), axis=0),
                names=tuple(names),
                index=np.tile(np.arange(len(names), dtype=np.int16), len(pairs)),
                values=np.full(count, np.nan),
                notes=tuple(
                    _no_common_grid(known[source], known[target]) for source, target in kinds.tolist()
                ),
                note=np.repeat(note.ravel().astype(np.int32), len(names)),
                extras={},
                n_samples=np.full(count, plan.splits[-1].n_samples),
                n_rows=np.zeros(count, np.int64),
            )
        )
    return [numbers for numbers in refused if len(numbers)]


def _no_common_grid(source: tuple[int, ...], target: tuple[int, ...]) -> Note:
    found = f"found samples of shapes {source} and {target}"
    expected = "expected two layers that both have positions (images, tokens), or two vectors"
    return "no_common_grid", f"{expected}, {found}"


def _keep_maps(
    group: EqualPairs,
    batch: PairBatch,
    view: View,
    maps: Mapping[tuple[View, Pair], Mapping[str, MapDestination]],
) -> None:
    """Fit and keep the maps that are wanted of some pairs, in whichever direction."""
    if not maps:
        return
    for place, (source, target) in enumerate(group.pairs.tolist()):
        for pair, direction in (((source, target), batch), ((target, source), batch.swap())):
            is_wanted = group.forth[place] if direction is batch else group.back[place]
            for family, destination in maps.get((view, pair), {}).items() if is_wanted else ():
                destination.keep(direction.pair(place).fitted(*family_named(family)))


@dataclass(eq=False)
class _Evaluated:
    """The numbers of a batch in its own direction, and in the other where any pair of it is wanted.

    Attributes
    ----------
    pairs, chosen
        Of each direction: ``[B, 2]``, and which of them are wanted.
    beside
        Of each direction, by the name of the extra ``[K, B]``: ends of intervals and effect sizes, NaN where there is
        none.
    """

    pairs: list[npt.NDArray[np.int32]]
    chosen: list[npt.NDArray[np.bool_]]
    directions: tuple[BatchNumbers, ...]
    beside: list[dict[str, Float64]]

    @classmethod
    def of(cls, group: EqualPairs, batch: PairBatch, indices: Sequence[Index]) -> _Evaluated:
        """Evaluate all indices of a batch."""
        is_both = bool(group.back.any())
        directions = evaluate_both(batch, indices) if is_both else (evaluate(batch, indices),)
        pairs, chosen = [group.pairs, group.pairs[:, ::-1]], [group.forth, group.back]
        beside: list[dict[str, Float64]] = [{} for _ in directions]
        return cls(pairs[: 1 + is_both], chosen[: 1 + is_both], directions, beside)

    def add_effect_sizes(self, batch: PairBatch, indices: Sequence[Index]) -> None:
        """Add where the numbers stand in nulls of a closed form, which is the same in both directions."""
        told = effect_sizes(batch, indices, self.directions[0].values)
        for beside in self.beside:
            beside.update(told)

    def add_limits(
        self,
        without: Sequence[Sequence[Float64]],
        indices: Sequence[Index],
        samples: Sequence[int],
        limited: Sequence[bool],
    ) -> None:
        """Add intervals by leaving out one leaf at a time: a delete-a-group jackknife whose groups are the leaves.

        Images, or whole groups of them, are dealt to leaves by a hash, so that these are exchangeable. A number has no
        interval where it has none by its measure, or no value without one of the leaves.

        Parameters
        ----------
        without
            Values without each leaf, by direction: ``[K, B]``.
        limited
            Which of the indices have intervals at all (`Measure.has_limits`).
        """
        for direction, numbers in enumerate(self.directions):
            rest = np.stack([of_leaf[direction] for of_leaf in without])
            ends = {name: np.full(numbers.values.shape, np.nan) for name in ("low", "high", "corrected")}
            for place, index in enumerate(indices):
                rule, values = index.measure.interval, numbers.values[place]
                known = np.isfinite(values) & np.isfinite(rest[:, place]).all(axis=0)
                if rule is None or not limited[place] or not known.any():
                    continue
                try:
                    interval = jackknife(values[known], rest[:, place][:, known], samples, about=rule)
                except UndefinedIndexError:  # too few leaves
                    continue
                ends["low"][place, known], ends["high"][place, known] = interval.low, interval.high
                ends["corrected"][place, known] = interval.estimate
            self.beside[direction].update(ends)

    def columns(self, view: View, names: tuple[str, ...], n_samples: int, n_rows: int) -> list[PairNumbers]:
        """Return the wanted numbers of each direction, index after index."""
        parts = []
        for direction, (pairs, chosen, numbers) in enumerate(
            zip(self.pairs, self.chosen, self.directions, strict=True)
        ):
            count = len(names) * int(chosen.sum())
            extras = {
                "rank": numbers.rank[:, chosen].ravel(),
                "condition": numbers.condition[:, chosen].ravel(),
            }
            extras |= {name: told[:, chosen].ravel() for name, told in self.beside[direction].items()}
            parts.append(
                PairNumbers(
                    view=view,
                    pairs=np.tile(pairs[chosen], (len(names), 1)),
                    names=names,
                    index=np.repeat(np.arange(len(names), dtype=np.int16), int(chosen.sum())),
                    values=numbers.values[:, chosen].ravel(),
                    notes=numbers.notes,
                    note=numbers.codes[:, chosen].ravel(),
                    extras=extras,
                    n_samples=np.full(count, n_samples),
                    n_rows=np.full(count, n_rows),
                )
            )
        return parts
