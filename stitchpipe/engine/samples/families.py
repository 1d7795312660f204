"""Which pairs of layers make one claim together, and by which orders of the images their nulls are drawn.

A family holds pairs of two models, never of one: the images of one network's layers are paired by construction. What is
exchangeable are the images of a whole model against those of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from itertools import groupby, product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.algebra.certainty import NO_FAMILY, draw_permutations
from stitchpipe.engine.planning.pairs import Pairs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stitchpipe.engine.planning.comparison import FamilyKind

Codes: TypeAlias = npt.NDArray[np.int64]
Orders: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Families:
    """The families of the pairs of some layers.

    Attributes
    ----------
    kind
        ``models``: all layers of one model with all of another. ``targets``: a target layer with all layers of another
        model. ``run``: all pairs of layers of different models. None for no families.
    models
        The model of each layer; the layers of a model are adjacent.
    """

    kind: FamilyKind | None
    models: tuple[str, ...]

    def __post_init__(self) -> None:
        # Of two models the first stays and the second is permuted, in every pair of theirs. Were their layers mixed,
        # some pairs would go the other way, under the inverse orders, and the maxima would be of no relabelling.
        if self.kind is not None and len(list(groupby(self.models))) != len(set(self.models)):
            raise ValueError("families of models whose layers are not adjacent")

    def of(self, pairs: npt.NDArray[np.int32]) -> Codes:
        """Return the family of each directed pair ``[n, 2]``, `NO_FAMILY` where it has none.

        The two directions of a pair are in different families, so that none holds a hypothesis twice.
        """
        source, target = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
        x, y = self._model[source], self._model[target]
        codes = {
            None: np.full(len(pairs), NO_FAMILY),
            "models": x * len(self.models) + y,
            "targets": x * len(self.models) + target,
            "run": (source > target).astype(np.int64),
        }[self.kind]
        return np.where(x == y, NO_FAMILY, codes)

    def with_maxima(self, pairs: npt.NDArray[np.int32]) -> Codes:
        """Return the family whose maxima each directed pair ``[n, 2]`` is held against, `NO_FAMILY` where it has none.

        It is the pair's own, or that of its other direction where both hold the same pairs.
        """
        return self.of(pairs if self.kind == "targets" else np.sort(pairs, axis=1))

    def completed(self, pairs: Pairs) -> Pairs:
        """Return pairs together with all others of their families: the largest of a part of a family says nothing."""
        if self.kind is None:
            return pairs
        count = int(self._model.max(initial=-1)) + 1
        touched = np.zeros((count, count), np.bool_)
        touched[tuple(self._model[pairs.places].T)] = True
        np.fill_diagonal(touched, val=False)
        if self.kind == "run" and touched.any():
            touched = ~np.eye(count, dtype=np.bool_)
        whole = (touched | touched.T)[np.ix_(self._model, self._model)]
        return Pairs(pairs.among(len(self.models)) | whole)

    def runs(self, layers: Sequence[int], most: int) -> list[list[int]]:
        """Return layers in runs of at most so many, of which blocks are made.

        Where each model has orders of its own, no model that fits into a run is cut: a block has few parts.
        """
        if self.kind != "run":
            return [list(layers[first : first + most]) for first in range(0, len(layers), most)]
        runs: list[list[int]] = [[]]
        for _, of_model in groupby(layers, self.models.__getitem__):
            whole = list(of_model)
            for piece in np.array_split(whole, -(-len(whole) // most)):
                if len(runs[-1]) + len(piece) > most:
                    runs.append([])
                runs[-1] += piece.tolist()
        return [run for run in runs if run]

    def parts(
        self,
        sides: tuple[Sequence[int], Sequence[int]],
        n: int,
        permutations: int,
        groups: Sequence[tuple[int, int]] | None = None,
    ) -> Iterator[tuple[list[int], list[int], Orders]]:
        """Yield the parts of a block of layers that are compared under one set of orders, with these, ``[K, n]``.

        The orders are those of the targets against the sources. For families of two models they are the same for all
        pairs; of these each family sees only two models, one of which stays. Over a run each model has orders π of its
        own, named after it, and a pair of models is compared under their quotient, so that all pairs are of one
        relabelling. Pairs that are compared in another block the other way round are left out.
        Of images that come in groups (`draw_permutations`) whole groups are relabelled, by quotients too.
        """
        draw = partial(draw_permutations, n, permutations, groups=groups)
        if self.kind != "run":
            yield list(sides[0]), list(sides[1]), draw()
            return
        by_model = [
            [(model, list(layers)) for model, layers in groupby(side, self.models.__getitem__)]
            for side in sides
        ]
        for (x, sources), (y, targets) in product(*by_model):
            if sources[0] > targets[-1]:
                continue
            if x == y:
                yield sources, targets, draw()
                continue
            of_x, of_y = (draw(seed=_seed(model)) for model in (x, y))
            # ⟨π_x A, π_y B⟩ = ⟨A, π_y π_x⁻¹ B⟩: entry i is the target's sample beside the source's sample i.
            yield sources, targets, np.take_along_axis(of_y, np.argsort(of_x, axis=1), axis=1)

    @cached_property
    def _model(self) -> Codes:
        """Return the number of each layer's model."""
        return np.unique(self.models, return_inverse=True)[1].astype(np.int64)


def _seed(model: str) -> int:
    """Return the seed of a model's orders: its name's, so that a run that grows keeps the orders that it had."""
    return int.from_bytes(sha256(model.encode()).digest()[:8], "big")
