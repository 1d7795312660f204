"""What is reported about one stitched representation."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Statistic:
    """A number, or the status that says why there is none; `note` holds what belongs beside it."""

    value: float | None
    status: str = "ok"
    note: str | None = None


CONSTANT = Statistic(None, "constant", "the target layer's features do not vary")
TOO_FEW = Statistic(None, "too_few_rows", "a spread needs at least two samples of each kind")
NON_FINITE = Statistic(None, "non_finite", "the stitched representation holds values that are not finite")
NO_POSITIONS = Statistic(None, "not_applicable", "a vector has no positions")
NO_RESIDUAL = Statistic(
    None, "not_applicable", "a single feature leaves no directions beside the principal ones"
)


@dataclass(frozen=True, slots=True)
class Scores:
    """How far a stitched representation is from the target's own; 0 is not at all, for each of them.

    Attributes
    ----------
    mahalanobis, knn, vim
        |2·AUROC − 1| of a detector on pooled features, in [0, 1]; the note holds the AUROC, as
        ``auroc=0.930000``: above ½ where stitched images are farther than native ones.
    frechet
        Fréchet distance of pooled [mean, spread] between stitched and native test images, over the native total
        variance, ≥ 0; the note holds the floor, as ``floor=0.012000``: the same ratio between the native
        training and test images, hence what two native samples of this size differ by.
    negative_mass
        Share of the absolute mass below zero, in [0, 1]; only where the layer's own values are never negative.
    mahalanobis_positional, knn_positional, vim_positional
        The same detectors on single positions, averaged over the sampled positions of an image.
    frechet_positional
        The Fréchet ratio of single positions' features, with its floor.
    """

    mahalanobis: Statistic
    knn: Statistic
    vim: Statistic
    frechet: Statistic
    negative_mass: Statistic
    mahalanobis_positional: Statistic
    knn_positional: Statistic
    vim_positional: Statistic
    frechet_positional: Statistic

    def named(self) -> dict[str, Statistic]:
        """Return the statistics under the names that results use: ``ood_mahalanobis`` and so on."""
        return {f"ood_{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names that results use."""
        return tuple(f"ood_{field.name}" for field in fields(cls))
