"""What there is to know about a measure before reading its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from stitchpipe.measures.naming import spelt

if TYPE_CHECKING:
    from stitchpipe.measures.parameter import Parameter

Kind: TypeAlias = Literal["index", "fidelity", "ood", "layer"]
"""Of two representations; how far a stitched network does what its target does; how far out of distribution it is; of
one layer by itself."""

Transformation: TypeAlias = Literal[
    "translation", "scaling", "permutation", "feature_scaling", "rotation", "invertible"
]
"""Of one side's rows: adding a vector; a nonzero factor; another order of the features; a positive factor for each of
them; an orthogonal map; any invertible linear map."""

Basis: TypeAlias = Literal[
    "moments",
    "samples",
    "minibatches",
    "logits",
    "stitched_logits",
    "stitched_rows",
    "images",
    "labelled_images",
]
"""What a measure is computed from; see `Measure`."""

Null: TypeAlias = Literal["permuted_images"]
"""What a measure is held against: the same images in random order, exactly."""

IntervalRule: TypeAlias = Literal["population", "sample"]
"""What a jackknife interval is for, and so what it is centred on; see `Measure`."""

TRANSFORMATIONS: tuple[Transformation, ...] = (
    "translation",
    "scaling",
    "permutation",
    "feature_scaling",
    "rotation",
    "invertible",
)
NO_INVARIANCE: frozenset[Transformation] = frozenset()
ISOTROPIC: frozenset[Transformation] = frozenset({"translation", "scaling", "permutation", "rotation"})
LINEAR: frozenset[Transformation] = ISOTROPIC | {"feature_scaling", "invertible"}


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What there is to know about a measure before reading its numbers; its formula stands beside its declaration.

    Attributes
    ----------
    name
        As in results and in sweeps. A parameter that is not the default stands behind it: ``gulp(0.1)``.
    label
        As on a figure, without the parameter (`title` has it).
    meaning
        What it measures and what to beware of, in a few sentences.
    kind
        ``index`` of two representations, ``fidelity`` of a stitched network, or an ``ood`` score of one; ``layer`` of
        one layer by itself.
    computed_from
        ``moments`` of rows, ``samples`` (kernels, neighbours or distances of at most a couple of thousand images),
        ``minibatches`` of rows, or ``logits`` of two networks; of a stitched network its ``stitched_logits`` beside
        its target's, or its ``stitched_rows`` beside those that are native to the layer; of a layer its
        moments, or rows of all ``images``, with classes and the training images beside them (``labelled_images``).
    range
        Smallest and largest value.
    unit
        Of the values; ``1`` for what is a ratio, a share or a correlation.
    larger_is_more_similar
        False for distances and errors; None where a value says nothing of similarity.
    symmetric
        Exchanging source and target changes nothing.
    metric
        It is a distance of shapes: zero for equal ones, symmetric, with the triangle inequality.
    source_invariances, target_invariances
        Transformations of either side that leave the value as it is.
    whitens
        All directions of a layer count, or nearly all, whatever their variance: fewer independent samples than features
        force its value.
    independent_rows
        The estimator takes rows for independent: not to be used on several rows of one image.
    null
        What its values are held against for p-values, and None where there is no such thing.
    closed_null
        Mean and deviation of that null have a closed form, so that its values have an effect size and a p-value without
        permutations, of any number of images.
    interval
        ``population``: limits about the value less the bias that the jackknife finds, for what ever more images would
        tend to. ``sample``: limits about the value itself, for the mean of the values that this many images give;
        for what has no limit in the number of images, or is not smooth in it, so that no correction of its bias
        works. None where there is no interval.
    parameter
        None where there is nothing to choose.
    family
        The map that a held-out index scores: ``affine``, ``ridge``, ``orthogonal`` or ``low_rank``.
    equals
        The other measure that has the same number, or of which this one is a function.
    cost
        From what it is computed from to the number.
    literature
        Where it was proposed.
    """

    name: str
    label: str
    meaning: str
    kind: Kind
    computed_from: Basis
    range: tuple[float, float]
    larger_is_more_similar: bool | None
    unit: str = "1"
    symmetric: bool = False
    metric: bool = False
    source_invariances: frozenset[Transformation] = NO_INVARIANCE
    target_invariances: frozenset[Transformation] = NO_INVARIANCE
    whitens: bool = False
    independent_rows: bool = False
    null: Null | None = None
    closed_null: bool = False
    interval: IntervalRule | None = None
    parameter: Parameter | None = None
    family: str | None = None
    equals: str | None = None
    cost: str = ""
    literature: str = ""

    @property
    def base(self) -> str:
        """The name without a parameter: the key of the registry."""
        return self.name.partition("(")[0]

    @property
    def title(self) -> str:
        """As on a figure."""
        chosen = self.parameter
        return self.label if chosen is None else f"{self.label}, {chosen.label.format(chosen.value)}"

    def has_limits(self, p: int, q: int, groups: int | None = None) -> bool:
        """Return whether its numbers have intervals, for layers of widths p and q.

        Parameters
        ----------
        groups
            How many groups there are of samples that belong together; None where each is on its own. What is estimated
            for ever more samples is not to be had where so few independent ones force the value, p + q > groups − 1.
        """
        is_forced = self.whitens and groups is not None and p + q > groups - 1
        return self.interval == "sample" or (self.interval == "population" and not is_forced)

    @property
    def held_out(self) -> bool:
        """It scores a map fitted on other rows."""
        return self.family is not None

    @property
    def of_any_rows(self) -> bool:
        """It compares any two representations of the same images: no batches of a dump, no logits."""
        return self.kind == "index" and self.computed_from in ("moments", "samples")

    @property
    def invariances(self) -> frozenset[Transformation]:
        """Transformations that either side may undergo."""
        return self.source_invariances & self.target_invariances

    def with_parameter(self, value: float) -> Measure:
        """Return the measure with another value of its parameter, under the shortest spelling of its name.

        One number has one name: the default's parentheses are dropped, and 0.10 is 0.1.
        """
        if self.parameter is None:
            raise ValueError(f"{self.name} has no parameter")
        if value == self.parameter.value:
            return self
        return replace(
            self, name=f"{self.base}({spelt(value)})", parameter=replace(self.parameter, value=value)
        )
