"""What is to be computed of which pairs of layers: indices, and maps that are wanted themselves, in one declaration.

A run and its forecast state the same comparison, so that the plan that is shown is the plan that runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

from stitchpipe.algebra.certainty import Togetherness, lone_sizes
from stitchpipe.algebra.samples import MOST_IMAGES
from stitchpipe.engine.planning.bounds import least_bytes_read
from stitchpipe.engine.planning.chunk_memory import Evaluation
from stitchpipe.engine.planning.memory import beside_worker_bytes
from stitchpipe.engine.planning.pairs import Pairs
from stitchpipe.engine.planning.plan import make_plan
from stitchpipe.registry import index_measure, index_named
from stitchpipe.rows import View, width_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from stitchpipe.algebra import Index
    from stitchpipe.algebra.backends import BackendName
    from stitchpipe.engine.planning.memory import Precision
    from stitchpipe.engine.planning.pairs import Pair, Wanted
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.engine.planning.shapes import LayerShape, SplitShape

FamilyKind: TypeAlias = Literal["models", "targets", "run"]
"""Pairs that make one claim together: of two models, of a target layer and another model, of all different models."""


@dataclass(frozen=True)
class Comparison:
    """What is to be computed of which pairs of layers.

    Attributes
    ----------
    layers
        Of all models; a pair names them by their places here.
    splits
        The one on which maps are fitted, where any is (`fits`), and last the one on which numbers are taken.
    pairs
        Directed pairs whose indices are wanted, by view.
    indices
        Their names, by view.
    maps
        Families of least-squares maps that are wanted themselves, by the view they are fitted under and pair.
    intervals
        Whether each number gets an interval.
    permutations
        Of the null of those indices that have one; 0 for none.
    family
        Which pairs make one claim together; None where each stands for itself alone.
    """

    layers: tuple[LayerShape, ...]
    splits: tuple[SplitShape, ...]
    pairs: Wanted = field(default_factory=dict)
    indices: Mapping[View, tuple[str, ...]] = field(default_factory=dict)
    maps: Mapping[tuple[View, Pair], Collection[str]] = field(default_factory=dict)
    intervals: bool = False
    permutations: int = 0
    family: FamilyKind | None = None

    @cached_property
    def of_images(self) -> Mapping[View, tuple[str, ...]]:
        """Return the indices whose values are computed from images, by view."""
        images = min(MOST_IMAGES, self.splits[-1].n_samples)
        return {
            view: indices_of_images(view, names, self.layers, images) for view, names in self.indices.items()
        }

    @cached_property
    def of_moments(self) -> Mapping[View, tuple[str, ...]]:
        """Return the indices whose values are computed from moments, by view."""
        return {
            view: tuple(
                name
                for name in names
                if index_measure(name).computed_from == "moments" and name not in self.of_images[view]
            )
            for view, names in self.indices.items()
        }

    @cached_property
    def lone_sizes(self) -> tuple[int, ...]:
        """Return the sizes of which there is one group of images alone: with any, nothing is permuted."""
        return lone_sizes(self.splits[-1].image_groups or ())

    @property
    def drawn(self) -> int:
        """Return how many permutations are drawn: those that are wanted, where images can be exchanged."""
        return 0 if self.lone_sizes else self.permutations

    @cached_property
    def remarks(self) -> Mapping[View, Mapping[str, str]]:
        """Return what is missing beside the numbers of indices because images come in groups, and why, by view."""
        if self.splits[-1].groups is None:
            return {}
        return {
            view: {name: said for name in names if (said := "; ".join(self._lacks(view, name)))}
            for view, names in self.indices.items()
        }

    def _lacks(self, view: View, name: str) -> list[str]:
        """Return what an index has where every image is on its own, and has not here."""
        measure, split = index_measure(name), self.splits[-1]
        together = Togetherness(len(split.groups or ()), len(split.leaves()), self.lone_sizes, sample="image")
        said = [] if view == "positions" else together.no_null(measure, permuted=self.permutations > 0)
        if self.intervals and name in self.of_moments[view]:
            widest = max((width_of(layer.shape, view) for layer in self.layers), default=0)
            said += together.no_limits(measure, widest, widest)
        return said

    @cached_property
    def over_images(self) -> Mapping[View, tuple[str, ...]]:
        """Return the indices for which images are compared, by view: those of images, and the null of others.

        A null permutes images, so that there is none where a row is a position.
        """
        return {
            view: tuple(
                name
                for name in names
                if name in self.of_images[view]
                or (self.drawn and index_measure(name).null and view != "positions")
            )
            for view, names in self.indices.items()
        }

    @cached_property
    def moment_pairs(self) -> Wanted:
        """Return the pairs whose moments are formed, by view: for their indices, for maps, or for both at once."""
        wanted = {view: pairs for view, pairs in self.pairs.items() if pairs and self.of_moments.get(view)}
        fitted: dict[View, list[Pair]] = {}
        for view, pair in self.maps:
            fitted.setdefault(view, []).append(pair)
        for view, of_maps in fitted.items():
            pairs = Pairs.of(of_maps, len(self.layers))
            wanted[view] = wanted[view] | pairs if view in wanted else pairs
        return wanted

    @property
    def _rotatable(self) -> frozenset[View]:
        """Return the views under which nothing depends on the directions that features are."""
        fitted = {view for view, _ in self.maps}
        return frozenset(
            view
            for view, names in self.of_moments.items()
            if view not in fitted and all("rotation" in index_measure(name).invariances for name in names)
        )

    def plan(
        self,
        pairs: Wanted | None = None,
        *,
        memory_limit_bytes: int,
        precision: Precision = "float64",
        backend: BackendName = "numpy",
    ) -> Plan:
        """Plan the passes in which the moments are formed; errors as `make_plan`.

        Parameters
        ----------
        pairs
            Those to plan for, by view; default: `moment_pairs`. More of them where the leaves of an earlier plan are
            to be found again.
        """
        numbers = sum(map(len, self.of_moments.values()))
        return make_plan(
            self.layers,
            self.moment_pairs if pairs is None else pairs,
            splits=self.splits,
            memory_limit_bytes=memory_limit_bytes,
            precision=precision,
            evaluation=Evaluation(self.intervals, max(1, numbers), self._rotatable),
            backend=backend,
        )

    def least_bytes_read(self, plan: Plan, *, memory_limit_bytes: int) -> int:
        """Return a lower bound on the bytes that any plan of `moment_pairs` within a worker's memory reads.

        Where leaves keep rows no product is held while they are formed: their layers are read once, and no less.
        """
        kept = {
            space.view for formed in plan.passes for space in formed.spaces if space.leaf_samples is not None
        }
        summed = {view: pairs for view, pairs in self.moment_pairs.items() if view not in kept}
        samples = sum(split.n_samples for split in plan.splits)
        read = {layer for formed in plan.passes for layer in formed.layers}
        room = beside_worker_bytes(memory_limit_bytes, plan.backend)
        return max(
            samples * sum(self.layers[layer].sample_bytes for layer in read),
            least_bytes_read(self.layers, summed, samples=samples, room_bytes=room),
        )


def fits(indices: Collection[str], maps: Collection[object]) -> bool:
    """Return whether a map is fitted, so that the training split is read: for itself, or by a held-out index."""
    return bool(maps) or any(index_measure(name).held_out for name in indices)


def indices_of_images(
    view: View, names: Sequence[str], layers: Sequence[LayerShape], n_images: int
) -> tuple[str, ...]:
    """Return those of some indices whose values are computed from images and not from moments.

    Besides the indices over samples and minibatches that is linear CKA of flattened layers, where any of them has
    more features than there are images: its moments would be larger than its Gram.
    """
    wide = view == "flatten" and any(width_of(layer.shape, view) > n_images for layer in layers)
    return tuple(
        name
        for name in names
        if index_measure(name).computed_from in ("samples", "minibatches")
        or (wide and index_named(name).of_gram is not None)
    )


def by_scores(view: View, index: Index) -> bool:
    """Return whether the null of an index comes from principal scores, as those of all linear indices at once do.

    Flattened layers are kept as Grams: what has a form in these, as linear CKA has, is computed by it there.
    """
    return index.linear_null is not None and (view == "pooled" or index.of_gram is None)
