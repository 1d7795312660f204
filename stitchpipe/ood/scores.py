"""What is reported about one stitched representation."""

from __future__ import annotations

from dataclasses import dataclass, fields

from stitchpipe.measures import Number

CONSTANT = Number.missing("constant", "the target layer's features do not vary")
TOO_FEW = Number.missing("too_few_rows", "a spread needs at least two samples of each kind")
NON_FINITE = Number.missing("non_finite", "the stitched representation holds values that are not finite")
NO_POSITIONS = Number.missing("not_applicable", "a vector has no positions")
NO_RESIDUAL = Number.missing(
    "not_applicable", "a single feature leaves no directions beside the principal ones"
)


@dataclass(frozen=True, slots=True)
class Scores:
    """How far a stitched representation is from the target's own; 0 is not at all, for each of them.

    Attributes
    ----------
    mahalanobis, knn, vim
        |2·AUROC − 1| of a detector on pooled features, in [0, 1], with the AUROC beside it: above ½ where stitched
        images are farther than native ones.
    frechet
        Fréchet distance of pooled [mean, spread] between stitched and native test images, over the native total
        variance, ≥ 0, with the floor beside it: the same ratio between the native training and test images, hence
        what two native samples of this size differ by.
    negative_mass
        Share of the absolute mass below zero, in [0, 1]; only where the layer's own values are never negative.
    mahalanobis_positional, knn_positional, vim_positional
        The same detectors on single positions, averaged over the sampled positions of an image.
    frechet_positional
        The Fréchet ratio of single positions' features, with its floor.
    """

    mahalanobis: Number
    knn: Number
    vim: Number
    frechet: Number
    negative_mass: Number
    mahalanobis_positional: Number
    knn_positional: Number
    vim_positional: Number
    frechet_positional: Number

    def named(self) -> dict[str, Number]:
        """Return the scores under the names that results use: ``ood_mahalanobis`` and so on."""
        return {f"ood_{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names that results use."""
        return tuple(f"ood_{field.name}" for field in fields(cls))
